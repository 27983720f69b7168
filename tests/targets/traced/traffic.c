/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every way to move data on a socket, and descriptors that come with messages. Beside what expect.h says, a line
 * "uses FD N" states how often a descriptor was used in the sense of the trace.
 *
 *   traffic calls [THREADS]    each call a known number of times, by so many threads at once on sockets they share
 *   traffic messages PATH      descriptors by SCM_RIGHTS, of every kind and with too little room
 *   traffic errors             calls that fail, are interrupted, or move nothing: no uses, and errno as it was
 *   traffic forked             a child whose first call is a read; a vfork child, which shares the books of its parent
 *   traffic cancelled          threads that are cancelled while they wait
 */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

/* The table has a row for each: name both, whatever <sys/sendfile.h> makes of them. */
extern ssize_t plain_sendfile(int to, int from, off_t *offset, size_t size) __asm__("sendfile");
extern ssize_t wide_sendfile(int to, int from, off_t *offset, size_t size) __asm__("sendfile64");
/* What fortified programs call. */
extern ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room);
extern ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags);
extern ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags, struct sockaddr *address,
                              socklen_t *length);

#define ROUNDS  20
#define THREADS 64

static int left, right; /* a pair of datagram sockets: a message is a message, whoever reads it */
static int file;

static void uses(int fd, unsigned count)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "uses %d %u\n", fd, count);
    MUST(write(STDOUT_FILENO, line, (size_t)length) == length);
}

static void sends(void)
{
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct mmsghdr messages[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
    MUST(write(left, &byte, 1) == 1);
    MUST(writev(left, &part, 1) == 1);
    MUST(send(left, &byte, 1, 0) == 1);
    MUST(sendto(left, &byte, 1, 0, NULL, 0) == 1);
    MUST(sendmsg(left, &message, 0) == 1);
    MUST(sendmmsg(left, messages, 2, 0) == 2);
}
#define SENDS    6

static void receives(void)
{
    char bytes[8];
    struct iovec part = {bytes, sizeof(bytes)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct mmsghdr messages[1] = {{.msg_hdr = message}};
    MUST(read(right, bytes, sizeof(bytes)) == 1);
    MUST(readv(right, &part, 1) == 1);
    MUST(recv(right, bytes, sizeof(bytes), 0) == 1);
    MUST(recvfrom(right, bytes, sizeof(bytes), 0, NULL, NULL) == 1);
    MUST(recvmsg(right, &message, 0) == 1);
    MUST(recvmmsg(right, messages, 1, 0, NULL) == 1);
    MUST(__read_chk(right, bytes, sizeof(bytes), sizeof(bytes)) == 1);
}
#define RECEIVES 7

static void *works(void *data)
{
    for (int i = 0; i < ROUNDS; i++) {
        sends();
        receives();
    }
    return data;
}

/* Calls that read a stream, or a file. */
static void by_other_calls(void)
{
    int pair[2], pipes[2];
    char bytes[8];
    off_t offset = 0;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    MUST(write(pair[0], "abcdef", 6) == 6);
    MUST(__recv_chk(pair[1], bytes, 2, sizeof(bytes), 0) == 2);
    MUST(__recvfrom_chk(pair[1], bytes, 2, sizeof(bytes), 0, NULL, NULL) == 2);
    MUST(plain_sendfile(pair[0], file, &offset, 1) == 1);
    MUST(wide_sendfile(pair[0], file, &offset, 1) == 1);
    MUST(write(pipes[1], "ab", 2) == 2);
    MUST(splice(pipes[0], NULL, pair[0], NULL, 2, 0) == 2);
    MUST(splice(pair[1], NULL, pipes[1], NULL, 2, 0) == 2);
    uses(pair[0], 4);
    uses(pair[1], 3);
    uses(pipes[0], 1);
    uses(pipes[1], 2);
}

/* Whatever _FILE_OFFSET_BITS makes of the plain names. */
#define NARROW(name, ...) extern ssize_t narrow_##name(int fd, __VA_ARGS__) __asm__(#name);
NARROW(pread, void *to, size_t size, off_t offset)
NARROW(pwrite, const void *from, size_t size, off_t offset)
NARROW(preadv, const struct iovec *parts, int count, off_t offset)
NARROW(pwritev, const struct iovec *parts, int count, off_t offset)
NARROW(preadv2, const struct iovec *parts, int count, off_t offset, int flags)
NARROW(pwritev2, const struct iovec *parts, int count, off_t offset, int flags)

/* Calls with an offset, which only files know. What stdio reads and writes inside libc is not seen. */
extern ssize_t checked_pread(int fd, void *to, size_t size, off_t offset, size_t room) __asm__("__pread_chk");
extern ssize_t checked_wide_pread(int fd, void *to, size_t size, off64_t offset, size_t room) __asm__("__pread64_chk");

static void by_calls_with_offset(void)
{
    char bytes[4] = "abc";
    struct iovec part = {bytes, sizeof(bytes)};
    int fd = memfd_create("file", 0);
    MUST(fd >= 0 && write(fd, "abcd", 4) == 4);
    MUST(narrow_pread(fd, bytes, 4, 0) == 4 && pread64(fd, bytes, 4, 0) == 4);
    MUST(narrow_pwrite(fd, bytes, 4, 0) == 4 && pwrite64(fd, bytes, 4, 0) == 4);
    MUST(narrow_preadv(fd, &part, 1, 0) == 4 && preadv64(fd, &part, 1, 0) == 4);
    MUST(narrow_pwritev(fd, &part, 1, 0) == 4 && pwritev64(fd, &part, 1, 0) == 4);
    MUST(narrow_preadv2(fd, &part, 1, 0, 0) == 4 && preadv64v2(fd, &part, 1, 0, 0) == 4);
    MUST(narrow_pwritev2(fd, &part, 1, 0, 0) == 4 && pwritev64v2(fd, &part, 1, 0, 0) == 4);
    MUST(checked_pread(fd, bytes, 4, 0, 4) == 4 && checked_wide_pread(fd, bytes, 4, 0, 4) == 4);
    MUST(narrow_pread(fd, bytes, 4, 4) == 0); /* nothing was there */
    uses(fd, 15);
}

static void calls(int threads)
{
    int pair[2];
    pthread_t thread[THREADS];
    MUST(threads <= THREADS && socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    left = pair[0];
    right = pair[1];
    for (int i = 1; i < threads; i++)
        MUST(pthread_create(&thread[i], NULL, works, NULL) == 0);
    works(NULL);
    for (int i = 1; i < threads; i++)
        MUST(pthread_join(thread[i], NULL) == 0);
    uses(left, (unsigned)threads * ROUNDS * SENDS);
    uses(right, (unsigned)threads * ROUNDS * RECEIVES);
    by_other_calls();
    by_calls_with_offset();
}

/* ---- descriptors that come with messages ---- */

#define MOST 8

static void send_descriptors(int to, const int *descriptors, size_t count)
{
    char byte = 'x';
    struct iovec part = {&byte, 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(MOST * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
    MUST(sendmsg(to, &message, 0) == 1);
}

/* `room`: for so many descriptors. Returns how many came. */
static SITE size_t by_recvmsg(int from, int *descriptors, size_t room)
{
    char byte;
    struct iovec part = {&byte, 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(MOST * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = CMSG_LEN(room * sizeof(int))};
    MUST(recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1);
    size_t count = message.msg_controllen ? (control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    memcpy(descriptors, CMSG_DATA(&control.header), count * sizeof(int));
    return count;
}

static SITE size_t by_recvmmsg(int from, int *descriptors)
{
    char bytes[2];
    struct iovec parts[2] = {{&bytes[0], 1}, {&bytes[1], 1}};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control[2] = {0};
    struct mmsghdr messages[2] = {0};
    for (int i = 0; i < 2; i++)
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = &control[i],
                                              .msg_controllen = sizeof(control[i])};
    MUST(recvmmsg(from, messages, 2, 0, NULL) == 2);
    for (int i = 0; i < 2; i++)
        memcpy(&descriptors[i], CMSG_DATA(&control[i].header), sizeof(int));
    return 2;
}

static int listen_at(const char *path)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(where.sun_path, sizeof(where.sun_path), "%s", path);
    MUST(bind(fd, (struct sockaddr *)&where, sizeof(where)) == 0 && listen(fd, 8) == 0);
    return fd;
}

static int connect_to(int listener)
{
    struct sockaddr_storage where;
    socklen_t length = sizeof(where);
    MUST(getsockname(listener, (struct sockaddr *)&where, &length) == 0);
    int fd = socket(where.ss_family, SOCK_STREAM, 0);
    MUST(connect(fd, (struct sockaddr *)&where, length) == 0);
    return fd;
}

static void messages(const char *path)
{
    int pair[2], other[2], came[MOST], plain = socket(AF_INET, SOCK_STREAM, 0);
    int by_path = listen_at(path), client = connect_to(by_path), server = accept(by_path, NULL, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int yes = 1, inet = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(inet, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    MUST(bind(inet, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(inet, 8) == 0);
    int inet_client = connect_to(inet), inet_server = accept(inet, NULL, NULL);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, other) == 0);
    MUST(plain >= 0 && server >= 0 && inet_server >= 0);

    int all[MOST] = {client, server, inet_client, inet_server, plain, other[0], file, by_path};
    send_descriptors(pair[0], all, MOST);
    MUST(by_recvmsg(pair[1], came, MOST) == MOST);
    close(came[0]);
    close(came[4]);
    send_descriptors(pair[0], all, 4); /* four connections, and room for two */
    MUST(by_recvmsg(pair[1], came, 2) == 2);
    send_descriptors(pair[0], all, 1); /* and for none */
    MUST(by_recvmsg(pair[1], came, 0) == 0);
    expect("by_recvmsg", "connection", 6, 1, 0);
    expect("by_recvmsg", "socket", 3, 1, 0);
    expect("by_recvmsg", "file", 1, 0, 0);

    send_descriptors(pair[0], &inet_client, 1);
    send_descriptors(pair[0], &plain, 1);
    MUST(by_recvmmsg(pair[1], came) == 2);
    close(came[0]);
    expect("by_recvmmsg", "connection", 1, 1, 0);
    expect("by_recvmmsg", "socket", 1, 0, 0);
    uses(pair[0], 5);
    uses(pair[1], 4);
}

/* ---- calls that move nothing ---- */

static void wakes(int signal)
{
    (void)signal;
}

static void errors(void)
{
    int pair[2];
    char bytes[8];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
    for (int i = 0; i < 10; i++) {
        errno = 0;
        MUST(recv(pair[0], bytes, sizeof(bytes), 0) == -1 && errno == EAGAIN);
        errno = 0;
        MUST(read(-1, bytes, sizeof(bytes)) == -1 && errno == EBADF);
        errno = 0;
        MUST(send(file, bytes, 1, 0) == -1 && errno == ENOTSOCK);
    }
    struct sigaction action = {.sa_handler = wakes};
    MUST(sigaction(SIGALRM, &action, NULL) == 0);
    alarm(1);
    errno = 0;
    MUST(read(pair[1], bytes, sizeof(bytes)) == -1 && errno == EINTR);
    errno = 77;
    MUST(write(pair[1], "a", 1) == 1 && errno == 77);
    MUST(recv(pair[0], bytes, 0, 0) == 0);
    MUST(recv(pair[0], bytes, 1, 0) == 1 && errno == 77);
    MUST(shutdown(pair[1], SHUT_WR) == 0);
    MUST(recv(pair[0], bytes, 1, 0) == 0);
    uses(pair[0], 1);
    uses(pair[1], 1);
    expect("errors", "socket", 2, 0, 0);
}

static void *waits(void *data)
{
    char byte;
    recv(*(int *)data, &byte, 1, 0);
    return NULL;
}

/* A thread that is cancelled in the call: its frames are unwound through the tracer's. */
static void cancelled(void)
{
    int pair[2];
    void *result;
    pthread_t thread;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (int i = 0; i < 10; i++) {
        MUST(pthread_create(&thread, NULL, waits, &pair[0]) == 0 && pthread_cancel(thread) == 0);
        MUST(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    }
    MUST(write(pair[1], "a", 1) == 1);
    uses(pair[1], 1);
}

static void child_uses(int fd)
{
    char byte, line[64];
    if (read(fd, &byte, 1) != 1)
        _exit(1);
    int length = snprintf(line, sizeof(line), "child %d %d\n", (int)getpid(), fd);
    _exit(write(STDOUT_FILENO, line, (size_t)length) == length ? 0 : 1);
}

static void await(pid_t child)
{
    int status = 1;
    MUST(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void forked(void)
{
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    for (int i = 0; i < 3; i++)
        MUST(write(pair[0], "x", 1) == 1);
    pid_t child = fork();
    if (child == 0)
        child_uses(pair[1]);
    await(child);
    child = vfork();
    if (child == 0) {
        char byte;
        _exit(read(pair[1], &byte, 1) == 1 && write(pair[1], &byte, 1) == 1 ? 0 : 1);
    }
    await(child);
    char byte;
    MUST(read(pair[1], &byte, 1) == 1);
    uses(pair[0], 3);
    uses(pair[1], 1);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    file = open("/proc/self/exe", O_RDONLY);
    MUST(file >= 0);
    if (strcmp(what, "calls") == 0)
        calls(argc > 2 ? atoi(argv[2]) : 1);
    else if (strcmp(what, "messages") == 0 && argc > 2)
        messages(argv[2]);
    else if (strcmp(what, "errors") == 0)
        errors();
    else if (strcmp(what, "forked") == 0)
        forked();
    else if (strcmp(what, "cancelled") == 0)
        cancelled();
    else
        return 2;
    return 0;
}
