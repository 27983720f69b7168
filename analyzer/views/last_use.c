/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where connections that a finding counts were last used. What opens them is often no more than a helper, or a pool's thread that
 * has none of the user's frames; who took one and never gave it back is known by the statement it was last used for.
 */
#include <errno.h>

#include "views/likeness.h"
#include "views/report_steps.h"

struct looking {
    const struct lives *lives;
    const bool *leaked; /* lives */
    const struct report_stacks *stacks;
    enum verdict verdict;
};

static bool is_by_finalizer(const struct life *life)
{
    return !life->born_late && !life_open_at_tc(life) && is_finalizer(life->closer);
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

struct wanted {
    const struct report_finding *finding;
    const struct report_frame *frame;
};

static enum likeness user_likeness(const struct report *report, size_t index, const void *data)
{
    const struct wanted *wanted = data;
    const struct report_user *user = &wanted->finding->users[index];
    return likeness(report, &user->frame, user->run, wanted->frame);
}

static int add_user(struct report *report, struct report_finding *finding, const struct frame *from)
{
    struct report_frame frame = report_copy_frame(report, from);
    const struct wanted wanted = {finding, &frame};
    size_t index = most_alike(report, finding->user_count, user_likeness, &wanted);
    if (index != REPORT_NONE) {
        finding->users[index].count++;
        return 0;
    }
    struct report_user *user = report_append(&finding->users, &finding->user_count, sizeof(*user));
    if (!user)
        return -ENOMEM;
    *user = (struct report_user){frame, 1, report->run};
    return 0;
}

int report_add_last_uses(struct report *report, const struct lives *lives, const struct judged *judged, const struct fold *fold,
                         const struct report_stacks *stacks, struct report_finding *finding)
{
    const struct looking looking = {lives, judged->leaked, stacks, finding->verdict};
    bool connections = fold->resource == STRAY_CONNECTION || fold->resource == STRAY_PGCONN;
    if (!connections || (finding->verdict != VERDICT_LEAKED && finding->verdict != VERDICT_FINALIZER_CLOSED))
        return 0;
    int result = 0;
    for (size_t i = 0; result == 0 && i < fold->life_count; i++) {
        const struct frame *frame = last_frame(&looking, fold->lives[i]);
        if (frame)
            result = add_user(report, finding, frame);
    }
    return result;
}

void report_settle_last_uses(struct report *report)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        struct report_finding *finding = &report->findings[i];
        for (size_t k = 0; k < finding->user_count; k++) {
            const struct report_user *user = &finding->users[k];
            if (2 * user->count <= finding->count || report_same_function(finding->site, &user->frame))
                continue;
            finding->last_user = user->frame;
            finding->last_users = user->count;
        }
    }
}
