/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/pools.h"

#include <math.h>

#define STATEMENTS_MIN 10u
#define KEPT_SHARE     0.5 /* of the time from its birth on */
#define OVERLAP_SHARE  0.5 /* of the shorter pool's time */
#define SEVERAL        2u  /* a single connection may be somebody's own: of a listener, a lock, a thread */

#define QUEUE_TIMES  10u
#define QUEUE_LONG   3u  /* waits that took a large share of the time: pools are seldom fair, and some threads wait for long */
#define QUEUE_SHARE  0.1 /* of the time: so many threads wait on average */

bool pool_judge_queue(const struct pool_queue *queue, struct pool_judgement *ret_judgement)
{
    bool much = queue->waited_s >= QUEUE_SHARE * queue->observed_s;
    if (queue->times < (much ? QUEUE_LONG : QUEUE_TIMES))
        return false;
    ret_judgement->severity = much ? SEVERITY_WARNING : SEVERITY_NOTE;
    ret_judgement->confidence = queue->times >= QUEUE_TIMES ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
    return true;
}

bool pool_keeps(const struct pool_member *member, double tc)
{
    return member->statements >= STATEMENTS_MIN && member->end - member->birth >= KEPT_SHARE * (tc - member->birth);
}

static bool side_by_side(const struct pool *a, const struct pool *b)
{
    double shorter = fmin(a->to - a->from, b->to - b->from);
    return fmin(a->to, b->to) - fmax(a->from, b->from) >= OVERLAP_SHARE * shorter;
}

bool pool_judge(const struct pool *pools, size_t count, size_t which, struct pool_judgement *ret_judgement)
{
    const struct pool *judged = &pools[which];
    uint32_t several = 0;
    struct pool_judgement judgement = {.pools = 1, .connections = judged->members};
    for (size_t i = 0; i < which && i < count; i++) {
        if (pools[i].database != judged->database || pools[i].place == judged->place || !side_by_side(&pools[i], judged))
            continue;
        judgement.pools++;
        judgement.connections += pools[i].members;
        several += pools[i].members >= SEVERAL;
    }
    if (judgement.pools < 2)
        return false;
    bool certain = several > 0 && judged->members >= SEVERAL;
    judgement.severity = certain ? SEVERITY_WARNING : SEVERITY_NOTE;
    judgement.confidence = certain ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
    *ret_judgement = judgement;
    return true;
}
