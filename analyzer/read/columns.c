/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/columns.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "stray/wire.h"

#define BITS 64u /* a shift by more means nothing */

struct reader {
    const uint8_t *at, *end;
};

/* Most numbers of most columns are one byte. */
static inline bool take(struct reader *in, uint64_t *ret_value)
{
    if (in->at < in->end && *in->at < 0x80) {
        *ret_value = *in->at++;
        return true;
    }
    return stray_varint_get(&in->at, in->end, ret_value);
}

static inline bool take_byte(struct reader *in, uint8_t *ret_value)
{
    if (in->at == in->end)
        return false;
    *ret_value = *in->at++;
    return true;
}

struct kind {
    uint32_t next; /* in the order by kind: where its next event goes, and at last the end of its events */
    uint16_t hook;
    uint8_t action, resource, shift;
};

/* One frame on its way: `ordinary` events, then `sums`. */
struct decoding {
    struct reader in;
    struct stray_event *events;
    struct kind *kinds;
    uint32_t *order; /* of the ordinary events by kind */
    uint64_t first_time, last_time;
    uint32_t ordinary, sums, kind_count;
    uint8_t shift, sum_shift;
};

static bool decode_head(struct decoding *decoding, uint32_t count)
{
    uint64_t sums, kinds;
    if (!take_byte(&decoding->in, &decoding->shift) || !take_byte(&decoding->in, &decoding->sum_shift) ||
        !take(&decoding->in, &sums) || !take(&decoding->in, &kinds))
        return false;
    if (decoding->shift >= BITS || decoding->sum_shift >= BITS || sums > count || kinds > count)
        return false;
    decoding->sums = (uint32_t)sums;
    decoding->ordinary = count - decoding->sums;
    decoding->kind_count = (uint32_t)kinds;
    return true;
}

static bool decode_kinds(struct decoding *decoding)
{
    uint64_t hook;
    for (uint32_t i = 0; i < decoding->kind_count; i++) {
        struct kind *kind = &decoding->kinds[i];
        if (!take_byte(&decoding->in, &kind->action) || !take_byte(&decoding->in, &kind->resource) ||
            !take_byte(&decoding->in, &kind->shift) || kind->shift >= BITS || !take(&decoding->in, &hook) ||
            hook > UINT16_MAX)
            return false;
        kind->hook = (uint16_t)hook;
    }
    return true;
}

/* The number of the kind is left in the event's stack. */
static bool decode_kind(struct decoding *decoding, struct stray_event *event)
{
    uint64_t number;
    if (!take(&decoding->in, &number) || number >= decoding->kind_count)
        return false;
    const struct kind *kind = &decoding->kinds[number];
    event->action = kind->action;
    event->resource = kind->resource;
    event->hook = kind->hook;
    event->stack = (uint32_t)number;
    return true;
}

static bool decode_ordinary_kinds(struct decoding *decoding)
{
    struct kind *kinds = decoding->kinds;
    for (uint32_t i = 0; i < decoding->ordinary; i++) {
        if (!decode_kind(decoding, &decoding->events[i]))
            return false;
        kinds[decoding->events[i].stack].next++;
    }
    for (uint32_t kind = 0, sum = 0; kind < decoding->kind_count; kind++) {
        uint32_t here = kinds[kind].next;
        kinds[kind].next = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < decoding->ordinary; i++)
        decoding->order[kinds[decoding->events[i].stack].next++] = i;
    return true;
}

static bool decode_times(struct decoding *decoding)
{
    uint64_t step, steps = 0, most = (decoding->last_time - decoding->first_time) >> decoding->shift;
    for (uint32_t i = 0; i < decoding->ordinary; i++) {
        if (!take(&decoding->in, &step) || step > most - steps)
            return false;
        steps += step;
        decoding->events[i].time = decoding->first_time + (steps << decoding->shift);
    }
    return true;
}

static bool decode_stacks(struct decoding *decoding)
{
    uint32_t i = 0;
    uint64_t value;
    for (const struct kind *kind = decoding->kinds; kind < decoding->kinds + decoding->kind_count; kind++)
        for (uint64_t stack = 0; i < kind->next; i++) {
            if (!take(&decoding->in, &value))
                return false;
            stack += stray_unzigzag(value);
            if (stack > UINT32_MAX)
                return false;
            decoding->events[decoding->order[i]].stack = (uint32_t)stack;
        }
    return true;
}

static bool decode_handles(struct decoding *decoding)
{
    uint32_t i = 0;
    uint64_t value;
    for (const struct kind *kind = decoding->kinds; kind < decoding->kinds + decoding->kind_count; kind++)
        for (uint64_t handle = 0; i < kind->next; i++) {
            if (!take(&decoding->in, &value))
                return false;
            handle += stray_unzigzag(value);
            decoding->events[decoding->order[i]].handle = handle << kind->shift;
        }
    return true;
}

static bool decode_values(struct decoding *decoding)
{
    for (uint32_t i = 0; i < decoding->ordinary; i++)
        if (!take(&decoding->in, &decoding->events[decoding->order[i]].value))
            return false;
    return true;
}

static bool decode_ordinary(struct decoding *decoding)
{
    return decode_ordinary_kinds(decoding) && decode_times(decoding) && decode_stacks(decoding) &&
           decode_handles(decoding) && decode_values(decoding);
}

/* Of sums the stack comes first, and the kind then. */
static bool decode_sum_stacks(struct decoding *decoding, struct stray_event *sums)
{
    uint64_t step, stack = 0;
    for (uint32_t i = 0; i < decoding->sums; i++) {
        if (!take(&decoding->in, &step) || step > UINT32_MAX - stack)
            return false;
        stack += step;
        sums[i].value = stack;
    }
    for (uint32_t i = 0; i < decoding->sums; i++) {
        if (!decode_kind(decoding, &sums[i]))
            return false;
        sums[i].stack = (uint32_t)sums[i].value;
    }
    return true;
}

static bool decode_sum_handles(struct decoding *decoding, struct stray_event *sums)
{
    uint8_t step, octave = 0;
    uint64_t number;
    for (uint32_t i = 0; i < decoding->sums; i++) {
        if (!take_byte(&decoding->in, &step))
            return false;
        octave = (uint8_t)(octave + step);
        sums[i].handle = (uint64_t)octave << 56;
    }
    for (uint32_t i = 0; i < decoding->sums; i++) {
        if (!take(&decoding->in, &number) || number >> 56 != 0)
            return false;
        sums[i].handle |= number;
    }
    return true;
}

static bool decode_sum_values(struct decoding *decoding, struct stray_event *sums)
{
    uint64_t value, mean = 0;
    for (uint32_t i = 0; i < decoding->sums; i++) {
        uint64_t number = sums[i].handle & (UINT64_MAX >> 8);
        if (!take(&decoding->in, &value))
            return false;
        mean += stray_unzigzag(value);
        sums[i].value = number ? mean * number : mean;
    }
    for (uint32_t i = 0; i < decoding->sums; i++) {
        if (!take(&decoding->in, &value))
            return false;
        sums[i].value += value;
    }
    return true;
}

static bool decode_sum_times(struct decoding *decoding, struct stray_event *sums)
{
    uint64_t steps, most = (decoding->last_time - decoding->first_time) >> decoding->sum_shift;
    for (uint32_t i = 0; i < decoding->sums; i++) {
        if (!take(&decoding->in, &steps) || steps > most)
            return false;
        sums[i].time = decoding->first_time + (steps << decoding->sum_shift);
    }
    return true;
}

static bool decode_sums(struct decoding *decoding)
{
    struct stray_event *sums = decoding->events + decoding->ordinary;
    return decode_sum_stacks(decoding, sums) && decode_sum_handles(decoding, sums) &&
           decode_sum_values(decoding, sums) && decode_sum_times(decoding, sums);
}

int grouped_decode(const uint8_t *plain, size_t size, uint32_t count, uint64_t first_time, uint64_t last_time,
                   struct stray_event *events)
{
    struct decoding decoding = {.in = {plain, plain + size}, .events = events, .first_time = first_time,
                                .last_time = last_time};
    if (count == 0)
        return size == 0 ? 0 : -EBADMSG;
    if (first_time > last_time || !decode_head(&decoding, count))
        return -EBADMSG;
    decoding.kinds = calloc(decoding.kind_count + (size_t)1, sizeof(*decoding.kinds));
    decoding.order = malloc((decoding.ordinary + (size_t)1) * sizeof(*decoding.order));
    int result = -ENOMEM;
    if (decoding.kinds && decoding.order)
        result = decode_kinds(&decoding) && decode_ordinary(&decoding) && decode_sums(&decoding) &&
                         decoding.in.at == decoding.in.end
                     ? 0
                     : -EBADMSG;
    free(decoding.kinds);
    free(decoding.order);
    return result;
}

/* ---- nodes ---- */

static bool decode_node_values(struct reader *in, uint64_t *values, uint32_t count)
{
    uint64_t step, value = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!take(in, &step))
            return false;
        value += step;
        values[i] = value;
    }
    return true;
}

static bool decode_nodes(struct reader *in, const uint64_t *values, uint32_t value_count, uint32_t count, uint64_t first,
                         struct stray_node *nodes)
{
    uint64_t value;
    for (uint32_t i = 0; i < count; i++) {
        if (!take(in, &value) || value > UINT32_MAX)
            return false;
        nodes[i].kind = (uint16_t)value;
        nodes[i].flags = (uint16_t)(value >> 16);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!take(in, &value) || value > first + i)
            return false;
        nodes[i].parent = (uint32_t)(first + i - value);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!take(in, &value) || value >= value_count)
            return false;
        nodes[i].value = values[value];
    }
    return in->at == in->end;
}

int indexed_decode(const uint8_t *plain, size_t size, uint32_t count, uint64_t first, struct stray_node *nodes)
{
    struct reader in = {plain, plain + size};
    uint64_t value_count;
    if (!take(&in, &value_count) || value_count > count)
        return -EBADMSG;
    uint64_t *values = malloc((value_count + 1) * sizeof(*values));
    if (!values)
        return -ENOMEM;
    bool sound = decode_node_values(&in, values, (uint32_t)value_count) &&
                 decode_nodes(&in, values, (uint32_t)value_count, count, first, nodes);
    free(values);
    return sound ? 0 : -EBADMSG;
}
