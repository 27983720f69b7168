/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into an interpreter: captures the Python frames in every malloc, calloc, realloc, free and close,
 * and asks for the definition of each. At the end it adds a line to the file named by STRAY_SOAK: captures,
 * frames, frames without a definition, definitions.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "defs_arena.h"
#include "sys.h"
#include "stack/python.h"

#define EXPORT __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static unsigned long captures, frames_seen, unknown;

static __attribute__((constructor)) void detect(void)
{
    python_detect();
}

static void capture(void)
{
    struct python_frame frames[64];
    bool truncated;
    size_t count = python_capture(frames, 64, &truncated);
    unsigned long missing = 0;
    for (size_t i = 0; i < count; i++)
        missing += python_code_id(frames[i].code) == 0;
    __atomic_fetch_add(&captures, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&frames_seen, count, __ATOMIC_RELAXED);
    __atomic_fetch_add(&unknown, missing, __ATOMIC_RELAXED);
}

EXPORT void *malloc(size_t size)
{
    capture();
    return __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    capture();
    return __libc_calloc(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
    capture();
    return __libc_realloc(block, size);
}

EXPORT void free(void *block)
{
    capture();
    __libc_free(block);
}

EXPORT int close(int descriptor)
{
    capture();
    long result = sys_close(descriptor);
    if (result < 0)
        errno = (int)-result;
    return result < 0 ? -1 : 0;
}

static __attribute__((destructor)) void report(void)
{
    const char *path = getenv("STRAY_SOAK");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (file < 0)
        return;
    dprintf(file, "%lu %lu %lu %u\n", captures, frames_seen, unknown, defs_arena_count());
    close(file);
}
