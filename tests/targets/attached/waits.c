/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sleeps in one system call after the other, each with a time limit, by the name of the call (first argument); with "ticks" as the second
 * one, 1000 signals a second arrive meanwhile. On SIGTERM says "sound" if no call ever returned EINTR that no signal can have caused, none
 * returned early, and no tick was lost for good.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 20

static volatile sig_atomic_t stopping, ticks;
static int epoll, sockets[2], semaphores;
static sem_t semaphore;

static void stop(int number)
{
    stopping = number;
}

static void tick(int number)
{
    ticks++;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int by_epoll(void)
{
    struct epoll_event event;
    return epoll_wait(epoll, &event, 1, WAIT_MS);
}

static int by_recv(void)
{
    char byte;
    ssize_t got = recv(sockets[0], &byte, 1, 0);
    return got < 0 && errno == EAGAIN ? 0 : (int)got;
}

static int by_semop(void)
{
    struct sembuf take = {0, -1, 0};
    int result = semtimedop(semaphores, &take, 1, &(struct timespec){.tv_nsec = WAIT_MS * 1000000});
    return result < 0 && errno == EAGAIN ? 0 : result;
}

static int by_sigtimedwait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    int result = sigtimedwait(&set, NULL, &(struct timespec){.tv_nsec = WAIT_MS * 1000000});
    return result < 0 && errno == EAGAIN ? 0 : result;
}

static int by_nanosleep(void)
{
    return nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000}, NULL);
}

static int by_poll(void)
{
    return poll(&(struct pollfd){.fd = sockets[0], .events = POLLIN}, 1, WAIT_MS);
}

static int by_select(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(sockets[0], &set);
    return select(sockets[0] + 1, &set, NULL, NULL, &(struct timeval){.tv_usec = WAIT_MS * 1000});
}

static int by_semaphore(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int result = sem_timedwait(&semaphore, &until);
    return result < 0 && errno == ETIMEDOUT ? 0 : result;
}

/* Computes between two signals, and does nothing else. */
static int by_nothing(void)
{
    double until = now() + WAIT_MS;
    while (now() < until)
        ;
    return 0;
}

static const struct way {
    const char *name;
    int (*wait)(void);
} ways[] = {
    {"epoll", by_epoll},         {"recv", by_recv}, {"semop", by_semop},   {"sigtimedwait", by_sigtimedwait},
    {"nanosleep", by_nanosleep}, {"poll", by_poll}, {"select", by_select}, {"semaphore", by_semaphore},
    {"nothing", by_nothing},
};

static const struct way *find(const char *name)
{
    for (unsigned i = 0; i < sizeof(ways) / sizeof(*ways); i++)
        if (strcmp(ways[i].name, name) == 0)
            return &ways[i];
    abort();
}

static void prepare(void)
{
    struct timeval limit = {.tv_usec = WAIT_MS * 1000};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    semaphores = semget(IPC_PRIVATE, 1, 0600);
    sem_init(&semaphore, 0, 0);
    if (epoll < 0 || semaphores < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0 ||
        setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
        abort();
}

static bool wait_once(const struct way *way)
{
    double begun = now();
    int before = ticks, result = way->wait();
    if (result < 0 && errno == EINTR && (ticks != before || stopping))
        return true;
    if (result == 0 && now() - begun >= WAIT_MS - 1)
        return true;
    printf("%s returned %d (%s) after %.1f ms\n", way->name, result, strerror(errno), now() - begun);
    return false;
}

int main(int argc, char **argv)
{
    const struct way *way = find(argv[1]);
    bool sound = true, ticking = argc > 2;
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    prepare();
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = tick}, NULL);
    if (ticking)
        setitimer(ITIMER_REAL, &timer, NULL);
    puts("ready");
    fflush(stdout);
    while (!stopping && sound)
        sound = wait_once(way);
    semctl(semaphores, 0, IPC_RMID);
    int seen = ticks;
    sound &= !ticking || (usleep(100000), ticks > seen); /* they go on */
    puts(sound ? "sound" : "damaged");
    return !sound;
}
