/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the ledger keeps of a process while its events pass: states of descriptors, and points in time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read/words.h"
#include "views/ledger_steps.h"

#define FIRST_INTERVAL_S 0.001 /* between two points; doubled whenever a process has too many */

static int note_state(struct ledger_pass *pass, const struct stray_event *event)
{
    uint32_t current = 0;
    map_get(&pass->current, event->handle, &current);
    if (current == 0) {
        if (!ledger_append(&pass->looks, &pass->look_room, &pass->look_count, sizeof(*pass->looks)))
            return -ENOMEM;
        current = (uint32_t)pass->look_count;
        if (map_put(&pass->current, event->handle, current) < 0)
            return -ENOMEM;
    }
    pass->looks[current - 1] = (struct look){event->handle, event->time, (uint8_t)(event->value >> 56)};
    return 0;
}

/* After one of these a number means another thing. */
static bool ends_meaning(const struct stray_event *event)
{
    return event->action == STRAY_OPEN || event->action == STRAY_DUP || event->action == STRAY_CLOSE ||
           event->action == STRAY_IMPLICIT || event->action == STRAY_RECONCILED ||
           event->action == STRAY_EXEC_CLOSED;
}

static int note_look(struct ledger_pass *pass, const struct stray_event *event)
{
    uint32_t current;
    enum stray_key key;
    if (event->action == STRAY_SAMPLE)
        return note_state(pass, event);
    if (!ends_meaning(event) || !resource_key(event->resource, &key) || key != STRAY_KEY_DESCRIPTOR ||
        !map_get(&pass->current, event->handle, &current) || current == 0)
        return 0;
    return map_put(&pass->current, event->handle, 0);
}

static int look_order(const void *left, const void *right)
{
    const struct look *a = left, *b = right;
    if (a->handle != b->handle)
        return a->handle < b->handle ? -1 : 1;
    return (a->time > b->time) - (a->time < b->time);
}

void ledger_sort_looks(struct ledger_pass *pass)
{
    if (pass->look_count > 1)
        qsort(pass->looks, pass->look_count, sizeof(struct look), look_order);
}

unsigned ledger_state_of(const struct ledger_pass *pass, const struct life *life)
{
    size_t low = 0, high = pass->look_count;
    struct look wanted = {life->handle, life->end == LIFE_OPEN ? UINT64_MAX : life->death, 0};
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (look_order(&pass->looks[middle], &wanted) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    const struct look *last = low ? &pass->looks[low - 1] : NULL;
    return last && last->handle == life->handle && last->time >= life->birth ? last->state : 0;
}

/* Every second one from `first` on goes. Returns how many there are then; half as many may come from now on. */
static size_t thin(void *items, size_t size, size_t first, size_t count)
{
    char *bytes = items;
    size_t to = first;
    for (size_t from = first; from < count; from += 2, to++)
        memmove(bytes + to * size, bytes + from * size, size);
    return to;
}

/* In the middle of the pass: books of samples count these, and say what they stand for. */
static uint64_t open_now(const struct book *book)
{
    return !book->estimated ? book->open : book->open ? tally_whole(&book->living) : 0;
}

int ledger_add_point(struct ledger *ledger, const struct lives *lives, double time)
{
    struct ledger_pass *pass = ledger->pass;
    if (ledger->point_count - pass->first_point >= LEDGER_POINTS) {
        ledger->point_count = thin(ledger->points, sizeof(*ledger->points), pass->first_point, ledger->point_count);
        pass->interval *= 2;
    }
    struct ledger_point *point =
        ledger_append(&ledger->points, &ledger->point_room, &ledger->point_count, sizeof(*point));
    if (!point)
        return -ENOMEM;
    point->process = (uint32_t)ledger->process_count;
    point->time_s = time;
    point->rss = pass->rss;
    point->tracer = pass->tracer;
    point->heap_bytes = lives->books[STRAY_HEAP].bytes_open;
    for (unsigned i = 0; i < STRAY_USER_END; i++)
        point->open[i] = open_now(&lives->books[i]);
    pass->next = time + pass->interval;
    return 0;
}

static int add_moment(struct ledger *ledger, const struct lives *lives, double time)
{
    struct ledger_pass *pass = ledger->pass;
    const struct resident *now = &lives->residents.last;
    if (lives->residents.moments == pass->moments)
        return 0;
    pass->moments = lives->residents.moments;
    if (pass->moments % pass->moment_step != 0)
        return 0;
    if (ledger->moment_count - pass->first_moment >= LEDGER_MOMENTS) {
        ledger->moment_count = thin(ledger->moments, sizeof(*ledger->moments), pass->first_moment, ledger->moment_count);
        pass->moment_step *= 2;
    }
    struct ledger_moment *moment = ledger_append(&ledger->moments, &ledger->moment_room, &ledger->moment_count, sizeof(*moment));
    if (!moment)
        return -ENOMEM;
    *moment = (struct ledger_moment){(uint32_t)ledger->process_count, time, now->total,
                                     parts_at(now, lives->books[STRAY_HEAP].opened > 0)};
    return 0;
}

int ledger_pass_begin(struct ledger *ledger)
{
    if (ledger->pass)
        return 0;
    ledger->pass = calloc(1, sizeof(*ledger->pass));
    if (!ledger->pass)
        return -ENOMEM;
    ledger->pass->interval = FIRST_INTERVAL_S;
    ledger->pass->first_point = ledger->point_count;
    ledger->pass->first_moment = ledger->moment_count;
    ledger->pass->moment_step = 1;
    return 0;
}

void ledger_pass_end(struct ledger *ledger)
{
    if (!ledger->pass)
        return;
    map_clear(&ledger->pass->current);
    map_clear(&ledger->pass->stacks);
    free(ledger->pass->looks);
    free(ledger->pass);
    ledger->pass = NULL;
}

int ledger_event(void *data, const struct lives *lives, const struct stray_event *event)
{
    struct ledger *ledger = data;
    int result = ledger_pass_begin(ledger);
    if (result == 0)
        result = note_look(ledger->pass, event);
    if (result < 0)
        return result;
    if (event->action == STRAY_MEMORY) {
        ledger->pass->rss = event->handle;
        ledger->pass->tracer = event->value;
    }
    double time = lives->source.seconds(lives->source.data, event->time);
    if (result == 0 && time >= ledger->pass->next)
        result = ledger_add_point(ledger, lives, time);
    if (result == 0)
        result = add_moment(ledger, lives, time);
    return result;
}
