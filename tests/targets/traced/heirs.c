/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * heirs: files and pipes that a child inherits, by fork and by exec. What it closes of them was never its own, and is none of
 * its parent's business.
 */
#include "expect.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#define FILES 6
#define PIPES 3

static SITE int opened(int flags) { int fd = open("/dev/null", O_RDONLY | flags); MUST(fd >= 0); return fd; }
static SITE void piped(int ends[2]) { MUST(pipe(ends) == 0); }
static SITE int own(void) { int fd = open("/dev/zero", O_RDONLY); MUST(fd >= 0); return fd; }

/* 3 and above are whatever was handed down. */
static void close_all_but_two(void)
{
    int first = own(), second = own();
    MUST(first > STDERR_FILENO && second > STDERR_FILENO);
    for (int fd = STDERR_FILENO + 1; fd < 200; fd++) {
        if (fd != second)
            close(fd);
    }
    expect("own", "file", 2, 1, -1);
    expect("opened", "file", 0, 0, -1);
    expect("piped", "file", 0, 0, -1);
}

static void await(pid_t child)
{
    int status;
    MUST(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
    int pipes[PIPES][2];
    char text[6];
    if (argc > 1) {
        close_all_but_two();
        return 0;
    }
    for (int i = 0; i < FILES; i++)
        opened(i < 2 ? O_CLOEXEC : 0);
    for (int i = 0; i < PIPES; i++)
        piped(pipes[i]);
    pid_t child = fork();
    if (child == 0) {
        MUST(write(pipes[0][1], "hello", 5) == 5);
        close_all_but_two();
        _exit(0);
    }
    await(child);
    MUST(read(pipes[0][0], text, 5) == 5 && memcmp(text, "hello", 5) == 0);
    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "heirs", "executed", (char *)NULL);
        _exit(9);
    }
    await(child);
    MUST(close(pipes[0][0]) == 0);
    expect("opened", "file", FILES, 0, -1);
    expect("piped", "file", 2 * PIPES, 1, -1);
    expect("own", "file", 0, 0, -1);
    return 0;
}
