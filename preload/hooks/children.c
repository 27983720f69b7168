/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes child processes, and what waits for them. */
#include "hooks/wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hooks/children.h"
#include "hooks/descriptors.h"
#include "hooks/environment.h"
#include "lock.h"
#include "stack/python.h"
#include "state/children.h"
#include "state/incarnation.h"
#include "sys.h"

/* ---- children ---- */

/* The time from before the call that may make a child. The gate is asked first, for it chooses the clock. */
uint64_t before_birth(void)
{
    gate_open(GATE_TRACED);
    return clock_before();
}

static void child_made(uint16_t hook, pid_t pid, uint64_t time, const void *caller)
{
    int kept = errno;
    if (pid > 0 && may_record())
        children_made(hook, pid, time, capture_stack(caller));
    errno = kept;
}

/* In the parent and in the child. */
static pid_t forked(uint16_t hook, pid_t pid, uint64_t time, const void *caller)
{
    int kept = errno;
    child_made(hook, pid, time, caller);
    if (pid > 0 && may_record()) {
        emit_system(STRAY_FORK, (uint64_t)pid, 0);
    } else if (pid == 0) {
        locks_forked();
        gate_open(GATE_TRACED); /* the child's trace begins here, not at its first allocation */
    }
    errno = kept;
    return pid;
}

pid_t stray_hook_fork(void)
{
    uint64_t time = before_birth();
    return forked(STRAY_HOOK_fork, REAL(fork)(), time, CALLER());
}

pid_t stray_hook__Fork(void)
{
    uint64_t time = before_birth();
    return forked(STRAY_HOOK__Fork, REAL(_Fork)(), time, CALLER());
}

pid_t stray_hook_forkpty(int *terminal, char *name, const struct termios *settings, const struct winsize *size)
{
    uint64_t time = before_birth();
    return forked(STRAY_HOOK_forkpty, REAL(forkpty)(terminal, name, settings, size), time, CALLER());
}

/* What the assembler keeps in two registers while the child runs in this memory. */
struct before_vfork {
    uint64_t time, flags;
};

struct before_vfork stray_vfork_begins(void);
pid_t stray_vfork_returned(long result, struct before_vfork before, const void *caller);

struct before_vfork stray_vfork_begins(void)
{
    struct before_vfork before = {before_birth(), thread_self.flags};
    thread_self.flags |= THREAD_VFORKED;
    return before;
}

/* In the parent. The child may have died inside a hook: what it left under way is nobody's. */
pid_t stray_vfork_returned(long result, struct before_vfork before, const void *caller)
{
    thread_self.flags = (uint32_t)before.flags;
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    child_made(STRAY_HOOK_vfork, (pid_t)result, before.time, caller);
    return (pid_t)result;
}

struct clone_start {
    int (*function)(void *);
    void *argument;
};

/* In a child that has its own memory, and with it a copy of its parent's stack, where the argument lies. Its return is the
 * end of the process. */
static int run_clone(void *argument)
{
    struct clone_start start = *(struct clone_start *)argument;
    locks_forked();
    gate_open(GATE_TRACED);
    int status = start.function(start.argument);
    incarnation_end(STRAY_ENDING_QUICK, status);
    return status;
}

/* The named arguments are always read, as libc does: what was not passed is not used. */
int stray_hook_clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
    va_list rest;
    va_start(rest, argument);
    void *parent_tid = va_arg(rest, void *), *tls = va_arg(rest, void *), *child_tid = va_arg(rest, void *);
    va_end(rest);
    uint64_t time = before_birth();
    struct clone_start start = {function, argument};
    bool shares = flags & CLONE_VM || !function;
    if (shares && !(flags & CLONE_THREAD))
        incarnation_shares_memory();
    int pid = REAL(clone)(shares ? function : run_clone, stack, flags, shares ? argument : &start, parent_tid, tls, child_tid);
    if (!(flags & (CLONE_THREAD | CLONE_PARENT)))
        child_made(STRAY_HOOK_clone, pid, time, CALLER());
    return pid;
}

/* Some programs do not ask for the pid. Those that do have it before any handler of SIGCHLD runs. */
#define SPAWN(name, program)                                                                                           \
    do {                                                                                                               \
        bool there = environment_is_there(envp);                                                                       \
        char *patched[there ? environment_room(envp) : 1];                                                             \
        char buffer[there ? environment_text_room(envp) : 1];                                                          \
        struct text store = TEXT(buffer);                                                                              \
        pid_t own = 0, *place = pid ? pid : &own;                                                                      \
        uint64_t time = before_birth();                                                                                \
        char *const *next = there ? environment_patch(&store, patched, envp) : envp;                                   \
        int result = REAL(name)(place, program, actions, attributes, argv, next);                                      \
        if (result == 0)                                                                                               \
            child_made(STRAY_HOOK_##name, *place, time, CALLER());                                                     \
        return result;                                                                                                 \
    } while (0)

int stray_hook_posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attributes, char *const argv[],
                           char *const envp[])
{
    SPAWN(posix_spawn, path);
}

int stray_hook_posix_spawnp(pid_t *pid, const char *file, const void *actions, const void *attributes, char *const argv[],
                            char *const envp[])
{
    SPAWN(posix_spawnp, file);
}

/* ---- children behind streams ---- */

void child_piped(uint16_t hook, uint64_t time, const FILE *stream, const void *caller)
{
    int kept = errno;
    if (stream && may_record())
        children_piped(hook, stream, time, capture_stack(caller));
    errno = kept;
}

void child_unpiping(const FILE *stream)
{
    int kept = errno;
    if (stream && may_record())
        children_unpiping(stream);
    errno = kept;
}

void child_unpiped(uint16_t hook, uint64_t time, const FILE *stream, int status)
{
    int kept = errno;
    if (stream && may_record())
        emit_at(time, STRAY_CLOSE, STRAY_CHILD, hook, handle_of(stream), (uint32_t)status, 0);
    errno = kept;
}

/* ---- daemons ---- */

static bool is_null_device(int fd)
{
    struct stat status;
    return sys_fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

static int take_null_device(void)
{
    int fd = (int)SYS6(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0, 0, 0);
    bool good = fd >= 0 && is_null_device(fd);
    for (int standard = 0; good && standard <= STDERR_FILENO; standard++)
        if (standard != fd)
            SYS3(SYS_dup2, fd, standard, 0);
    if (fd > STDERR_FILENO || (fd >= 0 && !good))
        sys_close(fd);
    if (!good)
        errno = fd < 0 ? -fd : ENODEV;
    return good ? 0 : -1;
}

/* libc's own forks and ends the parent by ways that no hook sees; otherwise this does what that does. */
int stray_hook_daemon(int keep_folder, int keep_open)
{
    if (sys_quiet) /* no system call is made then, not even for the program */
        return REAL(daemon)(keep_folder, keep_open);
    uint64_t time = before_birth();
    pid_t pid = forked(STRAY_HOOK_daemon, REAL(fork)(), time, CALLER());
    if (pid < 0)
        return -1;
    if (pid > 0)
        stray_hook__exit(0);
    long session = SYS3(SYS_setsid, 0, 0, 0);
    if (session < 0) {
        errno = (int)-session;
        return -1;
    }
    if (!keep_folder)
        SYS3(SYS_chdir, "/", 0, 0);
    return keep_open ? 0 : take_null_device();
}

/* ---- waiting ---- */

/* A finalizing interpreter waits for what the program has forgotten: that is to be seen before it does. */
static void before_wait(void)
{
    int kept = errno;
    if (may_record())
        note_finalizing();
    errno = kept;
}

/* Before it is finalizing it calls what was registered for the exit: that is to be seen in the stack. */
static uint32_t waiter(const void *caller)
{
    return python_active() ? capture_stack(caller) : 0;
}

static pid_t reaped(uint16_t hook, pid_t pid, int status, const void *caller)
{
    int kept = errno;
    if (pid > 0 && (WIFEXITED(status) || WIFSIGNALED(status)) && may_record())
        children_reaped(hook, pid, status, waiter(caller));
    errno = kept;
    return pid;
}

pid_t stray_hook_wait(int *status)
{
    int own;
    int *place = status ? status : &own;
    before_wait();
    pid_t pid = REAL(wait)(place);
    return reaped(STRAY_HOOK_wait, pid, pid > 0 ? *place : 0, CALLER());
}

pid_t stray_hook_waitpid(pid_t which, int *status, int options)
{
    int own;
    int *place = status ? status : &own;
    before_wait();
    pid_t pid = REAL(waitpid)(which, place, options);
    return reaped(STRAY_HOOK_waitpid, pid, pid > 0 ? *place : 0, CALLER());
}

pid_t stray_hook_wait3(int *status, int options, struct rusage *usage)
{
    int own;
    int *place = status ? status : &own;
    before_wait();
    pid_t pid = REAL(wait3)(place, options, usage);
    return reaped(STRAY_HOOK_wait3, pid, pid > 0 ? *place : 0, CALLER());
}

pid_t stray_hook_wait4(pid_t which, int *status, int options, struct rusage *usage)
{
    int own;
    int *place = status ? status : &own;
    before_wait();
    pid_t pid = REAL(wait4)(which, place, options, usage);
    return reaped(STRAY_HOOK_wait4, pid, pid > 0 ? *place : 0, CALLER());
}

/* The wait status that waitpid() would have told. For a child that has not ended: one that says stopped. */
static int status_of(const siginfo_t *info)
{
    switch (info->si_code) {
    case CLD_EXITED:
        return W_EXITCODE(info->si_status, 0);
    case CLD_KILLED:
        return W_EXITCODE(0, info->si_status);
    case CLD_DUMPED:
        return W_EXITCODE(0, info->si_status) | WCOREFLAG;
    default:
        return W_STOPCODE(info->si_status);
    }
}

int stray_hook_waitid(unsigned type, id_t id, siginfo_t *info, int options)
{
    siginfo_t own = {.si_pid = 0};
    siginfo_t *place = info ? info : &own;
    before_wait();
    int result = REAL(waitid)(type, id, place, options);
    if (result == 0 && place->si_pid > 0 && !(options & WNOWAIT))
        reaped(STRAY_HOOK_waitid, place->si_pid, status_of(place), CALLER());
    return result;
}
