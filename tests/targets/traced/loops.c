/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that wait for events by each call there is, and calls that keep them from it. Says on standard output, per thread,
 * "waited THREAD HOOK TIMES" and "blocked THREAD HOOK", which a tracer must have recorded.
 *
 *     loops NAME    NAME: of a host, to be looked up
 */
#include "expect.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define WAITS 5
#define PARTS 1024 /* of LONG bytes each that one call reads */
#define LONG  (1 << 20)

extern int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room);
extern int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *signals, size_t room);

static int epoll, pair[2];

static int by_epoll_wait(void) { struct epoll_event e; return epoll_wait(epoll, &e, 1, 1); }
static int by_epoll_pwait(void) { struct epoll_event e; return epoll_pwait(epoll, &e, 1, 1, NULL); }
static int by_epoll_pwait2(void)
{
    struct epoll_event e;
    return epoll_pwait2(epoll, &e, 1, &(struct timespec){0, 1000000}, NULL);
}
static int by_poll(void) { struct pollfd p = {pair[0], POLLIN, 0}; return poll(&p, 1, 1); }
static int by_ppoll(void) { struct pollfd p = {pair[0], POLLIN, 0}; return ppoll(&p, 1, &(struct timespec){0, 1000000}, NULL); }
static int by_poll_chk(void) { struct pollfd p = {pair[0], POLLIN, 0}; return __poll_chk(&p, 1, 1, sizeof(p)); }
static int by_ppoll_chk(void)
{
    struct pollfd p = {pair[0], POLLIN, 0};
    return __ppoll_chk(&p, 1, &(struct timespec){0, 1000000}, NULL, sizeof(p));
}
static int by_select(void) { return select(0, NULL, NULL, NULL, &(struct timeval){0, 1000}); }
static int by_pselect(void) { return pselect(0, NULL, NULL, NULL, &(struct timespec){0, 1000000}, NULL); }

static struct way {
    const char *name;
    int (*wait)(void);
} ways[] = {{"epoll_wait", by_epoll_wait}, {"epoll_pwait", by_epoll_pwait}, {"epoll_pwait2", by_epoll_pwait2},
            {"poll", by_poll},             {"ppoll", by_ppoll},             {"__poll_chk", by_poll_chk},
            {"__ppoll_chk", by_ppoll_chk}, {"select", by_select},           {"pselect", by_pselect}};

static int thread_number(void)
{
    return (int)syscall(SYS_gettid);
}

static void *waits(void *data)
{
    const struct way *way = data;
    free(malloc(1));
    for (int i = 0; i < WAITS; i++)
        MUST(way->wait() == 0);
    printf("waited %d %s %d\n", thread_number(), way->name, WAITS);
    return NULL;
}

static void pause_for(long milliseconds)
{
    struct timespec time = {0, milliseconds * 1000000};
    nanosleep(&time, NULL);
}

/* The answer comes only after a while. */
static void *answers(void *data)
{
    pause_for(60);
    MUST(write(pair[1], "x", 1) == 1);
    return data;
}

static SITE void reads_slowly(void)
{
    char byte;
    pthread_t other;
    MUST(pthread_create(&other, NULL, answers, NULL) == 0);
    MUST(recv(pair[0], &byte, 1, 0) == 1);
    MUST(pthread_join(other, NULL) == 0);
}

static SITE void reads_at_once(void)
{
    char byte = 'x';
    MUST(write(pair[1], &byte, 1) == 1 && read(pair[0], &byte, 1) == 1);
}

/* A file is waited for, O_NONBLOCK or not: this one for as long as a gigabyte takes. */
static SITE void reads_a_file(void)
{
    char *room = malloc(LONG);
    struct iovec parts[PARTS];
    int file = memfd_create("long", 0);
    MUST(room && file >= 0 && ftruncate(file, (off_t)PARTS * LONG) == 0 && fcntl(file, F_SETFL, O_NONBLOCK) == 0);
    for (size_t i = 0; i < PARTS; i++)
        parts[i] = (struct iovec){room, LONG};
    MUST(readv(file, parts, PARTS) == (ssize_t)PARTS * LONG);
    close(file);
    free(room);
}

/* Where it is sent does not block; where it comes from takes its time. */
static SITE void sends_a_file(void)
{
    int to = open("/dev/null", O_WRONLY | O_NONBLOCK), from = open("/dev/urandom", O_RDONLY);
    MUST(to >= 0 && from >= 0 && sendfile64(to, from, NULL, 64 * LONG) == 64 * LONG);
    close(from);
    close(to);
}

static void *loop(void *data)
{
    free(malloc(1));
    for (int i = 0; i < WAITS; i++)
        by_epoll_wait();
    reads_at_once();
    reads_slowly();
    reads_a_file();
    sends_a_file();
    for (const char *const *call = (const char *const[]){"recv", "readv", "sendfile64", NULL}; *call; call++)
        printf("blocked %d %s\n", thread_number(), *call);
    return data;
}

/* What waits seldom is no loop, whatever keeps it. */
static void *worker(void *data)
{
    reads_slowly();
    return data;
}

static void look_up(const char *name)
{
    struct addrinfo *found, hints = {.ai_family = AF_INET};
    MUST(getaddrinfo(name, "80", &hints, &found) == 0);
    freeaddrinfo(found);
}

static void run(void *(*work)(void *), void *data)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, work, data) == 0 && pthread_join(thread, NULL) == 0);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    MUST(argc == 2 && (epoll = epoll_create1(0)) >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
        run(waits, &ways[i]);
    run(loop, NULL);
    run(worker, NULL);
    look_up(argv[1]);
    return 0;
}
