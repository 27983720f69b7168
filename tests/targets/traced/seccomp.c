/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seccomp HOW: sets up a filter of its system calls and goes on, in itself, a thread and children, with what it may do.
 *     allowlist, denylist   kills at what is not listed, or what is; by prctl()
 *     raw, trap, library    the same by syscall(), with SIGSYS for an answer, by libseccomp for all threads
 *     arguments             kills one call by its argument only
 *     strict                read, write, exit and nothing else
 *     dispatch, inclusive   signals for all system calls but those of libc's own code, or for those from above it
 *     refuse, log           an error for an answer, or none: nothing that a tracer could not live with
 *     none                  a filter that is not set up, because there is none, and signals that are refused
 * What a filter kills is nothing that this program does.
 */
#include "expect.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BLOCKS 5000 /* more than fit a buffer */

#define NUMBER   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ANSWER(value)  BPF_STMT(BPF_RET | BPF_K, value)
#define IF(call, value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), ANSWER(value)

/* What the tracer does and this program does not. */
#define OF_THE_TRACER(value)                                                                                  \
    NUMBER, IF(writev, value), IF(process_vm_readv, value), IF(tgkill, value), IF(sched_yield, value),        \
        ANSWER(SECCOMP_RET_ALLOW)

static struct sock_filter allowlist[] = {
    NUMBER,
    IF(write, SECCOMP_RET_ALLOW), IF(brk, SECCOMP_RET_ALLOW), IF(mmap, SECCOMP_RET_ALLOW), IF(munmap, SECCOMP_RET_ALLOW),
    IF(clone, SECCOMP_RET_ALLOW), IF(set_robust_list, SECCOMP_RET_ALLOW), IF(wait4, SECCOMP_RET_ALLOW),
    IF(exit_group, SECCOMP_RET_ALLOW), IF(socket, SECCOMP_RET_ALLOW), IF(close, SECCOMP_RET_ALLOW), IF(getpid, SECCOMP_RET_ALLOW),
    ANSWER(SECCOMP_RET_KILL_PROCESS),
};
static struct sock_filter denylist[] = {OF_THE_TRACER(SECCOMP_RET_KILL_PROCESS)};
static struct sock_filter trap[] = {OF_THE_TRACER(SECCOMP_RET_TRAP)};
static struct sock_filter refuse[] = {
    NUMBER, IF(process_vm_readv, SECCOMP_RET_ERRNO | EPERM), IF(tgkill, SECCOMP_RET_ERRNO | ENOSYS),
    IF(prlimit64, SECCOMP_RET_ERRNO | EPERM), IF(getsockopt, SECCOMP_RET_ERRNO | EPERM),
    IF(clock_gettime, SECCOMP_RET_ERRNO | EPERM), IF(rt_sigprocmask, SECCOMP_RET_ERRNO | EPERM),
    ANSWER(SECCOMP_RET_ALLOW),
};
static struct sock_filter logged[] = {OF_THE_TRACER(SECCOMP_RET_LOG)};
static struct sock_filter arguments[] = {
    NUMBER, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1030 /* F_DUPFD_CLOEXEC */, 0, 1), ANSWER(SECCOMP_RET_KILL_PROCESS),
    ANSWER(SECCOMP_RET_ALLOW),
};

static SITE void *before(void) { void *volatile block = malloc(16); return block; }
static SITE void *after(void) { void *volatile block = malloc(24); return block; }
static SITE int socket_before(void) { volatile int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }

static struct sock_fprog program_of(struct sock_filter *filter, size_t size)
{
    return (struct sock_fprog){.len = (unsigned short)(size / sizeof(*filter)), .filter = filter};
}
#define PROGRAM(filter) program_of(filter, sizeof(filter))

static void by_prctl(struct sock_fprog program)
{
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void by_library(void)
{
    static const int calls[] = {SCMP_SYS(writev), SCMP_SYS(process_vm_readv), SCMP_SYS(tgkill)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    MUST(filter && seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0);
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        MUST(seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, calls[i], 0) == 0);
    MUST(seccomp_load(filter) == 0);
    seccomp_release(filter);
}

#define INCLUSIVE_ON 2 /* what newer headers call PR_SYS_DISPATCH_INCLUSIVE_ON */

static void by_dispatch(int inclusive)
{
    static char selector = SYSCALL_DISPATCH_FILTER_BLOCK;
    char line[512], rights[8], *end;
    unsigned long first = 0, last = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    MUST(maps);
    while (fgets(line, sizeof(line), maps) && last == 0)
        if (strstr(line, "/libc.so.6") && sscanf(line, "%*x-%*x %7s", rights) == 1 && rights[2] == 'x')
            first = strtoul(line, &end, 16), last = strtoul(end + 1, NULL, 16);
    fclose(maps);
    MUST(last > 0);
    if (inclusive && prctl(PR_SET_SYSCALL_USER_DISPATCH, INCLUSIVE_ON, last, (1ul << 47) - last, &selector) == 0)
        return; /* else the kernel is too old to know it */
    MUST(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, first, last - first, &selector) == 0);
}

static void refused_dispatches(void)
{
    MUST(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, ~0ul, ~0ul, NULL) == -1);
    MUST(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 4096ul, 0ul, NULL) == -1);
    MUST(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0ul, 0ul, ~0ul) == -1);
    MUST(prctl(PR_SET_SYSCALL_USER_DISPATCH, INCLUSIVE_ON, 4096ul, 0ul, NULL) == -1);
    MUST(prctl(PR_SET_SYSCALL_USER_DISPATCH, 99, 0ul, 0ul, NULL) == -1);
    MUST(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0ul, 0ul, NULL) == 0 || errno == EINVAL);
}

/* Where the tracer cannot read memory as it usually does. */
static void executes_with_nothing(void)
{
    char *words[] = {NULL};
    MUST(execve("/bin/true", words, (char **)-8) == -1 && errno == EFAULT);
    char *bad[] = {(char *)-8, NULL};
    MUST(execve("/bin/true", words, bad) == -1 && errno == EFAULT);
}

static void set_up(const char *how)
{
    struct sock_fprog program = PROGRAM(denylist);
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (strcmp(how, "allowlist") == 0)
        by_prctl(PROGRAM(allowlist));
    else if (strcmp(how, "denylist") == 0)
        by_prctl(PROGRAM(denylist));
    else if (strcmp(how, "trap") == 0)
        by_prctl(PROGRAM(trap));
    else if (strcmp(how, "refuse") == 0)
        by_prctl(PROGRAM(refuse));
    else if (strcmp(how, "log") == 0)
        by_prctl(PROGRAM(logged));
    else if (strcmp(how, "arguments") == 0)
        by_prctl(PROGRAM(arguments));
    else if (strcmp(how, "raw") == 0)
        MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
    else if (strcmp(how, "library") == 0)
        by_library();
    else if (strcmp(how, "dispatch") == 0)
        by_dispatch(0);
    else if (strcmp(how, "inclusive") == 0)
        by_dispatch(1);
    else if (strcmp(how, "strict") == 0)
        MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    else
        MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 && errno == EFAULT);
    if (strcmp(how, "none") == 0)
        refused_dispatches();
    else if (strcmp(how, "refuse") == 0)
        executes_with_nothing();
}

static void work(int blocks)
{
    for (int i = 0; i < blocks; i++)
        if (!after())
            _exit(97);
}

/* Runs while the filter is set up, and afterwards. */
static volatile int stop;
static void *other_thread(void *argument)
{
    while (!stop)
        free(malloc(40));
    return argument;
}

static void in_child(void)
{
    pid_t child = fork();
    int status;
    if (child == 0) {
        work(BLOCKS);
        _exit(3);
    }
    MUST(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "none";
    int calls_little = strcmp(how, "allowlist") == 0 || strcmp(how, "strict") == 0;
    int goes_on = strcmp(how, "none") == 0 || strcmp(how, "refuse") == 0 || strcmp(how, "log") == 0;
    pthread_t thread;
    for (int i = 0; i < 10; i++)
        MUST(before() && socket_before() >= 0);
    expect("before", "heap", 10, 0, 160);
    expect("socket_before", "socket", 10, 0, -1);
    expect("after", "heap", goes_on ? 2 * BLOCKS : 0, 0, -1);
    if (!calls_little)
        MUST(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    set_up(how);
    if (strcmp(how, "strict") == 0) {
        work(100); /* without brk() */
        syscall(SYS_exit, 0);
    }
    work(2 * BLOCKS);
    in_child();
    if (!calls_little) {
        MUST(system("exit 4") == 4 << 8);
        stop = 1;
        MUST(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
