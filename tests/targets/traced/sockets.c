/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every way to get a socket or a connection, to copy one, and to close one. Both ends live in this process:
 * the listener is its own, on loopback, and in a folder given as the argument for sockets with a path.
 */
#include "expect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* The table has a row for each: name both, whatever <fcntl.h> makes of them. */
extern int plain_fcntl(int fd, int command, ...) __asm__("fcntl");
extern int wide_fcntl(int fd, int command, ...) __asm__("fcntl64");

static int listener;
static struct sockaddr_in address; /* of the listener */

/* A socket that its caller connects: it is then a connection of the caller's, and no socket of this site's. */
static SITE int made_for_connecting(int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    MUST(fd >= 0);
    return fd;
}

static SITE int accepted(void)
{
    int fd = accept(listener, NULL, NULL);
    MUST(fd >= 0);
    return fd;
}
static SITE int accepted4(void)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    int fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
    MUST(fd >= 0);
    return fd;
}

static SITE int connected(void)
{
    int fd = made_for_connecting(0);
    MUST(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static SITE int connected_later(void)
{
    int fd = made_for_connecting(SOCK_NONBLOCK), error = -1;
    socklen_t length = sizeof(error);
    int ret = connect(fd, (struct sockaddr *)&address, sizeof(address));
    MUST(ret == 0 || errno == EINPROGRESS);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    MUST(poll(&wait, 1, 10000) == 1);
    MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0);
    return fd;
}

static void sockets_and_connections(void)
{
    for (int i = 0; i < 10; i++) {
        int fd = connected();
        int other = i < 5 ? accepted() : accepted4();
        if (i % 5 < 2)
            close(fd);
        if (i % 5 == 4)
            close(other);
    }
    for (int i = 0; i < 4; i++) {
        int fd = connected_later();
        accepted();
        if (i == 0)
            close(fd);
    }
    expect("connected", "connection", 10, 4, 0);
    expect("connected_later", "connection", 4, 1, 0);
    expect("accepted", "connection", 9, 1, 0);
    expect("accepted4", "connection", 5, 1, 0);
    expect("made_for_connecting", "socket", 0, 0, 0);
}

static SITE void only_sockets(void)
{
    for (int i = 0; i < 6; i++) {
        int fd = socket(i % 2 ? AF_INET : AF_UNIX, i % 3 ? SOCK_STREAM : SOCK_DGRAM, 0);
        MUST(fd >= 0);
        if (i >= 4)
            close(fd);
    }
    expect("only_sockets", "socket", 6, 2, 0);
}

static SITE void pairs(void)
{
    for (int i = 0; i < 4; i++) {
        int pair[2];
        MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        if (i < 3)
            close(pair[i % 2]);
    }
    expect("pairs", "socket", 8, 3, 0);
    expect("pairs", "connection", 0, 0, 0);
}

static SITE int made_and_refused(int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0), probe = socket(AF_INET, SOCK_STREAM, 0), error = 0;
    struct sockaddr_in nobody = address;
    socklen_t length = sizeof(nobody);
    nobody.sin_port = 0; /* bound, never listening: nobody else can take the port meanwhile */
    MUST(bind(probe, (struct sockaddr *)&nobody, sizeof(nobody)) == 0);
    MUST(getsockname(probe, (struct sockaddr *)&nobody, &length) == 0);
    if (connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)) == 0)
        abort();
    if (errno == EINPROGRESS) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        length = sizeof(error);
        MUST(poll(&wait, 1, 10000) == 1);
        MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == ECONNREFUSED);
    } else {
        MUST(errno == ECONNREFUSED);
    }
    close(probe);
    return fd;
}
static void refused(void)
{
    for (int i = 0; i < 5; i++)
        made_and_refused(i < 3 ? 0 : SOCK_NONBLOCK);
    close(made_and_refused(0));
    expect("made_and_refused", "connection", 0, 0, 0);
    expect("made_and_refused", "socket", 12, 7, 0);
}

static SITE int connected_by_path(const struct sockaddr_un *where, socklen_t length)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    MUST(fd >= 0 && connect(fd, (const struct sockaddr *)where, length) == 0);
    return fd;
}
static void unix_peers(const char *folder)
{
    for (int named = 0; named < 2; named++) {
        struct sockaddr_un where = {.sun_family = AF_UNIX};
        int length = named ? snprintf(where.sun_path, sizeof(where.sun_path), "%s/socket", folder)
                           : snprintf(where.sun_path + 1, sizeof(where.sun_path) - 1, "target-%d", (int)getpid());
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length + 1);
        int server = socket(AF_UNIX, SOCK_STREAM, 0);
        MUST(length > 0 && bind(server, (struct sockaddr *)&where, size) == 0 && listen(server, 8) == 0);
        for (int i = 0; i < 3; i++) {
            int fd = connected_by_path(&where, size);
            if (i == 2)
                close(fd);
        }
        close(server);
    }
    expect("connected_by_path", "connection", 6, 2, 0);
    expect("unix_peers", "socket", 2, 2, 0);
}

/* Copies: each is an open of its own, of its original's kind. */
static SITE int copied(int fd) { int copy = dup(fd); return copy; }
static SITE int copied2(int fd, int target) { int copy = dup2(fd, target); return copy; }
static SITE int copied3(int fd, int target) { int copy = dup3(fd, target, O_CLOEXEC); return copy; }
static SITE int copied_by_fcntl(int fd) { int copy = plain_fcntl(fd, F_DUPFD, 200); return copy; }
static SITE int copied_by_fcntl64(int fd) { int copy = wide_fcntl(fd, F_DUPFD_CLOEXEC, 200); return copy; }
static SITE int original(void)
{
    int fd = made_for_connecting(0);
    MUST(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static void copies(void)
{
    int one = original(), two = original(), plain[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, plain) == 0);
    for (int i = 0; i < 4; i++)
        MUST(copied(one) >= 0);
    close(copied(one));
    MUST(copied(plain[0]) >= 0);
    expect("copied", "connection", 5, 1, 0);
    expect("copied", "socket", 1, 0, 0);

    for (int i = 0; i < 3; i++)
        MUST(copied2(one, 300) == 300); /* each closes the one before */
    MUST(copied2(one, one) == one);     /* nothing happens */
    MUST(copied2(-1, 300) == -1);       /* nothing either: 300 stays */
    MUST(copied2(two, one) == one);     /* closes the original behind `one` */
    expect("copied2", "connection", 4, 2, 0);

    MUST(copied3(two, 301) == 301 && copied3(two, 302) == 302);
    MUST(copied3(two, two) == -1 && errno == EINVAL);
    close(301);
    expect("copied3", "connection", 2, 1, 0);

    MUST(copied_by_fcntl(two) >= 200 && copied_by_fcntl(two) >= 200);
    MUST(plain_fcntl(two, F_GETFD) == 0 && plain_fcntl(two, F_SETFL, O_NONBLOCK) == 0);
    expect("copied_by_fcntl", "connection", 2, 0, 0);
    int copy = copied_by_fcntl64(two);
    MUST(copy >= 200 && close(copy) == 0 && copied_by_fcntl64(two) == copy);
    expect("copied_by_fcntl64", "connection", 2, 1, 0);
    expect("original", "connection", 2, 1, 0);
}

/* Closes by other names than close. Numbers far above what the process uses otherwise. */
static SITE int to_close(int target)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    MUST(plain_fcntl(fd, F_DUPFD, target) == target);
    close(fd);
    return target;
}
static void closings(void)
{
    MUST(syscall(SYS_close, to_close(600)) == 0);
    to_close(601), to_close(602), to_close(604);
    MUST(close_range(601, 603, 0) == 0);
    FILE *stream = fdopen(to_close(605), "r+");
    MUST(stream && fclose(stream) == 0);
    MUST(shutdown(604, SHUT_RDWR) == 0); /* closes nothing */
    MUST(close(699) == -1 && errno == EBADF);
    expect("to_close", "connection", 10, 9, 0);
}

static SITE int closed_from_here(int target)
{
    int fd = made_for_connecting(0);
    MUST(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    MUST(dup2(fd, target) == target && close(fd) == 0);
    return target;
}
static void closing_the_rest(void)
{
    for (int i = 0; i < 5; i++)
        closed_from_here(700 + i);
    closefrom(702);
    MUST(plain_fcntl(701, F_GETFD) >= 0 && plain_fcntl(702, F_GETFD) == -1);
    expect("closed_from_here", "connection", 10, 8, 0);
}

int main(int argc, char **argv)
{
    socklen_t length = sizeof(address);
    MUST(argc == 2);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 128) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    sockets_and_connections();
    only_sockets();
    pairs();
    refused();
    unix_peers(argv[1]);
    copies();
    closings();
    closing_the_rest();
    return 0;
}
