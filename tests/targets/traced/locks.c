/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Holds record locks on its own executable and on its C library, and allocates at places in both that were never met before. Such
 * a lock is gone as soon as its process closes any descriptor of that file. Says of each on standard output whether it is held yet.
 */
#include "expect.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* Another process sees the lock of this one. */
static int is_held(int fd)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        _exit(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK);
    }
    MUST(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int hold(const char *path)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0);
    return fd;
}

static SITE void in_the_program(void)
{
    free(malloc(100));
}

static SITE void again_in_the_program(void)
{
    free(malloc(200));
}

static SITE void in_the_library(void)
{
    free(strdup("copied"));
}

static SITE void again_in_the_library(void)
{
    free(strndup("copied", 3));
}

int main(void)
{
    void (*const places[])(void) = {in_the_program, in_the_library, again_in_the_program, again_in_the_library};
    Dl_info library;
    MUST(dladdr((void *)(uintptr_t)strdup, &library));
    int program_lock = hold("/proc/self/exe"), library_lock = hold(library.dli_fname);
    printf("before: %d %d\n", is_held(program_lock), is_held(library_lock));
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        nanosleep(&(struct timespec){0, 50000000}, NULL); /* what a tracer keeps for a moment it has given back */
        places[i]();
        printf("after place %zu: %d %d\n", i, is_held(program_lock), is_held(library_lock));
    }
    return 0;
}
