/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Built with _FORTIFY_SOURCE: where the compiler cannot see the flags, open() becomes __open_2() and the like. */
#include "expect.h"

#include <fcntl.h>

#define OPENED 20
#define CLOSED 7


static volatile int reading = O_RDONLY;

static SITE int by_open(void) { int fd = OPEN("/dev/null", reading); return fd; }
static SITE int by_openat(void) { int fd = OPENAT(AT_FDCWD, "/dev/null", reading); return fd; }

int main(void)
{
    for (int i = 0; i < OPENED; i++) {
        int one = by_open(), other = by_openat();
        MUST(one >= 0 && other >= 0);
        if (i < CLOSED)
            MUST(close(one) == 0 && close(other) == 0);
    }
    expect("by_open", "file", OPENED, CLOSED, -1);
    expect("by_openat", "file", OPENED, CLOSED, -1);
    return 0;
}
