/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The descriptors behind streams and open folders: libc opens and closes these inside, unseen. What fdopen() and
 * fdopendir() are given was recorded when it was made. Memory of the streams comes from malloc, and is seen as heap.
 */
#include <dirent.h>
#include <errno.h>

#include "hooks/children.h"
#include "hooks/descriptors.h"

static void stream_made(uint16_t hook, FILE *stream, const void *frame)
{
    if (stream)
        descriptor_made(hook, STRAY_FILE, fileno_unlocked(stream), frame);
}

FILE *stray_hook_fopen(const char *path, const char *mode)
{
    FILE *stream = REAL(fopen)(path, mode);
    stream_made(STRAY_HOOK_fopen, stream, FRAME());
    return stream;
}

FILE *stray_hook_fopen64(const char *path, const char *mode)
{
    FILE *stream = REAL(fopen64)(path, mode);
    stream_made(STRAY_HOOK_fopen64, stream, FRAME());
    return stream;
}

FILE *stray_hook_tmpfile(void)
{
    FILE *stream = REAL(tmpfile)();
    stream_made(STRAY_HOOK_tmpfile, stream, FRAME());
    return stream;
}

FILE *stray_hook_tmpfile64(void)
{
    FILE *stream = REAL(tmpfile64)();
    stream_made(STRAY_HOOK_tmpfile64, stream, FRAME());
    return stream;
}

#define PIPED_MAX 256

static uint64_t piped[PIPED_MAX]; /* open streams of popen(); 0: none */
static uint32_t piped_count;

static bool exchange_piped(uint64_t old, uint64_t new)
{
    for (unsigned i = 0; i < PIPED_MAX; i++) {
        uint64_t expected = old;
        if (__atomic_load_n(&piped[i], __ATOMIC_RELAXED) == old &&
            __atomic_compare_exchange_n(&piped[i], &expected, new, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

static void remember_piped(const FILE *stream)
{
    if (stream && exchange_piped(0, handle_of(stream)))
        __atomic_fetch_add(&piped_count, 1, __ATOMIC_RELAXED);
}

/* Whether it is one of popen(). */
static bool forget_piped(const FILE *stream)
{
    bool known = stream && UNLIKELY(__atomic_load_n(&piped_count, __ATOMIC_RELAXED) > 0) && exchange_piped(handle_of(stream), 0);
    if (known)
        __atomic_fetch_sub(&piped_count, 1, __ATOMIC_RELAXED);
    return known;
}

FILE *stray_hook_popen(const char *command, const char *mode)
{
    before_birth();
    FILE *stream = REAL(popen)(command, mode);
    remember_piped(stream);
    child_piped(STRAY_HOOK_popen, clock_after(), stream, CALLER());
    stream_made(STRAY_HOOK_popen, stream, FRAME());
    return stream;
}

int stray_hook_pclose(FILE *stream)
{
    struct closing closing = before_close(stream ? fileno_unlocked(stream) : -1);
    uint64_t time = clock_before();
    forget_piped(stream);
    child_unpiping(stream);
    int result = REAL(pclose)(stream);
    after_close(&closing, STRAY_HOOK_pclose, 0, FRAME());
    child_unpiped(STRAY_HOOK_pclose, time, stream, result);
    return result;
}

/* fclose() closes inside libc, unseen. To a stream of popen() it does what pclose() does. */
int stray_hook_fclose(FILE *stream)
{
    struct closing closing = before_close(stream ? fileno_unlocked(stream) : -1);
    uint64_t time = clock_before();
    bool waits = forget_piped(stream);
    if (waits)
        child_unpiping(stream);
    int result = REAL(fclose)(stream);
    after_close(&closing, STRAY_HOOK_fclose, 0, FRAME());
    if (waits)
        child_unpiped(STRAY_HOOK_fclose, time, stream, result);
    return result;
}

/* The new descriptor may have the old one's number. Where nothing could be opened, the old one is closed all the same, most
 * often. */
static void reopened(uint16_t hook, const struct closing *closing, FILE *stream, const void *frame)
{
    implicitly_closed(closing, hook, stream != NULL);
    stream_made(hook, stream, frame);
}

FILE *stray_hook_freopen(const char *path, const char *mode, FILE *stream)
{
    struct closing closing = before_close(stream ? fileno_unlocked(stream) : -1);
    FILE *again = REAL(freopen)(path, mode, stream);
    reopened(STRAY_HOOK_freopen, &closing, again, FRAME());
    return again;
}

FILE *stray_hook_freopen64(const char *path, const char *mode, FILE *stream)
{
    struct closing closing = before_close(stream ? fileno_unlocked(stream) : -1);
    FILE *again = REAL(freopen64)(path, mode, stream);
    reopened(STRAY_HOOK_freopen64, &closing, again, FRAME());
    return again;
}

DIR *stray_hook_opendir(const char *path)
{
    DIR *folder = REAL(opendir)(path);
    if (folder)
        descriptor_made(STRAY_HOOK_opendir, STRAY_FILE, dirfd(folder), FRAME());
    return folder;
}

int stray_hook_closedir(DIR *folder)
{
    struct closing closing = before_close(folder ? dirfd(folder) : -1);
    int result = REAL(closedir)(folder);
    after_close(&closing, STRAY_HOOK_closedir, result, FRAME());
    return result;
}
