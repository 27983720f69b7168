/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/encode.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "sys.h"
#include "stray/wire.h"

#define WORKSPACES   4
#define LEVEL        1
#define PLAIN_MAX    (STRAY_LANE_EVENTS * (1 + 1 + 3 + 5 + 3 * STRAY_VARINT_MAX))
#define STORED_MAX   ZSTD_COMPRESSBOUND(PLAIN_MAX)

struct workspace {
    uint32_t taken;
    ZSTD_CCtx *context; /* inside `memory`; NULL: frames stay uncompressed */
    uint16_t order[STRAY_LANE_EVENTS]; /* which events are committed */
    uint8_t plain[PLAIN_MAX];
    uint8_t stored[STORED_MAX];
    _Alignas(8) uint8_t memory[];
};

static struct workspace *workspaces[WORKSPACES];

static size_t workspace_size(void)
{
    return sizeof(struct workspace) + ZSTD_estimateCCtxSize(LEVEL);
}

static struct workspace *workspace_make(void)
{
    struct workspace *workspace = sys_memory(workspace_size());
    if (!workspace)
        return NULL;
    workspace->taken = 1;
    workspace->context = ZSTD_initStaticCCtx(workspace->memory, ZSTD_estimateCCtxSize(LEVEL));
    return workspace;
}

static struct workspace *workspace_claim(struct workspace **place)
{
    struct workspace *workspace = __atomic_load_n(place, __ATOMIC_ACQUIRE), *none = NULL;
    if (workspace)
        return __atomic_exchange_n(&workspace->taken, 1, __ATOMIC_ACQ_REL) == 0 ? workspace : NULL;
    workspace = workspace_make();
    if (workspace && !__atomic_compare_exchange_n(place, &none, workspace, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        sys_munmap(workspace, workspace_size());
        return NULL;
    }
    return workspace;
}

/* When all are in use, one that lives only as long as its frame. */
static struct workspace *workspace_take(void)
{
    for (unsigned i = 0; i < WORKSPACES; i++) {
        struct workspace *workspace = workspace_claim(&workspaces[i]);
        if (workspace)
            return workspace;
    }
    return workspace_make();
}

void encode_release(struct frame *frame)
{
    for (unsigned i = 0; i < WORKSPACES; i++)
        if (workspaces[i] == frame->workspace) {
            __atomic_store_n(&frame->workspace->taken, 0, __ATOMIC_RELEASE);
            return;
        }
    sys_munmap(frame->workspace, workspace_size());
}

void encode_forget(void)
{
    for (unsigned i = 0; i < WORKSPACES; i++)
        if (workspaces[i])
            workspaces[i]->taken = 0;
}

/* Fills sizes and checksum; compresses where that makes it smaller. */
static void finish(struct frame *frame, const uint8_t *plain, size_t size)
{
    struct workspace *workspace = frame->workspace;
    struct stray_frame_header *header = &frame->header;
    size_t stored = workspace->context
                        ? ZSTD_compressCCtx(workspace->context, workspace->stored, STORED_MAX, plain, size, LEVEL)
                        : (size_t)-1;
    bool smaller = !ZSTD_isError(stored) && stored < size;
    header->magic = STRAY_FRAME_MAGIC;
    header->codec = smaller ? STRAY_CODEC_ZSTD : STRAY_CODEC_RAW;
    header->plain_size = (uint32_t)size;
    header->stored_size = (uint32_t)(smaller ? stored : size);
    frame->payload = smaller ? workspace->stored : plain;
    header->crc = stray_crc32c(0, header, offsetof(struct stray_frame_header, crc));
    header->crc = stray_crc32c(header->crc, frame->payload, header->stored_size);
}

/* The indices of committed events, in `order`. */
static uint32_t committed(const struct stray_event *events, uint32_t capacity, uint16_t *order)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < capacity; i++)
        if (__atomic_load_n(&events[i].action, __ATOMIC_ACQUIRE) != 0)
            order[count++] = (uint16_t)i;
    return count;
}

static void time_range(const struct stray_event *events, const uint16_t *order, uint32_t count,
                       struct stray_frame_header *header)
{
    header->first_time = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t time = events[order[i]].time;
        header->first_time = time < header->first_time ? time : header->first_time;
        header->last_time = time > header->last_time ? time : header->last_time;
    }
}

static uint8_t *put_columns(uint8_t *out, const struct stray_event *events, const uint16_t *order, uint32_t count,
                            uint64_t first_time)
{
    uint64_t time = first_time, stack = 0, handle = 0;
    for (uint32_t i = 0; i < count; i++)
        *out++ = events[order[i]].action;
    for (uint32_t i = 0; i < count; i++)
        *out++ = events[order[i]].resource;
    for (uint32_t i = 0; i < count; i++)
        out = stray_varint_put(out, events[order[i]].hook);
    for (uint32_t i = 0; i < count; time = events[order[i++]].time)
        out = stray_varint_put(out, stray_zigzag(events[order[i]].time - time));
    for (uint32_t i = 0; i < count; stack = events[order[i++]].stack)
        out = stray_varint_put(out, stray_zigzag(events[order[i]].stack - stack));
    for (uint32_t i = 0; i < count; handle = events[order[i++]].handle)
        out = stray_varint_put(out, stray_zigzag(events[order[i]].handle - handle));
    for (uint32_t i = 0; i < count; i++)
        out = stray_varint_put(out, events[order[i]].value);
    return out;
}

bool encode_events(uint32_t lane, uint64_t sequence, const struct stray_event *events, uint32_t capacity,
                   struct frame *ret_frame)
{
    struct frame frame = {.header = {.type = STRAY_FRAME_EVENTS, .lane = lane, .first = sequence},
                          .workspace = workspace_take()};
    if (!frame.workspace)
        return false;
    uint16_t *order = frame.workspace->order;
    uint32_t count = frame.header.count = committed(events, capacity, order);
    if (count > 0)
        time_range(events, order, count, &frame.header);
    uint8_t *plain = frame.workspace->plain;
    finish(&frame, plain, (size_t)(put_columns(plain, events, order, count, frame.header.first_time) - plain));
    *ret_frame = frame;
    return true;
}

bool encode_table(uint16_t type, uint64_t first, uint32_t count, const void *bytes, size_t size, struct frame *ret_frame)
{
    struct frame frame = {.header = {.type = type, .count = count, .first = first}, .workspace = workspace_take()};
    if (!frame.workspace)
        return false;
    finish(&frame, bytes, size);
    *ret_frame = frame;
    return true;
}
