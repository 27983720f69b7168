/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/encode.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "sys.h"
#include "stray/wire.h"

#define WORKSPACES   4
#define LEVEL        (-1) /* a sixth larger than by level 1, in two thirds of the time */
#define PLAIN_MAX    (STRAY_LANE_EVENTS * (1 + 1 + 3 + 5 + 3 * STRAY_VARINT_MAX))
#define STORED_MAX   ZSTD_COMPRESSBOUND(PLAIN_MAX)

struct workspace {
    uint32_t taken;
    ZSTD_CCtx *context; /* inside `memory`; NULL: frames stay uncompressed */
    struct columns {
        uint8_t actions[STRAY_LANE_EVENTS], resources[STRAY_LANE_EVENTS];
        uint8_t hooks[STRAY_LANE_EVENTS * 3], times[STRAY_LANE_EVENTS * STRAY_VARINT_MAX],
            stacks[STRAY_LANE_EVENTS * 5], handles[STRAY_LANE_EVENTS * STRAY_VARINT_MAX],
            values[STRAY_LANE_EVENTS * STRAY_VARINT_MAX];
    } columns;
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

/* Where each column ends. */
struct ends {
    uint8_t *hook, *time, *stack, *handle, *value;
};

static inline uint8_t *put(uint8_t *out, uint64_t value)
{
    *out = (uint8_t)value;
    return __builtin_expect(value < 0x80, 1) ? out + 1 : stray_varint_put(out, value);
}

/* Fills all but the first event's time, which is told from the earliest one: returns the difference. */
static uint64_t fill_columns(struct columns *columns, const struct stray_event *events, uint32_t capacity,
                             struct stray_frame_header *header, struct ends *ends)
{
    uint64_t first = 0, time = 0, stack = 0, handle = 0, earliest = UINT64_MAX, latest = 0;
    uint32_t count = 0;
    for (const struct stray_event *event = events; event < events + capacity; event++) {
        uint8_t action = __atomic_load_n(&event->action, __ATOMIC_ACQUIRE);
        if (action == 0)
            continue;
        columns->actions[count] = action;
        columns->resources[count] = event->resource;
        ends->hook = put(ends->hook, event->hook);
        if (count++ > 0)
            ends->time = put(ends->time, stray_zigzag(event->time - time));
        else
            first = event->time;
        ends->stack = put(ends->stack, stray_zigzag(event->stack - stack));
        ends->handle = put(ends->handle, stray_zigzag(event->handle - handle));
        ends->value = put(ends->value, event->value);
        time = event->time;
        stack = event->stack;
        handle = event->handle;
        earliest = time < earliest ? time : earliest;
        latest = time > latest ? time : latest;
    }
    header->count = count;
    header->first_time = count > 0 ? earliest : 0;
    header->last_time = latest;
    return first - earliest;
}

static uint8_t *append(uint8_t *out, const uint8_t *from, const uint8_t *end)
{
    __builtin_memcpy(out, from, (size_t)(end - from));
    return out + (end - from);
}

/* Returns the end of the payload. */
static uint8_t *put_columns(struct workspace *workspace, const struct stray_event *events, uint32_t capacity,
                            struct stray_frame_header *header)
{
    struct columns *columns = &workspace->columns;
    struct ends ends = {.hook = columns->hooks, .time = columns->times, .stack = columns->stacks,
                        .handle = columns->handles, .value = columns->values};
    uint64_t first = fill_columns(columns, events, capacity, header, &ends);
    uint8_t *out = append(workspace->plain, columns->actions, columns->actions + header->count);
    out = append(out, columns->resources, columns->resources + header->count);
    out = append(out, columns->hooks, ends.hook);
    out = header->count > 0 ? stray_varint_put(out, stray_zigzag(first)) : out;
    out = append(out, columns->times, ends.time);
    out = append(out, columns->stacks, ends.stack);
    out = append(out, columns->handles, ends.handle);
    return append(out, columns->values, ends.value);
}

bool encode_events(uint32_t lane, uint64_t sequence, const struct stray_event *events, uint32_t capacity,
                   struct frame *ret_frame)
{
    struct frame frame = {.header = {.type = STRAY_FRAME_EVENTS, .lane = lane, .first = sequence},
                          .workspace = workspace_take()};
    if (!frame.workspace)
        return false;
    uint8_t *plain = frame.workspace->plain;
    finish(&frame, plain, (size_t)(put_columns(frame.workspace, events, capacity, &frame.header) - plain));
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
