/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * raw: descriptors by syscall(), which is seen; and closed by the bare instruction, which is not, so that a number comes
 * back as another file, or is found closed.
 */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define OPENED 20
#define CLOSED 7

static SITE int by_open(void) { int fd = (int)syscall(SYS_open, "/dev/null", O_RDONLY); return fd; }
static SITE int by_openat(void) { int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY); return fd; }
static SITE int by_openat2(void)
{
    struct open_how how = {.flags = O_RDONLY};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/dev/null", &how, sizeof(how));
    return fd;
}
static SITE int by_eventfd2(void) { int fd = (int)syscall(SYS_eventfd2, 0, EFD_CLOEXEC); return fd; }
static SITE int by_epoll_create1(void) { int fd = (int)syscall(SYS_epoll_create1, EPOLL_CLOEXEC); return fd; }
static SITE int by_socket(void) { int fd = (int)syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0); return fd; }
static SITE int by_dup(int fd) { int copy = (int)syscall(SYS_dup, fd); return copy; }
static SITE int by_fcntl(int fd) { int copy = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 100); return copy; }
static SITE int by_dup2(int fd, int target) { int copy = (int)syscall(SYS_dup2, fd, target); return copy; }
static SITE int by_dup3(int fd, int target) { int copy = (int)syscall(SYS_dup3, fd, target, O_CLOEXEC); return copy; }
static SITE int by_pipe2(void)
{
    int ends[2];
    MUST(syscall(SYS_pipe2, ends, O_CLOEXEC) == 0);
    return ends[0];
}
static SITE int by_socketpair(void)
{
    int ends[2];
    MUST(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    return ends[0];
}

static SITE int to_copy(void) { int fd = open("/dev/null", O_RDONLY); MUST(fd >= 0); return fd; }

static void end(int i, int fd)
{
    MUST(fd >= 0);
    if (i < CLOSED)
        MUST(syscall(SYS_close, fd) == 0);
}

static SITE int accepted(int listener) { int fd = (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC); return fd; }

static void accepting(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 128) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    for (int i = 0; i < OPENED; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        MUST(connect(client, (struct sockaddr *)&address, length) == 0);
        end(i, accepted(listener));
    }
    expect("accepted", "connection", OPENED, CLOSED, -1);
}

/* The instruction, past every library. */
static void close_unseen(int fd)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"((long)SYS_close), "D"((long)fd) : "rcx", "r11", "memory");
    MUST(result == 0);
}

static SITE int reused(void) { int fd = open("/dev/null", O_RDONLY); MUST(fd >= 0); return fd; }
static SITE int found_closed(void) { int fd = open("/dev/null", O_RDONLY); MUST(fd >= 0); return fd; }
static SITE int found_replaced(const char *path) { int fd = open(path, O_RDONLY); MUST(fd >= 0); return fd; }

static SITE int socket_replaced(void) { int fd = socket(AF_UNIX, SOCK_STREAM, 0); MUST(fd >= 0); return fd; }
static SITE int socket_closed(void) { int fd = socket(AF_UNIX, SOCK_STREAM, 0); MUST(fd >= 0); return fd; }
static SITE int socket_kept(void) { int fd = socket(AF_UNIX, SOCK_STREAM, 0); MUST(fd >= 0); return fd; }

static int open_unseen(const char *path)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"((long)SYS_open), "D"(path), "S"((long)O_RDONLY), "d"(0L)
                     : "rcx", "r11", "memory");
    return (int)result;
}

static void unseen(void)
{
    int number = reused();
    for (int i = 1; i < 10; i++) {
        close_unseen(number);
        MUST(reused() == number);
    }
    expect("reused", "file", 10, 9, -1);
    for (int i = 0; i < 10; i++)
        found_closed();
    int last = found_closed();
    for (int fd = last; fd > last - 6; fd--)
        close_unseen(fd);
    expect("found_closed", "file", 11, 6, -1);
    /* After the holes are filled, the number comes back unseen as another file. */
    while (found_closed() < last)
        ;
    expect("found_closed", "file", 17, 6, -1);
    number = found_replaced("/dev/null");
    close_unseen(number);
    MUST(open_unseen("/proc/self/status") == number);
    expect("found_replaced", "file", 1, 1, -1);
}

/* Who a socket is is read later than of a file. */
static void unseen_sockets(void)
{
    int number = socket_replaced();
    close_unseen(number);
    MUST(open_unseen("/proc/self/status") == number);
    socket_kept();
    close_unseen(socket_closed());
    expect("socket_replaced", "socket", 1, 1, -1);
    expect("socket_kept", "socket", 1, 0, -1);
    expect("socket_closed", "socket", 1, 1, -1);
}

int main(void)
{
    int one = to_copy();
    for (int i = 0; i < OPENED; i++) {
        end(i, by_open());
        end(i, by_openat());
        end(i, by_openat2());
        end(i, by_eventfd2());
        end(i, by_epoll_create1());
        end(i, by_socket());
        end(i, by_dup(one));
        end(i, by_fcntl(one));
        end(i, by_dup2(one, 500 + i));
        end(i, by_dup3(one, 600 + i));
        end(i, by_pipe2());
        end(i, by_socketpair());
    }
    MUST(by_dup2(one, 519) == 519 && by_dup2(-1, 519) == -1 && by_dup2(one, one) == one);
    MUST(by_dup3(one, one) == -1 && errno == EINVAL);
    MUST(syscall(SYS_close_range, 610, 613, 0) == 0);
    expect("by_open", "file", OPENED, CLOSED, -1);
    expect("by_openat", "file", OPENED, CLOSED, -1);
    expect("by_openat2", "file", OPENED, CLOSED, -1);
    expect("by_eventfd2", "file", OPENED, CLOSED, -1);
    expect("by_epoll_create1", "file", OPENED, CLOSED, -1);
    expect("by_socket", "socket", OPENED, CLOSED, -1);
    expect("by_dup", "file", OPENED, CLOSED, -1);
    expect("by_fcntl", "file", OPENED, CLOSED, -1);
    expect("by_dup2", "file", OPENED + 1, CLOSED + 1, -1);
    expect("by_dup3", "file", OPENED, CLOSED + 4, -1);
    expect("by_pipe2", "file", 2 * OPENED, CLOSED, -1);
    expect("by_socketpair", "socket", 2 * OPENED, CLOSED, -1);
    expect("to_copy", "file", 1, 0, -1);
    accepting();
    unseen();
    unseen_sockets();
    return 0;
}
