/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/places.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "read/array.h"
#include "views/report_steps.h"

/* ---- one process ---- */

/* What is needed while one process is added. */
struct adding {
    struct places *places;
    struct report *report;
    const struct report_process *process;
    const struct lives *lives;
    const struct folds *folds;
    const struct judged *judged;
    const struct report_stacks *stacks;
    struct course_grid grid;
};

static int add_process(struct adding *adding)
{
    struct places *places = adding->places;
    struct places_process *grown = array_grow(places->processes, &places->process_room, places->process_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    places->processes = grown;
    struct places_process *process = &grown[places->process_count++];
    *process = (struct places_process){.pid = adding->process->pid, .windows = adding->grid.count};
    for (unsigned i = 0; i < adding->grid.count; i++)
        process->end_s[i] = report_seconds(adding->lives, adding->grid.end[i]);
    return 0;
}

/* ---- places ---- */

static bool is_loud(enum verdict verdict)
{
    return verdict < VERDICT_PLATEAU;
}

struct amounts {
    uint64_t alive_bytes, alive, opened, process;
};

/* The most first; of as much, that of the first process. */
static int amounts_order(struct amounts a, struct amounts b)
{
    int order = more_first(a.alive_bytes, b.alive_bytes);
    if (order == 0)
        order = more_first(a.alive, b.alive);
    if (order == 0)
        order = more_first(a.opened, b.opened);
    return order ? order : (a.process > b.process) - (a.process < b.process);
}

static int place_order(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    int order = (int)is_loud(b->verdict) - (int)is_loud(a->verdict);
    if (order == 0)
        order = amounts_order((struct amounts){a->alive_bytes, a->alive, a->opened, a->process},
                              (struct amounts){b->alive_bytes, b->alive, b->opened, b->process});
    return order ? order : (a->first_s > b->first_s) - (a->first_s < b->first_s);
}

/* The last ones go. Sorting all of them each time would take long where there are many processes. */
static void cut(struct places *places)
{
    if (places->count > 1)
        qsort(places->items, places->count, sizeof(*places->items), place_order);
    for (; places->count > PLACES_MAX; places->left_out++)
        free(places->items[--places->count].curve);
}

static int draw_curve(struct place *place, uint64_t closed)
{
    double bound[AGE_BUCKETS + 1], kept = 0;
    struct survival_step steps[AGE_BUCKETS];
    for (unsigned i = 0; i <= AGE_BUCKETS; i++)
        bound[i] = age_of_bucket(i);
    for (unsigned i = 0; i < AGE_BUCKETS; i++)
        kept += place->course.released[i];
    struct ages ages = {place->course.released, place->course.surviving, bound, AGE_BUCKETS, kept > 0 ? fmax(1, (double)closed / kept) : 1};
    place->curve_count = survival_curve(&ages, steps);
    if (place->curve_count == 0)
        return 0;
    place->curve = calloc(place->curve_count, sizeof(*place->curve));
    if (!place->curve)
        return -ENOMEM;
    memcpy(place->curve, steps, place->curve_count * sizeof(*steps));
    return 0;
}

static struct place_stack stack_of(const struct site *site)
{
    struct place_stack stack = {.opened = site->opened, .alive = site->alive, .alive_bytes = site->alive_bytes};
    if (site->estimated) {
        stack.opened = tally_whole(&site->born);
        stack.alive = site->alive ? tally_whole(&site->at_end) : 0;
    }
    return stack;
}

static bool holds_more(const struct place_stack *a, const struct place_stack *b)
{
    if (a->alive_bytes != b->alive_bytes)
        return a->alive_bytes > b->alive_bytes;
    return a->alive != b->alive ? a->alive > b->alive : a->opened > b->opened;
}

/* Until the end `node` is the site. */
static void rank_stack(struct place *place, const struct place_stack *stack)
{
    size_t at = place->stack_count;
    while (at > 0 && holds_more(stack, &place->stacks[at - 1]))
        at--;
    if (at == PLACE_STACKS)
        return;
    place->stack_count += place->stack_count < PLACE_STACKS;
    memmove(&place->stacks[at + 1], &place->stacks[at], (place->stack_count - 1 - at) * sizeof(*stack));
    place->stacks[at] = *stack;
}

static int name_node(struct adding *adding, uint32_t stack, uint32_t *ret_node)
{
    return tree_add_stack(&adding->places->tree, adding->stacks->stack(adding->stacks->data, stack), ret_node);
}

static int add_stacks(struct adding *adding, const struct fold *fold, struct place *place)
{
    int result = 0;
    place->stack_total = fold->site_count;
    for (size_t i = 0; i < fold->site_count; i++) {
        struct place_stack stack = stack_of(&adding->lives->sites[fold->sites[i]]);
        stack.node = fold->sites[i];
        rank_stack(place, &stack);
    }
    for (size_t i = 0; result == 0 && i < place->stack_count; i++)
        result = name_node(adding, adding->lives->sites[place->stacks[i].node].stack, &place->stacks[i].node);
    return result;
}

static void add_course(struct adding *adding, const struct fold *fold, struct course *course)
{
    for (size_t i = 0; i < fold->site_count; i++)
        course_add_site(course, adding->lives, &adding->grid, fold->sites[i]);
    for (size_t i = 0; i < fold->life_count; i++)
        course_add_life(course, adding->lives, &adding->grid, fold->lives[i]);
}

static int add_place(struct adding *adding, size_t which)
{
    struct places *places = adding->places;
    const struct fold *fold = &adding->folds->items[which];
    struct report_finding at;
    struct place place = {.process = (uint32_t)places->process_count - 1,
                          .resource = fold->resource,
                          .verdict = adding->judged->verdicts[which],
                          .opened = fold->opened, .alive = fold->alive, .alive_bytes = fold->alive_bytes,
                          .estimated = fold->estimated};
    add_course(adding, fold, &place.course);
    if (!place.course.told && !is_loud(place.verdict))
        return 0;
    int result = report_place(adding->report, adding->lives, fold, adding->stacks, &at);
    if (result == 0)
        result = draw_curve(&place, fold->opened > fold->alive ? fold->opened - fold->alive : 0);
    if (result == 0)
        result = add_stacks(adding, fold, &place);
    struct place *grown = result < 0 ? NULL : array_grow(places->items, &places->room, places->count, sizeof(*grown));
    if (!grown) {
        free(place.curve);
        return -ENOMEM;
    }
    place.known = at.site != NULL;
    if (place.known)
        place.site = *at.site;
    place.peer = at.peer;
    place.server = at.server;
    place.first_s = at.first_s;
    place.last_s = at.last_s;
    places->items = grown;
    grown[places->count++] = place;
    if (places->count >= 2 * PLACES_MAX)
        cut(places);
    return 0;
}

/* Whether a course can be told, which takes as long as telling it. */
static bool is_told(const struct adding *adding, size_t which)
{
    const struct fold *fold = &adding->folds->items[which];
    if (is_loud(adding->judged->verdicts[which]) || fold->resource == STRAY_CONNECTION || fold->resource == STRAY_PGCONN)
        return true;
    for (size_t i = 0; i < fold->site_count; i++)
        if (adding->lives->sites[fold->sites[i]].growth)
            return true;
    return false;
}

/* Stands for a fold while the most telling ones are chosen: naming the stacks of all would take long. */
static struct place rank_of(const struct adding *adding, size_t which)
{
    const struct fold *fold = &adding->folds->items[which];
    return (struct place){.process = (uint32_t)which, .verdict = adding->judged->verdicts[which], .opened = fold->opened,
                          .alive = fold->alive, .alive_bytes = fold->alive_bytes};
}

static int add_places(struct adding *adding)
{
    size_t count = 0;
    struct place *ranks = calloc(adding->folds->count + 1, sizeof(*ranks));
    int result = ranks ? 0 : -ENOMEM;
    for (size_t i = 0; ranks && i < adding->folds->count; i++)
        if (is_told(adding, i))
            ranks[count++] = rank_of(adding, i);
    if (count > 1)
        qsort(ranks, count, sizeof(*ranks), place_order);
    for (size_t i = 0; result == 0 && i < count && i < PLACES_MAX; i++)
        result = add_place(adding, ranks[i].process);
    adding->places->left_out += count > PLACES_MAX ? count - PLACES_MAX : 0;
    free(ranks);
    return result;
}

/* ---- rows of the flame graph ---- */

enum rank { RANK_ALIVE, RANK_OPENED };

struct candidate {
    uint32_t site;
    bool accused, rare, chosen; /* rare: no block of memory, of which there are always many more */
    uint64_t weight, other;
};

static int candidate_order(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = (int)b->accused - (int)a->accused;
    if (order == 0)
        order = (int)b->rare - (int)a->rare;
    if (order == 0)
        order = more_first(a->weight, b->weight);
    if (order == 0)
        order = more_first(a->other, b->other);
    return order ? order : (a->site > b->site) - (a->site < b->site);
}

static int site_order(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = (int)b->chosen - (int)a->chosen;
    return order ? order : (a->site > b->site) - (a->site < b->site);
}

static void choose(const struct lives *lives, struct candidate *items, size_t count, enum rank rank, size_t most)
{
    for (size_t i = 0; i < count; i++) {
        struct place_stack stack = stack_of(&lives->sites[items[i].site]);
        items[i].weight = rank == RANK_ALIVE ? stack.alive_bytes : stack.opened;
        items[i].other = stack.alive;
    }
    if (count > 1)
        qsort(items, count, sizeof(*items), candidate_order);
    for (size_t i = 0; i < count && i < most; i++)
        items[i].chosen = true;
}

static void mark_accused(const struct adding *adding, struct candidate *items)
{
    for (size_t i = 0; i < adding->folds->count; i++) {
        enum verdict verdict = adding->judged->verdicts[i];
        const struct fold *fold = &adding->folds->items[i];
        bool accused = verdict == VERDICT_LEAKED || verdict == VERDICT_CREEP;
        for (size_t k = 0; accused && k < fold->site_count; k++)
            items[fold->sites[k]].accused = true;
    }
}

static int add_row(struct adding *adding, const struct candidate *from, uint32_t *row_of)
{
    struct places *places = adding->places;
    const struct site *site = &adding->lives->sites[from->site];
    struct place_stack stack = stack_of(site);
    int result = name_node(adding, site->stack, &stack.node);
    if (result < 0)
        return result;
    struct stack_row *grown = array_grow(places->rows, &places->row_room, places->row_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    places->rows = grown;
    row_of[from->site] = (uint32_t)places->row_count;
    grown[places->row_count++] = (struct stack_row){
        .process = (uint32_t)places->process_count - 1, .node = stack.node, .resource = site->resource, .accused = from->accused,
        .opened = stack.opened, .alive = stack.alive, .alive_bytes = stack.alive_bytes};
    return 0;
}

/* NULL without memory. */
static double *copied(const double *values, unsigned count)
{
    double *copy = calloc(count + 1, sizeof(*copy));
    if (copy)
        memcpy(copy, values, count * sizeof(*copy));
    return copy;
}

static int add_series(struct adding *adding, struct stack_row *row, const struct course *course)
{
    struct places *places = adding->places;
    if (!course->told || places->series_count >= SERIES_MAX)
        return 0;
    places->series_count++;
    row->open = copied(course->open, adding->grid.count);
    row->bytes = copied(course->bytes, adding->grid.count);
    return row->open && row->bytes ? 0 : -ENOMEM;
}

/* Of each row that was chosen; lives are told to the rows of their sites. */
static int add_all_series(struct adding *adding, size_t first, const uint32_t *row_of)
{
    const struct lives *lives = adding->lives;
    struct places *places = adding->places;
    size_t count = places->row_count - first;
    struct course *courses = calloc(count + 1, sizeof(*courses));
    int result = courses ? 0 : -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < lives->site_count; i++)
        if (row_of[i] != LIVES_NONE)
            course_add_site(&courses[row_of[i] - first], lives, &adding->grid, i);
    for (uint32_t i = 0; result == 0 && i < lives->life_count; i++) {
        uint32_t site = lives->lives[i].site;
        if (site != LIVES_NONE && row_of[site] != LIVES_NONE)
            course_add_life(&courses[row_of[site] - first], lives, &adding->grid, i);
    }
    for (size_t i = 0; result == 0 && i < count; i++)
        result = add_series(adding, &places->rows[first + i], &courses[i]);
    free(courses);
    return result;
}

/* Half of the room that is left, so that later processes have some, too. */
static size_t rows_wanted(const struct places *places)
{
    return places->row_count < STACKS_MAX ? (STACKS_MAX - places->row_count + 1) / 2 : 0;
}

static int add_chosen(struct adding *adding, struct candidate *items, size_t count)
{
    struct places *places = adding->places;
    size_t first = places->row_count, half = (rows_wanted(places) + 1) / 2, chosen = 0;
    uint32_t *row_of = calloc(count + 1, sizeof(*row_of));
    if (!row_of)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        row_of[i] = LIVES_NONE;
    choose(adding->lives, items, count, RANK_ALIVE, half);
    choose(adding->lives, items, count, RANK_OPENED, half);
    if (count > 1)
        qsort(items, count, sizeof(*items), site_order);
    int result = 0;
    for (; result == 0 && chosen < count && items[chosen].chosen; chosen++)
        result = add_row(adding, &items[chosen], row_of);
    places->rows_left_out += count - chosen;
    if (result == 0)
        result = add_all_series(adding, first, row_of);
    free(row_of);
    return result;
}

static int add_rows(struct adding *adding)
{
    size_t count = adding->lives->site_count;
    struct candidate *items = calloc(count + 1, sizeof(*items));
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        unsigned resource = adding->lives->sites[i].resource;
        items[i] = (struct candidate){.site = (uint32_t)i, .rare = resource != STRAY_HEAP && resource != STRAY_PYOBJECT};
    }
    mark_accused(adding, items);
    int result = add_chosen(adding, items, count);
    free(items);
    return result;
}

/* ---- whole ---- */

int places_add(struct places *places, struct report *report, const struct report_process *process, const struct lives *lives,
               const struct folds *folds, const struct judged *judged, const struct report_stacks *stacks)
{
    struct adding adding = {places, report, process, lives, folds, judged, stacks, {0}};
    course_grid_of(lives, &adding.grid);
    int result = add_process(&adding);
    if (result == 0)
        result = add_places(&adding);
    return result == 0 ? add_rows(&adding) : result;
}

static int row_order(const void *left, const void *right)
{
    const struct stack_row *a = left, *b = right;
    int order = (int)b->accused - (int)a->accused;
    if (order == 0)
        order = amounts_order((struct amounts){a->alive_bytes, a->alive, a->opened, a->process},
                              (struct amounts){b->alive_bytes, b->alive, b->opened, b->process});
    return order ? order : (a->node > b->node) - (a->node < b->node);
}

/* The same stack in another tree. */
static int move_node(const struct tree *from, struct tree *to, uint32_t *node)
{
    size_t depth = 0, at = 0;
    for (uint32_t each = *node; each != TREE_ROOT; each = from->nodes[each].parent)
        depth++;
    struct report_frame *frames = calloc(depth + 1, sizeof(*frames));
    if (!frames)
        return -ENOMEM;
    for (uint32_t each = *node; each != TREE_ROOT; each = from->nodes[each].parent)
        frames[at++] = from->frames[from->nodes[each].frame];
    int result = tree_add(to, frames, depth, node);
    free(frames);
    return result;
}

static void drop_rows(struct places *places, size_t from)
{
    for (size_t i = from; i < places->row_count; i++) {
        free(places->rows[i].open);
        free(places->rows[i].bytes);
    }
    places->rows_left_out += places->row_count - from;
    places->row_count = from;
}

/* Places that were cut had stacks, too. */
static int move_all(struct places *places, struct tree *tree)
{
    int result = 0;
    for (size_t i = 0; i < places->count; i++)
        for (size_t k = 0; result == 0 && k < places->items[i].stack_count; k++)
            result = move_node(&places->tree, tree, &places->items[i].stacks[k].node);
    for (size_t i = 0; result == 0 && i < places->row_count; i++) {
        if (tree->node_count > NODES_MAX)
            drop_rows(places, i);
        else
            result = move_node(&places->tree, tree, &places->rows[i].node);
    }
    return result;
}

int places_end(struct places *places)
{
    struct tree tree = {0};
    cut(places);
    if (places->row_count > 1)
        qsort(places->rows, places->row_count, sizeof(*places->rows), row_order);
    int result = move_all(places, &tree);
    tree_clear(result == 0 ? &places->tree : &tree);
    if (result == 0)
        places->tree = tree;
    return result;
}

bool place_is_of(const struct place *place, const struct report_finding *finding)
{
    const struct report_frame *a = &place->site, *b = finding->site;
    if (place->resource != finding->resource || place->server != finding->server || !same_text(place->peer, finding->peer) ||
        place->known != (b != NULL))
        return false;
    return !b || (a->line == b->line && same_text(a->function, b->function) && same_text(a->file, b->file) &&
                  same_text(a->module, b->module) && (a->function || a->line || a->offset == b->offset));
}

void places_free(struct places *places)
{
    if (!places)
        return;
    for (size_t i = 0; i < places->count; i++)
        free(places->items[i].curve);
    for (size_t i = 0; i < places->row_count; i++) {
        free(places->rows[i].open);
        free(places->rows[i].bytes);
    }
    tree_clear(&places->tree);
    free(places->processes);
    free(places->items);
    free(places->rows);
    free(places);
}
