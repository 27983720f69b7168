/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a finding begins with: its place and its peer. */
#include <errno.h>
#include <string.h>

#include "views/report_steps.h"

struct report_frame report_copy_frame(struct report *report, const struct frame *frame)
{
    return (struct report_frame){
        .function = report_keep(report, frame->function),
        .file = report_keep(report, frame->file),
        .module = report_keep(report, frame->module),
        .line = frame->line,
        .offset = frame->offset,
        .code = frame->code,
        .python = frame->language == LANGUAGE_PYTHON,
        .user = frame->user,
        .inlined = frame->inlined,
    };
}

static int stack_copy(struct report *report, const struct stack *stack, struct report_stack *ret_stack)
{
    struct report_stack copy = {.count = stack->count, .blame = stack->blame, .truncated = stack->truncated};
    copy.frames = arena_alloc(&report->scratch, (stack->count + 1) * sizeof(*copy.frames));
    if (!copy.frames)
        return -ENOMEM;
    for (size_t i = 0; i < stack->count; i++)
        copy.frames[i] = report_copy_frame(report, &stack->frames[i]);
    *ret_stack = copy;
    return 0;
}

int report_keep_stack(struct report *report, struct report_finding *finding)
{
    struct report_stack *stack = &finding->stack;
    struct report_frame *frames = arena_alloc(&report->arena, (stack->count + 1) * sizeof(*frames));
    if (!frames)
        return -ENOMEM;
    if (stack->count > 0)
        memcpy(frames, stack->frames, stack->count * sizeof(*frames));
    stack->frames = frames;
    finding->site = stack->count ? &frames[stack->blame] : NULL;
    return 0;
}

const struct frame *report_blame_in(void *data, uint32_t node)
{
    const struct report_stacks *stacks = data;
    const struct stack *stack = stacks->stack(stacks->data, node);
    return stack->count ? &stack->frames[stack->blame] : NULL;
}

static const char *peer_text(const struct lives *lives, uint32_t peer)
{
    return peer == LIVES_NONE ? NULL : lives->peers[peer].text;
}

const char *report_conn_peer(const struct lives *lives, const struct life *life)
{
    if (life->partner != LIVES_NONE && lives->lives[life->partner].peer != LIVES_NONE)
        return lives->peers[lives->lives[life->partner].peer].text;
    return life->definition ? lives->source.endpoint(lives->source.data, life->definition) : NULL;
}

/* Where some were closed, that of those which were not: one that failed, say, was to go elsewhere than one that succeeded later. */
static const char *conn_peer(const struct lives *lives, const struct fold *fold)
{
    const char *peer = NULL;
    for (size_t i = 0; i < fold->life_count; i++) {
        const struct life *life = &lives->lives[fold->lives[i]];
        const char *own = report_conn_peer(lives, life);
        bool open = life_open_at_tc(life);
        if (own && (!peer || open))
            peer = own;
        if (own && open)
            break;
    }
    return peer;
}

const char *report_peer_of(const struct lives *lives, const struct fold *fold)
{
    return fold->resource == STRAY_PGCONN ? conn_peer(lives, fold) : peer_text(lives, fold->peer);
}

double report_seconds(const struct lives *lives, uint64_t time)
{
    double seconds = lives->source.seconds(lives->source.data, time);
    return seconds > 0 ? seconds : 0;
}

int report_place(struct report *report, const struct lives *lives, const struct fold *fold,
                 const struct report_stacks *stacks, struct report_finding *ret_finding)
{
    struct report_finding place = {
        .resource = fold->resource,
        .peer = report_keep(report, report_peer_of(lives, fold)),
        .server = fold->peer != LIVES_NONE && lives->peers[fold->peer].server,
        .first_s = report_seconds(lives, fold->first),
        .last_s = report_seconds(lives, fold->last),
        .cause = REPORT_NONE,
    };
    int result = stack_copy(report, stacks->stack(stacks->data, fold->stack), &place.stack);
    place.site = result == 0 && place.stack.count ? &place.stack.frames[place.stack.blame] : NULL;
    *ret_finding = place;
    return result;
}

int report_place_at(struct report *report, const struct lives *lives, uint32_t stack, unsigned resource, uint64_t first,
                    uint64_t last, const struct report_stacks *stacks, struct report_finding *ret_finding)
{
    struct report_finding place = {
        .resource = resource, .first_s = report_seconds(lives, first), .last_s = report_seconds(lives, last), .cause = REPORT_NONE};
    int result = stack_copy(report, stacks->stack(stacks->data, stack), &place.stack);
    place.site = result == 0 && place.stack.count ? &place.stack.frames[place.stack.blame] : NULL;
    *ret_finding = place;
    return result;
}
