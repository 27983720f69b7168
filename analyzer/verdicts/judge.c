/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/judge.h"

#include <errno.h>
#include <stdlib.h>

#include "verdicts/court.h"
#include "verdicts/tempfiles.h"

struct finding *finding_add(struct court *court, uint32_t fold, enum verdict verdict, enum severity severity,
                            enum confidence confidence)
{
    struct judged *judged = &court->judged;
    if (judged->count == court->room) {
        size_t room = court->room ? 2 * court->room : 16;
        struct finding *moved = reallocarray(judged->findings, room, sizeof(*moved));
        if (!moved)
            return NULL;
        judged->findings = moved;
        court->room = room;
    }
    struct finding *finding = &judged->findings[judged->count++];
    *finding = (struct finding){
        .fold = fold,
        .stack = court->folds->items[fold].stack,
        .verdict = verdict,
        .severity = severity,
        .confidence = confidence,
        .cause = LIVES_NONE,
    };
    return finding;
}

void fact_add(struct finding *finding, const char *name, double value, bool count)
{
    if (finding->fact_count < FACTS_MAX)
        finding->facts[finding->fact_count++] = (struct fact){name, value, count, count};
}

void counts_add(struct finding *finding, const struct fold *fold)
{
    fact_add(finding, "opened", (double)fold->opened, true);
    fact_add(finding, "closed", (double)fold->closed, true);
    fact_add(finding, "open_at_end", (double)fold->alive, true);
}

static int say_left(struct court *court, uint32_t which, const struct tempfile_judgement *judgement)
{
    const struct fold *fold = &court->folds->items[which];
    struct finding *finding = finding_add(court, which, judgement->verdict, judgement->severity, judgement->confidence);
    if (!finding)
        return -ENOMEM;
    finding->count = fold->left;
    finding->example = fold->left_path;
    finding->first_s = seconds(court, fold->first);
    finding->last_s = seconds(court, fold->last);
    finding->rated = judgement->verdict == VERDICT_LEAKED && court->tc > 0;
    if (finding->rated)
        finding->rate_per_hour = stats_rate(fold->left, court->tc / HOUR_S);
    fact_add(finding, "opened", (double)fold->opened, true);
    fact_add(finding, "closed", (double)fold->closed, true);
    fact_add(finding, "left_behind", (double)fold->left, true);
    fact_add(finding, "observed_s", court->tc, false);
    return 0;
}

static int judge_tempfiles(struct court *court, uint32_t which)
{
    const struct fold *fold = &court->folds->items[which];
    struct tempfile_figures figures = {
        .opened = fold->opened,
        .left = fold->left,
        .exits = court->lives->ending == ENDING_EXIT,
        .goes_on = court->lives->ending == ENDING_EXEC,
    };
    struct tempfile_judgement judgement = tempfile_judge(&figures);
    court->judged.verdicts[which] = judgement.verdict;
    return judgement.severity == SEVERITY_NONE ? 0 : say_left(court, which, &judgement);
}

static int judge_fold(struct court *court, uint32_t which)
{
    const struct fold *fold = &court->folds->items[which];
    if (fold->resource == STRAY_TEMPFILE)
        return judge_tempfiles(court, which);
    return keeps_lives(fold) ? judge_lives(court, which) : judge_blocks(court, which);
}

static bool peer_leaks(const struct court *court, uint32_t peer)
{
    for (size_t i = 0; i < court->judged.count; i++) {
        const struct finding *finding = &court->judged.findings[i];
        if (finding->verdict == VERDICT_LEAKED && court->folds->items[finding->fold].peer == peer)
            return true;
    }
    return false;
}

/* Advice to reuse connections is noise while connections to the same peer leak, and a PGconn's is that of its
 * connection said twice. */
static void drop_idle_advice(struct court *court)
{
    size_t kept = 0;
    for (size_t i = 0; i < court->judged.count; i++) {
        const struct finding *finding = &court->judged.findings[i];
        const struct fold *fold = &court->folds->items[finding->fold];
        if (finding->verdict == VERDICT_CHURN &&
            (fold->resource == STRAY_PGCONN || peer_leaks(court, fold->peer)))
            continue;
        court->judged.findings[kept++] = *finding;
    }
    court->judged.count = kept;
}

/* Of what is too small for a word, those from which something follows are named as well: that is what to mend. */
static int drop_small(struct court *court)
{
    struct judged *judged = &court->judged;
    uint32_t *now = calloc(judged->count + 1, sizeof(*now)), kept = 0;
    if (!now)
        return -ENOMEM;
    for (size_t i = 0; i < judged->count; i++)
        for (uint32_t k = judged->findings[i].small ? LIVES_NONE : (uint32_t)i; k != LIVES_NONE; k = judged->findings[k].cause)
            judged->findings[k].small = false;
    for (size_t i = 0; i < judged->count; i++)
        now[i] = judged->findings[i].small || judged->findings[i].held ? LIVES_NONE : kept++;
    for (size_t i = 0; i < judged->count; i++) {
        struct finding finding = judged->findings[i];
        if (finding.held)
            judged->verdicts[finding.fold] = VERDICT_PLATEAU;
        if (now[i] == LIVES_NONE)
            continue;
        if (finding.cause != LIVES_NONE)
            finding.cause = now[finding.cause];
        if (finding.verdict < judged->verdicts[finding.fold])
            judged->verdicts[finding.fold] = finding.verdict;
        judged->findings[now[i]] = finding;
    }
    judged->count = kept;
    free(now);
    return 0;
}

int judge(const struct lives *lives, const struct folds *folds, stack_named *stack, void *data, struct judged *ret_judged)
{
    struct court court = {.lives = lives, .folds = folds, .stack = stack, .data = data};
    court.tc = lives->source.seconds(lives->source.data, lives->tc);
    court.work = (double)lives->at_tc.at[lives->axis];
    for (unsigned i = 0; i <= AGE_BUCKETS; i++)
        court.bucket_age[i] = age_of_bucket(i);
    court.judged.leaked = calloc(lives->life_count + 1, sizeof(*court.judged.leaked));
    court.judged.verdicts = calloc(folds->count + 1, sizeof(*court.judged.verdicts));
    court.next = calloc(lives->life_count + 1, sizeof(*court.next));
    int result = court.judged.leaked && court.judged.verdicts && court.next ? find_next(&court) : -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < folds->count; i++)
        result = judge_fold(&court, i);
    if (result == 0)
        drop_idle_advice(&court);
    if (result == 0)
        result = find_causes(&court);
    if (result == 0)
        result = drop_small(&court);
    free(court.next);
    if (result < 0)
        judged_clear(&court.judged);
    else
        *ret_judged = court.judged;
    return result;
}

void judged_clear(struct judged *judged)
{
    free(judged->findings);
    free(judged->suspects);
    free(judged->verdicts);
    free(judged->leaked);
    *judged = (struct judged){0};
}
