/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that run an event loop, and what keeps them. */
#include "lives/sessions.h"

#define BLOCKED_SECONDS 0.05
#define LOOP_WAITS      3u

int event_loop_waited(struct statements *statements, const struct stray_event *event, uint32_t thread)
{
    uint32_t before = 0;
    map_get(&statements->loop_map, thread, &before);
    uint64_t sum = before + event->value;
    return map_put(&statements->loop_map, thread, sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX);
}

bool runs_event_loop(const struct statements *statements, uint32_t thread)
{
    uint32_t waits_seen = 0;
    return map_get(&statements->loop_map, thread, &waits_seen) && waits_seen >= LOOP_WAITS;
}

int event_loop_kept(struct statements *statements, uint16_t hook, uint32_t stack, uint64_t time, uint64_t ticks)
{
    uint32_t row;
    bool new;
    if (statements_span(statements, ticks) < BLOCKED_SECONDS)
        return 0;
    int result = row_of(&statements->blocked_map, key_of(stack, hook), &statements->blocked, &statements->blocked_room,
                        &statements->blocked_count, sizeof(*statements->blocked), &row, &new);
    if (result < 0)
        return result;
    struct statement_blocked *blocked = &statements->blocked[row];
    if (new)
        *blocked = (struct statement_blocked){.stack = stack, .hook = hook, .first = time};
    blocked->calls++;
    blocked->ticks += ticks;
    blocked->last = time;
    if (ticks > blocked->longest)
        blocked->longest = ticks;
    return 0;
}
