/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A spool as it was read, written as one again: what a process that still runs had in it at that moment. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "read/inside.h"

/* Units of an area that begins with the unit called `first`; what lies outside of it was not in the spool. */
static int put_area(int fd, const struct extents *area, uint64_t first, uint64_t offset, uint64_t capacity)
{
    int result = 0;
    for (size_t i = 0; i < area->count && result == 0; i++) {
        const struct extent *extent = &area->list[i];
        if (extent->first >= first && extent->first - first + extent->count <= capacity)
            result = source_put(fd, offset + (extent->first - first) * area->unit, extent->data, extent->count * area->unit);
    }
    return result;
}

static int put_lane(int fd, const struct spool *spool, size_t index, struct stray_lane *lane)
{
    const struct spool_lane *from = &spool->lanes[index];
    memset(lane, 0, sizeof(*lane));
    lane->number = from->lane;
    lane->buffer[0].sequence = from->sequence;
    for (size_t i = 0; i < spool->buffer_count; i++) {
        const struct spool_buffer *buffer = &spool->buffers[i];
        unsigned which = buffer->sequence != from->sequence;
        if (buffer->lane != from->lane)
            continue;
        lane->buffer[which] = (struct stray_buffer){buffer->sequence, buffer->count};
        memcpy(lane->events[which], buffer->events, buffer->count * sizeof(*buffer->events));
    }
    return source_put(fd, spool->header.lanes_offset + index * sizeof(*lane), lane, sizeof(*lane));
}

static int put_lanes(int fd, const struct spool *spool)
{
    struct stray_lane *lane = malloc(sizeof(*lane));
    int result = lane ? 0 : -ENOMEM;
    for (size_t i = 0; i < spool->lane_count && result == 0; i++)
        result = put_lane(fd, spool, i, lane);
    free(lane);
    return result;
}

static int put_spool(int fd, const struct spool *spool)
{
    struct stray_spool_header header = spool->header;
    header.lane_count = spool->lane_count;
    int result = source_put(fd, 0, &header, sizeof(header));
    if (result == 0)
        result = put_lanes(fd, spool);
    if (result == 0)
        result = put_area(fd, &spool->nodes, 1, header.nodes_offset, header.nodes_capacity);
    return result < 0 ? result : put_area(fd, &spool->defs, 0, header.defs_offset, header.defs_capacity);
}

int trace_copy_spool(const struct trace *trace, struct source *ret_source)
{
    if (!trace->spool || !trace->spool->sound)
        return -ENOENT;
    int fd = memfd_create("spool", MFD_CLOEXEC), result = fd < 0 ? -errno : put_spool(fd, trace->spool);
    if (result == 0 && ftruncate(fd, (off_t)trace->spool->size) < 0)
        result = -errno;
    if (result < 0 && fd >= 0)
        close(fd);
    if (result == 0)
        *ret_source = (struct source){.fd = fd, .size = trace->spool->size};
    return result;
}

uint64_t trace_size(const struct trace *trace)
{
    return trace->source.size;
}
