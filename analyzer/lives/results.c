/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Large results that are held for long. Reading a result is not seen, but what its thread sends meanwhile is: where that comes from
 * shows whether whoever asked for the result has returned since. And a thread that gets another one at the same place has no more use
 * for the one before.
 */
#include <errno.h>

#include "lives/internal.h"
#include "lives/sessions.h"

#define HELD_SECONDS 10.0
#define LOOKED_AT    16u /* the latest results: of those before nothing more is learnt */

static bool is_long(const struct statements *statements, uint64_t from, uint64_t to)
{
    return from != 0 && to > from && statements->source.span(statements->source.data, to - from) >= HELD_SECONDS;
}

static int count_later(struct statements *statements, const struct held *held, const struct held_later *later, uint64_t time)
{
    uint32_t row;
    bool new;
    int result = row_of(&statements->later_map, key_of(held->use, later->stack), &statements->kept, &statements->kept_room,
                        &statements->kept_count, sizeof(*statements->kept), &row, &new);
    if (result < 0)
        return result;
    struct statement_kept *kept = &statements->kept[row];
    if (new)
        *kept = (struct statement_kept){.use = held->use, .later_stack = later->stack};
    kept->results++;
    if (time - later->time > kept->longest)
        kept->longest = time - later->time;
    return 0;
}

static int released(struct statements *statements, struct held *held, uint64_t time)
{
    struct statement_use *use = &statements->uses[held->use];
    int result = 0;
    if (held->since == 0)
        return 0;
    if (time > held->since && time - held->since > use->held)
        use->held = time - held->since;
    use->outlived += is_long(statements, held->another, time);
    for (uint32_t i = 0; i < held->later_count && result == 0; i++)
        if (is_long(statements, held->later[i].time, time))
            result = count_later(statements, held, &held->later[i], time);
    held->since = 0;
    statements->held_now--;
    return result;
}

/* The thread has sent for another one at the same place. */
static void supersede(struct statements *statements, const struct held *by)
{
    size_t from = statements->held_count > LOOKED_AT ? statements->held_count - LOOKED_AT : 0;
    for (size_t i = from; i < statements->held_count; i++) {
        struct held *held = &statements->held[i];
        if (held != by && held->since != 0 && held->use == by->use && held->thread == by->thread && held->another == 0)
            held->another = by->since;
    }
}

/* A result stands in the trace right behind what is told of its statement, by the same thread. */
int result_fed(struct statements *statements, const struct stray_event *event, uint32_t thread)
{
    uint32_t row;
    int result = 0;
    if (event->action == STRAY_CLOSE && map_get(&statements->held_map, event->handle, &row))
        result = released(statements, &statements->held[row], event->time);
    if (result < 0 || event->action != STRAY_OPEN || event->value < STATEMENT_BYTES_MANY ||
        statements->last_result_use == STATEMENTS_NONE || statements->last_result_thread != thread)
        return result;
    result = room_for(&statements->held, &statements->held_room, statements->held_count + 1, sizeof(*statements->held));
    if (result == 0)
        result = map_put(&statements->held_map, event->handle, (uint32_t)statements->held_count);
    if (result < 0)
        return result;
    struct held *held = &statements->held[statements->held_count++];
    *held = (struct held){.since = event->time, .use = statements->last_result_use, .thread = thread};
    statements->held_now++;
    supersede(statements, held);
    return 0;
}

static void note_later(struct held *held, uint32_t stack, uint64_t time)
{
    for (uint32_t i = 0; i < held->later_count; i++)
        if (held->later[i].stack == stack)
            return;
    if (held->later_count < HELD_LATER)
        held->later[held->later_count++] = (struct held_later){stack, time};
}

void result_left(struct statements *statements, uint32_t stack, uint32_t thread, uint64_t time)
{
    if (statements->held_now == 0)
        return;
    size_t from = statements->held_count > LOOKED_AT ? statements->held_count - LOOKED_AT : 0;
    for (size_t i = from; i < statements->held_count; i++)
        if (statements->held[i].since != 0 && statements->held[i].thread == thread)
            note_later(&statements->held[i], stack, time);
}

int results_finish(struct statements *statements, uint64_t tc)
{
    int result = 0;
    for (size_t i = 0; i < statements->held_count && result == 0; i++)
        result = released(statements, &statements->held[i], tc);
    return result;
}
