/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/diff.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "hash.h"
#include "read/array.h"

#define RULE_OF_THREE 3.0 /* none seen: 95 % sure that no more than three are expected */
#define QUANTILE      1.96
#define SAME_LOW      0.5 /* an interval within these is "unchanged" */
#define SAME_HIGH     2.0
#define LOAD_DIFFERS  1.2

const char *diff_word(enum diff_word word)
{
    static const char *const words[DIFF_WORDS] = {
        "worse", "new", "unchanged", "improved", "too short to tell", "fixed"};
    return words[word];
}

/* ---- rates ---- */

struct interval diff_ratio(uint64_t base_count, double base_work, uint64_t new_count, double new_work)
{
    if (base_count == 0 || base_work <= 0 || new_work <= 0)
        return (struct interval){INFINITY, 0, INFINITY};
    double base_rate = (double)base_count / base_work;
    if (new_count == 0)
        return (struct interval){0, 0, RULE_OF_THREE / new_work / base_rate};
    double ratio = (double)new_count / new_work / base_rate;
    double spread = exp(QUANTILE * sqrt(1 / (double)base_count + 1 / (double)new_count));
    return (struct interval){ratio, ratio / spread, ratio * spread};
}

enum diff_word diff_judge(uint64_t base_count, double base_work, uint64_t new_count, double new_work,
                          double *ret_needed)
{
    *ret_needed = 0;
    if (base_count == 0 || new_count == 0) {
        double seen = base_count ? (double)base_count / base_work : (double)new_count / new_work;
        double other = base_count ? new_work : base_work;
        *ret_needed = RULE_OF_THREE / seen;
        if (!(other >= *ret_needed))
            return DIFF_TOO_SHORT;
        return base_count ? DIFF_FIXED : DIFF_NEW;
    }
    struct interval ratio = diff_ratio(base_count, base_work, new_count, new_work);
    if (ratio.high < 1)
        return DIFF_IMPROVED;
    if (ratio.low > 1)
        return DIFF_WORSE;
    return ratio.low >= SAME_LOW && ratio.high <= SAME_HIGH ? DIFF_UNCHANGED : DIFF_TOO_SHORT;
}

/* ---- places of one side ---- */

/* All stacks that blame one function, whatever the line, peer and process. */
struct place {
    unsigned resource;
    const struct report_frame *frame; /* NULL: unknown */
    uint32_t stack;                   /* of the place that holds most */
    uint64_t most;
    uint64_t opened, alive, alive_bytes;
    bool estimated;
    double alive_variance;
    bool judged;
    bool matched;
};

struct side {
    const struct ledger *ledger;
    struct place *places;
    size_t count, room;
    struct map map;
};

/* Of two builds, unlike same_function() of one program: a module may lie elsewhere, so that a name and a file are enough, and an
 * unnamed function is known by its module alone, as offsets change. */
static bool same_in_builds(const struct report_frame *a, const struct report_frame *b)
{
    if (!a || !b)
        return a == b;
    if (!a->function || !b->function)
        return !a->function && !b->function && same_text(a->module, b->module);
    return same_text(a->function, b->function) && same_text(a->file, b->file);
}

static uint64_t key_of(unsigned resource, const struct report_frame *frame)
{
    uint64_t hash = hash_bytes(HASH_BEGIN, &resource, sizeof(resource));
    if (!frame)
        return hash;
    hash = hash_text(hash, frame->function);
    return hash_text(hash, frame->function ? frame->file : frame->module);
}

static struct place *place_find(const struct side *side, unsigned resource, const struct report_frame *frame)
{
    uint32_t index;
    return map_get(&side->map, key_of(resource, frame), &index) ? &side->places[index] : NULL;
}

static struct place *place_get(struct side *side, unsigned resource, const struct report_frame *frame)
{
    struct place *known = place_find(side, resource, frame);
    if (known)
        return known;
    struct place *grown = array_grow(side->places, &side->room, side->count, sizeof(*grown));
    if (!grown)
        return NULL;
    side->places = grown;
    if (map_put(&side->map, key_of(resource, frame), (uint32_t)side->count) < 0)
        return NULL;
    grown[side->count] = (struct place){.resource = resource, .frame = frame, .stack = LEDGER_NONE};
    return &grown[side->count++];
}

static int add_places(struct side *side)
{
    for (size_t i = 0; i < side->ledger->place_count; i++) {
        const struct ledger_place *from = &side->ledger->places[i];
        if (from->opened_by_end == 0)
            continue;
        struct place *place = place_get(side, from->resource, ledger_blame(side->ledger, from->stack));
        if (!place)
            return -ENOMEM;
        uint64_t weight = from->alive ? from->alive_bytes + from->alive : 0;
        if (place->opened == 0 || weight > place->most) {
            place->most = weight;
            place->stack = from->stack;
        }
        place->opened += from->opened_by_end;
        place->alive += from->alive;
        place->alive_bytes += from->alive_bytes;
        place->estimated |= from->estimated;
        place->alive_variance += from->alive_variance;
    }
    return 0;
}

/* Frames of the report and of the ledger have equal names: the ledger's are only cleaned of what none should
 * hold. A finding has a place all the same. */
static int note_judgements(struct side *side)
{
    const struct report *report = side->ledger->report;
    for (size_t i = 0; i < report->finding_count; i++)
        if (!place_get(side, report->findings[i].resource, report->findings[i].site))
            return -ENOMEM;
    for (size_t i = 0; i < report->site_count; i++) {
        const struct report_site *site = &report->sites[i];
        struct place *place = place_find(side, site->resource, site->known ? &site->site : NULL);
        if (place)
            place->judged |= site->verdict != VERDICT_FEW;
    }
    return 0;
}

static int side_make(const struct ledger *ledger, struct side *ret_side)
{
    struct side side = {.ledger = ledger};
    int result = add_places(&side);
    if (result == 0)
        result = note_judgements(&side);
    *ret_side = side;
    return result;
}

static void side_clear(struct side *side)
{
    free(side->places);
    map_clear(&side->map);
}

/* ---- rows ---- */

struct drawing {
    struct side base, fresh;
    struct diff diff;
    size_t room;
};

/* Leaks at different stages have one kind: a fix may turn one into the other. */
static enum verdict kind_of(enum verdict verdict)
{
    return verdict == VERDICT_CREEP ? VERDICT_LEAKED : verdict;
}

static bool is_accusation(const struct report_finding *finding)
{
    return finding->severity == SEVERITY_ERROR || finding->severity == SEVERITY_WARNING;
}

/* A number that leaks is uncertain by itself, as that of any events is; that only samples were seen comes on top. */
static double each_of(uint64_t count, double variance)
{
    return count > 0 ? 1 + fmax(0, variance) / (double)count : 1;
}

static struct diff_side side_of(const struct side *side, const struct diff_row *row,
                                const struct place *place)
{
    const struct report *report = side->ledger->report;
    struct diff_side made = {.verdict = VERDICT_FEW, .there = place != NULL, .each = 1};
    double variance = 0;
    if (!place)
        return made;
    made.opened = place->opened;
    made.estimated = place->estimated;
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct report_finding *finding = &report->findings[i];
        if (!is_accusation(finding) || finding->resource != place->resource ||
            kind_of(finding->verdict) != row->kind || !same_in_builds(finding->site, place->frame))
            continue;
        made.accused = true;
        made.verdict = finding->verdict < made.verdict ? finding->verdict : made.verdict;
        made.count += finding->count;
        made.bytes += finding->bytes;
        variance += finding->tally.variance;
    }
    if (!made.accused && row->kind == VERDICT_LEAKED && !place->judged) {
        made.count = place->alive;
        made.bytes = place->alive_bytes;
        variance = place->alive_variance;
    }
    made.each = each_of(made.count, variance);
    return made;
}

/* Where samples of the heap show nothing: how many of those that the other side has could have been missed for each that would
 * have been met. */
static void weigh_nothing(struct diff_side *nothing, const struct diff_side *other, uint64_t mean)
{
    if (nothing->count == 0 && other->count > 0 && mean > 0)
        nothing->each = tally_weight_of(other->bytes / other->count, (double)mean);
}

/* So many, had they been counted, would weigh as much. */
static uint64_t evidence_count(const struct diff_side *side)
{
    return side->count > 0 ? (uint64_t)fmax(1, (double)side->count / side->each + 0.5) : 0;
}

/* ... and at the same rate had taken so much work. */
static double evidence_work(const struct diff_side *side, double work)
{
    return side->count > 0 ? work * (double)evidence_count(side) / (double)side->count : work / side->each;
}

static void judge_row(const struct diff *diff, struct diff_row *row)
{
    if (row->resource == STRAY_HEAP) {
        weigh_nothing(&row->base, &row->fresh, diff->base->report->heap_sampled);
        weigh_nothing(&row->fresh, &row->base, diff->fresh->report->heap_sampled);
    }
    double base_work = evidence_work(&row->base, diff->base_work), fresh_work = evidence_work(&row->fresh, diff->fresh_work);
    uint64_t base = evidence_count(&row->base), fresh = evidence_count(&row->fresh);
    row->ratio = diff_ratio(base, base_work, fresh, fresh_work);
    row->word = diff_judge(base, base_work, fresh, fresh_work, &row->needed);
    row->needed *= row->base.count ? row->fresh.each : row->base.each;
}

static bool has_row(const struct diff *diff, unsigned resource, enum verdict kind,
                    const struct report_frame *site, bool fresh)
{
    for (size_t i = 0; i < diff->count; i++) {
        const struct diff_row *row = &diff->rows[i];
        if (row->resource == resource && row->kind == kind && (fresh ? row->fresh.there : row->base.there) &&
            same_in_builds(row->site, site))
            return true;
    }
    return false;
}

static int add_row(struct drawing *drawing, enum verdict kind, struct place *base, struct place *fresh,
                   bool by_callers)
{
    struct diff *diff = &drawing->diff;
    const struct place *shown = fresh ? fresh : base;
    struct diff_row row = {
        .resource = shown->resource, .kind = kind, .site = shown->frame, .by_callers = by_callers};
    row.base = side_of(&drawing->base, &row, base);
    row.fresh = side_of(&drawing->fresh, &row, fresh);
    row.base.rate = diff->base_work > 0 ? (double)row.base.count / diff->base_work : 0;
    row.fresh.rate = diff->fresh_work > 0 ? (double)row.fresh.count / diff->fresh_work : 0;
    if (base)
        base->matched = true;
    if (fresh)
        fresh->matched = true;
    if (row.base.count == 0 && row.fresh.count == 0)
        return 0;
    judge_row(diff, &row);
    struct diff_row *grown = array_grow(diff->rows, &drawing->room, diff->count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    diff->rows = grown;
    grown[diff->count++] = row;
    return 0;
}

/* Whether the user's own function that is nearest among the callers is one of the `common` outermost frames.
 */
static bool own_caller_within(const struct ledger *ledger, const struct ledger_stack *stack, uint32_t common)
{
    for (uint32_t i = stack->blame + 1; i < stack->count; i++)
        if (ledger->frames[stack->frames[i]].user)
            return stack->count - 1 - i < common;
    return false;
}

/* How many callers both stacks have, from the outermost in; 0 unless the function that called the one to
 * blame is among them. */
static uint32_t common_callers(const struct ledger *base, uint32_t left, const struct ledger *fresh,
                               uint32_t right)
{
    if (left == LEDGER_NONE || right == LEDGER_NONE)
        return 0;
    const struct ledger_stack *a = &base->stacks[left], *b = &fresh->stacks[right];
    uint32_t common = 0;
    while (common + a->blame + 1 < a->count && common + b->blame + 1 < b->count &&
           same_in_builds(&base->frames[a->frames[a->count - 1 - common]],
                          &fresh->frames[b->frames[b->count - 1 - common]]))
        common++;
    return own_caller_within(base, a, common) && own_caller_within(fresh, b, common) ? common : 0;
}

/* What a place was called on the other side: acquired from there only, and with most callers in common. */
static struct place *renamed(const struct side *from, const struct place *place, struct side *to,
                             bool from_base)
{
    struct place *best = NULL;
    uint32_t most = 0;
    for (size_t i = 0; i < to->count; i++) {
        struct place *other = &to->places[i];
        if (other->matched || other->resource != place->resource ||
            place_find(from, other->resource, other->frame))
            continue;
        uint32_t common = from_base ? common_callers(from->ledger, place->stack, to->ledger, other->stack)
                                    : common_callers(to->ledger, other->stack, from->ledger, place->stack);
        if (common > most) {
            most = common;
            best = other;
        }
    }
    return best;
}

static int draw_finding(struct drawing *drawing, const struct report_finding *finding, bool fresh)
{
    struct side *own = fresh ? &drawing->fresh : &drawing->base,
                *other = fresh ? &drawing->base : &drawing->fresh;
    enum verdict kind = kind_of(finding->verdict);
    struct place *place = place_find(own, finding->resource, finding->site);
    if (!is_accusation(finding) || !place ||
        has_row(&drawing->diff, finding->resource, kind, finding->site, fresh))
        return 0;
    struct place *match = place_find(other, finding->resource, finding->site);
    bool by_callers = false;
    if (!match) {
        match = renamed(own, place, other, !fresh);
        by_callers = match != NULL;
    }
    return add_row(drawing, kind, fresh ? match : place, fresh ? place : match, by_callers);
}

static int draw(struct drawing *drawing)
{
    const struct report *base = drawing->base.ledger->report, *fresh = drawing->fresh.ledger->report;
    int result = 0;
    for (size_t i = 0; result == 0 && i < base->finding_count; i++)
        result = draw_finding(drawing, &base->findings[i], false);
    for (size_t i = 0; result == 0 && i < fresh->finding_count; i++)
        result = draw_finding(drawing, &fresh->findings[i], true);
    return result;
}

/* ---- whole ---- */

static double work_of(const struct ledger *ledger, enum axis axis)
{
    double work = 0;
    for (size_t i = 0; i < ledger->process_count; i++)
        work += ledger->processes[i].work[axis];
    return work;
}

/* The best axis that both have. Time is always there. */
static void choose_axis(struct diff *diff)
{
    enum axis axis = diff->base->report->axis > diff->fresh->report->axis ? diff->base->report->axis
                                                                          : diff->fresh->report->axis;
    double base_time = work_of(diff->base, AXIS_TIME), fresh_time = work_of(diff->fresh, AXIS_TIME);
    diff->axis = axis;
    diff->base_work = work_of(diff->base, axis);
    diff->fresh_work = work_of(diff->fresh, axis);
    if (axis == AXIS_TIME || base_time <= 0 || fresh_time <= 0)
        return;
    diff->base_load = diff->base_work / base_time;
    diff->fresh_load = diff->fresh_work / fresh_time;
    diff->load_differs = !(diff->fresh_load <= LOAD_DIFFERS * diff->base_load) ||
                         !(diff->base_load <= LOAD_DIFFERS * diff->fresh_load);
}

static int row_order(const void *left, const void *right)
{
    const struct diff_row *a = left, *b = right;
    uint64_t many_a = a->base.count > a->fresh.count ? a->base.count : a->fresh.count;
    uint64_t many_b = b->base.count > b->fresh.count ? b->base.count : b->fresh.count;
    int order = (int)a->word - (int)b->word;
    if (order == 0) /* what is rare in number is dear */
        order = (a->resource == STRAY_HEAP) - (b->resource == STRAY_HEAP);
    if (order == 0)
        order = (many_a < many_b) - (many_a > many_b);
    if (order == 0)
        order = (int)a->resource - (int)b->resource;
    if (order == 0)
        order = (int)a->kind - (int)b->kind;
    if (order == 0)
        order = text_order(a->site ? a->site->function : NULL, b->site ? b->site->function : NULL);
    return order ? order : text_order(a->site ? a->site->file : NULL, b->site ? b->site->file : NULL);
}

int diff_make(const struct ledger *base, const struct ledger *fresh, struct diff *ret_diff)
{
    struct drawing drawing = {.diff = {.base = base, .fresh = fresh}};
    choose_axis(&drawing.diff);
    int result = side_make(base, &drawing.base);
    if (result == 0)
        result = side_make(fresh, &drawing.fresh);
    if (result == 0)
        result = draw(&drawing);
    side_clear(&drawing.base);
    side_clear(&drawing.fresh);
    if (result < 0) {
        diff_clear(&drawing.diff);
        return result;
    }
    if (drawing.diff.count > 1)
        qsort(drawing.diff.rows, drawing.diff.count, sizeof(*drawing.diff.rows), row_order);
    *ret_diff = drawing.diff;
    return 0;
}

void diff_clear(struct diff *diff)
{
    free(diff->rows);
    *diff = (struct diff){0};
}
