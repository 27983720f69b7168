/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * births TIMES fork | exec CMD [ARG...]: has TIMES children, one after the other. A child of fork allocates once and ends; one of
 * exec becomes the command. Prints nanoseconds of processor time a child, its parent's share included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double of_time(struct timeval time)
{
    return (double)time.tv_sec * 1e9 + (double)time.tv_usec * 1e3;
}

static double spent(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return of_time(usage.ru_utime) + of_time(usage.ru_stime);
}

static void be_child(char **command)
{
    if (command) {
        execvp(*command, command);
        _exit(127);
    }
    void *volatile block = malloc(100);
    free(block);
    _exit(0);
}

int main(int argc, char **argv)
{
    if (argc < 3 || (strcmp(argv[2], "fork") == 0) != (argc == 3))
        return 2;
    long times = atol(argv[1]);
    double begun = spent(RUSAGE_SELF) + spent(RUSAGE_CHILDREN);
    for (long i = 0; i < times; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            be_child(argc > 3 ? argv + 3 : NULL);
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    printf("%.0f\n", (spent(RUSAGE_SELF) + spent(RUSAGE_CHILDREN) - begun) / (double)times);
    return 0;
}
