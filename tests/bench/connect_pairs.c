/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * connect_pairs KIND COUNT: does COUNT times what KIND says, and prints the nanoseconds that one took: of processor time
 * (the program's and the kernel's for it), and by the wall clock.
 *
 *     socket    socket, close
 *     tcp       socket, connect, accept, close of both, by 127.0.0.1
 *     unix      the same by a Unix-domain socket
 *     pair      socketpair, close of both
 *     open      open, close of a file
 *     dup       dup, close
 *     pipe      pipe, close of both
 *     epoll     epoll_create1, epoll_ctl, close
 *     stream    fopen, fclose
 *     traffic   send, poll, recv of 64 bytes
 *     tempfile  mkstemp, unlink, close
 *     pgconn    PQconnectdb, PQfinish: the server is that of PGHOST and so on, as for the next two
 *     pgexec    PQexec of a statement of 70 characters, PQclear
 *     escape    PQescapeLiteral of 70 characters, PQfreemem
 *     fork      fork of a child that ends at once, waitpid
 *     exec      fork of a child that executes `true`, waitpid
 */
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int listener = -1, ends[2] = {-1, -1};
static union {
    struct sockaddr any;
    struct sockaddr_in inet;
    struct sockaddr_un local;
} address;
static socklen_t address_length;
static PGconn *conn;

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "connect_pairs: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- what is done ---- */

static void socket_pair(void)
{
    close(socket(AF_INET, SOCK_STREAM, 0));
}

/* The accepting side closes first: no port is kept waiting by the other. */
static void connect_pair(void)
{
    int client = socket(address.any.sa_family, SOCK_STREAM, 0);
    must(connect(client, &address.any, address_length) == 0, "connect");
    int server = accept(listener, NULL, NULL);
    must(server >= 0, "accept");
    close(server);
    close(client);
}

static void socketpair_pair(void)
{
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    close(pair[0]);
    close(pair[1]);
}

static void open_pair(void)
{
    close(open("/etc/hostname", O_RDONLY | O_CLOEXEC));
}

static void dup_pair(void)
{
    close(dup(ends[0]));
}

static void pipe_pair(void)
{
    int both[2];
    must(pipe(both) == 0, "pipe");
    close(both[0]);
    close(both[1]);
}

static void epoll_pair(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int poller = epoll_create1(EPOLL_CLOEXEC);
    must(epoll_ctl(poller, EPOLL_CTL_ADD, ends[0], &event) == 0, "epoll_ctl");
    close(poller);
}

static void stream_pair(void)
{
    FILE *stream = fopen("/etc/hostname", "re");
    must(stream, "fopen");
    fclose(stream);
}

static void traffic_pair(void)
{
    char bytes[64] = {0};
    struct pollfd polled = {.fd = ends[1], .events = POLLIN};
    must(send(ends[0], bytes, sizeof(bytes), 0) == sizeof(bytes), "send");
    must(poll(&polled, 1, -1) == 1, "poll");
    must(recv(ends[1], bytes, sizeof(bytes), 0) == sizeof(bytes), "recv");
}

static void tempfile_pair(void)
{
    char path[] = "/tmp/connect_pairs.XXXXXX";
    int fd = mkstemp(path);
    must(fd >= 0, "mkstemp");
    unlink(path);
    close(fd);
}

static void pgconn_pair(void)
{
    PGconn *other = PQconnectdb("");
    must(PQstatus(other) == CONNECTION_OK, "PQconnectdb");
    PQfinish(other);
}

static void pgexec_pair(void)
{
    PGresult *result = PQexec(conn, "select 1 as \"a column with a name so long that this is 70 characters\"");
    must(PQresultStatus(result) == PGRES_TUPLES_OK, "PQexec");
    PQclear(result);
}

static void escape_pair(void)
{
    static const char text[] = "0123456789012345678901234567890123456789012345678901234567890123456789";
    PQfreemem(PQescapeLiteral(conn, text, sizeof(text) - 1));
}

static void fork_pair(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    must(waitpid(child, NULL, 0) == child, "waitpid");
}

static void exec_pair(void)
{
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    must(waitpid(child, NULL, 0) == child, "waitpid");
}

/* ---- what it needs ---- */

static void make_pair(void)
{
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
}

static void make_listener(void)
{
    listener = socket(address.any.sa_family, SOCK_STREAM, 0);
    must(bind(listener, &address.any, address_length) == 0, "bind");
    must(listen(listener, 16) == 0, "listen");
    address_length = sizeof(address);
    must(getsockname(listener, &address.any, &address_length) == 0, "getsockname");
}

static void make_tcp(void)
{
    address.inet = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address_length = sizeof(address.inet);
    make_listener();
}

/* By an abstract name, which the kernel chooses. */
static void make_unix(void)
{
    address.local = (struct sockaddr_un){.sun_family = AF_UNIX};
    address_length = sizeof(address.local.sun_family);
    make_listener();
}

static void make_conn(void)
{
    conn = PQconnectdb("");
    must(PQstatus(conn) == CONNECTION_OK, "PQconnectdb");
}

static const struct kind {
    const char *name;
    void (*pair)(void), (*make)(void);
} kinds[] = {
    {"socket", socket_pair, NULL},      {"tcp", connect_pair, make_tcp},        {"unix", connect_pair, make_unix},
    {"pair", socketpair_pair, NULL},    {"open", open_pair, NULL},              {"dup", dup_pair, make_pair},
    {"pipe", pipe_pair, NULL},          {"epoll", epoll_pair, make_pair},       {"stream", stream_pair, NULL},
    {"traffic", traffic_pair, make_pair}, {"tempfile", tempfile_pair, NULL},    {"pgconn", pgconn_pair, NULL},
    {"pgexec", pgexec_pair, make_conn}, {"escape", escape_pair, make_conn},     {"fork", fork_pair, NULL},
    {"exec", exec_pair, NULL},
};

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* Of this process and of the children it has waited for. */
static double processor_seconds(void)
{
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return seconds_of(self.ru_utime) + seconds_of(self.ru_stime) + seconds_of(children.ru_utime) + seconds_of(children.ru_stime);
}

static double wall_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void measure(const struct kind *kind, long count)
{
    if (kind->make)
        kind->make();
    for (long i = 0; i < 1 + count / 10; i++)
        kind->pair();
    double processor = processor_seconds(), wall = wall_seconds();
    for (long i = 0; i < count; i++)
        kind->pair();
    printf("%.1f %.1f\n", (processor_seconds() - processor) * 1e9 / (double)count, (wall_seconds() - wall) * 1e9 / (double)count);
}

int main(int argc, char **argv)
{
    long count = argc == 3 ? atol(argv[2]) : 0;
    for (size_t i = 0; count > 0 && i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(kinds[i].name, argv[1]) == 0) {
            measure(&kinds[i], count);
            return 0;
        }
    fprintf(stderr, "usage: connect_pairs KIND COUNT\n");
    return 2;
}
