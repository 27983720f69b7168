/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acks THREADS [PAUSE [HOW AFTER]]: opens without end and says, after every few, how many opens have returned; then pauses
 * for PAUSE microseconds:
 *     T N     thread T has completed N blocks at kept_T, and for every 64 blocks a socket at socket_T and a file at file_T
 * Whoever kills it can compare what it said with what the trace holds. With HOW, it says so after each block, and one more
 * thread ends the process AFTER microseconds from the first word on, in that way: _exit, exit, quick_exit, exec; or exec-fails,
 * twice, and then _exit.
 */
#include "expect.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define BATCH 64

static useconds_t pause_us;
static int said_every;
static int spoken; /* by any thread */

/* One pair of sites a thread, so that each thread's count can be told. */
#define SITES(n)                                                                                              \
    static SITE void *kept_##n(void) { void *volatile block = malloc(32); return block; }                     \
    static SITE int socket_##n(void) { int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }                 \
    static SITE int file_##n(void) { int fd = open("/dev/null", O_RDONLY); return fd; }                       \
    static SITE void young_##n(void) { void *volatile block = malloc(24); free(block); }
SITES(0)
SITES(1)
SITES(2)
SITES(3)
SITES(4)
SITES(5)
SITES(6)
SITES(7)

static const struct sites {
    void *(*keep)(void);
    int (*open)(void);
    int (*open_file)(void);
    void (*young)(void);
} sites[] = {{kept_0, socket_0, file_0, young_0}, {kept_1, socket_1, file_1, young_1},
             {kept_2, socket_2, file_2, young_2}, {kept_3, socket_3, file_3, young_3},
             {kept_4, socket_4, file_4, young_4}, {kept_5, socket_5, file_5, young_5},
             {kept_6, socket_6, file_6, young_6}, {kept_7, socket_7, file_7, young_7}};

static void say(long thread, long done)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "%ld %ld\n", thread, done);
    MUST(write(STDOUT_FILENO, line, (size_t)length) == length);
    __atomic_store_n(&spoken, 1, __ATOMIC_RELAXED);
}

static void *work(void *argument)
{
    long me = (long)argument;
    for (long done = 0;;) {
        for (int i = 1; i <= BATCH; i++) {
            MUST(sites[me].keep());
            sites[me].young();
            done++;
            if (i < BATCH && i % said_every == 0)
                say(me, done);
        }
        int file = sites[me].open_file();
        MUST(file >= 0);
        close(file);
        int fd = sites[me].open();
        MUST(fd >= 0);
        if (fd > 3000) /* far from any limit; the oldest are closed where they were made */
            for (int old = 100; old <= fd; old++)
                close(old);
        say(me, done);
        if (pause_us)
            usleep(pause_us);
    }
    return NULL;
}

static void become(const char *program)
{
    execl(program, program, (char *)NULL);
}

static void end(const char *how)
{
    if (strcmp(how, "exec") == 0)
        become("/bin/true");
    if (strcmp(how, "exit") == 0)
        exit(0);
    if (strcmp(how, "quick_exit") == 0)
        quick_exit(0);
    if (strcmp(how, "exec-fails") == 0) {
        become("/nonexistent");
        become("/dev/null");
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    long threads = argc > 1 ? atol(argv[1]) : 1;
    struct rlimit limit = {4096, 4096};
    MUST(threads >= 1 && threads <= (long)(sizeof(sites) / sizeof(*sites)));
    pause_us = argc > 2 ? (useconds_t)atol(argv[2]) : 0;
    said_every = argc > 4 ? 1 : BATCH; /* before any thread may be held up amid a batch */
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (argc > 4)
        said_every = 1; /* before there are threads: one that is held up may not see it until the end */
    for (long i = 1; i < threads; i++) {
        pthread_t id;
        MUST(pthread_create(&id, NULL, work, (void *)i) == 0);
    }
    if (argc > 4) {
        pthread_t id;
        MUST(pthread_create(&id, NULL, work, (void *)0) == 0);
        while (!__atomic_load_n(&spoken, __ATOMIC_RELAXED))
            usleep(100);
        usleep((useconds_t)atol(argv[4]));
        end(argv[3]);
    }
    work((void *)0);
    return 0;
}
