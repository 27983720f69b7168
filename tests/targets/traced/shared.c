/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shared MODE PORT: connections that are there when the process forks, used on both sides or on one, wrongly and rightly.
 * PORT is a listener on loopback that accepts and holds. "pid ROLE PID" says who is who.
 */
#include "expect.h"

#include <libpq-fe.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define CHILDREN 4

static int port;

static void tell(const char *role)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "pid %s %d\n", role, (int)getpid());
    MUST(write(STDOUT_FILENO, line, (size_t)length) == length);
}

static SITE int connects(int type)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, type, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static void use(int fd)
{
    MUST(send(fd, "hello", 5, 0) == 5);
}

static void reap(void)
{
    int status;
    while (wait(&status) > 0)
        MUST(status == 0);
}

/* A child that uses both connections. */
static void child_uses(int one, int two)
{
    if (fork() != 0)
        return;
    tell("child");
    use(one);
    use(two);
    _exit(0);
}

static void children(int count)
{
    int one = connects(SOCK_STREAM), two = connects(SOCK_STREAM);
    use(one);
    for (int i = 0; i < count; i++)
        child_uses(one, two);
    reap();
}

static void both(void)
{
    int fd = connects(SOCK_STREAM);
    child_uses(fd, fd);
    reap();
    use(fd);
}

static void grandchild(void)
{
    int fd = connects(SOCK_STREAM);
    if (fork() == 0) {
        child_uses(fd, fd);
        reap();
        _exit(0);
    }
    reap();
}

/* Each worker opens its own. */
static void prefork(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        if (fork() == 0) {
            use(connects(SOCK_STREAM));
            _exit(0);
        }
    }
    reap();
}

/* The parent ends, the child goes on with what the parent opened. */
static void daemonises(void)
{
    int fd = connects(SOCK_STREAM), gone[2];
    use(fd);
    MUST(pipe(gone) == 0);
    if (fork() != 0)
        exit(0);
    char byte;
    close(gone[1]);
    MUST(read(gone[0], &byte, 1) == 0); /* the parent's end is closed by its death */
    use(fd);
}

static void inherits(void)
{
    int fd = connects(SOCK_STREAM);
    if (fork() == 0)
        _exit(0);
    reap();
    use(fd);
}

/* Handed on: the parent closes its copy, and then the child begins. */
static void hands_on(void)
{
    int fd = connects(SOCK_STREAM), go[2];
    use(fd);
    MUST(pipe(go) == 0);
    if (fork() == 0) {
        char byte;
        MUST(read(go[0], &byte, 1) == 1);
        use(fd);
        _exit(0);
    }
    close(fd);
    MUST(write(go[1], "g", 1) == 1);
    reap();
}

/* A server that forks for each connection; `closes`: it closes its own copy. */
static void serves(bool closes)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 8) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    port = ntohs(address.sin_port);
    for (int i = 0; i < CHILDREN; i++) {
        if (fork() == 0) {
            use(connects(SOCK_STREAM));
            _exit(0);
        }
        int fd = accept(listener, NULL, NULL);
        MUST(fd >= 0);
        if (fork() == 0) {
            char bytes[8];
            MUST(recv(fd, bytes, sizeof(bytes), 0) == 5);
            _exit(0);
        }
        if (closes)
            close(fd);
    }
    reap();
}

/* What is meant for two processes. */
static void pair(void)
{
    int ends[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    child_uses(ends[0], ends[1]);
    reap();
    use(ends[0]);
}

/* Datagrams are whole, whoever sends them. */
static void datagrams(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int receiver = socket(AF_INET, SOCK_DGRAM, 0);
    MUST(bind(receiver, (struct sockaddr *)&address, length) == 0);
    MUST(getsockname(receiver, (struct sockaddr *)&address, &length) == 0);
    port = ntohs(address.sin_port);
    int fd = connects(SOCK_DGRAM);
    child_uses(fd, fd);
    reap();
    use(fd);
}

static SITE PGconn *opens(void)
{
    PGconn *conn = PQconnectdb("");
    MUST(PQstatus(conn) == CONNECTION_OK);
    return conn;
}

static void asks(PGconn *conn)
{
    PGresult *result = PQexec(conn, "SELECT 1");
    MUST(PQresultStatus(result) == PGRES_TUPLES_OK);
    PQclear(result);
}

static void pgconn(void)
{
    PGconn *conn = opens();
    asks(conn);
    if (fork() == 0) {
        tell("child");
        asks(conn);
        _exit(0);
    }
    reap();
    asks(conn);
    PQfinish(conn);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    port = argc > 2 ? atoi(argv[2]) : 0;
    tell("opener");
    if (strcmp(mode, "one_child") == 0)
        children(1);
    else if (strcmp(mode, "children") == 0)
        children(CHILDREN);
    else if (strcmp(mode, "both") == 0)
        both();
    else if (strcmp(mode, "grandchild") == 0)
        grandchild();
    else if (strcmp(mode, "pgconn") == 0)
        pgconn();
    else if (strcmp(mode, "prefork") == 0)
        prefork();
    else if (strcmp(mode, "daemonises") == 0)
        daemonises();
    else if (strcmp(mode, "inherits") == 0)
        inherits();
    else if (strcmp(mode, "hands_on") == 0)
        hands_on();
    else if (strcmp(mode, "serves") == 0)
        serves(true);
    else if (strcmp(mode, "serves_and_keeps") == 0)
        serves(false);
    else if (strcmp(mode, "pair") == 0)
        pair();
    else if (strcmp(mode, "datagrams") == 0)
        datagrams();
    else
        return 2;
    return 0;
}
