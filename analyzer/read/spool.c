/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read/array.h"
#include "read/source.h"

#define LANES_MAX 65536u /* far above the threads of any real process; bounds the time for a crafted file */
#define BLOCK     65536u
#define MOVES_TRIES 16u /* to copy lanes while no sums move; they move for a small part of the time */

/* Copies of one lane, see copy_lane(). */
struct lane_copy {
    struct stray_lane early, late;
    unsigned limit[2]; /* one past the last event of each buffer that the very first reading saw */
};

bool spool_node_written(const void *node)
{
    return ((const struct stray_node *)node)->kind != 0;
}

bool spool_byte_written(const void *byte)
{
    return *(const uint8_t *)byte != 0;
}

void spool_free(struct spool *spool)
{
    if (!spool)
        return;
    for (size_t i = 0; i < spool->buffer_count; i++)
        free(spool->buffers[i].events);
    free(spool->buffers);
    free(spool->lanes);
    extents_free(&spool->nodes);
    extents_free(&spool->defs);
    source_close(&spool->source);
    free(spool);
}

/* Bytes of an area that are there to be read: what is used, but no more than its capacity and the file hold.
 */
static uint64_t area_size(struct spool *spool, const struct source *source, uint64_t offset,
                          uint64_t capacity, uint64_t used, size_t unit)
{
    uint64_t room = offset < source->size ? (source->size - offset) / unit : 0;
    if (offset < spool->header.header_size || capacity > room)
        spool->sound = false;
    if (used > capacity)
        used = capacity; /* numbers are handed out before it is seen that the area is full */
    return (used < room ? used : room) * unit;
}

/* Nodes are read twice: only those that were finished at the first reading are sure to be whole at the
 * second. */
static int copy_nodes_block(struct spool *spool, const struct stray_node *early, struct stray_node *late,
                            size_t count, uint64_t first)
{
    for (size_t i = 0; i < count;) {
        size_t run = i;
        while (run < count && early[run].kind != 0 && late[run].kind != 0)
            run++;
        int result = extents_add(&spool->nodes, first + i, late + i, run - i);
        if (result < 0)
            return result;
        i = run == i ? i + 1 : run;
    }
    return 0;
}

static int copy_nodes(struct spool *spool, const struct source *source)
{
    const struct stray_spool_header *header = &spool->header;
    uint64_t size = area_size(spool, source, header->nodes_offset, header->nodes_capacity, header->node_count,
                              sizeof(struct stray_node));
    struct stray_node *early = malloc(2 * BLOCK), *late = early + BLOCK / sizeof(*early);
    if (!early)
        return -ENOMEM;
    int result = 0;
    for (uint64_t done = 0; done < size && result == 0; done += BLOCK) {
        size_t part = size - done < BLOCK ? size - done : BLOCK;
        result = source_read(source, header->nodes_offset + done, early, part);
        if (result == 0)
            result = source_read(source, header->nodes_offset + done, late, part);
        if (result == 0)
            result = copy_nodes_block(spool, early, late, part / sizeof(*early), done / sizeof(*early) + 1);
    }
    free(early);
    return result;
}

/* Definitions carry checksums, and one reading does. */
static int copy_defs(struct spool *spool, const struct source *source)
{
    const struct stray_spool_header *header = &spool->header;
    uint64_t size =
        area_size(spool, source, header->defs_offset, header->defs_capacity, header->defs_used, 1);
    uint8_t *block = malloc(BLOCK);
    if (!block)
        return -ENOMEM;
    int result = 0;
    for (uint64_t done = 0; done < size && result == 0; done += BLOCK) {
        size_t part = size - done < BLOCK ? size - done : BLOCK;
        result = source_read(source, header->defs_offset + done, block, part);
        if (result == 0)
            result = extents_add(&spool->defs, done, block, part);
    }
    free(block);
    return result;
}

static int add_buffer(struct spool *spool, const struct lane_copy *copy, unsigned which)
{
    const struct stray_event *early = copy->early.events[which], *late = copy->late.events[which];
    struct spool_buffer buffer = {.lane = copy->early.number, .sequence = copy->early.buffer[which].sequence};
    buffer.events = malloc(sizeof(copy->early.events[which]));
    struct spool_buffer *grown =
        array_grow(spool->buffers, &spool->buffer_room, spool->buffer_count, sizeof(*grown));
    if (grown)
        spool->buffers = grown;
    if (!grown || !buffer.events) {
        free(buffer.events);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < copy->limit[which]; i++)
        if (early[i].action != 0 && late[i].action != 0)
            buffer.events[buffer.count++] = late[i];
    if (buffer.count == 0)
        free(buffer.events);
    else
        spool->buffers[spool->buffer_count++] = buffer;
    return 0;
}

static int add_lane(struct spool *spool, const struct lane_copy *copy)
{
    const struct stray_lane *lane = &copy->early;
    if (lane->number == STRAY_LANE_LATE || lane->active > 1) {
        spool->sound = false;
        return 0;
    }
    struct spool_lane *grown = array_grow(spool->lanes, &spool->lane_room, spool->lane_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    spool->lanes = grown;
    grown[spool->lane_count++] = (struct spool_lane){lane->number, lane->buffer[lane->active].sequence};
    int result = 0;
    for (unsigned which = 0; which < 2 && result == 0; which++)
        if (lane->buffer[which].sequence == copy->late.buffer[which].sequence)
            result = add_buffer(spool, copy, which);
    return result;
}

static unsigned last_event(const struct stray_event *events)
{
    unsigned end = STRAY_LANE_EVENTS;
    while (end > 0 && events[end - 1].action == 0)
        end--;
    return end;
}

/* Head, events three times, head again. What lies between two equal heads belongs to them. While a reading
 * goes on, an event may be committed behind it and the next one before it: so the first reading only says how
 * far the events go, the second which of those are committed, and the third what they are. */
static int copy_lane(struct spool *spool, const struct source *source, uint64_t offset,
                     struct lane_copy *copy)
{
    size_t head = offsetof(struct stray_lane, events);
    int result = source_read(source, offset, &copy->early, sizeof(copy->early));
    for (unsigned which = 0; which < 2 && result == 0; which++)
        copy->limit[which] = last_event(copy->early.events[which]);
    if (result == 0)
        result = source_read(source, offset + head, copy->early.events, sizeof(copy->early.events));
    if (result == 0)
        result = source_read(source, offset + head, copy->late.events, sizeof(copy->late.events));
    if (result == 0)
        result = source_read(source, offset, &copy->late, head);
    return result < 0 ? result : add_lane(spool, copy);
}

static int copy_lanes_once(struct spool *spool, const struct source *source)
{
    const struct stray_spool_header *header = &spool->header;
    uint64_t size = area_size(spool, source, header->lanes_offset, header->lanes_capacity, header->lane_count,
                              sizeof(struct stray_lane));
    uint64_t lanes = size / sizeof(struct stray_lane);
    if (lanes > LANES_MAX) {
        lanes = LANES_MAX;
        spool->sound = false;
    }
    struct lane_copy *copy = malloc(sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    int result = 0;
    for (uint64_t i = 0; i < lanes && result == 0; i++)
        result = copy_lane(spool, source, header->lanes_offset + i * sizeof(struct stray_lane), copy);
    free(copy);
    return result;
}

static void forget_lanes(struct spool *spool)
{
    for (size_t i = 0; i < spool->buffer_count; i++)
        free(spool->buffers[i].events);
    spool->buffer_count = spool->lane_count = 0;
}

/* Where the sums that move between buffers have come to; the same before and after: none has moved. */
static uint64_t moves_now(const struct source *source)
{
    uint64_t moves = 0;
    return source_read(source, offsetof(struct stray_spool_header, moves), &moves, sizeof(moves)) < 0 ? 0
                                                                                                       : moves;
}

/* A sum that moves meanwhile may be copied twice or not at all. */
static int copy_lanes(struct spool *spool, const struct source *source)
{
    int result = 0;
    uint64_t before, after = moves_now(source);
    unsigned tries = 0;
    do {
        before = after;
        forget_lanes(spool);
        result = copy_lanes_once(spool, source);
        after = moves_now(source);
    } while (result == 0 && before != after && ++tries < MOVES_TRIES);
    return result;
}

/* Anything but lack of memory leaves what was read so far: half a spool is better than none. */
static int settle(struct spool *spool, int result)
{
    if (result < 0 && result != -ENOMEM) {
        spool->sound = false;
        return 0;
    }
    return result;
}

static bool header_sound(const struct stray_spool_header *header)
{
    return memcmp(header->magic, STRAY_SPOOL_MAGIC, sizeof(header->magic)) == 0 &&
           header->header_size >= sizeof(*header) && header->header_size <= (1u << 20);
}

/* The counts have grown since the header was first read. */
static void refresh_counts(struct spool *spool)
{
    struct stray_spool_header now;
    if (source_read(&spool->source, 0, &now, sizeof(now)) < 0)
        return;
    spool->header.node_count = now.node_count;
    spool->header.defs_used = now.defs_used;
    spool->header.lost_events = now.lost_events;
}

int spool_finish(struct spool *spool)
{
    refresh_counts(spool);
    int result = settle(spool, copy_nodes(spool, &spool->source));
    if (result == 0)
        result = settle(spool, copy_defs(spool, &spool->source));
    source_close(&spool->source);
    return result;
}

static int spool_begin(struct spool *spool)
{
    if (source_read(&spool->source, 0, &spool->header, sizeof(spool->header)) < 0 ||
        !header_sound(&spool->header))
        return -EBADMSG;
    return settle(spool, copy_lanes(spool, &spool->source));
}

int spool_read(const char *path, struct spool **ret_spool)
{
    struct source source;
    int result = source_open(path, &source);
    if (result < 0)
        return result;
    struct spool *spool = calloc(1, sizeof(*spool));
    if (!spool) {
        source_close(&source);
        return -ENOMEM;
    }
    spool->source = source;
    spool->size = source.size;
    spool->sound = true;
    extents_init(&spool->nodes, sizeof(struct stray_node), spool_node_written);
    extents_init(&spool->defs, 1, spool_byte_written);
    result = spool_begin(spool);
    if (result < 0) {
        spool_free(spool);
        return result;
    }
    *ret_spool = spool;
    return 0;
}
