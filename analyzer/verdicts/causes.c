/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which findings follow from others. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
        return court->judged.leaked[index];
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

/* Drivers keep the last result of each connection: no more results than leaked PGconns are those of them, wherever they are
 * acquired; of the function's own, where it leaks some. The last one's PGconn may not count as leaked. */
static uint32_t connections_keeping(const struct court *court, const struct finding *finding)
{
    uint32_t keeper = LIVES_NONE;
    bool own = false;
    if (court->folds->items[finding->fold].resource != STRAY_PGRESULT)
        return LIVES_NONE;
    for (uint32_t i = 0; i < court->judged.count && !own; i++) {
        const struct finding *other = &court->judged.findings[i];
        if (court->folds->items[other->fold].resource != STRAY_PGCONN || other->verdict != VERDICT_LEAKED ||
            finding->count > other->count + 1)
            continue;
        own = frames_same_function(blame(court, finding->stack), blame(court, other->stack));
        if (own || keeper == LIVES_NONE)
            keeper = i;
    }
    return keeper == LIVES_NONE || court->judged.findings[keeper].cause == LIVES_NONE ? keeper : court->judged.findings[keeper].cause;
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
        if (grows && !other->small && other->cause == LIVES_NONE && !may_be_recycled(court, other) &&
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

/* Of the line that acquires something larger, small objects that come with it are kept by it: the keys of a cache, the names of
 * its entries. From another line only those whose own is a hint go with it: two lines of a function may each leak. */
static bool may_belong(const struct court *court, const struct finding *small, const struct finding *large)
{
    return may_be_recycled(court, small) ||
           same_line(blame(court, small->stack), blame(court, large->stack));
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
            if (k != i && certain && !other->small && is_growth(other) && other->cause == LIVES_NONE && comes_with(finding, other) &&
                may_belong(court, finding, other))
                finding->cause = k;
        }
    }
}

/* ---- constructors ---- */

/* The class of a qualified name, without the arguments of a template: of "a::B<int>::f" that is "B". */
static struct name {
    const char *text;
    size_t length;
} last_name(const char *from, const char *to)
{
    unsigned depth = 0;
    if (to > from && to[-1] == '>') {
        do {
            to--;
            depth += *to == '>';
            depth -= *to == '<';
        } while (to > from && depth > 0);
    }
    const char *begin = to;
    while (begin > from && begin[-1] != ':')
        begin--;
    return (struct name){begin, (size_t)(to - begin)};
}

/* "a::B<int>::B" of C++, "B.__init__" of Python. */
static bool is_constructor(const struct frame *frame)
{
    const char *name = frame->function;
    if (!name)
        return false;
    if (frame->language == LANGUAGE_PYTHON) {
        const char *dot = strrchr(name, '.');
        return dot && (strcmp(dot, ".__init__") == 0 || strcmp(dot, ".__post_init__") == 0);
    }
    struct name function = last_name(name, name + strlen(name));
    if (function.length == 0 || function.text < name + 2 || function.text[-1] != ':')
        return false;
    struct name class = last_name(name, function.text - 2);
    return class.length == function.length && memcmp(class.text, function.text, class.length) == 0;
}

/* The line of the user's that made the object whose constructor is to blame; NULL: it is none, or nobody is known. */
static const struct frame *maker_of(const struct court *court, uint32_t node)
{
    const struct stack *stack = court->stack(court->data, node);
    size_t at = stack->blame;
    if (at >= stack->count || !is_constructor(&stack->frames[at]))
        return NULL;
    while (at < stack->count && (!stack->frames[at].user || is_constructor(&stack->frames[at])))
        at++;
    return at < stack->count ? &stack->frames[at] : NULL;
}

/* How much of what a constructor acquired, and is still there, was acquired for what this line makes. */
static uint64_t made_by(const struct court *court, const struct fold *fold, const struct frame *line)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < fold->site_count; i++) {
        const struct site *site = &court->lives->sites[fold->sites[i]];
        if (same_line(maker_of(court, site->stack), line))
            bytes += site->alive_bytes;
    }
    return bytes;
}

/* What a constructor acquires goes with the objects where these leak themselves: at least half of it, and no fewer than half as many
 * as there are objects, over the same time. */
static bool is_part_of(const struct court *court, const struct finding *part, const struct finding *object)
{
    const struct fold *fold = &court->folds->items[part->fold];
    unsigned resource = court->folds->items[object->fold].resource;
    const struct frame *line = blame(court, object->stack);
    return (resource == STRAY_HEAP || (resource == STRAY_PYOBJECT && !may_be_recycled(court, object))) && is_growth(object) &&
           2 * part->count >= object->count && part->first_s <= object->last_s && object->first_s <= part->last_s &&
           same_line(maker_of(court, part->stack), line) && 2 * made_by(court, fold, line) >= fold->alive_bytes;
}

static bool follows_from(const struct court *court, uint32_t index, uint32_t cause)
{
    while (index != cause && index != LIVES_NONE)
        index = court->judged.findings[index].cause;
    return index == cause;
}

static void find_objects(struct court *court)
{
    for (uint32_t i = 0; i < court->judged.count; i++) {
        struct finding *part = &court->judged.findings[i];
        if (keeps_lives(&court->folds->items[part->fold]) || !is_growth(part) || !maker_of(court, part->stack))
            continue;
        for (uint32_t k = 0; k < court->judged.count && part->cause == LIVES_NONE; k++) {
            if (!follows_from(court, k, i) && is_part_of(court, part, &court->judged.findings[k]))
                part->cause = k;
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
        if (finding->cause == LIVES_NONE)
            finding->cause = connections_served(court, finding);
        finding->held = finding->cause == LIVES_NONE && is_held_in_use(court, finding);
    }
    find_objects(court);
    find_companions(court);
    doubt_recycled(court);
    free(fold_of);
    return 0;
}
