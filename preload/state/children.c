/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/children.h"

#include <errno.h>
#include <sys/wait.h>

#include "record/emit.h"
#include "sys.h"

#define CHILDREN_MAX 4096u /* at one time; of more, it is not found out whether they have ended */
#define TOLD         0x80000000u /* beside the pid: that it has ended is recorded */

static uint32_t children[CHILDREN_MAX]; /* pids; 0: free. The order means nothing */
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
static void watch(pid_t pid)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (__atomic_load_n(&children[i], __ATOMIC_RELAXED) == 0 && replace(&children[i], 0, (uint32_t)pid)) {
            raise_used(i + 1);
            return;
        }
}

void children_made(uint16_t hook, pid_t pid, uint64_t time, uint32_t stack)
{
    emit_at(time, STRAY_OPEN, STRAY_CHILD, hook, (uint64_t)pid, 0, stack);
    watch(pid);
}

void children_reaped(uint16_t hook, pid_t pid, int status, uint32_t stack)
{
    uint32_t end = __atomic_load_n(&used, __ATOMIC_RELAXED);
    emit_now(STRAY_CLOSE, STRAY_CHILD, hook, (uint64_t)pid, (uint32_t)status, stack);
    for (uint32_t i = 0; i < end; i++) {
        uint32_t word = __atomic_load_n(&children[i], __ATOMIC_RELAXED);
        if ((word & ~TOLD) == (uint32_t)pid && replace(&children[i], word, 0))
            return;
    }
}

/* The child is left as it is: the program may still want to wait for it. */
static void look_at(uint32_t *slot, uint32_t word)
{
    siginfo_t info = {.si_pid = 0};
    pid_t pid = (pid_t)(word & ~TOLD);
    long result = SYS6(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL, NULL, 0);
    if (result == -ECHILD && replace(slot, word, 0))
        emit_now(STRAY_RECONCILED, STRAY_CHILD, 0, (uint64_t)pid, 0, 0);
    else if (result == 0 && info.si_pid == pid && !(word & TOLD) && replace(slot, word, word | TOLD))
        emit_now(STRAY_EXITED, STRAY_CHILD, 0, (uint64_t)pid, 0, 0);
}

void children_sample(void)
{
    uint32_t end = __atomic_load_n(&used, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < end; i++) {
        uint32_t word = __atomic_load_n(&children[i], __ATOMIC_ACQUIRE);
        if (word != 0)
            look_at(&children[i], word);
    }
}

void children_forget(void)
{
    __builtin_memset(children, 0, used * sizeof(*children));
    used = 0;
}
