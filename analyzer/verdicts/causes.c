/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which findings follow from others. */
#include <errno.h>
#include <stdlib.h>

#include "names/function.h"
#include "verdicts/court.h"

static uint32_t finding_of(const struct court *court, uint32_t fold, enum verdict verdict)
{
    for (uint32_t i = 0; i < court->judged.count; i++) {
        if (court->judged.findings[i].fold == fold && court->judged.findings[i].verdict == verdict)
            return i;
    }
    return LIVES_NONE;
}

static bool counts_life(const struct court *court, const struct finding *finding, uint32_t index)
{
    const struct life *life = &court->lives->lives[index];
    if (finding->verdict == VERDICT_LEAKED)
        return court->leaked[index];
    if (finding->verdict == VERDICT_OPEN_AT_EXIT)
        return life_open_at_tc(life);
    return !life->born_late;
}

/* The connection finding with the same verdict to which most of a PGconn finding's lives are tied. */
static uint32_t connection_behind(const struct court *court, const struct finding *finding,
                                  const uint32_t *fold_of)
{
    const struct fold *fold = &court->folds->items[finding->fold];
    uint64_t tied = 0, counted = 0;
    uint32_t cause = LIVES_NONE;
    for (size_t i = 0; i < fold->life_count; i++) {
        if (!counts_life(court, finding, fold->lives[i]))
            continue;
        counted++;
        uint32_t partner = court->lives->lives[fold->lives[i]].partner;
        uint32_t behind =
            partner == LIVES_NONE ? LIVES_NONE : finding_of(court, fold_of[partner], finding->verdict);
        if (behind == LIVES_NONE)
            continue;
        tied++;
        cause = behind;
    }
    return 2 * tied > counted ? cause : LIVES_NONE;
}

/* Memory acquired by the function that leaks connections, sockets or files is held by them: a database in a file has its pages, a
 * stream its buffer. */
static uint32_t handle_holding(const struct court *court, const struct finding *finding)
{
    const struct frame *here = court->blame(court->data, finding->stack);
    for (uint32_t i = 0; i < court->judged.count; i++) {
        const struct finding *other = &court->judged.findings[i];
        unsigned resource = court->folds->items[other->fold].resource;
        bool holder = resource == STRAY_CONNECTION || resource == STRAY_PGCONN || resource == STRAY_FILE ||
                      resource == STRAY_SOCKET || resource >= STRAY_USER_FIRST;
        if (holder && other->verdict == VERDICT_LEAKED && other->cause == LIVES_NONE &&
            frames_same_function(here, court->blame(court->data, other->stack)))
            return i;
    }
    return LIVES_NONE;
}

/* Drivers keep the last result of each connection: no more results than leaked PGconns are those of them, wherever they are
 * acquired. The last one's PGconn may not count as leaked. */
static uint32_t connections_keeping(const struct court *court, const struct finding *finding)
{
    if (court->folds->items[finding->fold].resource != STRAY_PGRESULT)
        return LIVES_NONE;
    for (uint32_t i = 0; i < court->judged.count; i++) {
        const struct finding *other = &court->judged.findings[i];
        if (court->folds->items[other->fold].resource == STRAY_PGCONN && other->verdict == VERDICT_LEAKED &&
            finding->count <= other->count + 1)
            return other->cause == LIVES_NONE ? i : other->cause;
    }
    return LIVES_NONE;
}

/* Most of it may have been acquired by another line than the one that keeps it now. */
static bool may_be_recycled(const struct court *court, const struct finding *finding)
{
    return court->folds->items[finding->fold].resource == STRAY_PYOBJECT &&
           2 * finding->own_bytes <= finding->bytes;
}

/* The growth that says most; LIVES_NONE: there is none of which the line is certain. */
static uint32_t certain_growth(const struct court *court)
{
    uint32_t most = LIVES_NONE;
    for (uint32_t i = 0; i < court->judged.count; i++) {
        const struct finding *other = &court->judged.findings[i];
        bool grows = other->verdict == VERDICT_LEAKED || other->verdict == VERDICT_CREEP;
        if (grows && other->cause == LIVES_NONE && !may_be_recycled(court, other) &&
            (most == LIVES_NONE || other->bytes > court->judged.findings[most].bytes))
            most = i;
    }
    return most;
}

/* Of what may have been recycled the line is a hint, and goes with a growth of which the line is certain. */
static void doubt_recycled(struct court *court)
{
    uint32_t certain = certain_growth(court);
    for (uint32_t i = 0; i < court->judged.count; i++) {
        struct finding *finding = &court->judged.findings[i];
        if (!may_be_recycled(court, finding))
            continue;
        finding->severity = SEVERITY_NOTE;
        finding->confidence = CONFIDENCE_LOW;
        if (finding->cause == LIVES_NONE)
            finding->cause = certain;
    }
}

static bool is_growth(const struct finding *finding)
{
    return finding->verdict == VERDICT_LEAKED || finding->verdict == VERDICT_CREEP;
}

/* Whether there are about as many small objects as of something larger that grows over the same time. A request that leaks at two
 * places does that too. */
static bool comes_with(const struct finding *small, const struct finding *large)
{
    return large->bytes > small->bytes && 2 * small->count >= large->count && small->count <= 2 * large->count &&
           small->first_s <= large->last_s && large->first_s <= small->last_s;
}

/* Of the function that acquires something larger, small objects that come with it are kept by it: the keys of a cache, the names of
 * its entries. From another function only those whose line is a hint go with it. */
static bool may_belong(const struct court *court, const struct finding *small, const struct finding *large)
{
    return may_be_recycled(court, small) ||
           frames_same_function(court->blame(court->data, small->stack), court->blame(court->data, large->stack));
}

static void find_companions(struct court *court)
{
    for (uint32_t i = 0; i < court->judged.count; i++) {
        struct finding *finding = &court->judged.findings[i];
        if (court->folds->items[finding->fold].resource != STRAY_PYOBJECT || !is_growth(finding))
            continue;
        for (uint32_t k = 0; k < court->judged.count && finding->cause == LIVES_NONE; k++) {
            const struct finding *other = &court->judged.findings[k];
            unsigned resource = court->folds->items[other->fold].resource;
            bool certain = resource == STRAY_HEAP || (resource == STRAY_PYOBJECT && !may_be_recycled(court, other));
            if (k != i && certain && is_growth(other) && other->cause == LIVES_NONE && comes_with(finding, other) &&
                may_belong(court, finding, other))
                finding->cause = k;
        }
    }
}

int find_causes(struct court *court)
{
    uint32_t *fold_of = calloc(court->lives->life_count + 1, sizeof(*fold_of));
    if (!fold_of)
        return -ENOMEM;
    for (uint32_t i = 0; i < court->folds->count; i++) {
        for (size_t k = 0; k < court->folds->items[i].life_count; k++)
            fold_of[court->folds->items[i].lives[k]] = i;
    }
    for (uint32_t i = 0; i < court->judged.count; i++) {
        struct finding *finding = &court->judged.findings[i];
        if (court->folds->items[finding->fold].resource == STRAY_PGCONN)
            finding->cause = connection_behind(court, finding, fold_of);
    }
    for (uint32_t i = 0; i < court->judged.count; i++) {
        struct finding *finding = &court->judged.findings[i];
        const struct fold *fold = &court->folds->items[finding->fold];
        if (!keeps_lives(fold) && fold->resource != STRAY_TEMPFILE)
            finding->cause = handle_holding(court, finding);
        if (finding->cause == LIVES_NONE)
            finding->cause = connections_keeping(court, finding);
    }
    find_companions(court);
    doubt_recycled(court);
    free(fold_of);
    return 0;
}
