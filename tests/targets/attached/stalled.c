/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into stray attach: makes what takes seconds, on a machine that stands still, come about at once. The thread that is made in the
 * process is patient for 100 ms only; and by STALLED:
 * put      the command stands still for longer than that before it writes the request
 * answer   it waits for each answer for 200 ms only
 * NUMBER   where it is about to take the thread's socket, the process has another one under that number
 */
#include <dlfcn.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "attach/desk.h"

#define EXPORT __attribute__((visibility("default")))

#define PATIENCE_MS 100
#define ANSWER_MS   200

static const char *stalled(void)
{
    const char *how = getenv("STALLED");
    return how ? how : "";
}

static ssize_t put(int fd, const void *bytes, size_t size, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pwrite");
    return real(fd, bytes, size, at);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    if (size == sizeof(struct desk)) {
        struct desk desk;
        memcpy(&desk, bytes, sizeof(desk));
        desk.timeout = (struct timeval){.tv_usec = PATIENCE_MS * 1000};
        desk.naps = PATIENCE_MS;
        return put(fd, &desk, size, at);
    }
    if (strcmp(stalled(), "put") == 0 && memmem(bytes, size, "STRAY_OUTPUT=", 13))
        usleep(5 * PATIENCE_MS * 1000);
    return put(fd, bytes, size, at);
}

EXPORT int poll(struct pollfd *descriptors, nfds_t count, int milliseconds)
{
    static int (*real)(struct pollfd *, nfds_t, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "poll");
    return real(descriptors, count, strcmp(stalled(), "answer") == 0 && milliseconds > ANSWER_MS ? ANSWER_MS : milliseconds);
}

EXPORT int pidfd_getfd(int process, int number, unsigned flags)
{
    static int (*real)(int, int, unsigned);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pidfd_getfd");
    return real(process, atoi(stalled()) > 0 ? atoi(stalled()) : number, flags);
}
