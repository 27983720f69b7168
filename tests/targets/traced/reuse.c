/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads whose descriptors are closed by the bare instruction, which nobody sees, and whose numbers come back at once as other
 * files, while one more thread has the table of descriptors looked through again and again (an exec that fails does).
 * What was opened last and is still open must not be taken for what has gone.
 */
#include "expect.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>

#define THREADS 4
#define TIMES   3000
#define KEPT    60 /* of each thread */

static int stop;

static SITE int vanishes(void)
{
    int fd = open("/dev/null", O_RDONLY);
    return fd;
}
static SITE int stays(void)
{
    int fd = open("/dev/zero", O_RDONLY);
    return fd;
}

static void close_unseen(int fd)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"((long)SYS_close), "D"((long)fd) : "rcx", "r11", "memory");
    MUST(result == 0);
}

static void *reopen(void *argument)
{
    for (int i = 0; i < TIMES; i++) {
        int fd = vanishes();
        MUST(fd >= 0);
        close_unseen(fd);
        fd = stays();
        MUST(fd >= 0);
        if (i % (TIMES / KEPT))
            close(fd);
    }
    return argument;
}

static void *look(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        execl("/nonexistent", "nonexistent", (char *)NULL);
    return argument;
}

int main(void)
{
    pthread_t threads[THREADS], looker;
    MUST(pthread_create(&looker, NULL, look, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, reopen, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    MUST(pthread_join(looker, NULL) == 0);
    execl("/nonexistent", "nonexistent", (char *)NULL); /* what nobody reopened is found gone */
    expect("vanishes", "file", THREADS * TIMES, THREADS * TIMES, -1);
    expect("stays", "file", THREADS * TIMES, THREADS * (TIMES - KEPT), -1);
    return 0;
}
