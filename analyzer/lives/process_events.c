/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of the process: when its end begins, its memory, its children and its limits. */
#include <math.h>

#include "lives/internal.h"

#define OBEYED_SECONDS 60  /* a signal that ends the process does so within this time */
#define OBEYED_SHARE   0.1 /* ... or this share of the run, whichever is longer */

int end_begins(struct lives *lives, uint64_t time, uint32_t thread, bool voluntary)
{
    if (lives->ended)
        return 0;
    lives->ended = true;
    lives->tc = lives->leaving_count > 0 ? lives->leaving[0].time : time;
    lives->tc_thread = thread;
    lives->voluntary = voluntary;
    int result = survivors_note(lives), left = threads_left(lives);
    return result < 0 ? result : left;
}

/* What is resident once the exit has given back what the service held says nothing of the service. */
static void memory_sample(struct lives *lives, const struct stray_event *event)
{
    if (lives->ended && lives->memory.samples > 0)
        return;
    struct memory *memory = &lives->memory;
    uint64_t heap = lives->books[STRAY_HEAP].bytes_open;
    double variance = lives->books[STRAY_HEAP].living.bytes_variance;
    if (memory->samples++ == 0) {
        memory->first_rss = event->handle;
        memory->first_tracer = event->value;
        memory->first_heap = heap;
        memory->first_variance = variance;
    }
    memory->last_rss = event->handle;
    memory->last_tracer = event->value;
    memory->last_heap = heap;
    memory->last_variance = variance;
}

static int ended(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    static const enum ending endings[] = {
        [STRAY_ENDING_EXIT] = ENDING_EXIT,     [STRAY_ENDING_QUICK] = ENDING_EXIT,
        [STRAY_ENDING_PYTHON] = ENDING_EXIT,   [STRAY_ENDING_EXEC] = ENDING_EXEC,
        [STRAY_ENDING_SIGNAL] = ENDING_SIGNAL, [STRAY_ENDING_DETACH] = ENDING_DETACHED,
    };
    if (event->value < sizeof(endings) / sizeof(*endings))
        lives->ending = endings[event->value];
    if (lives->ending == ENDING_EXIT || lives->ending == ENDING_SIGNAL) {
        lives->exit_known = true;
        lives->exit_status = lives->ending == ENDING_EXIT ? STRAY_EXIT_STATUS(event->handle) : (uint32_t)event->handle;
    }
    return end_begins(lives, event->time, thread, lives->ending == ENDING_EXIT);
}

/* Whether a signal was what ended the process: it had not long to go. Else the program goes on after it, as
 * interactive ones do, or it drains so slowly that it is at work meanwhile. */
static bool was_obeyed(const struct lives *lives, uint64_t time)
{
    if (lives->source.end == 0)
        return true;
    double before = lives->source.span(lives->source.data, time - lives->first_time);
    double after =
        lives->source.end > time ? lives->source.span(lives->source.data, lives->source.end - time) : 0;
    return after <= before && after <= fmax(OBEYED_SECONDS, OBEYED_SHARE * (before + after));
}

static int signal_seen(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    if (event->handle == STRAY_SIGNAL_CAUGHT) {
        if (!was_obeyed(lives, event->time))
            return 0;
        lives->residents.over |= lives->residents.moments > 1; /* the next one comes when all is taken down */
        return end_begins(lives, event->time, thread, false);
    }
    lives->deadly = event->handle == STRAY_SIGNAL_DEADLY ? (uint32_t)event->value : 0;
    lives->deadly_time = event->time;
    return 0;
}

static bool is_at_exit(const struct lives *lives, const struct stray_event *event)
{
    return lives->source.closer(lives->source.data, event->stack) == CLOSER_EXIT;
}

/* Exit handlers are called before an interpreter says that it is finalizing. */
bool closes_at_exit(const struct lives *lives, const struct stray_event *event)
{
    return event->action == STRAY_CLOSE && event->stack != 0 && !lives->ended && is_at_exit(lives, event) &&
           was_obeyed(lives, event->time);
}

bool is_new_work(const struct lives *lives, const struct stray_event *event)
{
    return event->action == STRAY_OPEN && !is_memory(event->resource) && event->resource != STRAY_MMAP &&
           !is_at_exit(lives, event);
}

static int fork_add(struct lives *lives, const struct stray_event *event)
{
    int result = room_for(&lives->forks, &lives->fork_room, lives->fork_count + 1, sizeof(*lives->forks));
    if (result == 0)
        lives->forks[lives->fork_count++] = (struct forked){(uint32_t)event->handle, event->time};
    return result;
}

static void limit_told(struct lives *lives, const struct stray_event *event)
{
    if (event->handle == STRAY_LIMIT_DESCRIPTORS)
        lives->descriptor_limit = event->value;
    else if (event->handle == STRAY_LIMIT_MEMORY)
        lives->memory_limit = event->value;
}

static void baseline_told(struct lives *lives, const struct stray_event *event)
{
    lives->before.attached = true;
    lives->before.threads = event->value;
    lives->before.heap = event->handle;
}

int process_event(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    switch (event->action) {
    case STRAY_MEMORY:
        memory_sample(lives, event);
        return 0;
    case STRAY_PART:
        resident_part(lives, event);
        return 0;
    case STRAY_LIMIT:
        limit_told(lives, event);
        return 0;
    case STRAY_END_BEGINS:
        return end_begins(lives, event->time, thread, event->value != STRAY_ENDING_SIGNAL);
    case STRAY_SIGNAL:
        return signal_seen(lives, event, thread);
    case STRAY_END:
        return ended(lives, event, thread);
    case STRAY_EXEC:
        lives->exec_pending = true;
        lives->exec_time = event->time;
        return 0;
    case STRAY_EXEC_FAILED:
        lives->exec_pending = false;
        return 0;
    case STRAY_FORK:
        return fork_add(lives, event);
    case STRAY_LOST:
        lives->lost += event->value;
        return 0;
    case STRAY_END_AWAITED:
        lives->awaited = true;
        return 0;
    case STRAY_BASELINE:
        baseline_told(lives, event);
        return 0;
    default:
        lives->strange += event->action > STRAY_BASELINE || event->action < STRAY_OWNER;
        return 0;
    }
}
