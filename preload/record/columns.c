/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/columns.h"

#include <stdbool.h>

#define NEAR_MOVES 4u /* for each event: to sort by bytes costs as much as some twenty */
#define SUM_TIMES 16u /* steps that the times of sums are told in, beside other events: no order rests on them */

/* A varint of up to four bytes. */
static inline uint8_t *put_four(uint8_t *out, uint32_t low)
{
    unsigned more = (31u - (unsigned)__builtin_clz(low | 1)) * 37 >> 8; /* bytes after the first: a seventh of the highest bit's number */
    uint32_t bytes = (low & 0x7f) | (low << 1 & 0x7f00) | (low << 2 & 0x7f0000) | (low << 3 & 0x7f000000);
    bytes |= 0x80808080 & ((1u << 8 * more) - 1);
    __builtin_memcpy(out, &bytes, sizeof(bytes));
    return out + more + 1;
}

/* A varint. How long it is depends on the program, and to guess it wrong costs more than to store more bytes than are needed, which the
 * next number overwrites: what decides is only whether it has more than two, and more than four. */
static inline uint8_t *put(uint8_t *out, uint64_t value)
{
    if (__builtin_expect(value < 1u << 14, 1)) {
        unsigned two = value >= 0x80;
        uint16_t bytes = (uint16_t)((value & 0x7f) | two << 7 | value >> 7 << 8);
        __builtin_memcpy(out, &bytes, sizeof(bytes));
        return out + 1 + two;
    }
    return value < 1u << 28 ? put_four(out, (uint32_t)value) : stray_varint_put(out, value);
}

/* ---- sorting ---- */

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

/* Sorts stably what stands a few places from where it belongs, as events do that took the slots of pairs that were told in sum. False: it
 * was given up, for too much stands further away. */
static bool sort_near(struct column_key *keys, uint32_t count)
{
    uint32_t moves = 0;
    for (uint32_t i = 1; i < count && moves <= NEAR_MOVES * count; i++) {
        struct column_key moved = keys[i];
        uint32_t at = i;
        for (; at > 0 && keys[at - 1].key > moved.key; at--)
            keys[at] = keys[at - 1];
        keys[at] = moved;
        moves += i - at;
    }
    return moves <= NEAR_MOVES * count;
}

/* Sorts keys[0..count) stably; bytes that are the same in all keys cost nothing. */
static void sort(struct column_key *keys, struct column_key *spare, uint32_t count)
{
    uint64_t differ = 0;
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

static __attribute__((noinline)) uint32_t look_for_kind(struct batch *batch, uint32_t what)
{
    struct column_kind *kinds = batch->columns->kinds;
    uint32_t kind = 0;
    while (kind < batch->kind_count && kinds[kind].what != what)
        kind++;
    if (kind == batch->kind_count)
        kinds[batch->kind_count++] = (struct column_kind){.what = what};
    return kind;
}

/* What makes a kind is the upper half of the commit word. There are few kinds, but they come in no order that could be guessed. */
static inline uint32_t kind_of(struct batch *batch, uint32_t what)
{
    struct columns *columns = batch->columns;
    uint16_t *near = &columns->near[what * 0x9e3779b9u >> 24];
    if (__builtin_expect(*near >= batch->kind_count || columns->kinds[*near].what != what, 0))
        *near = (uint16_t)look_for_kind(batch, what);
    return *near;
}
_Static_assert(COLUMNS_NEAR == 1u << 8, "kind_of() takes 8 bits");

static inline uint8_t action_of(uint32_t what)
{
    return (uint8_t)(what >> 16);
}

static inline void describe(struct column_kind *kind, const struct stray_event *event, uint32_t stack)
{
    kind->count++;
    kind->handles |= event->handle;
    kind->told |= event->value | stack;
}

static void cover(struct batch *batch, uint64_t time)
{
    batch->first = time < batch->first ? time : batch->first;
    batch->last = time > batch->last ? time : batch->last;
}

static void gather_sum(struct batch *batch, uint32_t slot)
{
    const struct stray_event *sum = &batch->events[slot];
    batch->columns->spare[batch->sums++] = (struct column_key){sum_key(sum), slot};
    cover(batch, sum->time);
}

/* Finds what there is: events are committed meanwhile, where this is the copy of a buffer in use, but never changed. Returns whether the
 * ordinary ones stand in the order of time. */
static bool gather(struct batch *batch, uint32_t capacity)
{
    struct columns *columns = batch->columns;
    uint32_t ordinary = 0;
    uint64_t before = 0;
    bool fallen = false;
    for (uint32_t slot = 0; slot < capacity; slot++) {
        const struct stray_event *event = &batch->events[slot];
        uint64_t commit = __atomic_load_n((const uint64_t *)(const void *)&event->stack, __ATOMIC_ACQUIRE), time = event->time;
        uint32_t what = (uint32_t)(commit >> 32);
        if (action_of(what) == 0)
            continue;
        uint32_t kind = kind_of(batch, what);
        columns->kind_of[slot] = (uint16_t)kind;
        if (action_of(what) == STRAY_ELIDED) {
            gather_sum(batch, slot);
            continue;
        }
        columns->keys[ordinary++] = (struct column_key){time, slot};
        fallen |= time < before;
        before = time;
        describe(&columns->kinds[kind], event, (uint32_t)commit);
    }
    batch->ordinary = ordinary;
    return !fallen;
}

static void put_in_order(struct batch *batch, bool in_order)
{
    struct column_key *keys = batch->columns->keys, *spare = batch->columns->spare;
    uint32_t ordinary = batch->ordinary;
    __builtin_memcpy(keys + ordinary, spare, batch->sums * sizeof(*spare));
    if (!in_order && !sort_near(keys, ordinary))
        sort(keys, spare, ordinary);
    sort(keys + ordinary, spare, batch->sums);
    if (ordinary > 0) {
        cover(batch, keys[0].key);
        cover(batch, keys[ordinary - 1].key);
    }
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
        *out++ = action_of(kind->what);
        *out++ = (uint8_t)(kind->what >> 24);
        *out++ = (uint8_t)alignment(kind);
        out = put(out, kind->what & 0xffff);
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

static inline uint8_t *put_kind(uint8_t *out, uint16_t kind)
{
    *out = (uint8_t)kind;
    return __builtin_expect(kind < 0x80, 1) ? out + 1 : stray_varint_put(out, kind);
}

/* The kinds of the ordinary events, and with them the order in which these stand kind by kind. */
static uint8_t *put_kinds_in_order(const struct batch *batch, uint8_t *out)
{
    struct columns *columns = batch->columns;
    for (uint32_t kind = 0, sum = 0; kind < batch->kind_count; sum += columns->kinds[kind++].count)
        columns->kinds[kind].next = sum;
    for (uint32_t i = 0; i < batch->ordinary; i++) {
        uint32_t slot = columns->keys[i].slot;
        uint16_t kind = columns->kind_of[slot];
        columns->order[columns->kinds[kind].next++] = (uint16_t)slot;
        out = put_kind(out, kind);
    }
    return out;
}

/* Stacks, handles and values of the ordinary events, kind by kind. Releases have no stacks and values. */

static uint8_t *put_zeros(uint8_t *out, uint32_t count)
{
    __builtin_memset(out, 0, count);
    return out + count;
}

static uint8_t *put_stacks_of(const struct batch *batch, const uint16_t *slot, const uint16_t *end, uint8_t *out)
{
    for (uint64_t before = 0; slot < end; slot++) {
        uint64_t stack = batch->events[*slot].stack;
        out = put(out, stray_zigzag(stack - before));
        before = stack;
    }
    return out;
}

static uint8_t *put_stacks(const struct batch *batch, uint8_t *out)
{
    const uint16_t *slot = batch->columns->order;
    for (uint32_t i = 0; i < batch->kind_count; i++) {
        const struct column_kind *kind = &batch->columns->kinds[i];
        out = kind->told ? put_stacks_of(batch, slot, slot + kind->count, out) : put_zeros(out, kind->count);
        slot += kind->count;
    }
    return out;
}

static uint8_t *put_handles_of(const struct batch *batch, const uint16_t *slot, const uint16_t *end, unsigned shift, uint8_t *out)
{
    for (uint64_t before = 0; slot < end; slot++) {
        uint64_t handle = batch->events[*slot].handle >> shift;
        out = put(out, stray_zigzag(handle - before));
        before = handle;
    }
    return out;
}

static uint8_t *put_handles(const struct batch *batch, uint8_t *out)
{
    const uint16_t *slot = batch->columns->order;
    for (uint32_t i = 0; i < batch->kind_count; i++) {
        const struct column_kind *kind = &batch->columns->kinds[i];
        out = put_handles_of(batch, slot, slot + kind->count, alignment(kind), out);
        slot += kind->count;
    }
    return out;
}

static uint8_t *put_values_of(const struct batch *batch, const uint16_t *slot, const uint16_t *end, uint8_t *out)
{
    for (; slot < end; slot++)
        out = put(out, batch->events[*slot].value);
    return out;
}

static uint8_t *put_values(const struct batch *batch, uint8_t *out)
{
    const uint16_t *slot = batch->columns->order;
    for (uint32_t i = 0; i < batch->kind_count; i++) {
        const struct column_kind *kind = &batch->columns->kinds[i];
        out = kind->told ? put_values_of(batch, slot, slot + kind->count, out) : put_zeros(out, kind->count);
        slot += kind->count;
    }
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

static uint8_t *put_sum_kinds(const struct batch *batch, uint8_t *out)
{
    const struct columns *columns = batch->columns;
    for (uint32_t i = 0; i < batch->sums; i++)
        out = put_kind(out, columns->kind_of[columns->keys[batch->ordinary + i].slot]);
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
    out = put_kinds_in_order(batch, out);
    out = put_times(batch, shift, out);
    out = put_stacks(batch, out);
    out = put_handles(batch, out);
    out = put_values(batch, out);
    out = put_sum_stacks(batch, out);
    out = put_sum_kinds(batch, out);
    out = put_sum_handles(batch, out);
    out = put_sum_values(batch, out);
    return put_sum_times(batch, sum_shift, out);
}

uint8_t *columns_of_events(struct columns *columns, const struct stray_event *events, uint32_t capacity, unsigned shift,
                           struct stray_frame_header *header, uint8_t *out)
{
    struct batch batch = {.events = events, .columns = columns, .first = UINT64_MAX};
    put_in_order(&batch, gather(&batch, capacity));
    columns->ordinary = batch.ordinary;
    header->count = batch.ordinary + batch.sums;
    if (header->count == 0)
        return out;
    tell_at_once(&batch);
    batch.first = batch.first >> shift << shift; /* the same steps in all frames: what a call tells may be parted between two */
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
