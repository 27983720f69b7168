/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/encode.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "record/columns.h"
#include "sys.h"
#include "stray/wire.h"

#define WORKSPACES 4
#define PLAIN_MAX  (COLUMNS_BYTES_MAX > ENCODE_TABLE_MAX ? COLUMNS_BYTES_MAX : ENCODE_TABLE_MAX)
#define STORED_MAX ZSTD_COMPRESSBOUND(PLAIN_MAX)

/* What level 1 does, with tables for payloads of some kilobytes: to clear larger ones takes longer than to compress. More
 * would make traces 3 % smaller. Sums, nodes and definitions are few for what they tell. */
static const struct {
    ZSTD_cParameter parameter;
    unsigned value;
} parameters[] = {
    {ZSTD_c_compressionLevel, 1}, {ZSTD_c_strategy, ZSTD_fast}, {ZSTD_c_windowLog, 16}, {ZSTD_c_hashLog, 11},
    {ZSTD_c_chainLog, 11},        {ZSTD_c_minMatch, 4},
};

struct workspace {
    uint32_t taken;
    ZSTD_CCtx *context; /* inside `memory`; NULL: frames stay uncompressed */
    struct columns columns;
    uint8_t plain[PLAIN_MAX];
    uint8_t stored[STORED_MAX];
    _Alignas(8) uint8_t memory[];
};

/* Of the target length: by how much more is passed over where nothing repeats itself. Above 0 literals stay as they are, too. */
enum { THOROUGH = 0, HASTY = 4 };

static struct workspace *workspaces[WORKSPACES];

static size_t context_size(void)
{
    ZSTD_compressionParameters most = {.windowLog = 16, .chainLog = 11, .hashLog = 11, .searchLog = 1, .minMatch = 4,
                                       .strategy = ZSTD_fast};
    return ZSTD_estimateCCtxSize_usingCParams(most);
}

static size_t workspace_size(void)
{
    return sizeof(struct workspace) + context_size();
}

static struct workspace *workspace_make(void)
{
    struct workspace *workspace = sys_memory(workspace_size());
    if (!workspace)
        return NULL;
    workspace->taken = 1;
    workspace->context = ZSTD_initStaticCCtx(workspace->memory, context_size());
    for (unsigned i = 0; workspace->context && i < sizeof(parameters) / sizeof(*parameters); i++)
        ZSTD_CCtx_setParameter(workspace->context, parameters[i].parameter, (int)parameters[i].value);
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

static size_t compress(struct workspace *workspace, int effort, const uint8_t *plain, size_t size)
{
    if (!workspace->context)
        return (size_t)-1;
    ZSTD_CCtx_setParameter(workspace->context, ZSTD_c_targetLength, effort);
    return ZSTD_compress2(workspace->context, workspace->stored, STORED_MAX, plain, size);
}

/* Fills sizes and checksum; compresses where that makes it smaller. */
static void finish(struct frame *frame, int effort, const uint8_t *plain, size_t size)
{
    struct workspace *workspace = frame->workspace;
    struct stray_frame_header *header = &frame->header;
    size_t stored = compress(workspace, effort, plain, size);
    bool smaller = !ZSTD_isError(stored) && stored < size;
    header->magic = STRAY_FRAME_MAGIC;
    header->codec = smaller ? STRAY_CODEC_ZSTD : STRAY_CODEC_RAW;
    header->plain_size = (uint32_t)size;
    header->stored_size = (uint32_t)(smaller ? stored : size);
    frame->payload = smaller ? workspace->stored : plain;
    header->crc = stray_crc32c(0, header, offsetof(struct stray_frame_header, crc));
    header->crc = stray_crc32c(header->crc, frame->payload, header->stored_size);
}

bool encode_events(uint32_t lane, uint64_t sequence, const struct stray_event *events, uint32_t capacity, unsigned shift,
                   struct frame *ret_frame)
{
    struct frame frame = {.header = {.type = STRAY_FRAME_GROUPED, .lane = lane, .first = sequence},
                          .workspace = workspace_take()};
    if (!frame.workspace)
        return false;
    uint8_t *plain = frame.workspace->plain;
    uint8_t *end = columns_of_events(&frame.workspace->columns, events, capacity, shift, &frame.header, plain);
    bool mostly_sums = frame.workspace->columns.ordinary < frame.header.count / 2;
    finish(&frame, mostly_sums ? THOROUGH : HASTY, plain, (size_t)(end - plain));
    *ret_frame = frame;
    return true;
}

bool encode_nodes(uint32_t first, uint32_t count, const struct stray_node *nodes, struct frame *ret_frame)
{
    struct frame frame = {.header = {.type = STRAY_FRAME_INDEXED, .count = count, .first = first},
                          .workspace = workspace_take()};
    if (!frame.workspace)
        return false;
    uint8_t *plain = frame.workspace->plain, *end = columns_of_nodes(&frame.workspace->columns, nodes, count, first, plain);
    finish(&frame, THOROUGH, plain, (size_t)(end - plain));
    *ret_frame = frame;
    return true;
}

bool encode_definitions(uint64_t first, const void *bytes, size_t size, struct frame *ret_frame)
{
    struct frame frame = {.header = {.type = STRAY_FRAME_DEFS, .first = first}, .workspace = workspace_take()};
    if (!frame.workspace)
        return false;
    finish(&frame, THOROUGH, bytes, size);
    *ret_frame = frame;
    return true;
}
