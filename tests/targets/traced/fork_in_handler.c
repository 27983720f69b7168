/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork_in_handler TIMES: a signal handler forks, whatever it has interrupted. The child returns from the handler, and
 * goes on where its parent was: in a hook, most often. Then it allocates, and ends.
 */
#include "expect.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile sig_atomic_t forks, is_child;
static void *volatile kept;

static void on_alarm(int signal)
{
    int kept_errno = errno;
    (void)signal;
    if (!is_child) {
        pid_t pid = fork();
        if (pid == 0)
            is_child = 1;
        forks += pid > 0;
    }
    errno = kept_errno;
}

static SITE void *passes(void) /* what is interrupted */
{
    void *volatile block = malloc(64);
    void *volatile other = calloc(1, 200);
    free(other);
    return block;
}
static SITE void keeps_in_child(void)
{
    for (int i = 0; i < 20; i++)
        kept = malloc(100);
}

static void set_timer(long microseconds)
{
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    MUST(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    MUST(argc == 2 && sigaction(SIGALRM, &action, NULL) == 0);
    int wanted = atoi(argv[1]), reaped = 0, status;
    set_timer(300);
    while (forks < wanted && !is_child)
        free(passes());
    set_timer(0);
    if (is_child) {
        for (int i = 0; i < 3000; i++)
            free(passes());
        keeps_in_child();
        return 0;
    }
    while (waitpid(-1, &status, 0) > 0) {
        if (status != 0)
            fprintf(stderr, "a child ended with the wait status %#x\n", (unsigned)status);
        MUST(status == 0);
        reaped++;
    }
    MUST(reaped == forks);
    expect("keeps_in_child", "heap", 20 * reaped, 0, 2000 * reaped); /* of all together */
    expect("in all", "child", reaped, reaped, -1); /* a stack is not taken twice at a time: some have no place */
    return 0;
}
