/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rings HOW: sets up a ring of io_uring by each door that a program has, and does nothing with it. */
#include "expect.h"

#include <liburing.h>
#include <string.h>
#include <sys/syscall.h>

/* Where the kernel forbids rings, that is what all doors say. */
static void said(const char *how, int result)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "%s %s\n", how, result >= 0 ? "ring" : "none");
    MUST(write(STDOUT_FILENO, line, (size_t)length) == length);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "init";
    struct io_uring_params params = {0};
    struct io_uring ring;
    if (strcmp(how, "init") == 0)
        said(how, io_uring_queue_init(4, &ring, 0));
    else if (strcmp(how, "params") == 0)
        said(how, io_uring_queue_init_params(4, &ring, &params));
    else if (strcmp(how, "setup") == 0)
        said(how, io_uring_setup(4, &params));
    else
        said(how, (int)syscall(SYS_io_uring_setup, 4, &params));
    return 0;
}
