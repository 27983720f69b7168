/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A target says, as lines of JSON on standard output, what a tracer must count at each of its functions. The
 * tests only compare. One line: {"pid","function","resource","opened","closed","bytes"}; bytes -1: not stated.
 *
 * A function named in a line is a SITE: it stands in every stack that goes through it, so it is never inlined
 * and makes no tail call. Keep anything that allocates on its own (stdio, threads) out of it.
 */
#ifndef TARGETS_EXPECT_H
#define TARGETS_EXPECT_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Tail calls and merging of like functions are switched off in meson.build. */
#ifdef __clang__
#define SITE __attribute__((noinline))
#else
#define SITE __attribute__((noinline, noclone))
#endif

/* Standard output is written without a buffer, so that nothing is lost or doubled by fork and _exit. */
static inline void expect(const char *function, const char *resource, long opened, long closed, long bytes)
{
    char line[256];
    int length = snprintf(line, sizeof(line),
                          "{\"pid\": %d, \"function\": \"%s\", \"resource\": \"%s\", \"opened\": %ld, \"closed\": %ld, \"bytes\": %ld}\n",
                          (int)getpid(), function, resource, opened, closed, bytes);
    if (length <= 0 || (size_t)length >= sizeof(line) || write(STDOUT_FILENO, line, (size_t)length) != length)
        abort();
}

/* For what must work for the numbers to hold. */
#define MUST(condition)                                                                                       \
    do {                                                                                                      \
        if (!(condition)) {                                                                                   \
            perror(__FILE__ ": " #condition);                                                                 \
            exit(99);                                                                                         \
        }                                                                                                     \
    } while (0)

#endif
