/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Closes every descriptor by raw system calls, the tracer's among them, and takes all the numbers where that may have
 * been for itself: they are its own now. Prints the same traced and not.
 */
#include "expect.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FIRST 3
#define LAST  1100

static long raw(long number, long first, long second)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
    return result;
}

int main(int argc, char **argv)
{
    unsigned refused = 0;
    for (int fd = FIRST; fd < 4096; fd++)
        raw(SYS_close, fd, 0);
    MUST(argc > 1);
    int own = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    MUST(own >= 0);
    for (int fd = own + 1; fd <= LAST; fd++)
        MUST(raw(SYS_dup2, own, fd) == fd);
    for (int fd = own + 1; fd <= LAST; fd++)
        refused += close(fd) != 0;
    for (unsigned i = 0; i < 20000; i++) {
        void *volatile block = malloc(16);
        MUST(block);
    }
    struct stat status;
    MUST(fstat(own, &status) == 0);
    printf("refused %u, size %ld\n", refused, (long)status.st_size);
    return 0;
}
