/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that wait for another thread and then go on with a connection that another one had until then: whoever hands out
 * connections had none left. A pool that connects while it holds its lock makes threads wait as well, but has room: waits that were
 * for connects, most of the time, are none.
 */
#include <errno.h>
#include <stdlib.h>

#include "lives/sessions.h"

#define CONNECTS 32u /* that are remembered: more than one wait sees */

int queue_connected(struct statements *statements, const struct stray_event *event, uint32_t thread)
{
    if (!statements->connecting)
        statements->connecting = calloc(CONNECTS, sizeof(*statements->connecting));
    if (!statements->connecting)
        return -ENOMEM;
    uint64_t begin = event->time > event->value ? event->time - event->value : 0;
    statements->connecting[statements->connected++ % CONNECTS] = (struct connecting){begin, event->time, thread};
    return 0;
}

/* For how long of the wait another thread connected. They come in the order of their ends: from the latest one back, what begins
 * earlier adds what lies before. */
static uint64_t connecting_in(const struct statements *statements, const struct await *await, uint32_t thread)
{
    uint64_t sum = 0, until = await->end;
    uint64_t count = statements->connected < CONNECTS ? statements->connected : CONNECTS;
    for (uint64_t i = 1; i <= count; i++) {
        const struct connecting *one = &statements->connecting[(statements->connected - i) % CONNECTS];
        uint64_t begin = one->begin > await->begin ? one->begin : await->begin;
        uint64_t end = one->end < until ? one->end : until;
        if (one->thread == thread || begin >= end)
            continue;
        sum += end - begin;
        until = begin;
    }
    return sum;
}

int queue_awaited(struct statements *statements, const struct stray_event *event, uint32_t thread)
{
    uint32_t row;
    bool new;
    int result = row_of(&statements->await_map, thread, &statements->awaits, &statements->await_room, &statements->await_count,
                        sizeof(*statements->awaits), &row, &new);
    if (result < 0)
        return result;
    struct await *await = &statements->awaits[row];
    bool again = await->end != 0 && await->stack == event->stack; /* another one was faster */
    *await = (struct await){again ? await->begin : event->time - event->value, event->time,
                            (again ? await->ticks : 0) + event->value, event->stack};
    return 0;
}

static int count(struct statements *statements, const struct await *await, uint32_t conn, uint32_t stack)
{
    uint32_t row;
    bool new;
    int result = row_of(&statements->queue_map, key_of(await->stack, stack), &statements->queues, &statements->queue_room,
                        &statements->queue_count, sizeof(*statements->queues), &row, &new);
    if (result < 0)
        return result;
    struct statement_queue *queue = &statements->queues[row];
    if (new)
        *queue = (struct statement_queue){.stack = await->stack, .next_stack = stack, .conn = conn, .first = await->end};
    queue->times++;
    queue->ticks += await->ticks;
    queue->last = await->end;
    if (await->ticks > queue->longest)
        queue->longest = await->ticks;
    return 0;
}

int queue_left(struct statements *statements, uint32_t conn, uint32_t stack, uint32_t thread)
{
    uint32_t row;
    if (!map_get(&statements->await_map, thread, &row) || statements->awaits[row].end == 0)
        return 0;
    struct await await = statements->awaits[row];
    const struct session *session = &statements->sessions[statements->conns[conn].session];
    statements->awaits[row].end = 0;
    bool handed_over = session->last_end > await.begin && session->last_thread != thread;
    bool for_connects = 2 * connecting_in(statements, &await, thread) >= await.end - await.begin;
    return handed_over && !for_connects ? count(statements, &await, conn, stack) : 0;
}
