/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that makes a descriptor which is no socket. */
#include <fcntl.h>
#include <stdarg.h>

#include "hooks/descriptors.h"
#include "hooks/names.h"

/* Whether an open() with these flags has a third argument. */
static bool has_mode(int flags)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

/* The mode behind the last named parameter, as libc reads it. */
#define MODE(last, flags)                                                                                              \
    mode_t mode = 0;                                                                                                   \
    if (has_mode(flags)) {                                                                                             \
        va_list arguments;                                                                                             \
        va_start(arguments, last);                                                                                     \
        mode = va_arg(arguments, mode_t);                                                                              \
        va_end(arguments);                                                                                             \
    }

static void opened(uint16_t hook, int folder, const char *path, int flags, int fd, const void *frame)
{
    descriptor_made(hook, STRAY_FILE, fd, frame);
    if (fd >= 0 && is_exclusive(flags))
        name_made(hook, folder, path, caller_of(frame));
}

#define OPEN(name)                                                                                                     \
    int stray_hook_##name(const char *path, int flags, ...)                                                            \
    {                                                                                                                  \
        MODE(flags, flags)                                                                                             \
        int fd = REAL(name)(path, flags, mode);                                                                        \
        opened(STRAY_HOOK_##name, AT_FDCWD, path, flags, fd, FRAME());                                                \
        return fd;                                                                                                     \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int stray_hook_##name(int folder, const char *path, int flags, ...)                                                \
    {                                                                                                                  \
        MODE(flags, flags)                                                                                             \
        int fd = REAL(name)(folder, path, flags, mode);                                                                \
        opened(STRAY_HOOK_##name, folder, path, flags, fd, FRAME());                                                  \
        return fd;                                                                                                     \
    }
OPENAT(openat)
OPENAT(openat64)

/* Functions whose result is a descriptor, and that is all. `params` and `args` are those of the hook table's row. */
#define MAKER(name, params, args)                                                                                      \
    int stray_hook_##name params                                                                                       \
    {                                                                                                                  \
        int fd = REAL(name) args;                                                                                      \
        descriptor_made(STRAY_HOOK_##name, STRAY_FILE, fd, FRAME());                                                  \
        return fd;                                                                                                     \
    }
/* What open() becomes with _FORTIFY_SOURCE where the compiler cannot see the flags. They never create. */
MAKER(__open_2, (const char *path, int flags), (path, flags))
MAKER(__open64_2, (const char *path, int flags), (path, flags))
MAKER(__openat_2, (int folder, const char *path, int flags), (folder, path, flags))
MAKER(__openat64_2, (int folder, const char *path, int flags), (folder, path, flags))
MAKER(creat, (const char *path, mode_t mode), (path, mode))
MAKER(creat64, (const char *path, mode_t mode), (path, mode))
MAKER(eventfd, (unsigned int value, int flags), (value, flags))
MAKER(epoll_create, (int size), (size))
MAKER(epoll_create1, (int flags), (flags))
MAKER(timerfd_create, (clockid_t clock, int flags), (clock, flags))
MAKER(memfd_create, (const char *name, unsigned int flags), (name, flags))
MAKER(inotify_init, (void), ())
MAKER(inotify_init1, (int flags), (flags))
MAKER(fanotify_init, (unsigned int flags, unsigned int event_flags), (flags, event_flags))
MAKER(pidfd_open, (pid_t pid, unsigned int flags), (pid, flags))
MAKER(shm_open, (const char *name, int flags, mode_t mode), (name, flags, mode))

/* They replace the end of `path` by what was free. */
#define TEMPORARY(name, params, args)                                                                                  \
    int stray_hook_##name params                                                                                       \
    {                                                                                                                  \
        int fd = REAL(name) args;                                                                                      \
        opened(STRAY_HOOK_##name, AT_FDCWD, path, O_CREAT | O_EXCL, fd, FRAME());                                     \
        return fd;                                                                                                     \
    }
TEMPORARY(mkstemp, (char *path), (path))
TEMPORARY(mkstemp64, (char *path), (path))
TEMPORARY(mkstemps, (char *path, int suffix), (path, suffix))
TEMPORARY(mkstemps64, (char *path, int suffix), (path, suffix))
TEMPORARY(mkostemp, (char *path, int flags), (path, flags))
TEMPORARY(mkostemp64, (char *path, int flags), (path, flags))
TEMPORARY(mkostemps, (char *path, int suffix, int flags), (path, suffix, flags))
TEMPORARY(mkostemps64, (char *path, int suffix, int flags), (path, suffix, flags))

/* Given a descriptor, it changes the signals of that one. */
int stray_hook_signalfd(int fd, const sigset_t *signals, int flags)
{
    int result = REAL(signalfd)(fd, signals, flags);
    if (fd == -1)
        descriptor_made(STRAY_HOOK_signalfd, STRAY_FILE, result, FRAME());
    return result;
}

static void piped(uint16_t hook, const int ends[2], int result, const void *frame)
{
    if (result != 0)
        return;
    descriptor_made(hook, STRAY_FILE, ends[0], frame);
    descriptor_made(hook, STRAY_FILE, ends[1], frame);
}

int stray_hook_pipe(int ends[2])
{
    int result = REAL(pipe)(ends);
    piped(STRAY_HOOK_pipe, ends, result, FRAME());
    return result;
}

int stray_hook_pipe2(int ends[2], int flags)
{
    int result = REAL(pipe2)(ends, flags);
    piped(STRAY_HOOK_pipe2, ends, result, FRAME());
    return result;
}
