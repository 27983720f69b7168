/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/ended.h"

#define THREADS_MIN 5  /* fewer threads are not worth a word */
#define CERTAIN     10 /* so many are no oversight at the end */

/* The members of a pool end together, when the process does, and are often not joined then. Where threads are made again
 * after others have ended, those were done with. */
static struct ended_judgement judge_threads(const struct ended_figures *figures)
{
    struct ended_judgement judgement = {VERDICT_STEADY, SEVERITY_NONE, CONFIDENCE_MEDIUM, figures->ended};
    if (figures->ended < THREADS_MIN || 2 * figures->overtaken < figures->ended)
        return judgement;
    judgement.verdict = VERDICT_LEAKED;
    judgement.severity = SEVERITY_ERROR;
    judgement.confidence = figures->ended >= CERTAIN ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
    return judgement;
}

/* Where others are waited for, the youngest may have been next. So many are not, as if nobody did so any more. */
static struct ended_judgement judge_children(const struct ended_figures *figures)
{
    struct ended_judgement judgement = {VERDICT_STEADY, SEVERITY_NONE, CONFIDENCE_HIGH, figures->ended};
    if (figures->in_turn < CERTAIN)
        judgement.count -= figures->in_turn;
    if (judgement.count == 0)
        return judgement;
    judgement.verdict = VERDICT_UNREAPED;
    judgement.severity = judgement.count >= CERTAIN ? SEVERITY_ERROR : SEVERITY_WARNING;
    return judgement;
}

struct ended_judgement ended_judge(const struct ended_figures *figures)
{
    return figures->child ? judge_children(figures) : judge_threads(figures);
}
