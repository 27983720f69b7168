/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/columns.h"

#include <stdbool.h>

#define SUM_TIMES 16u /* steps that the times of sums are told in, beside other events: no order rests on them */

static inline uint8_t *put(uint8_t *out, uint64_t value)
{
    *out = (uint8_t)value;
    return __builtin_expect(value < 0x80, 1) ? out + 1 : stray_varint_put(out, value);
}

/* ---- sorting ---- */

static bool is_sorted(const struct column_key *keys, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (keys[i].key < keys[i - 1].key)
            return false;
    return true;
}

/* Sorts stably by one byte of the keys. */
static void sort_by_byte(const struct column_key *from, struct column_key *to, uint32_t count, unsigned shift)
{
    uint32_t place[256] = {0}, sum = 0;
    for (uint32_t i = 0; i < count; i++)
        place[from[i].key >> shift & 0xff]++;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint32_t here = place[byte];
        place[byte] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < count; i++)
        to[place[from[i].key >> shift & 0xff]++] = from[i];
}

/* Sorts keys[0..count) stably; bytes that are the same in all keys cost nothing. */
static void sort(struct column_key *keys, struct column_key *spare, uint32_t count)
{
    uint64_t differ = 0;
    if (is_sorted(keys, count))
        return;
    for (uint32_t i = 1; i < count; i++)
        differ |= keys[i].key ^ keys[0].key;
    struct column_key *from = keys, *to = spare;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((differ >> shift & 0xff) == 0)
            continue;
        sort_by_byte(from, to, count, shift);
        struct column_key *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != keys)
        __builtin_memcpy(keys, from, count * sizeof(*keys));
}

/* ---- events ---- */

/* One frame's events on their way: those in the order of time, then the sums in that of stacks. */
struct batch {
    const struct stray_event *events; /* by slot */
    struct columns *columns;
    uint32_t ordinary, sums; /* keys[0, ordinary), keys[ordinary, ordinary + sums) */
    uint32_t kind_count;
    uint64_t first, last;             /* times */
};

static inline const struct stray_event *event_at(const struct batch *batch, uint32_t position)
{
    return &batch->events[batch->columns->keys[position].slot];
}

static uint64_t sum_key(const struct stray_event *sum)
{
    return (uint64_t)sum->stack << 8 | sum->handle >> 56;
}

/* Finds what there is: events are committed meanwhile, where this is the copy of a buffer in use, but never changed. */
static void gather(struct batch *batch, uint32_t capacity)
{
    struct columns *columns = batch->columns;
    batch->first = UINT64_MAX;
    for (uint32_t slot = 0; slot < capacity; slot++) {
        const struct stray_event *event = &batch->events[slot];
        uint8_t action = __atomic_load_n(&event->action, __ATOMIC_ACQUIRE);
        if (action == 0)
            continue;
        if (action == STRAY_ELIDED)
            columns->spare[batch->sums++] = (struct column_key){sum_key(event), slot};
        else
            columns->keys[batch->ordinary++] = (struct column_key){event->time, slot};
        batch->first = event->time < batch->first ? event->time : batch->first;
        batch->last = event->time > batch->last ? event->time : batch->last;
    }
    __builtin_memcpy(columns->keys + batch->ordinary, columns->spare, batch->sums * sizeof(*columns->spare));
    sort(columns->keys, columns->spare, batch->ordinary);
    sort(columns->keys + batch->ordinary, columns->spare, batch->sums);
}

static bool is_kind(const struct column_kind *kind, const struct stray_event *event)
{
    return kind->action == event->action && kind->hook == event->hook && kind->resource == event->resource;
}

/* There are few kinds. */
static uint16_t kind_of(struct batch *batch, const struct stray_event *event)
{
    struct column_kind *kinds = batch->columns->kinds;
    uint32_t kind = 0;
    while (kind < batch->kind_count && !is_kind(&kinds[kind], event))
        kind++;
    if (kind == batch->kind_count)
        kinds[batch->kind_count++] = (struct column_kind){.action = event->action, .hook = event->hook,
                                                          .resource = event->resource};
    kinds[kind].count++;
    kinds[kind].handles |= event->handle;
    return (uint16_t)kind;
}

/* Names the kinds, and finds the order in which the ordinary events stand kind by kind. */
static void find_kinds(struct batch *batch)
{
    struct columns *columns = batch->columns;
    for (uint32_t i = 0; i < batch->ordinary; i++)
        columns->kind_of[i] = kind_of(batch, event_at(batch, i));
    for (uint32_t kind = 0, sum = 0; kind < batch->kind_count; sum += columns->kinds[kind++].count)
        columns->kinds[kind].next = sum;
    for (uint32_t i = 0; i < batch->ordinary; i++)
        columns->order[columns->kinds[columns->kind_of[i]].next++] = (uint16_t)columns->keys[i].slot;
    for (uint32_t i = batch->ordinary; i < batch->ordinary + batch->sums; i++)
        columns->kind_of[i] = kind_of(batch, event_at(batch, i));
}

/* By how much handles of a kind can be shifted right. */
static unsigned alignment(const struct column_kind *kind)
{
    return kind->handles ? (unsigned)__builtin_ctzll(kind->handles) : 0;
}

static uint8_t *put_kinds(const struct batch *batch, uint8_t *out)
{
    out = put(out, batch->kind_count);
    for (uint32_t i = 0; i < batch->kind_count; i++) {
        const struct column_kind *kind = &batch->columns->kinds[i];
        *out++ = kind->action;
        *out++ = kind->resource;
        *out++ = (uint8_t)alignment(kind);
        out = put(out, kind->hook);
    }
    return out;
}

static uint8_t *put_times(const struct batch *batch, unsigned shift, uint8_t *out)
{
    uint64_t before = 0;
    for (uint32_t i = 0; i < batch->ordinary; i++) {
        uint64_t time = (batch->columns->keys[i].key - batch->first) >> shift;
        out = put(out, time - before);
        before = time;
    }
    return out;
}

/* Stacks, handles and values of the ordinary events, kind by kind. */

static uint8_t *put_stacks(const struct batch *batch, uint8_t *out)
{
    const uint16_t *slot = batch->columns->order;
    for (uint32_t kind = 0; kind < batch->kind_count; kind++)
        for (uint64_t before = 0; slot < batch->columns->order + batch->columns->kinds[kind].next; slot++) {
            uint64_t stack = batch->events[*slot].stack;
            out = put(out, stray_zigzag(stack - before));
            before = stack;
        }
    return out;
}

static uint8_t *put_handles(const struct batch *batch, uint8_t *out)
{
    const uint16_t *slot = batch->columns->order;
    for (uint32_t kind = 0; kind < batch->kind_count; kind++) {
        unsigned shift = alignment(&batch->columns->kinds[kind]);
        for (uint64_t before = 0; slot < batch->columns->order + batch->columns->kinds[kind].next; slot++) {
            uint64_t handle = batch->events[*slot].handle >> shift;
            out = put(out, stray_zigzag(handle - before));
            before = handle;
        }
    }
    return out;
}

static uint8_t *put_values(const struct batch *batch, uint8_t *out)
{
    for (uint32_t i = 0; i < batch->ordinary; i++)
        out = put(out, batch->events[batch->columns->order[i]].value);
    return out;
}

static uint64_t number_of(const struct stray_event *sum)
{
    return sum->handle & (~(uint64_t)0 >> 8);
}

static uint8_t *put_sum_stacks(const struct batch *batch, uint8_t *out)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < batch->sums; i++) {
        uint32_t stack = event_at(batch, batch->ordinary + i)->stack;
        out = put(out, stack - before);
        before = stack;
    }
    return out;
}

static uint8_t *put_sum_handles(const struct batch *batch, uint8_t *out)
{
    uint8_t before = 0;
    for (uint32_t i = 0; i < batch->sums; i++) {
        uint8_t octave = (uint8_t)(event_at(batch, batch->ordinary + i)->handle >> 56);
        *out++ = (uint8_t)(octave - before);
        before = octave;
    }
    for (uint32_t i = 0; i < batch->sums; i++)
        out = put(out, number_of(event_at(batch, batch->ordinary + i)));
    return out;
}

/* The mean of the values is often that of the sum before, and often all values are the same. */
static uint8_t *put_sum_values(const struct batch *batch, uint8_t *out)
{
    uint64_t before = 0;
    for (uint32_t i = 0; i < batch->sums; i++) {
        const struct stray_event *sum = event_at(batch, batch->ordinary + i);
        uint64_t number = number_of(sum), mean = number ? sum->value / number : sum->value;
        out = put(out, stray_zigzag(mean - before));
        before = mean;
    }
    for (uint32_t i = 0; i < batch->sums; i++) {
        const struct stray_event *sum = event_at(batch, batch->ordinary + i);
        uint64_t number = number_of(sum);
        out = put(out, number ? sum->value % number : 0);
    }
    return out;
}

/* Where there are only sums, they are told at one time, the latest: as what has come about since those before. */
static void tell_at_once(struct batch *batch)
{
    if (batch->ordinary == 0)
        batch->first = batch->last;
}

static uint64_t sum_steps(const struct batch *batch, uint32_t sum, unsigned shift)
{
    uint64_t time = event_at(batch, batch->ordinary + sum)->time;
    return time > batch->first ? (time - batch->first) >> shift : 0;
}

static uint8_t *put_sum_times(const struct batch *batch, unsigned shift, uint8_t *out)
{
    for (uint32_t i = 0; i < batch->sums; i++)
        out = put(out, sum_steps(batch, i, shift));
    return out;
}

static uint8_t *put_kind_column(const struct batch *batch, uint32_t from, uint32_t count, uint8_t *out)
{
    for (uint32_t i = from; i < from + count; i++)
        out = put(out, batch->columns->kind_of[i]);
    return out;
}

static uint64_t latest(const struct batch *batch, unsigned shift, unsigned sum_shift)
{
    uint64_t last = 0;
    if (batch->ordinary > 0)
        last = (batch->columns->keys[batch->ordinary - 1].key - batch->first) >> shift << shift;
    for (uint32_t i = 0; i < batch->sums; i++) {
        uint64_t time = sum_steps(batch, i, sum_shift) << sum_shift;
        last = time > last ? time : last;
    }
    return batch->first + last;
}

static unsigned shift_of_sums(const struct batch *batch)
{
    unsigned shift = 0;
    while ((batch->last - batch->first) >> shift >= SUM_TIMES)
        shift++;
    return shift;
}

static uint8_t *put_batch(const struct batch *batch, unsigned shift, unsigned sum_shift, uint8_t *out)
{
    *out++ = (uint8_t)shift;
    *out++ = (uint8_t)sum_shift;
    out = put(out, batch->sums);
    out = put_kinds(batch, out);
    out = put_kind_column(batch, 0, batch->ordinary, out);
    out = put_times(batch, shift, out);
    out = put_stacks(batch, out);
    out = put_handles(batch, out);
    out = put_values(batch, out);
    out = put_sum_stacks(batch, out);
    out = put_kind_column(batch, batch->ordinary, batch->sums, out);
    out = put_sum_handles(batch, out);
    out = put_sum_values(batch, out);
    return put_sum_times(batch, sum_shift, out);
}

uint8_t *columns_of_events(struct columns *columns, const struct stray_event *events, uint32_t capacity, unsigned shift,
                           struct stray_frame_header *header, uint8_t *out)
{
    struct batch batch = {.events = events, .columns = columns};
    gather(&batch, capacity);
    find_kinds(&batch);
    header->count = batch.ordinary + batch.sums;
    if (header->count == 0)
        return out;
    tell_at_once(&batch);
    unsigned sum_shift = shift_of_sums(&batch);
    header->first_time = batch.first;
    header->last_time = latest(&batch, shift, sum_shift);
    return put_batch(&batch, shift, sum_shift, out);
}

/* ---- nodes ---- */

/* The different values in ascending order; each node's place among them goes to index_of. */
static uint8_t *put_node_values(struct columns *columns, const struct stray_node *nodes, uint32_t count, uint8_t *out)
{
    struct column_key *keys = columns->keys;
    uint32_t different = 0;
    for (uint32_t i = 0; i < count; i++)
        keys[i] = (struct column_key){nodes[i].value, i};
    sort(keys, columns->spare, count);
    for (uint32_t i = 0; i < count; i++) {
        different += i == 0 || keys[i].key != keys[i - 1].key;
        columns->index_of[keys[i].slot] = (uint16_t)(different - 1);
    }
    out = put(out, different);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || keys[i].key != keys[i - 1].key)
            out = put(out, keys[i].key - (i > 0 ? keys[i - 1].key : 0));
    return out;
}

uint8_t *columns_of_nodes(struct columns *columns, const struct stray_node *nodes, uint32_t count, uint32_t first,
                          uint8_t *out)
{
    out = put_node_values(columns, nodes, count, out);
    for (uint32_t i = 0; i < count; i++)
        out = put(out, (uint32_t)nodes[i].flags << 16 | nodes[i].kind);
    for (uint32_t i = 0; i < count; i++)
        out = put(out, first + i - nodes[i].parent);
    for (uint32_t i = 0; i < count; i++)
        out = put(out, columns->index_of[i]);
    return out;
}
