/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files that judge one process (judge.c) share among themselves. */
#ifndef STRAY_VERDICTS_COURT_H
#define STRAY_VERDICTS_COURT_H

#include "verdicts/judge.h"

#define HOUR_S 3600.0

struct court {
    const struct lives *lives;
    const struct folds *folds;
    stack_named *stack;
    void *data;
    struct judged judged;
    size_t room;
    uint32_t *next; /* of each life: the one that its thread acquired next, or LIVES_NONE */
    double tc, work;
    double bucket_age[AGE_BUCKETS + 1];
};

/* A new finding on a fold; NULL: no memory. Pointers to earlier ones are void afterwards. */
struct finding *finding_add(struct court *court, uint32_t fold, enum verdict verdict, enum severity severity,
                            enum confidence confidence);
/* The three facts that most findings begin with. */
void counts_add(struct finding *finding, const struct fold *fold);
/* A piece of evidence; `count`: an exact number of things. What is more than FACTS_MAX is left out. */
void fact_add(struct finding *finding, const char *name, double value, bool count);

/* Sets, from the last life back to the first, what came next of its thread and kind. -ENOMEM. */
int find_next(struct court *court);
/* The verdict and the findings on a fold whose lifetimes are all kept, or of which only sums are (judge_lives.c, judge_blocks.c).
 * -ENOMEM. */
int judge_lives(struct court *court, uint32_t which);
int judge_blocks(struct court *court, uint32_t which);
/* Whether two frames are at one line of one function; false where either is unknown. */
bool same_line(const struct frame *a, const struct frame *b);
/* Whether the site makes names that CPython drops as soon as it has looked an attribute up. Its cache of types holds on to some of
 * them, in slots that their addresses choose: samples, which lie apart from other objects, are seldom replaced there, so that they
 * live on although what they stand for does not (looked_up.c). */
bool is_looked_up(const struct court *court, const struct site *site);
/* Whether what grew at a stack is that of an installed tool, none of the user's own, which served nobody and ended by itself within
 * a minute (tools.c). */
bool is_kept_by_tool(const struct court *court, uint32_t stack);
/* The finding on leaked connections, sockets or files that hold this memory; LIVES_NONE: none (holding.c). */
uint32_t handle_holding(const struct court *court, const struct finding *finding);
/* Whether handles hold it that do not leak: those of a pool. */
bool is_held_in_use(const struct court *court, const struct finding *finding);
/* The finding on leaked connections to a server of this very process, for which its threads are there; LIVES_NONE: none (serving.c). */
uint32_t connections_served(const struct court *court, const struct finding *finding);
/* Whether what was accepted there was left by its clients, of this very process, only when the end came: whatever samples saw then, nobody
 * had the time to close it (serving.c). */
bool hung_up_at_end(const struct court *court, const struct fold *accepted);
/* Tells which findings follow from others (causes.c). -ENOMEM. */
int find_causes(struct court *court);

/* The frame to blame; NULL: unknown. */
static inline const struct frame *blame(const struct court *court, uint32_t node)
{
    const struct stack *stack = court->stack(court->data, node);
    return stack->count ? &stack->frames[stack->blame] : NULL;
}

static inline double seconds(const struct court *court, uint64_t time)
{
    return court->lives->source.seconds(court->lives->source.data, time);
}

static inline double span(const struct court *court, uint64_t ticks)
{
    return court->lives->source.span(court->lives->source.data, ticks);
}

/* Requests and statements; allocations are told by marks that lie up to some hundreds apart. */
static inline bool is_load(const struct lives *lives)
{
    return lives->axis <= AXIS_STATEMENTS;
}

static inline bool keeps_lives(const struct fold *fold)
{
    return fold->life_count > 0;
}

#endif
