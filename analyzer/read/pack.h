/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A packed file: traces, what their spools hold, and the symbols they need, in one file to carry to another
 * machine. It is a tar archive (POSIX ustar), so that it can be looked into and unpacked without stray;
 * docs/PACK.md says what stands in it. To readers it is like a folder: "FILE/NAME" is the trace called NAME
 * in it.
 *
 * Nothing in a packed file is trusted: what lies outside the file is cut off, what makes no sense ends it.
 */
#ifndef STRAY_READ_PACK_H
#define STRAY_READ_PACK_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "read/source.h"

#define PACK_MARK       "stray-pack" /* name of the first member */
#define PACK_MARK_TEXT  "stray-pack/1\n"
#define PACK_SYMBOLS    "stray.symbols" /* name of the member with the symbols */
#define PACK_COMPRESSED ".zst"          /* ends the name of a member that is compressed */
#define PACK_RUNNING    ".running" /* a trace's name with this: a member that says that its process ran when it was packed */
#define PACK_BLOCK      512

/* POSIX.1-1988, IEEE Std 1003.1, "ustar Interchange Format". */
struct pack_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};
static_assert(sizeof(struct pack_header) == PACK_BLOCK, "a header is a block");

struct pack_member {
    char name[101];
    uint64_t offset, size; /* of the content, in the file */
};

/* Sum of a header's bytes, its checksum's counted as blanks. */
unsigned pack_checksum(const struct pack_header *header);

/* Whether the file begins as a packed one. */
bool pack_is(const struct source *source);
/* The member at *offset, which begins at 0 and is moved on. 1: there is one, 0: there are no more. */
int pack_next(const struct source *source, uint64_t *offset, struct pack_member *ret_member);

/* Opens "FILE/NAME"; a member that is compressed is found by its name without PACK_COMPRESSED. -ENOTDIR if
 * there is no packed FILE, -ENOENT if it has no such member, -EBADMSG if that is not what zstd wrote. Not thread safe. */
int pack_open(const char *path, struct source *ret_source);

#endif
