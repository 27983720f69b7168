/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signal handlers that jump out of whatever they interrupted, the tracer's work included, and handlers that call what
 * handlers may call, while the program goes on acquiring and releasing. Only calls that a handler may leave are
 * interrupted: dup() and close(), no allocation.
 *
 *     jumps [MILLISECONDS]
 */
#include "expect.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

/* What programs that are built with _FORTIFY_SOURCE call. */
void __longjmp_chk(sigjmp_buf buffer, int value) __attribute__((noreturn));

static sigjmp_buf outside;
static volatile sig_atomic_t may_jump;
static volatile long jumps, handled;
static long kept;

/* More than one, so that a handler meets every state of a buffer. */
SITE static void in_handler(void)
{
    for (unsigned i = 0; i < 3; i++) {
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        MUST(fd >= 0 && close(fd) == 0);
        handled++;
    }
}

static void on_alarm(int number)
{
    if (!may_jump) {
        in_handler();
        return;
    }
    switch (jumps++ % 4) { /* the same function under four names */
    case 0: longjmp(outside, 1);
    case 1: _longjmp(outside, 1);
    case 2: __longjmp_chk(outside, 1);
    default: siglongjmp(outside, 1);
    }
}

static void set_timer(unsigned microseconds)
{
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    MUST(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A descriptor that a jump leaves open is closed by its number. */
static void interrupted_calls(int fd)
{
    for (unsigned i = 0; i < 50; i++) {
        may_jump = 1;
        for (unsigned k = 0; k < 20; k++) {
            dup2(fd, 100);
            close(100);
        }
        may_jump = 0;
    }
}

SITE static void afterwards(void)
{
    void *volatile block = malloc(24);
    MUST(block);
    kept++;
}

int main(int argc, char **argv)
{
    long end = milliseconds() + (argc > 1 ? atoi(argv[1]) : 1500);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    MUST(fd >= 0);
    struct sigaction action = {.sa_handler = on_alarm};
    MUST(sigaction(SIGALRM, &action, NULL) == 0);
    set_timer(500);
    while (milliseconds() < end) {
        if (sigsetjmp(outside, 1) == 0)
            interrupted_calls(fd);
        may_jump = 0;
        afterwards();
    }
    set_timer(0);
    MUST(jumps > 0);
    for (unsigned i = 0; i < 10000; i++)
        afterwards();
    expect("afterwards", "heap", kept, 0, 24 * kept);
    return 0;
}
