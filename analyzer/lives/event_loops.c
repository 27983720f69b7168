/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that run an event loop, and what keeps them. Whoever waits by poll() or select() may wait for one answer, as clients with a
 * time limit do; a set of descriptors that is kept for it is a loop's. Others depend on it once it has accepted a connection: a tool
 * that runs a child and reads its output keeps nobody.
 */
#include "lives/sessions.h"

#define BLOCKED_SECONDS 0.05
#define LOOP_WAITS      3u

static int add_waits(struct map *map, uint32_t thread, uint64_t times)
{
    uint32_t before = 0;
    map_get(map, thread, &before);
    uint64_t sum = before + times;
    return map_put(map, thread, sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX);
}

static bool waits_often(const struct map *map, uint32_t thread)
{
    uint32_t waits_seen = 0;
    return map_get(map, thread, &waits_seen) && waits_seen >= LOOP_WAITS;
}

int event_loop_waited(struct statements *statements, const struct stray_event *event, uint32_t thread)
{
    bool by_epoll = event->hook >= STRAY_HOOK_epoll_wait && event->hook <= STRAY_HOOK_epoll_pwait2;
    int result = add_waits(&statements->loop_map, thread, event->value);
    return result == 0 && by_epoll ? add_waits(&statements->epoll_map, thread, event->value) : result;
}

bool runs_event_loop(const struct statements *statements, uint32_t thread)
{
    return waits_often(&statements->loop_map, thread);
}

static void add_call(struct blocked_calls *calls, const struct stray_event *event)
{
    if (calls->calls++ == 0)
        calls->first = event->time;
    calls->ticks += event->value;
    calls->last = event->time;
    if (event->value > calls->longest)
        calls->longest = event->value;
}

int event_loop_kept(struct statements *statements, const struct stray_event *event, uint32_t thread, uint32_t stack)
{
    uint32_t row;
    bool new;
    if (statements_span(statements, event->value) < BLOCKED_SECONDS)
        return 0;
    int result = row_of(&statements->blocked_map, key_of(stack, event->hook), &statements->blocked, &statements->blocked_room,
                        &statements->blocked_count, sizeof(*statements->blocked), &row, &new);
    if (result < 0)
        return result;
    struct statement_blocked *blocked = &statements->blocked[row];
    if (new)
        *blocked = (struct statement_blocked){.stack = stack, .hook = event->hook};
    add_call(&blocked->all, event);
    if (statements->requests > 0 && waits_often(&statements->epoll_map, thread))
        add_call(&blocked->serving, event);
    return 0;
}
