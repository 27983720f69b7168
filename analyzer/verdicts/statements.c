/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/statements.h"

#define LOOP_NOTE        5u
#define LOOP_WARNING     10u
#define LENGTH_MANY      (UINT64_C(64) << 10)
#define MEMBERS_MANY     1000u
#define OVERWRITES_MANY  5u
#define IDLE_NOTE_S      1.0
#define IDLE_WARNING_S   5.0
#define IDLE_ERROR_S     60.0
#define SHORT_RUN_S      60.0
#define BLOCKED_S        0.05
#define BLOCKED_ERROR_S  0.1
#define OUTLIVED_MANY    2u  /* results beside the one that is used */
#define ABANDONED_MIN    10u
#define ABANDONED_SHARE  0.8 /* of the names that are left: the others are used again */
#define ABANDONED_SURE   50u

static bool say(struct statement_judgement *ret_judgement, enum verdict verdict, enum severity severity, enum confidence confidence)
{
    *ret_judgement = (struct statement_judgement){verdict, severity, confidence};
    return true;
}

bool statement_judge_loop(const struct statement_use *use, struct statement_judgement *ret_judgement)
{
    const struct statement_loops *loops = &use->loops;
    if (loops->longest < LOOP_NOTE)
        return false;
    bool many = loops->longest >= LOOP_WARNING;
    return say(ret_judgement, VERDICT_STATEMENT_LOOP, many ? SEVERITY_WARNING : SEVERITY_NOTE,
               many && (loops->in_transaction || loops->runs > 1) ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM);
}

bool statement_judge_result(const struct statement_use *use, struct statement_judgement *ret_judgement)
{
    if (use->unbounded == 0 || use->words.bounded)
        return false;
    return say(ret_judgement, VERDICT_UNBOUNDED_RESULT, SEVERITY_WARNING, use->unbounded > 1 ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM);
}

bool statement_judge_text(const struct statement_use *use, struct statement_judgement *ret_judgement)
{
    if (use->members_most < MEMBERS_MANY && use->length_most < LENGTH_MANY)
        return false;
    return say(ret_judgement, VERDICT_LARGE_STATEMENT, SEVERITY_WARNING, CONFIDENCE_HIGH);
}

bool statement_judge_held(const struct statement_use *use, double longest_s, struct statement_judgement *ret_judgement)
{
    if (use->outlived == 0 && longest_s <= 0)
        return false;
    bool many = use->outlived >= OUTLIVED_MANY;
    return say(ret_judgement, VERDICT_HELD_RESULT, many ? SEVERITY_WARNING : SEVERITY_NOTE, many ? CONFIDENCE_HIGH : CONFIDENCE_LOW);
}

bool statement_judge_prepared(const struct statement_prepared *prepared, struct statement_judgement *ret_judgement)
{
    bool kept = prepared->connections > prepared->brief; /* else one of a request may have been open by chance */
    if (!kept || prepared->abandoned < ABANDONED_MIN || (double)prepared->abandoned < ABANDONED_SHARE * (double)prepared->left)
        return false;
    return say(ret_judgement, VERDICT_LEAKED, SEVERITY_ERROR,
               prepared->abandoned >= ABANDONED_SURE ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM);
}

bool statement_judge_overwrites(const struct statement_use *use, struct statement_judgement *ret_judgement)
{
    if (use->overwrites == 0)
        return false;
    bool many = use->overwrites >= OVERWRITES_MANY;
    return say(ret_judgement, VERDICT_READ_MODIFY_WRITE, many ? SEVERITY_WARNING : SEVERITY_NOTE,
               many ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW);
}

bool statement_judge_idle(double longest_s, double run_s, struct statement_judgement *ret_judgement)
{
    if (longest_s < IDLE_NOTE_S)
        return false;
    enum severity severity = longest_s >= IDLE_ERROR_S                            ? SEVERITY_ERROR
                             : longest_s >= IDLE_WARNING_S || run_s < SHORT_RUN_S ? SEVERITY_WARNING
                                                                                  : SEVERITY_NOTE;
    return say(ret_judgement, VERDICT_IDLE_IN_TRANSACTION, severity, CONFIDENCE_HIGH);
}

bool statement_judge_blocked(double longest_s, struct statement_judgement *ret_judgement)
{
    if (longest_s < BLOCKED_S)
        return false;
    return say(ret_judgement, VERDICT_BLOCKED_EVENT_LOOP, longest_s >= BLOCKED_ERROR_S ? SEVERITY_ERROR : SEVERITY_WARNING,
               CONFIDENCE_HIGH);
}
