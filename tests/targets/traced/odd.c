/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stacks and moments that few programs have:
 *     the smallest stack that a thread may have, for every kind of call
 *     a signal a millisecond, whose handler allocates, opens and closes, on a small stack of its own
 *     coroutines that switch in the middle of it all
 */
#include "expect.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#define SMALL_THREADS 20
#define COROUTINES    8
#define TURNS         400
#define STACK         (16 << 10)

static SITE void *small_block(void) { void *volatile made = malloc(64); return made; }
static SITE int small_socket(void) { volatile int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }
static SITE int small_copy(int of) { volatile int fd = dup(of); return fd; }
static SITE void *turn_block(void) { void *volatile made = malloc(40); return made; }
static SITE int turn_socket(void) { volatile int fd = socket(AF_UNIX, SOCK_DGRAM, 0); return fd; }
static SITE void *handler_block(void) { void *volatile made = malloc(56); return made; }
static SITE int handler_socket(void) { volatile int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }

/* ---- the smallest stack ---- */

static void *small(void *argument)
{
    void *block = small_block(), *moved = realloc(block, 1 << 20);
    int fd = small_socket(), copy = small_copy(fd), pair[2], status = 0;
    MUST(moved && fd >= 0 && copy >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    free(moved);
    MUST(dup2(pair[0], copy) == copy && close(copy) == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);
    MUST(shutdown(fd, SHUT_RD) == 0 || errno == ENOTCONN);
    MUST(close(fd) == 0);
    MUST(prctl(PR_SET_SECCOMP, 2, NULL) == -1);
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    MUST(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
    return argument;
}

static void on_small_stacks(void)
{
    pthread_attr_t attributes;
    MUST(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
    for (int i = 0; i < SMALL_THREADS; i++) {
        pthread_t thread;
        MUST(pthread_create(&thread, &attributes, small, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    expect("small_block", "heap", SMALL_THREADS, SMALL_THREADS, 0);
    expect("small_socket", "socket", SMALL_THREADS, SMALL_THREADS, -1);
    expect("small_copy", "socket", SMALL_THREADS, SMALL_THREADS, -1);
}

/* ---- a signal a millisecond ---- */

static volatile long signals;

static void handler(int number)
{
    int kept = errno, fd = handler_socket();
    (void)number;
    if (fd < 0 || close(fd) != 0)
        _exit(96);
    signals++;
    errno = kept;
}

static void begin_signals(void)
{
    static char stack[64 << 10];
    stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    MUST(sigaltstack(&alternative, NULL) == 0 && sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void end_signals(void)
{
    struct itimerval none = {{0, 0}, {0, 0}};
    MUST(setitimer(ITIMER_REAL, &none, NULL) == 0);
    expect("handler_socket", "socket", signals, signals, -1);
}

/* An allocation of the handler's own must not meet one under way: it is made where none is. */
static volatile long allocations;
static void allocating_handler(int number)
{
    (void)number;
    free(handler_block());
    allocations++;
}

static void signals_while_waiting(void)
{
    struct sigaction action = {.sa_handler = allocating_handler, .sa_flags = SA_ONSTACK};
    struct itimerval timer = {{0, 1000}, {0, 1000}}, none = {{0, 0}, {0, 0}};
    MUST(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0);
    while (allocations < 200)
        pause();
    MUST(setitimer(ITIMER_REAL, &none, NULL) == 0);
    expect("handler_block", "heap", allocations, allocations, 0);
}

/* ---- coroutines ---- */

static ucontext_t contexts[COROUTINES], home;
static int running;

static void coroutine(void)
{
    for (int i = 0; i < TURNS; i++) {
        void *block = turn_block();
        int fd = turn_socket();
        MUST(block && fd >= 0);
        MUST(swapcontext(&contexts[running], &home) == 0);
        free(block);
        MUST(close(fd) == 0);
    }
}

static void in_coroutines(void)
{
    static char stacks[COROUTINES][STACK];
    for (volatile int i = 0; i < COROUTINES; i++) {
        MUST(getcontext(&contexts[i]) == 0);
        contexts[i].uc_stack = (stack_t){.ss_sp = stacks[i], .ss_size = STACK};
        contexts[i].uc_link = &home;
        makecontext(&contexts[i], coroutine, 0);
    }
    for (int turn = 0; turn <= TURNS; turn++)
        for (running = 0; running < COROUTINES; running++)
            MUST(swapcontext(&home, &contexts[running]) == 0);
    expect("turn_block", "heap", TURNS * COROUTINES, TURNS * COROUTINES, 0);
    expect("turn_socket", "socket", TURNS * COROUTINES, TURNS * COROUTINES, -1);
}

int main(void)
{
    on_small_stacks();
    begin_signals();
    in_coroutines();
    end_signals();
    signals_while_waiting();
    return 0;
}
