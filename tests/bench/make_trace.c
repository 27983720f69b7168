/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * make_trace PATH EVENTS [SECONDS]: writes a trace of about so many events, as a busy server of eight threads would leave it with
 * --full, by the tracer's own encoder. Two threads run at a time. Most blocks die young; some 100,000 are alive at any
 * time, from 5,000 places, one of which leaks. There are reallocs, sums of short lives, and a pool of connections that are
 * used often and made anew now and then. With SECONDS all that is spread over so long a time, connections are made anew more
 * often, and resident memory is told map by map. The same arguments give the same trace. Its size is what the memory of a
 * reader must not depend on.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/columns.h"
#include "record/encode.h"
#include "stray/hooks.h"
#include "stray/wire.h"

#define LANES     8
#define PLACES    5000
#define DEPTH     12
#define YOUNG     2048   /* places in memory for blocks that die soon */
#define OLD       200000 /* ... and for the others: half of them are taken at any time */
#define BLOCK     1040   /* bytes between two of them */
#define POOL      16     /* connections */
#define TURN      4096   /* events until other threads run */
#define START     UINT64_C(1000000000)

struct lane {
    struct stray_event events[STRAY_LANE_EVENTS];
    uint32_t count;
    uint64_t sequence;
};

static struct lane lanes[LANES];
static uint32_t sizes[YOUNG + OLD]; /* of the blocks; 0: free */
static uint32_t places[PLACES];     /* nodes */
static uint64_t pace = 1; /* above 1: a trace of a long time */
static uint64_t now = START, made, leaked, state = 1;
static uint32_t endpoint;
static FILE *out;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void put(const void *bytes, size_t size)
{
    if (size > 0 && fwrite(bytes, size, 1, out) != 1)
        fail("make_trace");
}

static uint32_t chance(uint32_t limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(((state >> 32) * limit) >> 32);
}

static void put_frame(struct frame *frame)
{
    put(&frame->header, sizeof(frame->header));
    put(frame->payload, frame->header.stored_size);
    encode_release(frame);
}

static void flush(uint32_t number)
{
    struct lane *lane = &lanes[number];
    struct frame frame;
    if (lane->count == 0)
        return;
    if (!encode_events(number, lane->sequence++, lane->events, lane->count, 0, &frame))
        fail("make_trace");
    put_frame(&frame);
    lane->count = 0;
}

static void tell(uint32_t number, struct stray_event event)
{
    struct lane *lane = &lanes[number];
    now += pace * (20 + chance(60));
    event.time = now;
    lane->events[lane->count++] = event;
    made++;
    if (lane->count == STRAY_LANE_EVENTS)
        flush(number);
}

/* ---- what the trace begins with ---- */

static void put_header(void)
{
    struct stray_file_header header = {.header_size = sizeof(header), .incompat_flags = STRAY_INCOMPAT_GROUPED, .pid = 4121, .parent_pid = 4000};
    memcpy(header.magic, STRAY_TRACE_MAGIC, sizeof(header.magic));
    memset(header.trace_id, 0xa0, sizeof(header.trace_id));
    header.crc = stray_crc32c(0, &header, offsetof(struct stray_file_header, crc));
    put(&header, sizeof(header));
}

static size_t define(uint8_t *area, size_t at, uint16_t type, const void *payload, uint32_t size)
{
    struct stray_def_header header = {.magic = STRAY_DEF_MAGIC, .type = type, .size = size};
    header.crc = stray_crc32c(0, &header.type, sizeof(header.type));
    header.crc = stray_crc32c(header.crc, &header.size, sizeof(header.size));
    header.crc = stray_crc32c(header.crc, payload, size);
    memcpy(area + at, &header, sizeof(header));
    memcpy(area + at + sizeof(header), payload, size);
    return (at + sizeof(header) + size + 15) / 16 * 16;
}

static void put_definitions(void)
{
    static uint8_t area[4096];
    struct {
        struct stray_def_process fixed;
        char words[32];
    } process = {.fixed = {.start_realtime_ns = UINT64_C(1700000000) * 1000000000, .start_monotonic_ns = START,
                           .start_time = START, .pid = 4121, .parent_pid = 4000, .words = 1},
                 .words = "/srv/app/server\0server"};
    size_t used = define(area, 0, STRAY_DEF_PROCESS, &process, sizeof(process.fixed) + sizeof("/srv/app/server\0server"));
    endpoint = (uint32_t)(used / 16 + 1);
    used = define(area, used, STRAY_DEF_ENDPOINT, "127.0.0.1:5432", sizeof("127.0.0.1:5432"));
    struct frame frame;
    if (!encode_definitions(0, area, used, &frame))
        fail("make_trace");
    put_frame(&frame);
}

/* Stacks that share their outer frames, as those of a program do: each hangs below a frame of the one before. */
static void put_nodes(void)
{
    static struct stray_node nodes[1 + PLACES * DEPTH];
    uint32_t count = 1, path[DEPTH + 1] = {1};
    nodes[0] = (struct stray_node){.kind = STRAY_NODE_ROOT};
    for (uint32_t i = 0; i < PLACES; i++) {
        for (uint32_t depth = i ? 1 + chance(DEPTH) : 1; depth <= DEPTH; depth++) {
            nodes[count++] = (struct stray_node){
                .value = 0x400000 + chance(1u << 20), .parent = path[depth - 1], .kind = STRAY_NODE_NATIVE};
            path[depth] = count;
        }
        places[i] = path[DEPTH];
    }
    for (uint32_t done = 0, part; done < count; done += part) {
        struct frame frame;
        part = count - done < COLUMNS_NODES_MAX ? count - done : COLUMNS_NODES_MAX;
        if (!encode_nodes(done + 1, part, nodes + done, &frame))
            fail("make_trace");
        put_frame(&frame);
    }
}

/* ---- what happens ---- */

/* A few places do most of the work. */
static uint32_t some_place(void)
{
    uint32_t few = chance(PLACES) + 1;
    return places[chance(few)];
}

static uint32_t some_size(void)
{
    return 16u << chance(5) | chance(16);
}

static uint64_t address_of(uint32_t slot)
{
    return UINT64_C(0x7f0000000000) + (uint64_t)slot * BLOCK;
}

static void heap(uint32_t lane, uint8_t action, uint16_t hook, uint32_t slot, uint64_t value, uint32_t stack)
{
    tell(lane, (struct stray_event){.action = action, .resource = STRAY_HEAP, .hook = hook,
                                    .handle = address_of(slot), .value = value, .stack = stack});
}

static void open_block(uint32_t lane, uint32_t slot)
{
    sizes[slot] = some_size();
    heap(lane, STRAY_OPEN, STRAY_HOOK_malloc, slot, sizes[slot], some_place());
}

static void close_block(uint32_t lane, uint32_t slot)
{
    sizes[slot] = 0;
    heap(lane, STRAY_CLOSE, STRAY_HOOK_free, slot, 0, 0);
}

static void move_block(uint32_t lane, uint32_t from, uint32_t to)
{
    sizes[to] = some_size();
    sizes[from] = 0;
    uint32_t stack = some_place();
    heap(lane, STRAY_MOVE_FROM, STRAY_HOOK_realloc, from, 0, 0);
    heap(lane, STRAY_MOVE_TO, STRAY_HOOK_realloc, to, sizes[to], stack);
}

static void resize_block(uint32_t lane, uint32_t slot)
{
    sizes[slot] = some_size();
    heap(lane, STRAY_RESIZE, STRAY_HOOK_realloc, slot, sizes[slot], some_place());
}

static void churn(uint32_t lane)
{
    uint32_t slot = chance(5) ? chance(YOUNG) : YOUNG + chance(OLD);
    bool realloc = chance(24) == 0;
    if (!sizes[slot])
        open_block(lane, slot);
    else if (!realloc)
        close_block(lane, slot);
    else if (slot > 0 && !sizes[slot - 1])
        move_block(lane, slot, slot - 1);
    else
        resize_block(lane, slot);
}

static void short_lives(uint32_t lane)
{
    uint64_t count = 1 + chance(200), octave = 6 + chance(8);
    tell(lane, (struct stray_event){.action = STRAY_ELIDED, .resource = STRAY_HEAP, .hook = STRAY_HOOK_malloc,
                                    .handle = count | octave << 56, .value = count * some_size(), .stack = some_place()});
}

/* The block that is never freed: beyond all others. */
static void leak(uint32_t lane)
{
    tell(lane, (struct stray_event){.action = STRAY_OPEN, .resource = STRAY_HEAP, .hook = STRAY_HOOK_malloc, .value = 64,
                                    .handle = UINT64_C(0x7e0000000000) + leaked++ * 80, .stack = places[17]});
}

static void descriptor(uint32_t lane, uint8_t action, uint16_t hook, uint8_t resource, uint32_t number, uint64_t value)
{
    tell(lane, (struct stray_event){.action = action, .resource = resource, .hook = hook, .handle = number,
                                    .value = value, .stack = action == STRAY_USE ? 0 : places[number]});
}

static void connect_one(uint32_t lane, uint32_t number)
{
    descriptor(lane, STRAY_OPEN, STRAY_HOOK_socket, STRAY_SOCKET, number, 0);
    descriptor(lane, STRAY_CONNECTED, STRAY_HOOK_connect, STRAY_CONNECTION, number, endpoint);
}

static void reconnect(uint32_t lane)
{
    uint32_t number = 3 + chance(POOL);
    descriptor(lane, STRAY_CLOSE, STRAY_HOOK_close, STRAY_CONNECTION, number, 0);
    connect_one(lane, number);
}

static void step(uint32_t lane)
{
    uint32_t what = chance(65536);
    if (what == 0 || (pace > 1 && what < 128))
        reconnect(lane);
    else if (what <= 655)
        descriptor(lane, STRAY_USE, STRAY_HOOK_send, STRAY_CONNECTION, 3 + chance(POOL), 2000 + chance(2000));
    else if (what <= 2 * 655)
        short_lives(lane);
    else
        churn(lane);
}

static void part(uint32_t lane, unsigned kind, uint64_t mebibytes)
{
    uint64_t pages = mebibytes * 256;
    tell(lane, (struct stray_event){.action = STRAY_PART, .handle = kind, .value = pages << 32 | pages});
}

static void resident(uint32_t lane, uint64_t grown)
{
    part(lane, STRAY_PART_BEGIN, 0);
    part(lane, STRAY_PART_HEAP, 120 + grown);
    part(lane, STRAY_PART_STACK, 8);
    part(lane, STRAY_PART_FILE, 40);
    part(lane, STRAY_PART_TRACER, 4);
    part(lane, STRAY_PART_END, 0);
}

static void run(uint64_t events)
{
    for (uint32_t i = 0; i < POOL; i++)
        connect_one(0, 3 + i);
    while (made < events) {
        uint32_t first = chance(LANES), second = chance(LANES);
        for (unsigned i = 0; i < TURN; i++)
            step(chance(2) ? first : second);
        if (leaked < 1000 && made * 1000 >= leaked * events)
            leak(first);
        uint64_t grown = pace > 1 ? 100 * made / events : 28;
        tell(first, (struct stray_event){.action = STRAY_MEMORY, .handle = (UINT64_C(172) + grown) << 20, .value = 4 << 20});
        if (pace > 1)
            resident(first, grown);
    }
}

static void end(void)
{
    for (uint32_t i = 1; i < LANES; i++)
        flush(i);
    tell(0, (struct stray_event){.action = STRAY_END_BEGINS, .value = STRAY_ENDING_EXIT});
    tell(0, (struct stray_event){.action = STRAY_END, .value = STRAY_ENDING_EXIT});
    flush(0);
}

int main(int argc, char **argv)
{
    uint64_t events = argc == 3 || argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t seconds = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
    if (events == 0) {
        fprintf(stderr, "usage: make_trace PATH EVENTS [SECONDS]\n");
        return 2;
    }
    if (seconds * 20000000 > events)
        pace = seconds * 20000000 / events; /* 50 ns from one to the next, in the mean */
    out = fopen(argv[1], "w");
    if (!out)
        fail(argv[1]);
    put_header();
    put_definitions();
    put_nodes();
    for (uint32_t i = 0; i < LANES; i++)
        tell(i, (struct stray_event){.action = STRAY_OWNER, .handle = 4121 + i});
    run(events);
    end();
    if (fclose(out) != 0)
        fail(argv[1]);
    return 0;
}
