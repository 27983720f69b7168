/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where connections that a finding counts were last used. What opens them is often no more than a helper, or a pool's thread that
 * has none of the user's frames; who took one and never gave it back is known by the statement it was last used for.
 */
#include "names/function.h"
#include "views/likeness.h"
#include "views/report_steps.h"

struct looking {
    const struct lives *lives;
    const bool *leaked; /* lives */
    const struct fold *fold;
    const struct report_stacks *stacks;
    enum verdict verdict;
};

static bool is_by_finalizer(const struct life *life)
{
    return !life->born_late && !life_open_at_tc(life) && (life->closer == CLOSER_DESTRUCTOR || life->closer == CLOSER_COLLECTOR);
}

/* Whether the finding counts it. */
static bool is_counted(const struct looking *looking, uint32_t index)
{
    return looking->verdict == VERDICT_LEAKED ? looking->leaked[index] : is_by_finalizer(&looking->lives->lives[index]);
}

static const struct life *pgconn_of(const struct lives *lives, const struct life *life)
{
    if (life->resource == STRAY_PGCONN)
        return life;
    return life->partner == LIVES_NONE ? NULL : &lives->lives[life->partner];
}

/* The frame to blame for the last statement; NULL: there was none, it is not known, or it is nobody's own. */
static const struct frame *last_frame(const struct looking *looking, uint32_t index)
{
    const struct lives *lives = looking->lives;
    const struct life *life = &lives->lives[index], *owner = pgconn_of(lives, life);
    const struct statement_conn *conn = owner && is_counted(looking, index) ? statements_conn(&lives->statements, owner->handle, owner->birth) : NULL;
    if (!conn || conn->last_use == STATEMENTS_NONE)
        return NULL;
    const struct stack *stack = looking->stacks->stack(looking->stacks->data, lives->statements.uses[conn->last_use].stack);
    const struct frame *frame = stack->count ? &stack->frames[stack->blame] : NULL;
    return frame && frame->user ? frame : NULL;
}

static bool same_line(const struct frame *a, const struct frame *b)
{
    return a->line == b->line && frames_same_function(a, b);
}

/* The only one that may have most of them (Boyer and Moore). */
static const struct frame *candidate(const struct looking *looking)
{
    const struct frame *most = NULL;
    size_t lead = 0;
    for (size_t i = 0; i < looking->fold->life_count; i++) {
        const struct frame *frame = last_frame(looking, looking->fold->lives[i]);
        if (!frame)
            continue;
        if (lead == 0)
            most = frame;
        if (same_line(most, frame))
            lead++;
        else
            lead--;
    }
    return most;
}

void report_last_use(struct report *report, const struct lives *lives, const struct judged *judged, const struct fold *fold,
                     const struct report_stacks *stacks, struct report_finding *finding)
{
    const struct looking looking = {lives, judged->leaked, fold, stacks, finding->verdict};
    bool connections = fold->resource == STRAY_CONNECTION || fold->resource == STRAY_PGCONN;
    if (!connections || (finding->verdict != VERDICT_LEAKED && finding->verdict != VERDICT_FINALIZER_CLOSED))
        return;
    const struct frame *most = candidate(&looking);
    if (!most)
        return;
    uint64_t count = 0;
    for (size_t i = 0; i < fold->life_count; i++) {
        const struct frame *frame = last_frame(&looking, fold->lives[i]);
        count += frame && same_line(most, frame);
    }
    struct report_frame user = report_copy_frame(report, most);
    if (2 * count <= finding->count || report_same_function(finding->site, &user))
        return;
    finding->last_user = user;
    finding->last_users = count;
}
