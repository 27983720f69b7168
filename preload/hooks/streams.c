/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The descriptors behind streams and open folders: libc opens and closes these inside, unseen. What fdopen() and
 * fdopendir() are given was recorded when it was made. Memory of the streams comes from malloc, and is seen as heap.
 */
#include <dirent.h>
#include <errno.h>

#include "hooks/children.h"
#include "hooks/descriptors.h"

static FILE *stream_made(uint16_t hook, FILE *stream, const void *caller)
{
    if (stream)
        descriptor_made(hook, STRAY_FILE, fileno_unlocked(stream), caller);
    return stream;
}

FILE *stray_hook_fopen(const char *path, const char *mode)
{
    return stream_made(STRAY_HOOK_fopen, REAL(fopen)(path, mode), CALLER());
}

FILE *stray_hook_fopen64(const char *path, const char *mode)
{
    return stream_made(STRAY_HOOK_fopen64, REAL(fopen64)(path, mode), CALLER());
}

FILE *stray_hook_tmpfile(void)
{
    return stream_made(STRAY_HOOK_tmpfile, REAL(tmpfile)(), CALLER());
}

FILE *stray_hook_tmpfile64(void)
{
    return stream_made(STRAY_HOOK_tmpfile64, REAL(tmpfile64)(), CALLER());
}

FILE *stray_hook_popen(const char *command, const char *mode)
{
    uint64_t time = before_birth();
    FILE *stream = REAL(popen)(command, mode);
    child_piped(STRAY_HOOK_popen, time, stream, CALLER());
    return stream_made(STRAY_HOOK_popen, stream, CALLER());
}

int stray_hook_pclose(FILE *stream)
{
    struct closing closing = before_close(stream ? fileno_unlocked(stream) : -1);
    int result = REAL(pclose)(stream);
    after_close(&closing, STRAY_HOOK_pclose, 0, CALLER());
    child_unpiped(STRAY_HOOK_pclose, stream, result);
    return result;
}

/* The new descriptor may have the old one's number. Where nothing could be opened, the old one is closed all the same, most
 * often. */
static FILE *reopened(uint16_t hook, const struct closing *closing, FILE *stream, const void *caller)
{
    implicitly_closed(closing, hook, stream != NULL);
    return stream_made(hook, stream, caller);
}

FILE *stray_hook_freopen(const char *path, const char *mode, FILE *stream)
{
    struct closing closing = before_close(stream ? fileno_unlocked(stream) : -1);
    return reopened(STRAY_HOOK_freopen, &closing, REAL(freopen)(path, mode, stream), CALLER());
}

FILE *stray_hook_freopen64(const char *path, const char *mode, FILE *stream)
{
    struct closing closing = before_close(stream ? fileno_unlocked(stream) : -1);
    return reopened(STRAY_HOOK_freopen64, &closing, REAL(freopen64)(path, mode, stream), CALLER());
}

DIR *stray_hook_opendir(const char *path)
{
    DIR *folder = REAL(opendir)(path);
    if (folder)
        descriptor_made(STRAY_HOOK_opendir, STRAY_FILE, dirfd(folder), CALLER());
    return folder;
}

int stray_hook_closedir(DIR *folder)
{
    struct closing closing = before_close(folder ? dirfd(folder) : -1);
    int result = REAL(closedir)(folder);
    after_close(&closing, STRAY_HOOK_closedir, result, CALLER());
    return result;
}
