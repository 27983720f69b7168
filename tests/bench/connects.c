/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * connects connect PORT TIMES | accept PORT TIMES: connections on loopback, one after the other. The side that accepts closes
 * at once; the side that connects waits for that, and closes. Prints nanoseconds a connection, by the clock and of the
 * process's processor time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPTS 10000 /* of a millisecond each: the other side may not be there yet */

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int connect_once(const struct sockaddr_in *address)
{
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 || read(fd, &byte, 1) < 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        errno = error;
        return -1;
    }
    return close(fd);
}

static int accept_once(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return fd < 0 ? -1 : close(fd);
}

static int listen_at(const struct sockaddr_in *address)
{
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 || listen(fd, 64) != 0)
        return -1;
    return fd;
}

/* The first connection is not counted: the other side may be late. */
static int first_connect(const struct sockaddr_in *address)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (connect_once(address) == 0)
            return 0;
        if (errno != ECONNREFUSED)
            return -1;
        usleep(1000);
    }
    return -1;
}

int main(int argc, char **argv)
{
    if (argc != 4 || (strcmp(argv[1], "connect") != 0 && strcmp(argv[1], "accept") != 0))
        return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[2]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    long times = atol(argv[3]);
    int listener = *argv[1] == 'a' ? listen_at(&address) : -1;
    if (*argv[1] == 'a' ? listener < 0 || accept_once(listener) != 0 : first_connect(&address) != 0)
        return fail(argv[1]);
    double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    for (long i = 0; i < times; i++)
        if ((listener >= 0 ? accept_once(listener) : connect_once(&address)) != 0)
            return fail(argv[1]);
    printf("%.1f %.1f\n", (now(CLOCK_MONOTONIC) - wall) / (double)times, (now(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)times);
    return 0;
}
