/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/timelines.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

#define PG_IN_TRANSACTION 2 /* PGTransactionStatusType */
#define PG_IN_ERROR       3

double timeline_offset(const struct ledger *ledger, uint32_t process)
{
    uint64_t first = 0, start = ledger->processes[process].start_realtime_ns;
    for (size_t i = 0; i < ledger->process_count; i++) {
        uint64_t other = ledger->processes[i].start_realtime_ns;
        if (other && (!first || other < first))
            first = other;
    }
    return start > first ? (double)(start - first) / 1e9 : 0;
}

enum timeline_state timeline_rest(const struct ledger_life *life)
{
    bool open = life->statements_known && (life->transaction == PG_IN_TRANSACTION || life->transaction == PG_IN_ERROR);
    return open ? TIMELINE_IN_TRANSACTION : TIMELINE_IDLE;
}

/* ---- counts ---- */

static enum timeline_state state_at(const struct ledger_life *life, double time)
{
    if (life->close_wait_s >= 0 && time >= life->close_wait_s)
        return TIMELINE_CLOSE_WAIT;
    return time <= life->used_s ? TIMELINE_IN_USE : timeline_rest(life);
}

static bool is_open_at(const struct ledger_life *life, double time)
{
    return life->opened_s <= time && (life->closed == LEDGER_OPEN || life->closed == LEDGER_EXIT || time < life->ended_s);
}

static void count_life(const struct timelines *timelines, const struct ledger_life *life, double offset, double end, struct timeline *timeline)
{
    for (unsigned i = 0; i < TIMELINE_BINS; i++) {
        double time = fmin(timelines->span_s * (i + 1) / TIMELINE_BINS - offset, end);
        bool gone = timelines->span_s * i / TIMELINE_BINS - offset > end; /* its process has ended before */
        if (!gone && is_open_at(life, time))
            timeline->counts[state_at(life, time)][i]++;
    }
}

/* ---- lives ---- */

struct drawing {
    const struct ledger *ledger;
    struct timelines timelines;
    struct timeline **of; /* by life; NULL: none tells it */
};

static bool is_left(const struct ledger_life *life)
{
    return life->closed == LEDGER_OPEN || life->closed == LEDGER_EXIT || life->closed == LEDGER_EXEC;
}

static uint64_t peer_key(const char *name, bool server)
{
    return hash_bytes(hash_text(HASH_BEGIN, name), &server, sizeof(server));
}

static int index_peers(const struct timelines *timelines, struct map *ret_map)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < timelines->count; i++) {
        const struct report_peer *peer = timelines->items[i].peer;
        result = map_put(ret_map, peer_key(peer->text, peer->server), (uint32_t)i);
    }
    return result;
}

/* Shares each window out to the bins that it lies in. */
static void add_busy(const struct timelines *timelines, const struct ledger_busy *busy, double offset, struct timeline *timeline)
{
    double bin = timelines->span_s / TIMELINE_BINS;
    timeline->timed = true;
    for (unsigned i = 0; bin > 0 && busy->width_s > 0 && i < BUSY_WINDOWS; i++) {
        double from = offset + busy->from_s + i * busy->width_s, to = from + busy->width_s;
        for (unsigned k = (unsigned)fmax(0, from / bin); busy->seconds[i] > 0 && k < TIMELINE_BINS && k * bin < to; k++) {
            double both = fmin(to, (k + 1) * bin) - fmax(from, k * bin);
            timeline->busy[k] += fmax(0, both) / busy->width_s * busy->seconds[i] / bin;
        }
    }
}

static int find_timelines(struct drawing *drawing)
{
    struct map map = {0};
    uint32_t index;
    int result = index_peers(&drawing->timelines, &map);
    for (size_t i = 0; result == 0 && i < drawing->ledger->busy_count; i++) {
        const struct ledger_busy *busy = &drawing->ledger->busy[i];
        if (busy->peer && map_get(&map, peer_key(busy->peer, busy->server), &index))
            add_busy(&drawing->timelines, busy, timeline_offset(drawing->ledger, busy->process), &drawing->timelines.items[index]);
    }
    for (size_t i = 0; result == 0 && i < drawing->ledger->life_count; i++) {
        const struct ledger_life *life = &drawing->ledger->lives[i];
        if (life->resource == STRAY_CONNECTION && life->peer && !life->copy && map_get(&map, peer_key(life->peer, life->server), &index))
            drawing->of[i] = &drawing->timelines.items[index];
    }
    map_clear(&map);
    return result;
}

static void count_all(struct drawing *drawing)
{
    const struct ledger *ledger = drawing->ledger;
    uint32_t process = LEDGER_NONE;
    double offset = 0;
    for (size_t i = 0; i < ledger->life_count; i++) {
        const struct ledger_life *life = &ledger->lives[i];
        if (life->process != process) {
            process = life->process;
            offset = timeline_offset(ledger, process);
        }
        if (!drawing->of[i])
            continue;
        drawing->of[i]->life_total++;
        count_life(&drawing->timelines, life, offset, ledger->processes[process].end_s, drawing->of[i]);
    }
}

/* Those that stayed open, the oldest first; then the others, the latest first: as many as there is room for. */
static int pick(const struct drawing *drawing, struct timeline *timeline, size_t room)
{
    const struct ledger *ledger = drawing->ledger;
    timeline->lives = calloc(room + 1, sizeof(*timeline->lives));
    if (!timeline->lives)
        return -ENOMEM;
    for (size_t i = 0; i < ledger->life_count && timeline->life_count < room; i++)
        if (drawing->of[i] == timeline && is_left(&ledger->lives[i]))
            timeline->lives[timeline->life_count++] = (uint32_t)i;
    for (size_t i = ledger->life_count; i-- > 0 && timeline->life_count < room;)
        if (drawing->of[i] == timeline && !is_left(&ledger->lives[i]))
            timeline->lives[timeline->life_count++] = (uint32_t)i;
    return 0;
}

static int index_order(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static int pick_all(struct drawing *drawing)
{
    size_t room = TIMELINE_LIVES_ALL;
    for (size_t i = 0; i < drawing->timelines.count; i++) {
        struct timeline *timeline = &drawing->timelines.items[i];
        int result = pick(drawing, timeline, room < TIMELINE_LIVES ? room : TIMELINE_LIVES);
        if (result < 0)
            return result;
        room -= timeline->life_count;
        if (timeline->life_count > 1)
            qsort(timeline->lives, timeline->life_count, sizeof(*timeline->lives), index_order);
    }
    return 0;
}

static double span_of(const struct ledger *ledger)
{
    double span = 0;
    for (uint32_t i = 0; i < ledger->process_count; i++)
        span = fmax(span, timeline_offset(ledger, i) + ledger->processes[i].end_s);
    return span;
}

static int draw(struct drawing *drawing)
{
    const struct report *report = drawing->ledger->report;
    struct timelines *timelines = &drawing->timelines;
    timelines->span_s = span_of(drawing->ledger);
    timelines->items = calloc(report->peer_count + 1, sizeof(*timelines->items));
    if (!timelines->items)
        return -ENOMEM;
    for (size_t i = 0; i < report->peer_count && timelines->count < TIMELINES_MAX; i++)
        timelines->items[timelines->count++].peer = &report->peers[i];
    timelines->left_out = report->peer_count - timelines->count;
    int result = find_timelines(drawing);
    if (result < 0)
        return result;
    count_all(drawing);
    return pick_all(drawing);
}

int timelines_make(const struct ledger *ledger, struct timelines *ret_timelines)
{
    struct drawing drawing = {.ledger = ledger, .of = calloc(ledger->life_count + 1, sizeof(*drawing.of))};
    int result = drawing.of ? draw(&drawing) : -ENOMEM;
    free(drawing.of);
    if (result < 0)
        timelines_clear(&drawing.timelines);
    else
        *ret_timelines = drawing.timelines;
    return result;
}

void timelines_clear(struct timelines *timelines)
{
    for (size_t i = 0; i < timelines->count; i++)
        free(timelines->items[i].lives);
    free(timelines->items);
    *timelines = (struct timelines){0};
}
