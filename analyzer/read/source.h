/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that is read piece by piece. It is never mapped: a file that shrinks while it is read (a trace that
 * is being rotated away, say) is then a short read and not a SIGBUS.
 */
#ifndef STRAY_READ_SOURCE_H
#define STRAY_READ_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
    int fd;        /* -1: closed */
    uint64_t size; /* when it was opened; what is appended later is not looked at */
    uint64_t base; /* where it begins in the descriptor's file: a member of a packed file is a part of it */
};

/* Opens a regular file, or a member of a packed one (read/pack.h). Negative errno; -EBADMSG for anything that is not a regular file. Never blocks on a
 * FIFO. */
int source_open(const char *path, struct source *ret_source);
/* From now on "-" is a copy of standard input, open as `fd`, which stays the caller's and must stay open. Not thread safe. */
void source_set_standard_input(int fd);
/* Whether `path` is that, and so no file's. */
bool source_is_standard_input(const char *path);
/* A closed source is accepted. */
void source_close(struct source *source);

/* Writes all of `bytes` at `offset` of an open file. Negative errno. */
int source_put(int fd, uint64_t offset, const void *bytes, size_t size);

/* Reads exactly `size` bytes at `offset`. -ENODATA if the file ends before, negative errno on failure. */
int source_read(const struct source *source, uint64_t offset, void *buffer, size_t size);

#endif
