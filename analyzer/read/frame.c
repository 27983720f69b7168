/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "stray/wire.h"

#define WINDOW_FIRST      1024u
#define WINDOW            65536u
#define EVENT_BYTES_LEAST 7u                           /* one byte in each column */
#define EVENT_BYTES_MOST  (2u + 5u * STRAY_VARINT_MAX) /* action and resource are bytes */

#define GROUPED_BYTES_LEAST 5u  /* one byte in each column */
#define GROUPED_BYTES_MOST  64u /* with a kind of its own, and a share of the head */
#define NODE_BYTES_LEAST 3u

enum verdict { FRAME_SOUND, FRAME_WRONG, FRAME_CUT /* the file ends inside it */ };

void scan_begin(struct scan *scan, const struct source *source, uint64_t offset, struct damage *damage)
{
    *scan = (struct scan){.source = source, .offset = offset, .damage = damage};
    scan->budget = (UINT64_C(64) << 20) + 4 * source->size;
}

void scan_end(struct scan *scan)
{
    free(scan->stored);
    free(scan->window);
    scan->stored = scan->window = NULL;
}

/* Bounds that hold for every frame, also for those of types not known here. */
static bool frame_bounded(const struct stray_frame_header *header)
{
    return header->magic == STRAY_FRAME_MAGIC && header->plain_size <= STRAY_FRAME_PLAIN &&
           header->stored_size <= ZSTD_COMPRESSBOUND(STRAY_FRAME_PLAIN);
}

bool frame_sensible(const struct stray_frame_header *header)
{
    uint64_t plain = header->plain_size, count = header->count;
    switch (header->type) {
    case STRAY_FRAME_EVENTS:
        return count <= STRAY_FRAME_EVENTS_MAX && plain >= count * EVENT_BYTES_LEAST &&
               plain <= count * EVENT_BYTES_MOST && header->first_time <= header->last_time;
    case STRAY_FRAME_GROUPED:
        return count <= STRAY_FRAME_EVENTS_MAX && plain >= count * GROUPED_BYTES_LEAST &&
               plain <= count * GROUPED_BYTES_MOST && header->first_time <= header->last_time;
    case STRAY_FRAME_INDEXED:
        return count <= STRAY_FRAME_PLAIN / sizeof(struct stray_node) && plain >= count * NODE_BYTES_LEAST &&
               header->first >= 1 && header->first <= UINT32_MAX - count;
    case STRAY_FRAME_NODES:
        return plain == count * sizeof(struct stray_node) && header->first >= 1 &&
               header->first <= UINT32_MAX - count;
    case STRAY_FRAME_DEFS:
        return header->first % 16 == 0 && header->first <= (uint64_t)UINT32_MAX * 16 - plain;
    default:
        return true;
    }
}

static bool scan_reserve(struct scan *scan, size_t size)
{
    if (size <= scan->stored_room)
        return true;
    size_t room = size > 2 * scan->stored_room ? size : 2 * scan->stored_room;
    uint8_t *grown = realloc(scan->stored, room);
    if (!grown)
        return false;
    scan->stored = grown;
    scan->stored_room = room;
    return true;
}

/* Whether a tail too short for a header may be the beginning of one. */
static int judge_short_tail(struct scan *scan, uint64_t offset)
{
    const uint32_t magic = STRAY_FRAME_MAGIC;
    uint8_t bytes[sizeof(magic)];
    size_t left = scan->source->size - offset, size = left < sizeof(bytes) ? left : sizeof(bytes);
    if (source_read(scan->source, offset, bytes, size) < 0 || memcmp(bytes, &magic, size) != 0)
        return FRAME_WRONG;
    return FRAME_CUT;
}

/* Judges what stands at `offset`; a sound frame's payload is left in scan->stored. -ENOMEM. */
static int judge(struct scan *scan, uint64_t offset, struct stray_frame_header *ret_header)
{
    uint64_t left = scan->source->size - offset;
    struct stray_frame_header header;
    if (left < sizeof(header))
        return judge_short_tail(scan, offset);
    if (source_read(scan->source, offset, &header, sizeof(header)) < 0 || !frame_bounded(&header))
        return FRAME_WRONG;
    if (header.stored_size > left - sizeof(header))
        return FRAME_CUT;
    if (header.stored_size > scan->budget)
        return FRAME_WRONG;
    if (!scan_reserve(scan, header.stored_size))
        return -ENOMEM;
    if (source_read(scan->source, offset + sizeof(header), scan->stored, header.stored_size) < 0)
        return FRAME_WRONG;
    uint32_t crc = stray_crc32c(0, &header, offsetof(struct stray_frame_header, crc));
    if (stray_crc32c(crc, scan->stored, header.stored_size) != header.crc) {
        scan->budget -= header.stored_size;
        return FRAME_WRONG;
    }
    *ret_header = header;
    return FRAME_SOUND;
}

/* Looks for a sound frame in `size` bytes of the window, which stand at `base` in the file. */
static int search_window(struct scan *scan, uint64_t base, size_t size, struct stray_frame_header *ret_header,
                         uint64_t *ret_offset)
{
    const uint32_t magic = STRAY_FRAME_MAGIC;
    const uint8_t *p = scan->window, *end = p + size;
    while ((p = memmem(p, (size_t)(end - p), &magic, sizeof(magic)))) {
        uint64_t offset = base + (uint64_t)(p - scan->window);
        int verdict = judge(scan, offset, ret_header);
        if (verdict < 0)
            return verdict;
        if (verdict == FRAME_SOUND) {
            *ret_offset = offset;
            return 1;
        }
        p++;
    }
    return 0;
}

/* The first sound frame at or after `from`: 1, or 0 if there is none. */
static int search(struct scan *scan, uint64_t from, struct stray_frame_header *ret_header,
                  uint64_t *ret_offset)
{
    if (!scan->window && !(scan->window = malloc(WINDOW)))
        return -ENOMEM;
    size_t window =
        WINDOW_FIRST; /* small at first: damage after every frame must not cost a whole window each */
    while (from + sizeof(struct stray_frame_header) <= scan->source->size) {
        uint64_t left = scan->source->size - from;
        size_t size = left < window ? left : window;
        if (source_read(scan->source, from, scan->window, size) < 0)
            return 0;
        int found = search_window(scan, from, size, ret_header, ret_offset);
        if (found != 0)
            return found;
        from += size - (sizeof(uint32_t) - 1); /* a magic number may lie across two windows */
        if (size == left)
            break;
        window = window < WINDOW ? 2 * window : WINDOW;
    }
    return 0;
}

int scan_next(struct scan *scan, struct stray_frame_header *ret_header, uint64_t *ret_payload)
{
    uint64_t size = scan->source->size;
    if (scan->offset >= size)
        return 0;
    struct stray_frame_header header;
    uint64_t offset = scan->offset;
    int verdict = judge(scan, offset, &header);
    if (verdict == FRAME_WRONG || verdict == FRAME_CUT) {
        int found = search(scan, offset + 1, &header, &offset);
        if (found < 0)
            return found;
        if (!found && verdict == FRAME_CUT) {
            scan->damage->truncated = true;
            damage_at(scan->damage, scan->offset);
            scan->offset = size;
            return 0;
        }
        scan->damage->frames_damaged++;
        damage_at(scan->damage, scan->offset);
        scan->damage->bytes_skipped += (found ? offset : size) - scan->offset;
        scan->offset = size;
        if (!found)
            return 0;
    } else if (verdict < 0) {
        return verdict;
    }
    *ret_header = header;
    *ret_payload = offset + sizeof(header);
    scan->offset = *ret_payload + header.stored_size;
    scan->damage->frames_read++;
    return 1;
}

int frame_unpack(struct ZSTD_DCtx_s *context, uint8_t codec, const uint8_t *stored, size_t stored_size,
                 uint8_t *plain, size_t plain_size)
{
    if (codec == STRAY_CODEC_RAW) {
        if (stored_size != plain_size)
            return -EBADMSG;
        if (plain_size > 0)
            memcpy(plain, stored, plain_size);
        return 0;
    }
    if (codec != STRAY_CODEC_ZSTD)
        return -ENOTSUP;
    size_t got = ZSTD_decompressDCtx(context, plain, plain_size, stored, stored_size);
    return ZSTD_isError(got) || got != plain_size ? -EBADMSG : 0;
}

/* Most numbers of most columns are one byte. */
static inline bool take(const uint8_t **in, const uint8_t *end, uint64_t *ret_value)
{
    if (*in < end && **in < 0x80) {
        *ret_value = *(*in)++;
        return true;
    }
    return stray_varint_get(in, end, ret_value);
}

/* The columns, one after the other; each takes *in on to the next. */

static bool decode_hooks(const uint8_t **in, const uint8_t *end, uint32_t count, struct stray_event *events)
{
    uint64_t value;
    for (uint32_t i = 0; i < count; i++) {
        if (!take(in, end, &value) || value > UINT16_MAX)
            return false;
        events[i].hook = (uint16_t)value;
    }
    return true;
}

static bool decode_times(const uint8_t **in, const uint8_t *end, uint32_t count, uint64_t first,
                         uint64_t last, struct stray_event *events)
{
    uint64_t value, time = first;
    for (uint32_t i = 0; i < count; i++) {
        if (!take(in, end, &value))
            return false;
        time += stray_unzigzag(value);
        if (time < first || time > last)
            return false;
        events[i].time = time;
    }
    return true;
}

static bool decode_stacks(const uint8_t **in, const uint8_t *end, uint32_t count, struct stray_event *events)
{
    uint64_t value, stack = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!take(in, end, &value))
            return false;
        stack += stray_unzigzag(value);
        if (stack > UINT32_MAX)
            return false;
        events[i].stack = (uint32_t)stack;
    }
    return true;
}

static bool decode_handles(const uint8_t **in, const uint8_t *end, uint32_t count, struct stray_event *events)
{
    uint64_t value, handle = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!take(in, end, &value))
            return false;
        handle += stray_unzigzag(value);
        events[i].handle = handle;
    }
    return true;
}

static bool decode_values(const uint8_t **in, const uint8_t *end, uint32_t count, struct stray_event *events)
{
    for (uint32_t i = 0; i < count; i++)
        if (!take(in, end, &events[i].value))
            return false;
    return true;
}

int events_decode(const uint8_t *plain, size_t size, uint32_t count, uint64_t first_time, uint64_t last_time,
                  struct stray_event *events)
{
    if (size / EVENT_BYTES_LEAST < count)
        return -EBADMSG;
    for (uint32_t i = 0; i < count; i++) {
        events[i].action = plain[i];
        events[i].resource = plain[count + i];
    }
    const uint8_t *in = plain + 2 * (size_t)count, *end = plain + size;
    bool sound = decode_hooks(&in, end, count, events) &&
                 decode_times(&in, end, count, first_time, last_time, events) &&
                 decode_stacks(&in, end, count, events) && decode_handles(&in, end, count, events) &&
                 decode_values(&in, end, count, events) && in == end;
    return sound ? 0 : -EBADMSG;
}

/* One past the last event of the ascending run that begins at `from`. */
static size_t run_end(const struct stray_event *events, size_t from, size_t count)
{
    size_t end = from + 1;
    while (end < count && events[end - 1].time <= events[end].time)
        end++;
    return end < count ? end : count;
}

static void merge_runs(const struct stray_event *from, size_t begin, size_t middle, size_t end,
                       struct stray_event *to)
{
    size_t left = begin, right = middle;
    for (size_t i = begin; i < end; i++)
        to[i] = right == end || (left < middle && from[left].time <= from[right].time) ? from[left++]
                                                                                       : from[right++];
}

/* A natural merge sort: no order takes quadratic time. `spare` has room for as many. */
static void sort_runs(struct stray_event *events, size_t count, struct stray_event *spare)
{
    while (run_end(events, 0, count) < count) {
        for (size_t begin = 0; begin < count;) {
            size_t middle = run_end(events, begin, count);
            size_t end = middle < count ? run_end(events, middle, count) : count;
            merge_runs(events, begin, middle, end, spare);
            begin = end;
        }
        memcpy(events, spare, count * sizeof(*spare));
    }
}

/* Puts the run behind `first` events in between them, from the end on, so that only that run is moved aside. */
static void merge_tail(struct stray_event *events, size_t first, size_t count, struct stray_event *spare)
{
    size_t tail = count - first;
    memcpy(spare, events + first, tail * sizeof(*spare));
    while (tail > 0) {
        if (first > 0 && events[first - 1].time > spare[tail - 1].time) {
            first--;
            events[first + tail] = events[first];
        } else {
            tail--;
            events[first + tail] = spare[tail];
        }
    }
}

/* Mostly all of them ascend, or all but some sums at the end: only these are sorted then. */
int events_sort(struct stray_event *events, size_t count)
{
    size_t first = count < 2 ? count : run_end(events, 0, count);
    if (first == count)
        return 0;
    struct stray_event *spare = malloc((count - first) * sizeof(*spare));
    if (!spare)
        return -ENOMEM;
    sort_runs(events + first, count - first, spare);
    merge_tail(events, first, count, spare);
    free(spare);
    return 0;
}
