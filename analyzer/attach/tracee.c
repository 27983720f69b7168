/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/tracee.h"

#include <errno.h>
#include <linux/elf.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "attach/desk.h"
#include "attach/memory.h"
#include "monotonic.h"

#define CALL_STOP    (SIGTRAP | 0x80) /* by PTRACE_O_TRACESYSGOOD */
#define MASK_SIZE    8u
#define STOP_NS      UINT64_C(2000000000)
#define FUNCTION_NS  UINT64_C(10000000000)
#define GLANCE_NS    30000
#define VECTORS_SIZE 16384 /* of the widest registers there are */

static int request(int what, pid_t tid, uintptr_t address, uintptr_t data)
{
    return ptrace(what, tid, (void *)address, (void *)data) < 0 ? -errno : 0; // NOLINT
}

/* ---- waiting: a change of the thread comes with SIGCHLD, which is blocked while somebody is traced ---- */

static int wait_change(pid_t tid, uint64_t until, int *ret_status)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        pid_t got = waitpid(tid, ret_status, __WALL | WNOHANG);
        if (got == tid)
            return WIFSTOPPED(*ret_status) ? 0 : -ESRCH;
        if (got < 0 && errno != EINTR)
            return errno == ECHILD ? -ESRCH : -errno;
        uint64_t time = monotonic_ns();
        if (time >= until)
            return -ETIMEDOUT;
        uint64_t left = until - time < 100000000 ? until - time : 100000000;
        sigtimedwait(&child, NULL, &(struct timespec){.tv_nsec = (long)left});
    }
}

static bool is_event_stop(int status)
{
    return status >> 16 == PTRACE_EVENT_STOP;
}

/* Waits for a stop of the kind that is wanted. Signals on their way are delivered; stops for anything else are left by `how`. */
static int wait_for(pid_t tid, bool event, int how, uint64_t until)
{
    int status, result;
    while ((result = wait_change(tid, until, &status)) == 0) {
        if (event ? is_event_stop(status) : WSTOPSIG(status) == CALL_STOP)
            return event && WSTOPSIG(status) != SIGTRAP ? -EAGAIN : 0; /* a group stop has come first */
        bool signal = status >> 16 == 0 && WSTOPSIG(status) != CALL_STOP;
        result = request(how, tid, 0, signal ? (uintptr_t)WSTOPSIG(status) : 0);
        if (result < 0)
            return result;
    }
    return result;
}

/* ---- stopping ---- */

static int take_over(struct tracee *tracee)
{
    const uint64_t all = ~UINT64_C(0);
    int result = wait_for(tracee->tid, true, PTRACE_CONT, monotonic_ns() + STOP_NS);
    tracee->stopped_ns = monotonic_ns();
    if (result == 0)
        result = arch_get(tracee->tid, &tracee->registers);
    if (result == 0)
        result = request(PTRACE_GETSIGMASK, tracee->tid, MASK_SIZE, (uintptr_t)&tracee->mask);
    if (result == 0)
        result = request(PTRACE_SETSIGMASK, tracee->tid, MASK_SIZE, (uintptr_t)&all);
    return result;
}

int tracee_stop(pid_t pid, pid_t tid, struct tracee *ret_tracee)
{
    struct tracee tracee = {.pid = pid, .tid = tid};
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int result = request(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD);
    if (result < 0)
        return result;
    result = request(PTRACE_INTERRUPT, tid, 0, 0);
    if (result == 0)
        result = take_over(&tracee);
    if (result == 0)
        *ret_tracee = tracee;
    else
        request(PTRACE_DETACH, tid, 0, 0);
    return result;
}

/* The kernel restarts an interrupted call only from a stop of this kind. The thread may be on its way still, where a call took too long:
 * with what it was made to do it is never let go, so this waits for as long as it takes. */
static int back_to_event_stop(struct tracee *tracee)
{
    int result = request(PTRACE_INTERRUPT, tracee->tid, 0, 0);
    if (result == 0 && !tracee->runs)
        result = request(PTRACE_CONT, tracee->tid, 0, 0);
    if (result == 0)
        result = wait_for(tracee->tid, true, PTRACE_CONT, UINT64_MAX);
    if (result == -EAGAIN)
        result = 0;
    tracee->in_call = tracee->runs = result < 0;
    return result;
}

/* ---- doing things ---- */

/* From one stop at a system call to the next. */
static int next_call(struct tracee *tracee, uint64_t until)
{
    int result = request(PTRACE_SYSCALL, tracee->tid, 0, 0);
    tracee->runs = result == 0;
    if (result == 0)
        result = wait_for(tracee->tid, false, PTRACE_SYSCALL, until);
    if (result == 0)
        tracee->runs = false;
    return result;
}

/* Into the system call that `registers` are about to make, and to its end. */
static int through_call(struct tracee *tracee, const struct user_regs_struct *registers, int64_t *ret_result)
{
    struct user_regs_struct after;
    uint64_t until = monotonic_ns() + FUNCTION_NS;
    tracee->in_call = true;
    int result = arch_set(tracee->tid, registers);
    if (result == 0)
        result = next_call(tracee, until);
    if (result == 0)
        result = next_call(tracee, until);
    if (result == 0)
        result = arch_get(tracee->tid, &after);
    if (result == 0)
        *ret_result = arch_result(&after);
    return result;
}

int tracee_call(struct tracee *tracee, uint64_t at, long number, const uint64_t arguments[6], int64_t *ret_result)
{
    struct user_regs_struct registers = tracee->registers;
    arch_prepare_call(&registers, at, number, arguments);
    return through_call(tracee, &registers, ret_result);
}

int tracee_clone(struct tracee *tracee, uint64_t at, const uint64_t arguments[5], uint64_t desk, int64_t *ret_result)
{
    struct user_regs_struct registers = tracee->registers;
    arch_prepare_clone(&registers, at, arguments, desk);
    return through_call(tracee, &registers, ret_result);
}

/* While it runs: a stop that somebody else has asked for must not hold it up now. */
static int keep_running(pid_t tid)
{
    int status;
    pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
    if (got == 0)
        return 0;
    return got == tid && WIFSTOPPED(status) ? request(PTRACE_CONT, tid, 0, 0) : -ESRCH;
}

static int await_result(struct tracee *tracee, int memory, uint64_t desk, int32_t *ret_result)
{
    uint64_t until = monotonic_ns() + FUNCTION_NS;
    int result;
    while ((result = memory_read(memory, desk + DESK_CREATED, ret_result, sizeof(*ret_result))) == 0 &&
           *ret_result == DESK_PENDING && (result = keep_running(tracee->tid)) == 0) {
        if (monotonic_ns() >= until)
            return -ETIMEDOUT;
        nanosleep(&(struct timespec){.tv_nsec = GLANCE_NS}, NULL);
    }
    return result;
}

/* From where it stops at a system call or nowhere, to where it was interrupted. What has not returned in time is left as it is. */
static int run_function(struct tracee *tracee, const struct user_regs_struct *registers, int memory, uint64_t desk, int32_t *ret_result)
{
    int result = arch_set(tracee->tid, registers);
    if (result == 0)
        result = request(PTRACE_CONT, tracee->tid, 0, 0);
    tracee->runs = result == 0;
    if (result == 0)
        result = await_result(tracee, memory, desk, ret_result);
    int stopped = back_to_event_stop(tracee);
    return result < 0 ? result : stopped;
}

int tracee_function(struct tracee *tracee, uint64_t function, const uint64_t arguments[4], uint64_t stack, int memory, uint64_t desk,
                    int32_t *ret_result)
{
    uint8_t vectors[VECTORS_SIZE];
    struct iovec kept = {vectors, sizeof(vectors)};
    struct user_regs_struct registers = tracee->registers;
    arch_prepare_function(&registers, function, arguments, stack, desk);
    int result = request(PTRACE_GETREGSET, tracee->tid, (uintptr_t)arch_vector_set, (uintptr_t)&kept);
    if (result < 0)
        return result;
    result = run_function(tracee, &registers, memory, desk, ret_result);
    int restored = request(PTRACE_SETREGSET, tracee->tid, (uintptr_t)arch_vector_set, (uintptr_t)&kept);
    return result < 0 ? result : restored;
}

/* ---- putting it back ---- */

/* Calls that return EINTR when they were only stopped: the kernel does not restart them by itself. */
static bool tells_of_stops(long number)
{
    static const long calls[] = {
#ifdef SYS_epoll_wait
        SYS_epoll_wait,
#endif
        SYS_epoll_pwait,     SYS_epoll_pwait2,    SYS_semop,  SYS_semtimedop, SYS_rt_sigtimedwait, SYS_io_getevents,
        SYS_io_pgetevents,   SYS_io_uring_enter,  SYS_read,   SYS_readv,      SYS_write,           SYS_writev,
        SYS_recvfrom,        SYS_recvmsg,         SYS_sendto, SYS_sendmsg,    SYS_recvmmsg,        SYS_sendmmsg,
        SYS_connect,         SYS_accept,          SYS_accept4, SYS_msgrcv,    SYS_msgsnd,          SYS_mq_timedreceive,
        SYS_mq_timedsend,
    };
    for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        if (calls[i] == number)
            return true;
    return false;
}

static void repair(struct tracee *tracee)
{
    long number;
    uint64_t arguments[3];
    if (arch_in_call(&tracee->registers, &number, arguments) && arch_result(&tracee->registers) == -EINTR &&
        tells_of_stops(number))
        arch_do_again(&tracee->registers);
}

int tracee_release(struct tracee *tracee, uint64_t *ret_stall_ns)
{
    int result = tracee->in_call ? back_to_event_stop(tracee) : 0;
    repair(tracee);
    if (result == 0)
        result = arch_set(tracee->tid, &tracee->registers);
    if (result == 0)
        result = request(PTRACE_SETSIGMASK, tracee->tid, MASK_SIZE, (uintptr_t)&tracee->mask);
    if (result == 0)
        result = request(PTRACE_DETACH, tracee->tid, 0, 0);
    *ret_stall_ns = monotonic_ns() - tracee->stopped_ns;
    return result;
}
