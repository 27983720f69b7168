/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/tempfiles.h"

#define LEFT_MIN   3  /* from so many on they are no accident */
#define UNDER_WAY  4  /* where the process did not end by itself, at least one in so many must be there */
#define CERTAIN    10
#define FEW_OPENED 10

static bool is_leak(const struct tempfile_figures *figures)
{
    if (figures->left < LEFT_MIN)
        return false;
    return figures->exits || UNDER_WAY * figures->left >= figures->opened;
}

struct tempfile_judgement tempfile_judge(const struct tempfile_figures *figures)
{
    struct tempfile_judgement judgement = {VERDICT_STEADY, SEVERITY_NONE, CONFIDENCE_MEDIUM};
    if (figures->goes_on || figures->left == 0) {
        judgement.verdict = figures->opened < FEW_OPENED ? VERDICT_FEW : VERDICT_STEADY;
    } else if (is_leak(figures)) {
        judgement.verdict = VERDICT_LEAKED;
        judgement.severity = SEVERITY_ERROR;
        judgement.confidence = figures->exits && figures->left >= CERTAIN ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
    } else if (figures->exits) {
        judgement.verdict = VERDICT_OPEN_AT_EXIT;
        judgement.severity = SEVERITY_NOTE;
    }
    return judgement;
}
