/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the shim makes of events and nodes, the analyzer takes apart again: all that is told exactly, to the bit. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read/columns.h"
#include "read/frame.h"
#include "record/columns.h"
#include "stray/hooks.h"

static struct columns columns;
static uint8_t plain[COLUMNS_BYTES_MAX];

/* The same numbers in each run. */
static uint64_t chance(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

struct encoded {
    struct stray_frame_header header;
    size_t size;
};

static struct encoded encode(const struct stray_event *events, uint32_t capacity, unsigned shift)
{
    struct encoded encoded = {0};
    memset(plain, 0xee, sizeof(plain));
    encoded.size = (size_t)(columns_of_events(&columns, events, capacity, shift, &encoded.header, plain) - plain);
    cr_assert_leq(encoded.size, sizeof(plain));
    return encoded;
}

/* From a block of its own size, so that a sanitizer sees what is read beyond its end. */
static int decode_bytes(const uint8_t *bytes, size_t size, const struct stray_frame_header *header,
                        struct stray_event *events)
{
    uint8_t *copy = malloc(size + 1);
    memcpy(copy + 1, bytes, size);
    int result = grouped_decode(copy + 1, size, header->count, header->first_time, header->last_time, events);
    free(copy);
    return result;
}

static int decode(const struct encoded *encoded, struct stray_event *events)
{
    return decode_bytes(plain, encoded->size, &encoded->header, events);
}

static int compare_time(const void *a, const void *b)
{
    const struct stray_event *left = a, *right = b;
    return left->time < right->time ? -1 : left->time > right->time;
}

static int compare_sums(const void *a, const void *b)
{
    const struct stray_event *left = a, *right = b;
    uint64_t one = (uint64_t)left->stack << 8 | left->handle >> 56, two = (uint64_t)right->stack << 8 | right->handle >> 56;
    return one < two ? -1 : one > two;
}

/* What is to come out: the events that exist, the sums behind the others. Of equal ones there is none here. */
static uint32_t expected(const struct stray_event *events, uint32_t capacity, struct stray_event *to)
{
    uint32_t ordinary = 0, count;
    for (uint32_t i = 0; i < capacity; i++)
        if (events[i].action != 0 && events[i].action != STRAY_ELIDED)
            to[ordinary++] = events[i];
    count = ordinary;
    for (uint32_t i = 0; i < capacity; i++)
        if (events[i].action == STRAY_ELIDED)
            to[count++] = events[i];
    qsort(to, ordinary, sizeof(*to), compare_time);
    qsort(to + ordinary, count - ordinary, sizeof(*to), compare_sums);
    return count;
}

static void check(const struct stray_event *events, uint32_t capacity, unsigned shift)
{
    static struct stray_event wanted[STRAY_LANE_EVENTS], got[STRAY_LANE_EVENTS];
    uint32_t count = expected(events, capacity, wanted);
    struct encoded encoded = encode(events, capacity, shift);
    cr_assert_eq(encoded.header.count, count);
    cr_assert_eq(decode(&encoded, got), 0);
    uint64_t coarse = (UINT64_C(1) << shift) - 1, span = encoded.header.last_time - encoded.header.first_time;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t most = got[i].action == STRAY_ELIDED ? span / 8 + coarse + 1 : coarse;
        cr_assert(got[i].time <= wanted[i].time || wanted[0].action == STRAY_ELIDED, "event %u", i);
        cr_assert(wanted[i].time - got[i].time <= most || wanted[0].action == STRAY_ELIDED, "event %u", i);
        cr_assert_leq(got[i].time, encoded.header.last_time);
        got[i].time = wanted[i].time;
        cr_assert_eq(memcmp(&got[i], &wanted[i], sizeof(*got)), 0, "event %u of %u", i, count);
    }
}

static struct stray_event some_event(uint64_t time)
{
    static const uint8_t actions[] = {STRAY_OPEN, STRAY_CLOSE, STRAY_OPEN, STRAY_MOVE_FROM, STRAY_MEMORY};
    return (struct stray_event){.time = time,
                                .handle = chance() >> (chance() % 64) << (chance() % 16),
                                .value = chance() >> (chance() % 64),
                                .stack = (uint32_t)(chance() >> (32 + chance() % 32)),
                                .hook = (uint16_t)(chance() % 300),
                                .action = actions[chance() % 5],
                                .resource = (uint8_t)(chance() % 4)};
}

static struct stray_event some_sum(uint64_t time, uint32_t number)
{
    struct stray_event event = some_event(time);
    event.action = STRAY_ELIDED;
    event.stack = number * 3; /* of each stack one sum, so that their order is certain */
    event.handle = (event.handle & (UINT64_MAX >> 8)) | (chance() % 64) << 56;
    return event;
}

/* What one call tells may stand in two frames, with other events before it. */
Test(columns, steps_are_the_same_in_all_frames)
{
    static struct stray_event got[2];
    for (unsigned round = 0; round < 200; round++) {
        uint64_t time = (chance() >> 8) + 10000, told = 0;
        for (unsigned frame = 0; frame < 2; frame++) {
            const struct stray_event events[] = {some_event(time - chance() % 5000), some_event(time + frame)};
            struct encoded encoded = encode(events, 2, 8);
            cr_assert_eq(decode(&encoded, got), 0);
            cr_assert_geq(got[1].time, told, "round %u", round);
            told = got[1].time;
        }
    }
}

Test(columns, random_events_come_back)
{
    static struct stray_event events[STRAY_LANE_EVENTS];
    for (unsigned round = 0; round < 200; round++) {
        uint32_t capacity = 1 + (uint32_t)(chance() % STRAY_LANE_EVENTS);
        uint64_t time = chance() >> 8;
        for (uint32_t i = 0; i < capacity; i++) {
            time += 1 + chance() % 100000;
            events[i] = chance() % 4 == 0 ? some_sum(time, i) : some_event(time);
            events[i].action = chance() % 10 == 0 ? 0 : events[i].action;
        }
        for (uint32_t i = 0; round % 3 && i < capacity; i++) { /* slots are used again: those near by, or any */
            uint32_t far = (uint32_t)(chance() % capacity), near = i + (uint32_t)(chance() % 5), other = round % 3 == 1 ? far : near % capacity;
            struct stray_event event = events[i];
            events[i] = events[other];
            events[other] = event;
        }
        check(events, capacity, 0);
    }
}

Test(columns, extremes_come_back)
{
    struct stray_event events[] = {
        {0, 0, 0, 0, 0, 255, 255},
        {1, UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT16_MAX, 1, 0},
        {2, 0, 0, 0, UINT16_MAX, 1, 0},
        {3, UINT64_C(1) << 63, 1, 1, 0, STRAY_OPEN, STRAY_HEAP},
        {UINT64_MAX, 1, 2, UINT32_MAX, 0, STRAY_CLOSE, STRAY_HEAP},
        {4, UINT64_MAX, UINT64_MAX, UINT32_MAX, 1, STRAY_ELIDED, STRAY_HEAP},
        {5, 0, UINT64_MAX, 7, 1, STRAY_ELIDED, STRAY_HEAP},
        {UINT64_MAX, 3, 10, 8, 1, STRAY_ELIDED, STRAY_PGRESULT},
    };
    check(events, sizeof(events) / sizeof(*events), 0);
    check(events, 1, 0);
    check(events + 5, 3, 0);
}

Test(columns, no_events_are_no_bytes)
{
    struct stray_event events[3] = {0}, got;
    struct encoded encoded = encode(events, 3, 0);
    cr_assert_eq(encoded.size, 0);
    cr_assert_eq(encoded.header.count, 0);
    cr_assert_eq(decode(&encoded, &got), 0);
    cr_assert_eq(decode_bytes((const uint8_t *)"", 1, &encoded.header, &got), -EBADMSG);
}

/* Coarse times keep the order of events, and with equal times that of their slots. */
Test(columns, coarse_times_keep_the_order)
{
    struct stray_event events[40], got[40];
    for (unsigned i = 0; i < 40; i++)
        events[i] = (struct stray_event){.time = 1000 + i, .handle = 0x10 * i, .stack = 1, .action = 1 + i % 2, .resource = 1};
    check(events, 40, 4);
    struct encoded encoded = encode(events, 40, 4);
    cr_assert_eq(decode(&encoded, got), 0);
    for (unsigned i = 0; i < 40; i++) {
        cr_assert_eq(got[i].handle, events[i].handle);
        cr_assert_eq(got[i].time, (1000 + i) / 16 * 16);
    }
    cr_assert_eq(encoded.header.last_time, 1024);
}

static struct encoded encode_mixed(struct stray_event *events, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        events[i] = i % 3 ? some_event(5000 + i * 10) : some_sum(5000 + i * 10, i);
    return encode(events, count, 0);
}

Test(columns, what_is_cut_short_or_left_over_is_refused)
{
    struct stray_event events[60], got[60];
    struct encoded encoded = encode_mixed(events, 60);
    for (size_t size = 0; size < encoded.size; size++)
        cr_assert_eq(decode_bytes(plain, size, &encoded.header, got), -EBADMSG, "%zu bytes", size);
    plain[encoded.size] = 0;
    cr_assert_eq(decode_bytes(plain, encoded.size + 1, &encoded.header, got), -EBADMSG);
}

/* Whatever is wrong: every event is within the frame's times, and nothing else is touched. */
Test(columns, damaged_bytes_do_no_harm)
{
    struct stray_event events[60], got[60];
    struct encoded encoded = encode_mixed(events, 60);
    for (size_t at = 0; at < encoded.size; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            plain[at] ^= (uint8_t)(1 << bit);
            if (decode(&encoded, got) == 0)
                for (unsigned i = 0; i < 60; i++)
                    cr_assert(got[i].time >= encoded.header.first_time && got[i].time <= encoded.header.last_time);
            plain[at] ^= (uint8_t)(1 << bit);
        }
    cr_assert_eq(decode(&encoded, got), 0);
}

static int decode_text(const void *bytes, size_t size, uint32_t count, uint64_t first, uint64_t last)
{
    struct stray_event got[4];
    struct stray_frame_header header = {.count = count, .first_time = first, .last_time = last};
    return decode_bytes(bytes, size, &header, got);
}

/* One event: shifts, no sums, one kind (OPEN, heap, not shifted, hook 0), that kind, +0, stack +1, handle 0, value 0. */
Test(columns, each_bound_is_checked)
{
    static const uint8_t good[] = {0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 2, 0, 0};
    static const struct {
        uint8_t at, value;
    } bad[] = {{0, 64}, {1, 64}, {2, 2}, {3, 0}, {3, 2}, {6, 64}, {8, 1}, {9, 11}, {10, 1}};
    uint8_t bytes[sizeof(good)];
    cr_assert_eq(decode_text(good, sizeof(good), 1, 100, 110), 0);
    cr_assert_eq(decode_text(good, sizeof(good), 1, 110, 100), -EBADMSG);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        memcpy(bytes, good, sizeof(good));
        bytes[bad[i].at] = bad[i].value;
        cr_assert_eq(decode_text(bytes, sizeof(bytes), 1, 100, 110), -EBADMSG, "byte %u as %u", bad[i].at, bad[i].value);
    }
    memcpy(bytes, good, sizeof(good));
    bytes[9] = 10;
    cr_assert_eq(decode_text(bytes, sizeof(bytes), 1, 100, 110), 0);
    bytes[0] = 1; /* 10 units of two ticks are beyond the last time */
    cr_assert_eq(decode_text(bytes, sizeof(bytes), 1, 100, 110), -EBADMSG);
}

/* One sum: stack 5, octave 3, number 2, mean 4, rest 1, +0. */
Test(columns, sums_are_put_together)
{
    static const uint8_t good[] = {0, 0, 1, 1, STRAY_ELIDED, 1, 0, 9, 5, 0, 3, 2, 8, 1, 0};
    struct stray_event got;
    struct stray_frame_header header = {.count = 1, .first_time = 100, .last_time = 100};
    cr_assert_eq(decode_bytes(good, sizeof(good), &header, &got), 0);
    cr_assert_eq(got.stack, 5);
    cr_assert_eq(got.hook, 9);
    cr_assert_eq(got.handle, UINT64_C(3) << 56 | 2);
    cr_assert_eq(got.value, 9);
    cr_assert_eq(got.time, 100);
}

Test(columns, sums_alone_are_told_at_once)
{
    struct stray_event events[30], got[30];
    for (uint32_t i = 0; i < 30; i++)
        events[i] = some_sum(7000 - i * 100, i);
    struct encoded encoded = encode(events, 30, 3);
    cr_assert_eq(encoded.header.first_time, 7000);
    cr_assert_eq(encoded.header.last_time, 7000);
    cr_assert_eq(decode(&encoded, got), 0);
    for (uint32_t i = 0; i < 30; i++)
        cr_assert_eq(got[i].time, 7000);
}

/* ---- nodes ---- */

static int decode_nodes(size_t size, uint32_t count, uint64_t first, struct stray_node *nodes)
{
    uint8_t *copy = malloc(size + 1);
    memcpy(copy + 1, plain, size);
    int result = indexed_decode(copy + 1, size, count, first, nodes);
    free(copy);
    return result;
}

static struct stray_node some_node(uint32_t id)
{
    return (struct stray_node){.value = chance() % 3 ? 0x400000 + chance() % 500 * 3 : chance() >> (chance() % 64),
                               .parent = chance() % 3 ? id - 1 : (uint32_t)(chance() % id),
                               .kind = (uint16_t)(1 + chance() % 3),
                               .flags = (uint16_t)(chance() % 8 ? 0 : chance())};
}

Test(columns, random_nodes_come_back)
{
    static struct stray_node nodes[COLUMNS_NODES_MAX], got[COLUMNS_NODES_MAX];
    for (unsigned round = 0; round < 100; round++) {
        uint32_t count = 1 + (uint32_t)(chance() % COLUMNS_NODES_MAX), first = 1 + (uint32_t)(chance() % 3000000000u);
        for (uint32_t i = 0; i < count; i++)
            nodes[i] = some_node(first + i);
        size_t size = (size_t)(columns_of_nodes(&columns, nodes, count, first, plain) - plain);
        cr_assert_leq(size, sizeof(plain));
        cr_assert_eq(decode_nodes(size, count, first, got), 0);
        cr_assert_eq(memcmp(nodes, got, count * sizeof(*nodes)), 0);
    }
}

Test(columns, damaged_nodes_are_refused_or_harmless)
{
    struct stray_node nodes[50], got[50];
    for (uint32_t i = 0; i < 50; i++)
        nodes[i] = some_node(9 + i);
    size_t size = (size_t)(columns_of_nodes(&columns, nodes, 50, 9, plain) - plain);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(decode_nodes(cut, 50, 9, got), -EBADMSG);
    for (size_t at = 0; at < size; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            plain[at] ^= (uint8_t)(1 << bit);
            decode_nodes(size, 50, 9, got);
            plain[at] ^= (uint8_t)(1 << bit);
        }
    plain[size] = 0;
    cr_assert_eq(decode_nodes(size + 1, 50, 9, got), -EBADMSG);
    cr_assert_eq(decode_nodes(size, 49, 9, got), -EBADMSG);
}

/* What a frame holds ascends, but for a tail that may be in any order, as long as all of it. */
Test(columns, events_are_sorted_and_equal_ones_keep_their_order)
{
    static struct stray_event events[1000];
    for (uint32_t tail = 0; tail <= 1000; tail += tail < 10 ? 1 : 99) {
        for (uint32_t i = 0; i < 1000; i++)
            events[i] = (struct stray_event){.time = i < 1000 - tail ? i / 3 : chance() % 400, .handle = i};
        cr_assert_eq(events_sort(events, 1000), 0);
        for (uint32_t i = 1; i < 1000; i++)
            cr_assert(events[i - 1].time < events[i].time ||
                      (events[i - 1].time == events[i].time && events[i - 1].handle < events[i].handle));
    }
}
