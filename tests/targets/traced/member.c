/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * member SOCKET LEAKED CHURNED: one of many hosts that run the same service. Opens connections to a listener of its own at
 * SOCKET: LEAKED of them stay open, CHURNED are closed.
 */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address = {.sun_family = AF_UNIX};

static int new_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    return fd;
}

static void listener(void)
{
    int fd = new_socket();
    MUST(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 4096) == 0);
}

static SITE int leaks(void)
{
    int fd = new_socket();
    MUST(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static SITE void closes(void)
{
    int fd = new_socket();
    MUST(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    MUST(close(fd) == 0);
}

/* By how much is done, and not by the scheduler's clock, a run of milliseconds is judged. */
static void works(void)
{
    for (int i = 0; i < 200; i++)
        free(malloc(100 + (size_t)i));
}

int main(int argc, char **argv)
{
    MUST(argc == 4 && strlen(argv[1]) < sizeof(address.sun_path));
    strcpy(address.sun_path, argv[1]);
    int leaked = atoi(argv[2]), churned = atoi(argv[3]);
    listener(); /* to the very end: who hangs up would be told for it */
    for (int i = 0; i < leaked || i < churned; i++) {
        works();
        if (i < leaked)
            leaks();
        if (i < churned)
            closes();
    }
    MUST(unlink(address.sun_path) == 0);
    expect("leaks", "connection", leaked, 0, -1);
    expect("closes", "connection", churned, churned, -1);
    return 0;
}
