/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/children.h"

#include <errno.h>
#include <sys/wait.h>

#include "record/emit.h"
#include "sys.h"

#define CHILDREN_MAX 4096u /* at one time; of more, it is not found out whether they have ended */
#define TOLD         0x80000000u /* beside the pid: that it has ended is recorded */

static uint32_t children[CHILDREN_MAX]; /* pids; 0: free. The order means nothing */
static uint64_t streams[CHILDREN_MAX];  /* of those that popen() began: the handle; else 0 */
static uint32_t used;                   /* what lies behind was never taken */

static void raise_used(uint32_t end)
{
    uint32_t seen = __atomic_load_n(&used, __ATOMIC_RELAXED);
    while (end > seen && !__atomic_compare_exchange_n(&used, &seen, end, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static bool replace(uint32_t *slot, uint32_t old, uint32_t new)
{
    return __atomic_compare_exchange_n(slot, &old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* One that was waited for before it came here stays until the next sample finds it gone, which says nothing new. */
static void watch(pid_t pid, uint64_t stream)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (__atomic_load_n(&children[i], __ATOMIC_RELAXED) == 0 && replace(&children[i], 0, (uint32_t)pid)) {
            __atomic_store_n(&streams[i], stream, __ATOMIC_RELEASE);
            raise_used(i + 1);
            return;
        }
}

/* Returns the child's handle; 0: somebody else came first. */
static uint64_t unwatch(uint32_t slot, uint32_t word)
{
    uint64_t stream = __atomic_exchange_n(&streams[slot], 0, __ATOMIC_ACQ_REL);
    if (replace(&children[slot], word, 0))
        return stream ? stream : word & ~TOLD;
    return 0;
}

void children_made(uint16_t hook, pid_t pid, uint64_t time, uint32_t stack)
{
    emit_at(time, STRAY_OPEN, STRAY_CHILD, hook, (uint64_t)pid, 0, stack);
    watch(pid, 0);
}

/* libc tells nobody. Its struct _IO_proc_file is the stream, a pointer, and the pid; whether that is a child of ours, the
 * kernel knows. */
static pid_t pid_behind(const FILE *stream)
{
    siginfo_t info;
    pid_t pid = *(const pid_t *)(const void *)((const char *)stream + sizeof(FILE) + sizeof(void *));
    bool ours = pid > 0 && SYS6(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL, NULL, 0) == 0;
    return ours ? pid : 0;
}

void children_piped(uint16_t hook, const FILE *stream, uint64_t time, uint32_t stack)
{
    uint64_t handle = (uint64_t)(uintptr_t)stream;
    pid_t pid = pid_behind(stream);
    emit_at(time, STRAY_OPEN, STRAY_CHILD, hook, handle, 0, stack);
    if (pid != 0)
        watch(pid, handle);
}

void children_unpiping(const FILE *stream)
{
    uint64_t handle = (uint64_t)(uintptr_t)stream;
    uint32_t end = __atomic_load_n(&used, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < end; i++)
        if (__atomic_load_n(&streams[i], __ATOMIC_ACQUIRE) == handle)
            unwatch(i, __atomic_load_n(&children[i], __ATOMIC_ACQUIRE));
}

void children_reaped(uint16_t hook, pid_t pid, int status, uint32_t stack)
{
    uint32_t end = __atomic_load_n(&used, __ATOMIC_RELAXED);
    uint64_t handle = 0;
    for (uint32_t i = 0; i < end && handle == 0; i++) {
        uint32_t word = __atomic_load_n(&children[i], __ATOMIC_ACQUIRE);
        if ((word & ~TOLD) == (uint32_t)pid)
            handle = unwatch(i, word);
    }
    emit_now(STRAY_CLOSE, STRAY_CHILD, hook, handle ? handle : (uint64_t)pid, (uint32_t)status, stack);
}

/* The child is left as it is: the program may still want to wait for it. */
static void look_at(uint32_t slot, uint32_t word)
{
    siginfo_t info = {.si_pid = 0};
    pid_t pid = (pid_t)(word & ~TOLD);
    uint64_t handle = __atomic_load_n(&streams[slot], __ATOMIC_ACQUIRE);
    long result = SYS6(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL, NULL, 0);
    if (result == -ECHILD) {
        handle = unwatch(slot, word);
        if (handle != 0)
            emit_now(STRAY_RECONCILED, STRAY_CHILD, 0, handle, 0, 0);
    } else if (result == 0 && info.si_pid == pid && !(word & TOLD) && replace(&children[slot], word, word | TOLD)) {
        emit_now(STRAY_EXITED, STRAY_CHILD, 0, handle ? handle : (uint64_t)pid, 0, 0);
    }
}

void children_sample(void)
{
    uint32_t end = __atomic_load_n(&used, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < end; i++) {
        uint32_t word = __atomic_load_n(&children[i], __ATOMIC_ACQUIRE);
        if (word != 0)
            look_at(i, word);
    }
}

void children_forget(void)
{
    __builtin_memset(children, 0, used * sizeof(*children));
    __builtin_memset(streams, 0, used * sizeof(*streams));
    used = 0;
}
