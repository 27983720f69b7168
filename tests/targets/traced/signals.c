/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * signals MODE: handlers of termination signals must be called, and be told of, as if nothing stood in between; and the
 * ways to die by a signal of one's own.
 */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* old functions are still called */
#include "expect.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

typedef void handler(int signal);
handler *bsd_signal(int signal, handler *function);

static void *volatile kept;
static SITE void keeps(int times)
{
    for (int i = 0; i < times; i++)
        kept = malloc(100);
}

static volatile sig_atomic_t plain_calls, full_calls, last_signal, code, context_seen;
static void plain(int signal)
{
    plain_calls++;
    last_signal = signal;
}
static void other(int signal)
{
    last_signal = -signal;
}
static void full(int signal, siginfo_t *info, void *context)
{
    full_calls++;
    last_signal = signal;
    code = info->si_code == SI_USER || info->si_code == SI_TKILL ? info->si_pid == getpid() : 0;
    context_seen = context != NULL;
}

static void same_action(const struct sigaction *a, const struct sigaction *b)
{
    MUST(a->sa_sigaction == b->sa_sigaction);
    MUST((a->sa_flags & ~0x04000000) == (b->sa_flags & ~0x04000000)); /* less SA_RESTORER, which is libc's */
    for (int signal = 1; signal < 32; signal++)
        MUST(sigismember(&a->sa_mask, signal) == sigismember(&b->sa_mask, signal));
}

int __sigaction(int signal, const struct sigaction *action, struct sigaction *old);
static void actions(int signal, int (*set)(int, const struct sigaction *, struct sigaction *))
{
    struct sigaction first = {.sa_sigaction = full, .sa_flags = SA_SIGINFO | SA_RESTART}, second = {.sa_handler = plain}, old, fallback;
    sigaddset(&first.sa_mask, SIGUSR1);
    second.sa_flags = (int)SA_RESETHAND;
    MUST(set(signal, &first, &fallback) == 0 && fallback.sa_handler == SIG_DFL);
    MUST(set(signal, NULL, &old) == 0);
    same_action(&old, &first);
    full_calls = 0;
    MUST(kill(getpid(), signal) == 0 && full_calls == 1 && last_signal == signal && code == 1 && context_seen);
    MUST(set(signal, &second, &old) == 0);
    same_action(&old, &first);
    plain_calls = 0;
    MUST(raise(signal) == 0 && plain_calls == 1 && last_signal == signal);
    MUST(set(signal, &old, &second) == 0 && second.sa_handler == SIG_DFL); /* it was for one time only */
    MUST(set(signal, &fallback, &old) == 0);
    same_action(&old, &first);
    old = first;
    MUST(set(signal, &old, &old) == 0 && old.sa_handler == SIG_DFL);
    MUST(set(SIGKILL, &first, NULL) == -1 && errno == EINVAL);
    MUST(siginterrupt(signal, 1) == 0 && set(signal, NULL, &old) == 0 && old.sa_sigaction == full && !(old.sa_flags & SA_RESTART));
    MUST(set(signal, &fallback, NULL) == 0);
}

static void functions(int signal, handler *(*set)(int, handler *))
{
    MUST(set(signal, plain) == SIG_DFL);
    plain_calls = 0;
    MUST(raise(signal) == 0 && plain_calls == 1 && last_signal == signal);
    set(signal, plain); /* System V's has gone back to the default */
    MUST(set(signal, other) == plain);
    MUST(set(signal, SIG_IGN) == other && raise(signal) == 0);
    MUST(set(signal, SIG_DFL) == SIG_IGN);
    MUST(set(-1, plain) == SIG_ERR && errno == EINVAL);
}

/* What a vfork child does with its handlers is none of its parent's business. */
static void in_vfork(void)
{
    struct sigaction old;
    int status;
    MUST(signal(SIGTERM, plain) == SIG_DFL);
    pid_t pid = vfork();
    MUST(pid >= 0);
    if (pid == 0) {
        signal(SIGTERM, other);
        signal(SIGINT, SIG_IGN);
        _exit(0);
    }
    MUST(waitpid(pid, &status, 0) == pid && status == 0);
    MUST(sigaction(SIGTERM, NULL, &old) == 0 && old.sa_handler == plain);
    plain_calls = 0;
    MUST(raise(SIGTERM) == 0 && plain_calls == 1);
    MUST(signal(SIGTERM, SIG_DFL) == plain && signal(SIGINT, SIG_DFL) == SIG_DFL);
}

static void handlers(void)
{
    static handler *(*const setters[])(int, handler *) = {signal, bsd_signal, ssignal, sysv_signal, __sysv_signal, sigset};
    int signals[] = {SIGTERM, SIGINT, SIGUSR2};
    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        actions(signals[i], sigaction);
        actions(signals[i], __sigaction);
        for (unsigned k = 0; k < sizeof(setters) / sizeof(*setters); k++)
            functions(signals[i], setters[k]);
    }
    in_vfork();
}

static void blocked_and_back(void)
{
    sigset_t set;
    MUST(sigemptyset(&set) == 0 && sigaddset(&set, SIGUSR1) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    MUST(raise(SIGUSR1) == 0); /* it does not come */
}

static void *waits(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static int *volatile nowhere = (int *)8;

/* How a child dies; the parent waits for it, or for nothing. */
static void die(const char *how)
{
    pthread_t thread;
    keeps(10);
    expect("keeps", "heap", 10, 0, 1000);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "raise"))
        raise(SIGUSR1);
    if (!strcmp(how, "kill"))
        kill(getpid(), SIGKILL);
    if (!strcmp(how, "group"))
        MUST(setpgid(0, 0) == 0 && kill(0, SIGALRM) == 0);
    if (!strcmp(how, "tgkill"))
        tgkill(getpid(), getpid(), SIGQUIT);
    if (!strcmp(how, "pthread_kill")) {
        MUST(pthread_create(&thread, NULL, waits, NULL) == 0);
        pthread_kill(thread, SIGHUP);
        pause();
    }
    if (!strcmp(how, "blocked")) {
        blocked_and_back();
        *nowhere = 0;
    }
    if (!strcmp(how, "fault"))
        *nowhere = 0; /* SIGSEGV, which nobody foresees */
    if (!strcmp(how, "quietly")) /* an exit that no hook sees */
        __asm__ volatile("syscall" : : "a"(231), "D"(9) : "rcx", "r11", "memory");
}

static void children(const char *how)
{
    pid_t pid = fork();
    int status;
    MUST(pid >= 0);
    if (pid == 0) {
        die(how);
        _exit(98);
    }
    MUST(waitpid(pid, &status, 0) == pid);
    keeps(3);
    expect("keeps", "heap", 3, 0, 300);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "handlers")) {
        handlers();
        keeps(1);
        expect("keeps", "heap", 1, 0, 100);
    } else if (argc == 3 && !strcmp(argv[1], "die")) {
        die(argv[2]);
        return 99;
    } else if (argc == 3 && !strcmp(argv[1], "children")) {
        children(argv[2]);
    } else {
        return 99;
    }
    return 0;
}
