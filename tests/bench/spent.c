/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * spent FILE CMD [ARG...]: runs a command and writes to FILE what it took: nanoseconds until it had ended, and nanoseconds of
 * processor time of it and of every process that it started, also of those that outlive it for a while or that it never waited
 * for. Waits until all of them are gone. Exits as the command did, or with 125 where it could not be run.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t of_time(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_usec * 1000;
}

/* Waits for all there are; those whose parent has gone are ours. */
static int wait_for_all(pid_t command, int64_t *ret_ended)
{
    int status, result = 125;
    for (pid_t pid; (pid = wait(&status)) > 0;)
        if (pid == command) {
            *ret_ended = now();
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    return result;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 125;
    FILE *file = fopen(argv[1], "we");
    if (!file || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return 125;
    int64_t begun = now(), ended = begun;
    pid_t command = fork();
    if (command == 0) {
        execvp(argv[2], argv + 2);
        _exit(125);
    }
    if (command < 0)
        return 125;
    int result = wait_for_all(command, &ended);
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    fprintf(file, "%ld %ld\n", (long)(ended - begun), (long)(of_time(usage.ru_utime) + of_time(usage.ru_stime)));
    return fclose(file) == 0 ? result : 125;
}
