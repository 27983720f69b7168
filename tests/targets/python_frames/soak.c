/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into an interpreter: captures the Python frames in every malloc, calloc, realloc, free and close,
 * and asks for the definition of each; and looks each time whether the trail of the capture before holds. At the end
 * it adds a line to the file named by STRAY_SOAK: captures, frames, frames without a definition, definitions, captures
 * before which the trail held, those whose frames were other ones all the same.
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

#define FRAMES_MAX 64

/* What a thread captured the last time. */
struct before {
    bool busy; /* a signal handler leaves it alone */
    struct python_trail trail;
    size_t count;
    uint64_t keys[FRAMES_MAX];
};

static unsigned long captures, frames_seen, unknown, held, held_wrongly;
static __thread struct before before __attribute__((tls_model("initial-exec")));

static __attribute__((constructor)) void detect(void)
{
    python_detect();
}

static bool are_those_before(const struct python_frame *frames, size_t count)
{
    bool same = count == before.count;
    for (size_t i = 0; same && i < count; i++)
        same = frames[i].key == before.keys[i];
    return same;
}

static size_t capture_after(struct python_frame *frames, bool *ret_truncated)
{
    bool holds = python_trail_holds(&before.trail);
    size_t count = python_capture_trail(&before.trail, frames, FRAMES_MAX, ret_truncated);
    if (holds)
        __atomic_fetch_add(&held, 1, __ATOMIC_RELAXED);
    if (holds && !are_those_before(frames, count))
        __atomic_fetch_add(&held_wrongly, 1, __ATOMIC_RELAXED);
    before.count = count;
    for (size_t i = 0; i < count; i++)
        before.keys[i] = frames[i].key;
    python_trail_keep(&before.trail);
    return count;
}

static void capture(void)
{
    struct python_frame frames[FRAMES_MAX];
    bool truncated, alone = !before.busy;
    before.busy = true;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    size_t count = alone ? capture_after(frames, &truncated) : python_capture(frames, FRAMES_MAX, &truncated);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    before.busy = !alone;
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
    dprintf(file, "%lu %lu %lu %u %lu %lu\n", captures, frames_seen, unknown, defs_arena_count(), held, held_wrongly);
    close(file);
}
