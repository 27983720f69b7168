/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scarce.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOM (16u << 20) /* the lines of a unit of 100 000 lines take a few MiB, a statement of 4 KiB less than one */
#define STATUS 2

void scarce_end(void)
{
    static const char words[] = "stray: out of memory\n";
    ssize_t written = write(STDERR_FILENO, words, sizeof(words) - 1);
    (void)written; /* there is nowhere else to say so */
    _exit(STATUS);
}

void scarce_check(void)
{
    int kept = errno;
    void *volatile room = malloc(ROOM); /* else the pair of calls could be left out */
    if (!room)
        scarce_end();
    free(room);
    errno = kept;
}
