/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/html_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "json_memory.h"
#include "read/words.h"
#include "views/json.h"

#define SERIES_PROCESSES 16
#define SERIES_POINTS    480 /* of each process */

/* Times to a millisecond: what a chart can show. */
static json_t *second(double seconds)
{
    return json_real(round(seconds * 1000) / 1000);
}

/* A number of things, which is whole unless it was estimated. */
static json_t *amount(double number)
{
    return json_whole((uint64_t)fmin(fmax(number, 0) + 0.5, 0x1p62));
}

/* ---- the tree ---- */

json_t *html_node(uint32_t node)
{
    return node == TREE_ROOT ? json_null() : json_integer(node);
}

/* [function, file, line, module, kind, offset]; kind: 1 Python, 2 the user's own, 4 inlined. */
static json_t *frame(const struct report_frame *from)
{
    json_t *list = json_array();
    json_array_append_new(list, json_text(from->function));
    json_array_append_new(list, json_text(from->file));
    json_array_append_new(list, json_integer(from->line));
    json_array_append_new(list, json_text(from->module));
    json_array_append_new(list, json_integer(from->python | from->user << 1 | from->inlined << 2));
    if (from->offset) {
        char offset[32];
        snprintf(offset, sizeof(offset), "0x%" PRIx64, from->offset);
        json_array_append_new(list, json_string(offset));
    }
    return list;
}

void html_tree(json_t *page, const struct tree *tree)
{
    json_t *frames = json_array(), *parents = json_array(), *of = json_array();
    for (size_t i = 0; i < tree->frame_count; i++)
        json_array_append_new(frames, frame(&tree->frames[i]));
    for (size_t i = 0; i < tree->node_count; i++) {
        uint32_t parent = tree->nodes[i].parent;
        json_array_append_new(parents, json_integer(parent == TREE_ROOT ? -1 : (json_int_t)parent));
        json_array_append_new(of, json_integer(tree->nodes[i].frame));
    }
    json_object_set_new(page, "frames", frames);
    json_object_set_new(page, "parents", parents);
    json_object_set_new(page, "node_frames", of);
}

json_t *html_tally(const struct report *report)
{
    size_t leaks = 0, errors = 0, warnings = 0, notes = 0, symptoms = 0;
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct report_finding *finding = &report->findings[i];
        bool own = finding->cause == REPORT_NONE, error = finding->severity == SEVERITY_ERROR;
        symptoms += !own;
        leaks += own && error && finding->verdict == VERDICT_LEAKED;
        errors += own && error && finding->verdict != VERDICT_LEAKED;
        warnings += own && finding->severity == SEVERITY_WARNING;
        notes += own && finding->severity == SEVERITY_NOTE;
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "leaks", json_whole(leaks), "errors", json_whole(errors), "warnings",
                     json_whole(warnings), "notes", json_whole(notes), "symptoms", json_whole(symptoms));
}

json_t *html_quiet(const struct report *report)
{
    json_t *object = json_object();
    for (enum verdict verdict = VERDICT_PLATEAU; verdict < VERDICT_COUNT; verdict++)
        json_object_set_new(object, verdict_name(verdict), json_whole(report->quiet[verdict]));
    return object;
}

/* ---- over time ---- */

/* The lists of one process, each to be named; it belongs to `processes`. */
static json_t *lists_begin(json_t *processes, const struct ledger_process *process)
{
    json_t *lists = json_pack("{s:I, s:o}", "pid", (json_int_t)process->pid, "end_s", second(process->end_s));
    json_array_append_new(processes, lists);
    return lists;
}

static void put(json_t *lists, const char *name, json_t *value)
{
    json_t *list = json_object_get(lists, name);
    if (!list && json_object_set_new(lists, name, json_array()) == 0)
        list = json_object_get(lists, name);
    json_array_append_new(list, value);
}

static void put_point(json_t *lists, const struct ledger_point *point)
{
    put(lists, "time_s", second(point->time_s));
    put(lists, "rss", point->rss ? json_whole(point->rss) : json_null());
    put(lists, "heap", json_whole(point->heap_bytes));
    put(lists, "connections", json_whole(point->open[STRAY_CONNECTION]));
    put(lists, "pgconns", json_whole(point->open[STRAY_PGCONN]));
    put(lists, "files", json_whole(point->open[STRAY_FILE] + point->open[STRAY_SOCKET]));
    put(lists, "threads", json_whole(point->open[STRAY_THREAD]));
}

/* Every so many points, and the last. */
static void put_points(json_t *lists, const struct ledger_point *points, size_t count)
{
    size_t step = (count + SERIES_POINTS - 1) / SERIES_POINTS;
    for (size_t i = 0; i < count; i++)
        if (i % step == 0 || i + 1 == count)
            put_point(lists, &points[i]);
}

json_t *html_series(const struct ledger *ledger)
{
    json_t *processes = json_array();
    for (size_t i = 0; i < ledger->point_count && json_array_size(processes) < SERIES_PROCESSES;) {
        size_t first = i;
        while (i < ledger->point_count && ledger->points[i].process == ledger->points[first].process)
            i++;
        json_t *lists = lists_begin(processes, &ledger->processes[ledger->points[first].process]);
        put_points(lists, &ledger->points[first], i - first);
    }
    return processes;
}

static void put_moment(json_t *lists, const struct ledger_moment *moment)
{
    const struct parts *parts = &moment->parts;
    put(lists, "time_s", second(moment->time_s));
    put(lists, "rss", json_whole(moment->rss));
    put(lists, "live_heap", json_integer(parts->live_heap));
    put(lists, "allocator_overhead", json_integer(parts->overhead));
    put(lists, "allocator_retained", json_integer(parts->retained));
    put(lists, "mmap", json_integer(parts->mapped));
    put(lists, "stacks", json_integer(parts->stacks));
    put(lists, "files", json_integer(parts->files));
    put(lists, "tracer", json_integer(parts->tracer));
    put(lists, "unexplained", json_integer(parts->unexplained));
}

json_t *html_moments(const struct ledger *ledger)
{
    json_t *processes = json_array();
    json_t *lists = NULL;
    for (size_t i = 0; i < ledger->moment_count; i++) {
        uint32_t process = ledger->moments[i].process;
        if (i == 0 || process != ledger->moments[i - 1].process) {
            if (json_array_size(processes) == SERIES_PROCESSES)
                break;
            lists = lists_begin(processes, &ledger->processes[process]);
        }
        put_moment(lists, &ledger->moments[i]);
    }
    return processes;
}

/* ---- places ---- */

static json_t *numbers(const double *values, unsigned count)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, amount(values[i]));
    return list;
}

static json_t *place_stacks(const struct place *place)
{
    json_t *list = json_array();
    for (size_t i = 0; i < place->stack_count; i++) {
        const struct place_stack *stack = &place->stacks[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "node", html_node(stack->node), "opened", json_whole(stack->opened),
                                              "alive", json_whole(stack->alive), "alive_bytes", json_whole(stack->alive_bytes)));
    }
    return list;
}

/* [age, share, low, high] */
static json_t *curve(const struct place *place)
{
    json_t *list = json_array();
    for (size_t i = 0; i < place->curve_count; i++) {
        const struct survival_step *step = &place->curve[i];
        json_array_append_new(list, json_pack("[o, o, o, o]", report_json_real(step->age), report_json_real(step->share.estimate),
                                              report_json_real(step->share.low), report_json_real(step->share.high)));
    }
    return list;
}

static void set_course(json_t *object, const struct place *place, unsigned windows)
{
    const struct course *course = &place->course;
    if (!course->told)
        return;
    json_object_set_new(object, "live", numbers(course->open, windows));
    json_object_set_new(object, "bytes", numbers(course->bytes, windows));
    json_object_set_new(object, "born", numbers(course->born, windows));
    json_object_set_new(object, "kept", numbers(course->kept, windows));
    json_object_set_new(object, "curve", curve(place));
}

static json_t *place(const struct places *places, const struct place *from)
{
    json_t *object = json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "resource", resource_label(from->resource), "verdict",
                               verdict_name(from->verdict), "process", (json_int_t)from->process, "opened", json_whole(from->opened), "alive",
                               json_whole(from->alive), "alive_bytes", json_whole(from->alive_bytes), "first_s", report_json_real(from->first_s),
                               "last_s", report_json_real(from->last_s), "stack_total", json_whole(from->stack_total));
    json_object_set_new(object, "site", report_json_frame(from->known ? &from->site : NULL));
    json_object_set_new(object, "stacks", place_stacks(from));
    if (from->peer)
        json_object_set_new(object, "peer", json_text(from->peer));
    if (from->estimated)
        json_object_set_new(object, "estimated", json_true());
    set_course(object, from, places->processes[from->process].windows);
    return object;
}

/* [process, node, resource, opened, alive, alive_bytes, accused, open?, bytes?] */
static json_t *stack_row(const struct places *places, const struct stack_row *row)
{
    json_t *list = json_pack("[I, o, s, o, o, o, i]", (json_int_t)row->process, html_node(row->node), resource_label(row->resource),
                             json_whole(row->opened), json_whole(row->alive), json_whole(row->alive_bytes), row->accused);
    if (row->open) {
        json_array_append_new(list, numbers(row->open, places->processes[row->process].windows));
        json_array_append_new(list, numbers(row->bytes, places->processes[row->process].windows));
    }
    return list;
}

static json_t *windows(const struct places_process *process)
{
    json_t *ends = json_array();
    for (unsigned i = 0; i < process->windows; i++)
        json_array_append_new(ends, second(process->end_s[i]));
    return json_pack("{s:I, s:o}", "pid", (json_int_t)process->pid, "end_s", ends);
}

void html_places(json_t *page, const struct places *places, json_t *left_out)
{
    json_t *processes = json_array(), *items = json_array(), *rows = json_array();
    for (size_t i = 0; i < places->process_count; i++)
        json_array_append_new(processes, windows(&places->processes[i]));
    for (size_t i = 0; i < places->count; i++)
        json_array_append_new(items, place(places, &places->items[i]));
    for (size_t i = 0; i < places->row_count; i++)
        json_array_append_new(rows, stack_row(places, &places->rows[i]));
    json_object_set_new(page, "windows", processes);
    json_object_set_new(page, "places", items);
    json_object_set_new(page, "stacks", rows);
    if (places->left_out)
        json_object_set_new(left_out, "places", json_whole(places->left_out));
    if (places->rows_left_out)
        json_object_set_new(left_out, "stacks", json_whole(places->rows_left_out));
}

/* ---- timelines ---- */

/* As little of it as is shown with each of many. */
static json_t *brief(const struct report_frame *from)
{
    json_t *object = json_object();
    json_object_set_new(object, "function", json_text(from->function));
    json_object_set_new(object, "file", json_text(from->file ? from->file : from->module));
    if (from->line)
        json_object_set_new(object, "line", json_integer(from->line));
    return object;
}

static json_t *life(const struct ledger *ledger, const struct ledger_life *from)
{
    double offset = timeline_offset(ledger, from->process);
    const char *word = ledger_transaction_word(from);
    const struct ledger_place *at = &ledger->places[from->place];
    json_t *object = json_pack("{s:I, s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "pid", (json_int_t)ledger->processes[from->process].pid,
                               "handle", json_whole(from->handle), "opened_s", second(offset + from->opened_s), "used_s",
                               second(offset + from->used_s), "ended_s", second(offset + from->ended_s), "closed",
                               ledger_closed_word(from->closed), "busy_s", report_json_real(from->busy_s), "uses", json_whole(from->uses));
    if (from->close_wait_s >= 0)
        json_object_set_new(object, "close_wait_s", second(offset + from->close_wait_s));
    if (timeline_rest(from) == TIMELINE_IN_TRANSACTION)
        json_object_set_new(object, "in_transaction", json_true());
    if (from->in_transaction_s > 0)
        json_object_set_new(object, "in_transaction_s", report_json_real(from->in_transaction_s));
    if (word)
        json_object_set_new(object, "transaction", json_string(word));
    if (from->last_statement)
        json_object_set_new(object, "last_statement", json_text(from->last_statement));
    if (ledger_blame(ledger, at->stack))
        json_object_set_new(object, "site", brief(ledger_blame(ledger, at->stack)));
    return object;
}

static json_t *counts(const uint32_t *from)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < TIMELINE_BINS; i++)
        json_array_append_new(list, json_integer(from[i]));
    return list;
}

static json_t *timeline(const struct ledger *ledger, const struct timeline *from)
{
    json_t *lives = json_array();
    for (size_t i = 0; i < from->life_count; i++)
        json_array_append_new(lives, life(ledger, &ledger->lives[from->lives[i]]));
    json_t *object = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "peer", json_text(from->peer->text), "kind",
                     from->peer->server ? "server" : "client", "total", json_whole(from->life_total), "in_use",
                     counts(from->counts[TIMELINE_IN_USE]), "idle", counts(from->counts[TIMELINE_IDLE]), "in_transaction",
                     counts(from->counts[TIMELINE_IN_TRANSACTION]), "close_wait", counts(from->counts[TIMELINE_CLOSE_WAIT]), "lives", lives);
    json_t *busy = from->timed ? json_array() : NULL;
    for (unsigned i = 0; from->timed && i < TIMELINE_BINS; i++)
        json_array_append_new(busy, second(from->busy[i]));
    if (from->timed)
        json_object_set_new(object, "busy", busy);
    return object;
}

void html_timelines(json_t *page, const struct ledger *ledger, const struct timelines *timelines, json_t *left_out)
{
    json_t *list = json_array();
    for (size_t i = 0; i < timelines->count; i++)
        json_array_append_new(list, timeline(ledger, &timelines->items[i]));
    json_object_set_new(page, "timelines", list);
    json_object_set_new(page, "span_s", second(timelines->span_s));
    if (timelines->left_out)
        json_object_set_new(left_out, "timelines", json_whole(timelines->left_out));
}

/* ---- the comparison ---- */

/* What one side holds at one node. */
struct held {
    uint32_t node;
    unsigned resource, side;
    uint64_t opened, alive, alive_bytes;
};

static int held_order(const void *left, const void *right)
{
    const struct held *a = left, *b = right;
    uint64_t much_a = a->alive_bytes ? a->alive_bytes : a->alive, much_b = b->alive_bytes ? b->alive_bytes : b->alive;
    int order = (much_a < much_b) - (much_a > much_b);
    if (order == 0)
        order = (a->opened < b->opened) - (a->opened > b->opened);
    if (order == 0)
        order = (a->node > b->node) - (a->node < b->node);
    return order ? order : (int)a->side - (int)b->side;
}

/* Lines move when code is edited: frames without them are the same before and after. */
static int node_of(struct tree *tree, const struct ledger *ledger, const struct ledger_stack *stack, uint32_t *ret_node)
{
    struct report_frame *frames = calloc(stack->count + 1, sizeof(*frames));
    if (!frames)
        return -ENOMEM;
    for (uint32_t i = 0; i < stack->count; i++) {
        frames[i] = ledger->frames[stack->frames[i]];
        frames[i].line = 0;
        frames[i].offset = frames[i].function ? 0 : frames[i].offset;
    }
    int result = tree_add(tree, frames, stack->count, ret_node);
    free(frames);
    return result;
}

/* The largest of one side. */
static int take_side(const struct ledger *ledger, unsigned side, struct tree *tree, struct held *items, size_t *count)
{
    struct held *own = calloc(ledger->place_count + 1, sizeof(*own));
    int result = own ? 0 : -ENOMEM;
    for (size_t i = 0; own && i < ledger->place_count; i++) {
        const struct ledger_place *from = &ledger->places[i];
        own[i] = (struct held){(uint32_t)i, from->resource, side, from->opened_by_end, from->alive, from->alive_bytes};
    }
    if (own && ledger->place_count > 1)
        qsort(own, ledger->place_count, sizeof(*own), held_order);
    for (size_t i = 0; result == 0 && i < ledger->place_count && i < STACKS_MAX; i++) {
        uint32_t stack = ledger->places[own[i].node].stack;
        if (stack == LEDGER_NONE)
            continue;
        result = node_of(tree, ledger, &ledger->stacks[stack], &own[i].node);
        items[(*count)++] = own[i];
    }
    free(own);
    return result;
}

/* [side, node, resource, opened, alive, alive_bytes] */
static json_t *held_row(const struct held *held)
{
    return json_pack("[i, o, s, o, o, o]", (int)held->side, html_node(held->node), resource_label(held->resource), json_whole(held->opened),
                     json_whole(held->alive), json_whole(held->alive_bytes));
}

int html_diff_flame(json_t *page, const struct diff *diff)
{
    struct tree tree = {0};
    size_t count = 0;
    struct held *items = calloc(2 * STACKS_MAX, sizeof(*items));
    int result = items ? take_side(diff->base, 0, &tree, items, &count) : -ENOMEM;
    if (result == 0)
        result = take_side(diff->fresh, 1, &tree, items, &count);
    json_t *rows = json_array();
    for (size_t i = 0; result == 0 && i < count; i++)
        json_array_append_new(rows, held_row(&items[i]));
    json_object_set_new(page, "stacks", rows);
    html_tree(page, &tree);
    tree_clear(&tree);
    free(items);
    return result;
}
