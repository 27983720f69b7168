/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int memory_open(pid_t pid, int *ret_fd)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int memory_read(int memory, uint64_t address, void *to, size_t size)
{
    ssize_t got = pread(memory, to, size, (off_t)address);
    if (got < 0)
        return -errno;
    return (size_t)got == size ? 0 : -EFAULT;
}

int memory_write(int memory, uint64_t address, const void *from, size_t size)
{
    ssize_t put = pwrite(memory, from, size, (off_t)address);
    if (put < 0)
        return -errno;
    return (size_t)put == size ? 0 : -EFAULT;
}

void memory_string(int memory, uint64_t address, char *to, size_t size)
{
    ssize_t got = pread(memory, to, size - 1, (off_t)address); /* less at the end of what is mapped */
    to[got > 0 ? got : 0] = '\0';
}
