/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drives the pass over a trace's merged events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lives/foresight.h"
#include "lives/internal.h"
#include "hash.h"
#include "lives/lifetimes.h"
#include "read/merge.h"
#include "read/resume.h"

struct driver {
    struct trace *trace;
    struct names *names;
};

static const char *driver_endpoint(void *data, uint64_t id)
{
    return trace_endpoint(((struct driver *)data)->trace, id);
}

static enum closer driver_closer(void *data, uint32_t node)
{
    return node ? names_closer(((struct driver *)data)->names, node) : CLOSER_UNKNOWN;
}

static const char *driver_statement(void *data, uint64_t id)
{
    const struct statement_text *statement = trace_statement(((struct driver *)data)->trace, id);
    return statement ? statement->text : NULL;
}

static uint64_t driver_statement_hash(void *data, uint64_t id)
{
    const struct statement_text *statement = trace_statement(((struct driver *)data)->trace, id);
    return statement ? statement->hash : 0;
}

static uint32_t driver_statement_flags(void *data, uint64_t id)
{
    const struct statement_text *statement = trace_statement(((struct driver *)data)->trace, id);
    return statement ? statement->flags : 0;
}

/* A driver takes several ways to the library, the first time and later ones: what counts is from the user's frame on. */
static uint32_t driver_place(void *data, uint32_t node)
{
    const struct stack *stack = names_stack(((struct driver *)data)->names, node);
    uint64_t hash = HASH_BEGIN;
    for (size_t i = stack->blame; i < stack->count; i++) {
        const struct frame *frame = &stack->frames[i];
        hash = hash_text(hash_text(hash, frame->function), frame->file);
        hash = hash_bytes(hash, &frame->line, sizeof(frame->line));
        if (frame->line == 0) /* else a loop that the compiler has unrolled would be several places */
            hash = hash_bytes(hash, &frame->offset, sizeof(frame->offset));
    }
    return (uint32_t)(hash ^ hash >> 32);
}

static double driver_seconds(void *data, uint64_t time)
{
    return trace_seconds(((struct driver *)data)->trace, time);
}

static double driver_span(void *data, uint64_t ticks)
{
    return trace_span_seconds(((struct driver *)data)->trace, ticks);
}

static int feed_batch(struct lives *lives, const struct merged *batch, size_t count, lives_observer *observer, void *data)
{
    bool ahead = foresight_pays(lives);
    if (ahead)
        foresight_begin(lives, batch, count);
    for (size_t i = 0; i < count; i++) {
        if (ahead)
            foresight_at(lives, batch, count, i);
        int result = lives_feed(lives, &batch[i].event, batch[i].lane, batch[i].thread, batch[i].since);
        if (result == 0 && observer)
            result = observer(data, lives, &batch[i].event);
        if (result < 0)
            return result;
    }
    return 0;
}

static int drive(struct lives *lives, struct merge *merge, lives_observer *observer, void *data)
{
    const struct merged *batch;
    int count;
    while ((count = merge_batch(merge, &batch)) > 0) {
        int result = feed_batch(lives, batch, (size_t)count, observer, data);
        if (result < 0)
            return result;
    }
    return count < 0 ? count : 0;
}

static int open_lives(struct trace *trace, struct names *names, bool births, struct lives **ret_lives)
{
    struct driver *driver = malloc(sizeof(*driver));
    if (!driver)
        return -ENOMEM;
    *driver = (struct driver){trace, names};
    struct lives_source source = {.data = driver,
                                  .endpoint = driver_endpoint,
                                  .closer = driver_closer,
                                  .seconds = driver_seconds,
                                  .span = driver_span,
                                  .statement = driver_statement,
                                  .statement_hash = driver_statement_hash,
                                  .statement_flags = driver_statement_flags,
                                  .place = driver_place,
                                  .end = trace_last_time(trace),
                                  .births = births,
                                  .heap_mean = (double)trace_sampled(trace)};
    int result = lives_open(&source, ret_lives);
    if (result < 0)
        free(driver);
    else
        (*ret_lives)->owned = driver;
    return result;
}

int lives_read(struct trace *trace, struct names *names, bool births, lives_observer *observer, void *data,
               struct lives **ret_lives, struct error *error)
{
    struct lives *lives = NULL;
    struct merge *merge;
    int result = open_lives(trace, names, births, &lives);
    if (result < 0)
        return error_set(error, result, "%s: %s", trace_path(trace), error_reason(result));
    result = merge_open(trace, &merge, error);
    if (result == 0) {
        result = drive(lives, merge, observer, data);
        if (result == 0)
            result = lives_finish(lives);
        if (result < 0)
            error_set(error, result, "%s: %s", trace_path(trace), error_reason(result));
        merge_close(merge);
    }
    if (result < 0)
        lives_close(lives);
    else
        *ret_lives = lives;
    return result;
}

/* A clock that was measured anew may be another one by a hair. */
static bool has_same_clock(const struct lives *lives, const struct trace *trace)
{
    return lives_mark_ticks(&lives->source) == lives->mark_ticks && (double)trace_sampled(trace) == lives->source.heap_mean;
}

int lives_read_until(struct trace *trace, struct names *names, uint64_t until, struct lives **ret_lives, struct resume *ret_resume)
{
    struct lives *lives = NULL;
    struct merge *merge;
    int result = open_lives(trace, names, false, &lives);
    if (result < 0)
        return result;
    result = merge_open(trace, &merge, NULL);
    if (result == 0) {
        merge_stop(merge, until);
        result = drive(lives, merge, NULL, NULL);
        if (result == 0)
            result = lives->ended ? -ESTALE : merge_pause(merge, ret_resume);
        merge_close(merge);
    }
    if (result < 0)
        lives_close(lives);
    else
        *ret_lives = lives;
    return result;
}

int lives_read_on(struct lives *lives, struct trace *trace, struct names *names, const struct resume *resume)
{
    struct merge *merge;
    *(struct driver *)lives->owned = (struct driver){trace, names};
    lives->source.end = trace_last_time(trace);
    int result = has_same_clock(lives, trace) ? resume_holds(resume, trace) : 0;
    if (result <= 0)
        return result < 0 ? result : -ESTALE;
    result = merge_resume(trace, resume, &merge, NULL);
    if (result < 0)
        return result;
    result = drive(lives, merge, NULL, NULL);
    merge_close(merge);
    trace_set_lost(trace, lives->lost);
    return result == 0 ? lives_finish(lives) : result;
}
