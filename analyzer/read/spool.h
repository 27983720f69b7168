/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A copy of the used parts of a spool, which its process may be writing at this moment.
 *
 * What is copied is consistent: an event (a node) is taken only if its commit word had been seen before its
 * other fields were read, without gaps before the last one seen, and a buffer only if its sequence number did not change meanwhile. A buffer that is
 * emptied during the copy needs no care: its frame is in the trace, which is read after the spool.
 */
#ifndef STRAY_READ_SPOOL_H
#define STRAY_READ_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "read/extents.h"
#include "read/source.h"
#include "stray/format.h"

/* The committed events of one buffer, in the order of their slots. */
struct spool_buffer {
    uint32_t lane, count;
    uint64_t sequence;
    struct stray_event *events;
};

/* The buffer a lane was writing: all frames with smaller numbers must exist, even if it is empty. */
struct spool_lane {
    uint32_t lane;
    uint64_t sequence;
};

struct spool {
    struct stray_spool_header header;
    struct extents nodes; /* of struct stray_node, by id; not sealed */
    struct extents defs;  /* of bytes; not sealed */
    struct spool_buffer *buffers;
    size_t buffer_count, buffer_room;
    struct spool_lane *lanes;
    size_t lane_count, lane_room;
    struct source source; /* closed by spool_finish() */
    uint64_t size;        /* of the file */
    bool sound;           /* all of it could be read and was within bounds */
};

/* Copies the lanes; to be called before the trace is read. -ENOENT and friends if it cannot be opened,
 * -EBADMSG if it is no spool, -ENOMEM. */
int spool_read(const char *path, struct spool **ret_spool);
/* Copies nodes and definitions; to be called after the trace was read, whose last frames may name the newest
 * of them. Works also when the file has been removed since. -ENOMEM. */
int spool_finish(struct spool *spool);
/* NULL is accepted. */
void spool_free(struct spool *spool);

/* What extents of nodes and definitions need: whether a unit is finished. */
bool spool_node_written(const void *node);
bool spool_byte_written(const void *byte);

#endif
