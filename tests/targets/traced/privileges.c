/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* privileges FOLDER: a daemon that gives up what root may do: FOLDER is its root, it is nobody, and it works on, in threads, too. */
#include "expect.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sys/socket.h>

#define MANY 3000 /* more than a lane holds */
#define SOME 50

static SITE void *before(void) { void *volatile made = malloc(32); return made; }
static SITE void *after(void) { void *volatile made = malloc(48); return made; }
static SITE int socket_before(void) { volatile int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }
static SITE int socket_after(void) { volatile int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }
static SITE int file_after(void) { volatile int fd = open("/", O_RDONLY); return fd; }
static SITE void thread_after(pthread_t *thread, void *(*work)(void *)) { MUST(pthread_create(thread, NULL, work, NULL) == 0); }

static void *work(void *argument)
{
    for (int i = 0; i < MANY; i++)
        MUST(after());
    return argument;
}

int main(int argc, char **argv)
{
    int sockets[SOME];
    pthread_t threads[2];
    MUST(argc == 2 && daemon(1, 1) == 0);
    for (int i = 0; i < MANY; i++)
        MUST(before());
    for (int i = 0; i < SOME; i++)
        MUST((sockets[i] = socket_before()) >= 0);
    MUST(chroot(argv[1]) == 0 && chdir("/") == 0);
    MUST(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    for (int i = 0; i < 2; i++)
        thread_after(&threads[i], work);
    for (int i = 0; i < 2; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < SOME; i++)
        MUST(socket_after() >= 0 && close(sockets[i]) == 0 && close(file_after()) == 0);
    expect("before", "heap", MANY, 0, 32 * MANY);
    expect("after", "heap", 2 * MANY, 0, 2 * 48 * MANY);
    expect("socket_before", "socket", SOME, SOME, -1);
    expect("socket_after", "socket", SOME, 0, -1);
    expect("file_after", "file", SOME, SOME, -1);
    expect("thread_after", "thread", 2, 2, -1);
    return 0;
}
