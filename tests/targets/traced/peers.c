/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peers MODE PATH: connections whose peer goes away, by every way, and connections that come about oddly. PATH is for a
 * Unix-domain socket.
 */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define CLIENTS 40
#define FEW     12

static struct sockaddr_storage address; /* of the listener */
static socklen_t address_length;

static int listens(const struct sockaddr *where, socklen_t length)
{
    int fd = socket(where->sa_family, SOCK_STREAM, 0);
    MUST(fd >= 0 && bind(fd, where, length) == 0 && listen(fd, 64) == 0);
    address_length = sizeof(address);
    MUST(getsockname(fd, (struct sockaddr *)&address, &address_length) == 0);
    return fd;
}

static int listens_at(const char *path)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    snprintf(where.sun_path, sizeof(where.sun_path), "%s", path);
    return listens((struct sockaddr *)&where, sizeof(where));
}

static int listens_on_loopback(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return listens((struct sockaddr *)&where, sizeof(where));
}

static SITE int accepts(int listener)
{
    int fd = accept(listener, NULL, NULL);
    MUST(fd >= 0);
    return fd;
}

static SITE int asks(void)
{
    int fd = socket(address.ss_family, SOCK_STREAM, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, address_length) == 0);
    MUST(send(fd, "hello", 5, 0) == 5);
    return fd;
}

static void pass_time(long milliseconds)
{
    struct timespec span = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&span, NULL);
}

/* ---- a server with a thread for each connection ---- */

static void *serves(void *data)
{
    int fd = (int)(intptr_t)data;
    char bytes[16];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0)
        ;
    return NULL;
}

static void *serves_and_closes(void *data)
{
    serves(data);
    close((int)(intptr_t)data);
    return NULL;
}

/* Clients come and, if they are to, go. */
static void server(int listener, void *(*how)(void *), bool clients_go)
{
    pthread_t threads[CLIENTS];
    int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = asks();
        int fd = accepts(listener);
        MUST(pthread_create(&threads[i], NULL, how, (void *)(intptr_t)fd) == 0);
        pass_time(2);
        if (clients_go)
            close(clients[i]);
    }
    for (int i = 0; clients_go && i < CLIENTS; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    pass_time(10);
    expect("accepts", "connection", CLIENTS, how == serves ? 0 : CLIENTS, 0);
    expect("asks", "connection", CLIENTS, clients_go ? CLIENTS : 0, 0);
    _exit(0);
}

/* ---- a pool whose server goes ---- */

/* Opened at the start by one thread each, as a pool's are, used for a while; then the server hangs up, or resets. */
static void *fills(void *fd)
{
    *(int *)fd = asks();
    return NULL;
}

/* The same pool while its server is there: one after the other is used, again and again. */
static void pool_in_use(int listener)
{
    int clients[FEW];
    char bytes[16];
    for (int i = 0; i < FEW; i++) {
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, fills, &clients[i]) == 0 && pthread_join(thread, NULL) == 0);
        MUST(recv(accepts(listener), bytes, sizeof(bytes), 0) == 5);
    }
    for (int i = 0; i < 20 * FEW; i++) {
        MUST(send(clients[i % FEW], "hello", 5, 0) == 5);
        pass_time(1);
    }
    expect("asks", "connection", FEW, 0, 0);
    _exit(0);
}

static void pool(int listener, bool reset, bool notices)
{
    int clients[FEW], servers[FEW];
    struct linger linger = {.l_onoff = 1};
    for (int i = 0; i < FEW; i++) {
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, fills, &clients[i]) == 0 && pthread_join(thread, NULL) == 0);
        servers[i] = accepts(listener);
    }
    for (int i = 0; i < 4 * FEW; i++)
        MUST(send(clients[i % FEW], "hello", 5, 0) == 5);
    for (int i = 0; i < FEW; i++) {
        if (reset)
            MUST(setsockopt(servers[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
        close(servers[i]);
        if (notices)
            close(clients[i]);
    }
    pass_time(300);
    expect("asks", "connection", FEW, notices ? FEW : 0, 0);
    expect("accepts", "connection", FEW, FEW, 0);
}

/* This side has said that it is done, and waits for nothing. */
static void shut_by_us(int listener)
{
    for (int i = 0; i < FEW; i++) {
        int client = asks(), fd = accepts(listener);
        MUST(shutdown(client, SHUT_RDWR) == 0);
        close(fd);
    }
    pass_time(100);
    expect("asks", "connection", FEW, 0, 0);
}

/* ---- odd ways to a connection ---- */

static SITE int twice(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(fd, (struct sockaddr *)&address, address_length);
    MUST(result == 0 || errno == EINPROGRESS);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    MUST(poll(&wait, 1, 10000) == 1);
    MUST(connect(fd, (struct sockaddr *)&address, address_length) == 0 || errno == EISCONN);
    return fd;
}

/* Ends by poll() alone; nobody asks how. */
static SITE int by_poll(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(fd, (struct sockaddr *)&address, address_length);
    MUST(result == 0 || errno == EINPROGRESS);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    MUST(poll(&wait, 1, 10000) == 1);
    return fd;
}

static int connects_again(void)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    int fd = asks();
    MUST(connect(fd, &none, sizeof(none)) == 0);
    MUST(connect(fd, (struct sockaddr *)&address, address_length) == 0);
    return fd;
}

static int forgets_its_peer(void)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    int fd = asks();
    MUST(connect(fd, &none, sizeof(none)) == 0);
    return fd;
}

static SITE int accepts_later(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) < 0)
        MUST(errno == EAGAIN);
    return fd;
}

static SITE int datagrams(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    MUST(fd >= 0 && connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0);
    return fd;
}

static void odd(int listener)
{
    struct sockaddr_in discard = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(9)};
    for (int i = 0; i < 3; i++) {
        int fd = twice();
        accepts(listener);
        close(fd);
        fd = by_poll();
        accepts(listener);
        if (i == 0)
            close(fd);
        fd = datagrams(&discard);
        if (i < 2)
            close(fd);
    }
    connects_again();
    forgets_its_peer();
    int idle = listens_on_loopback();
    MUST(fcntl(idle, F_SETFL, O_NONBLOCK) == 0);
    MUST(accept4(idle, NULL, NULL, 0) == -1 && errno == EAGAIN);
    int client = by_poll();
    close(accepts_later(idle));
    close(client);
    expect("twice", "connection", 3, 3, 0);
    expect("by_poll", "connection", 4, 2, 0);
    expect("datagrams", "connection", 3, 2, 0);
    expect("asks", "connection", 2, 0, 0); /* where each was connected first */
    expect("accepts", "connection", 6, 0, 0);
    expect("accepts_later", "connection", 1, 1, 0);
    expect("listens", "socket", 2, 0, 0);
    expect("listens", "connection", 0, 0, 0);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    const char *mode = argv[1];
    bool by_path = strncmp(mode, "unix_", 5) == 0;
    int listener = by_path ? listens_at(argv[2]) : listens_on_loopback();
    mode += 5; /* or "inet_" */
    if (strcmp(mode, "server") == 0)
        server(listener, serves, true);
    else if (strcmp(mode, "closing_server") == 0)
        server(listener, serves_and_closes, true);
    else if (strcmp(mode, "kept_server") == 0)
        server(listener, serves, false);
    else if (strcmp(mode, "pool") == 0)
        pool(listener, false, false);
    else if (strcmp(mode, "pool_in_use") == 0)
        pool_in_use(listener);
    else if (strcmp(mode, "closing_pool") == 0)
        pool(listener, false, true);
    else if (strcmp(mode, "reset_pool") == 0)
        pool(listener, true, false);
    else if (strcmp(mode, "shut") == 0)
        shut_by_us(listener);
    else if (strcmp(mode, "odd") == 0)
        odd(listener);
    else
        return 2;
    return 0;
}
