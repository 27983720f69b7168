/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of another process. Each function: 0, or a negative errno; all or nothing is read. */
#ifndef STRAY_ATTACH_MEMORY_H
#define STRAY_ATTACH_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* *ret_fd is what the others take, closed by the caller. -EACCES: not permitted. */
int memory_open(pid_t pid, int *ret_fd);

int memory_read(int memory, uint64_t address, void *to, size_t size);
int memory_write(int memory, uint64_t address, const void *from, size_t size);
/* A string, cut to `size` - 1 bytes; empty if it cannot be read. */
void memory_string(int memory, uint64_t address, char *to, size_t size);

#endif
