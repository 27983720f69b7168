/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "read/words.h"
#include "views/kinship.h"
#include "views/places.h"

const char *report_keep(struct report *report, const char *text)
{
    return text ? texts_keep(&report->texts, text) : NULL;
}

int report_begin(const char *given, struct report **ret_report)
{
    struct report *report = calloc(1, sizeof(*report));
    if (!report)
        return -ENOMEM;
    report->complete = true;
    report->axis = AXIS_TIME;
    report->path = report_keep(report, given);
    if (given && !report->path) {
        report_free(report);
        return -ENOMEM;
    }
    *ret_report = report;
    return 0;
}

int report_want_places(struct report *report)
{
    report->places = calloc(1, sizeof(*report->places));
    return report->places ? 0 : -ENOMEM;
}

/* A place with too few acquires is not judged, and "open at the exit" is said of one alone. */
static bool is_judgement(enum verdict verdict)
{
    return verdict != VERDICT_FEW && verdict != VERDICT_OPEN_AT_EXIT;
}

bool report_too_short(const struct report *report)
{
    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (is_judgement(verdict) && report->quiet[verdict] > 0)
            return false;
    for (size_t i = 0; i < report->finding_count; i++)
        if (is_judgement(report->findings[i].verdict))
            return false;
    return true;
}

void report_free(struct report *report)
{
    if (!report)
        return;
    kinship_free(report->kinship);
    places_free(report->places);
    arena_free(&report->arena);
    arena_free(&report->scratch);
    texts_free(&report->texts);
    free(report->run_names);
    free(report->processes);
    free(report->findings);
    free(report->sites);
    free(report->peers);
    free(report->deaths);
    free(report->notes);
    free(report->forecasts);
    for (size_t i = 0; i < report->statement_count; i++)
        report_statement_clear(&report->statements[i]);
    free(report->statements);
    map_clear(&report->statement_rows);
    free(report);
}

/* Room is made in powers of two. */
void *report_append(void *array, size_t *count, size_t size)
{
    void *items;
    memcpy(&items, array, sizeof(items));
    char *moved = items;
    if ((*count & (*count - 1)) == 0)
        moved = reallocarray(items, *count ? 2 * *count : 1, size);
    if (!moved)
        return NULL;
    memcpy(array, &moved, sizeof(moved));
    memset(moved + *count * size, 0, size);
    return moved + (*count)++ * size;
}

/* ---- frames ---- */

struct report_frame report_copy_frame(struct report *report, const struct frame *frame)
{
    return (struct report_frame){
        .function = report_keep(report, frame->function),
        .file = report_keep(report, frame->file),
        .module = report_keep(report, frame->module),
        .line = frame->line,
        .offset = frame->offset,
        .code = frame->code,
        .python = frame->language == LANGUAGE_PYTHON,
        .user = frame->user,
        .inlined = frame->inlined,
    };
}

static int stack_copy(struct report *report, const struct stack *stack, struct report_stack *ret_stack)
{
    struct report_stack copy = {.count = stack->count, .blame = stack->blame, .truncated = stack->truncated};
    copy.frames = arena_alloc(&report->scratch, (stack->count + 1) * sizeof(*copy.frames));
    if (!copy.frames)
        return -ENOMEM;
    for (size_t i = 0; i < stack->count; i++)
        copy.frames[i] = report_copy_frame(report, &stack->frames[i]);
    *ret_stack = copy;
    return 0;
}

int report_keep_stack(struct report *report, struct report_finding *finding)
{
    struct report_stack *stack = &finding->stack;
    struct report_frame *frames = arena_alloc(&report->arena, (stack->count + 1) * sizeof(*frames));
    if (!frames)
        return -ENOMEM;
    if (stack->count > 0)
        memcpy(frames, stack->frames, stack->count * sizeof(*frames));
    stack->frames = frames;
    finding->site = stack->count ? &frames[stack->blame] : NULL;
    return 0;
}

static const struct frame *blame_in(void *data, uint32_t node)
{
    const struct report_stacks *stacks = data;
    const struct stack *stack = stacks->stack(stacks->data, node);
    return stack->count ? &stack->frames[stack->blame] : NULL;
}

static int text_order(const char *a, const char *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

int report_frame_order(const struct report_frame *a, const struct report_frame *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    int order = text_order(a->file, b->file);
    if (order == 0)
        order = (a->line > b->line) - (a->line < b->line);
    if (order == 0)
        order = text_order(a->function, b->function);
    if (order == 0)
        order = text_order(a->module, b->module);
    if (order == 0 && !a->function && !a->line)
        order = (a->offset > b->offset) - (a->offset < b->offset);
    return order;
}

static const char *file_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

/* The same line of the same code, though it may lie elsewhere on another host. */
static bool same_code(const struct report_frame *a, const struct report_frame *b)
{
    if (!a || !b || a->code == 0 || a->code != b->code || a->line != b->line || text_order(a->function, b->function) != 0)
        return false;
    return (a->function || a->offset == b->offset) && text_order(file_name(a->file), file_name(b->file)) == 0;
}

enum likeness { LIKE_NOTHING, LIKE_CODE, LIKE_PLACE };

/* Whether what is added now, at `b`, belongs to the place `a` that was met first in `run`. Within that run paths tell copies of
 * one code apart; from others they say only where it was installed, if nothing there has the same path. */
static enum likeness likeness(const struct report *report, const struct report_frame *a, uint32_t run, const struct report_frame *b)
{
    if (report_frame_order(a, b) == 0)
        return LIKE_PLACE;
    return report->run != run && same_code(a, b) ? LIKE_CODE : LIKE_NOTHING;
}

typedef enum likeness likeness_of(const struct report *report, size_t index, const void *wanted);

/* Index of the first of `count` that is most like what is wanted; REPORT_NONE: none is. */
static size_t most_alike(const struct report *report, size_t count, likeness_of *of, const void *wanted)
{
    size_t known = REPORT_NONE;
    enum likeness best = LIKE_NOTHING;
    for (size_t i = 0; best < LIKE_PLACE && i < count; i++) {
        enum likeness found = of(report, i, wanted);
        known = found > best ? i : known;
        best = found > best ? found : best;
    }
    return known;
}

/* Adds `number` to the set; room is made in powers of two. */
static int add_number(struct report *report, uint32_t **numbers, size_t *count, uint32_t number)
{
    for (size_t i = *count; i-- > 0;) {
        if ((*numbers)[i] == number)
            return 0;
    }
    if ((*count & (*count - 1)) == 0) {
        uint32_t *more = arena_alloc(&report->arena, (*count ? 2 * *count : 1) * sizeof(*more));
        if (!more)
            return -ENOMEM;
        if (*count > 0)
            memcpy(more, *numbers, *count * sizeof(*more));
        *numbers = more;
    }
    (*numbers)[(*count)++] = number;
    return 0;
}

int report_run(struct report *report, const char *path, uint32_t *ret_run)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    const char *name = folder ? report_keep(report, folder) : NULL;
    free(folder);
    if (!name)
        return -ENOMEM;
    for (size_t i = report->run_count; i-- > 0;) {
        if (report->run_names[i] == name) {
            *ret_run = (uint32_t)i;
            return 0;
        }
    }
    const char **added = report_append(&report->run_names, &report->run_count, sizeof(*added));
    if (!added)
        return -ENOMEM;
    *added = name;
    *ret_run = (uint32_t)(report->run_count - 1);
    return 0;
}

/* ---- findings ---- */

/* The same place gives the same id in every trace of the same program. */
static void name_finding(struct report_finding *finding)
{
    uint64_t hash = HASH_BEGIN;
    if (finding->site) {
        hash = hash_text(hash_text(hash, finding->site->function), finding->site->file);
        hash = hash_bytes(hash, &finding->site->line, sizeof(finding->site->line));
        hash = hash_text(hash, finding->site->module);
        if (!finding->site->function && !finding->site->line)
            hash = hash_bytes(hash, &finding->site->offset, sizeof(finding->site->offset));
    }
    hash = hash_text(hash, finding->peer);
    if (finding->statement)
        hash = hash_text(hash, finding->statement);
    if (finding->call)
        hash = hash_text(hash, finding->call);
    snprintf(finding->id, sizeof(finding->id), "%s-%s-%08x", verdict_name(finding->verdict),
             resource_label(finding->resource), (unsigned)(hash ^ hash >> 32));
}

static const char *peer_text(const struct lives *lives, uint32_t peer)
{
    return peer == LIVES_NONE ? NULL : lives->peers[peer].text;
}

/* A PGconn's peer is that of its connection, else what libpq said of itself. */
static const char *peer_of_one(const struct lives *lives, const struct life *life)
{
    if (life->partner != LIVES_NONE && lives->lives[life->partner].peer != LIVES_NONE)
        return lives->peers[lives->lives[life->partner].peer].text;
    return life->definition ? lives->source.endpoint(lives->source.data, life->definition) : NULL;
}

/* Where some were closed, that of those which were not: one that failed, say, was to go elsewhere than one that succeeded later. */
static const char *conn_peer(const struct lives *lives, const struct fold *fold)
{
    const char *peer = NULL;
    for (size_t i = 0; i < fold->life_count; i++) {
        const struct life *life = &lives->lives[fold->lives[i]];
        const char *own = peer_of_one(lives, life);
        bool open = life_open_at_tc(life);
        if (own && (!peer || open))
            peer = own;
        if (own && open)
            break;
    }
    return peer;
}

static const char *fold_peer(const struct lives *lives, const struct fold *fold)
{
    return fold->resource == STRAY_PGCONN ? conn_peer(lives, fold) : peer_text(lives, fold->peer);
}

double report_seconds(const struct lives *lives, uint64_t time)
{
    double seconds = lives->source.seconds(lives->source.data, time);
    return seconds > 0 ? seconds : 0;
}

int report_place(struct report *report, const struct lives *lives, const struct fold *fold,
                 const struct report_stacks *stacks, struct report_finding *ret_finding)
{
    struct report_finding place = {
        .resource = fold->resource,
        .peer = report_keep(report, fold_peer(lives, fold)),
        .server = fold->peer != LIVES_NONE && lives->peers[fold->peer].server,
        .first_s = report_seconds(lives, fold->first),
        .last_s = report_seconds(lives, fold->last),
        .cause = REPORT_NONE,
    };
    int result = stack_copy(report, stacks->stack(stacks->data, fold->stack), &place.stack);
    place.site = result == 0 && place.stack.count ? &place.stack.frames[place.stack.blame] : NULL;
    *ret_finding = place;
    return result;
}

int report_place_at(struct report *report, const struct lives *lives, uint32_t stack, unsigned resource, uint64_t first,
                    uint64_t last, const struct report_stacks *stacks, struct report_finding *ret_finding)
{
    struct report_finding place = {
        .resource = resource, .first_s = report_seconds(lives, first), .last_s = report_seconds(lives, last), .cause = REPORT_NONE};
    int result = stack_copy(report, stacks->stack(stacks->data, stack), &place.stack);
    place.site = result == 0 && place.stack.count ? &place.stack.frames[place.stack.blame] : NULL;
    *ret_finding = place;
    return result;
}

static int finding_copy(struct report *report, const struct lives *lives, const struct fold *fold,
                        const struct finding *from, const struct report_stacks *stacks,
                        struct report_finding *ret_finding)
{
    int result = report_place(report, lives, fold, stacks, ret_finding);
    ret_finding->verdict = from->verdict;
    ret_finding->severity = from->severity;
    ret_finding->confidence = from->confidence;
    ret_finding->count = from->count;
    ret_finding->bytes = from->bytes;
    ret_finding->estimated = from->estimated;
    ret_finding->tally = from->tally;
    ret_finding->rated = from->rated;
    ret_finding->rate_per_hour = from->rate_per_hour;
    ret_finding->first_s = from->first_s;
    ret_finding->last_s = from->last_s;
    ret_finding->fact_count = from->fact_count;
    if (from->example)
        ret_finding->example = report_keep(report, lives->source.endpoint(lives->source.data, from->example));
    memcpy(ret_finding->facts, from->facts, sizeof(from->facts));
    return result;
}

static enum likeness finding_likeness(const struct report *report, size_t index, const void *wanted)
{
    const struct report_finding *a = &report->findings[index], *b = wanted;
    bool same = a->verdict == b->verdict && a->resource == b->resource && a->server == b->server &&
                text_order(a->peer, b->peer) == 0 && text_order(a->statement, b->statement) == 0 &&
                text_order(a->call, b->call) == 0;
    return same ? likeness(report, a->site, a->runs[0], b->site) : LIKE_NOTHING;
}

/* Counted of opened, over all processes. Of blocks it is an estimate of the site's own, and stays. */
static void share_again(struct report_finding *finding)
{
    double *values[3] = {NULL}, opened = 0;
    static const char *const names[] = {"never_released", "never_released_low", "never_released_high"};
    for (size_t i = 0; i < finding->fact_count; i++) {
        for (size_t k = 0; k < 3; k++) {
            if (strcmp(finding->facts[i].name, names[k]) == 0)
                values[k] = &finding->facts[i].value;
        }
        if (strcmp(finding->facts[i].name, "opened") == 0)
            opened = finding->facts[i].value;
    }
    if (!values[0] || !values[1] || !values[2] || finding->bytes > 0 || finding->count > opened)
        return;
    struct interval share = stats_share(finding->count, (uint64_t)opened);
    *values[0] = share.estimate;
    *values[1] = share.low;
    *values[2] = share.high;
}

static void finding_merge(struct report_finding *into, const struct report_finding *from)
{
    into->count += from->count;
    into->bytes += from->bytes;
    into->estimated |= from->estimated;
    tally_join(&into->tally, &from->tally);
    into->first_s = from->first_s < into->first_s ? from->first_s : into->first_s;
    into->last_s = from->last_s > into->last_s ? from->last_s : into->last_s;
    into->severity = from->severity < into->severity ? from->severity : into->severity;
    into->confidence = from->confidence < into->confidence ? from->confidence : into->confidence;
    into->example = into->example ? into->example : from->example;
    into->rated |= from->rated;
    into->rate_per_hour.estimate += from->rate_per_hour.estimate;
    into->rate_per_hour.low += from->rate_per_hour.low;
    into->rate_per_hour.high += from->rate_per_hour.high;
    for (size_t i = 0; i < into->fact_count; i++) {
        for (size_t k = 0; k < from->fact_count; k++) {
            if (into->facts[i].summed && strcmp(into->facts[i].name, from->facts[k].name) == 0)
                into->facts[i].value += from->facts[k].value;
        }
    }
    share_again(into);
}

bool report_same_place(const struct report_finding *a, const struct report_finding *b)
{
    return report_frame_order(a->site, b->site) == 0;
}

bool report_belongs(const struct report_finding *finding, const struct report_finding *cause)
{
    const struct report_frame *a = finding->site, *b = cause->site;
    return finding->resource != STRAY_PYOBJECT ||
           (a && b && a->function && text_order(a->function, b->function) == 0 && text_order(a->file, b->file) == 0);
}

/* NULL without memory. */
static struct report_finding *finding_new(struct report *report, const struct report_finding *finding)
{
    struct report_finding *added = report_append(&report->findings, &report->finding_count, sizeof(*added));
    if (!added)
        return NULL;
    *added = *finding;
    name_finding(added);
    return report_keep_stack(report, added) < 0 ? NULL : added;
}

int report_add_finding(struct report *report, const struct report_finding *finding, const uint32_t *pids,
                       size_t pid_count, size_t *ret_index)
{
    size_t index = most_alike(report, report->finding_count, finding_likeness, finding);
    struct report_finding *known = index == REPORT_NONE ? finding_new(report, finding) : &report->findings[index];
    if (index != REPORT_NONE)
        finding_merge(known, finding);
    int result = known ? add_number(report, &known->runs, &known->run_count, report->run) : -ENOMEM;
    for (size_t i = 0; result == 0 && i < pid_count; i++)
        result = add_number(report, &known->pids, &known->pid_count, pids[i]);
    if (result == 0)
        *ret_index = (size_t)(known - report->findings);
    return result;
}

static bool leads_to(const struct report *report, size_t from, size_t index)
{
    while (from != index && from != REPORT_NONE)
        from = report->findings[from].cause;
    return from == index;
}

/* Processes may disagree: in each of two the one may follow from the other. The first that was heard is believed. */
static void take_cause(struct report *report, size_t index, size_t cause)
{
    struct report_finding *finding = &report->findings[index];
    if (finding->cause == REPORT_NONE && !leads_to(report, cause, index))
        finding->cause = cause;
}

/* What was a hint in one process, and went with something there, may be certain in another. */
static void stand_alone(struct report *report, size_t index)
{
    struct report_finding *finding = &report->findings[index];
    if (finding->cause != REPORT_NONE && finding->severity < SEVERITY_NOTE &&
        !report_belongs(finding, &report->findings[finding->cause]))
        finding->cause = REPORT_NONE;
}

static int add_findings(struct report *report, const struct lives *lives, const struct folds *folds,
                        const struct judged *judged, const struct report_stacks *stacks, uint32_t pid)
{
    size_t *place = calloc(judged->count + 1, sizeof(*place));
    int result = place ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < judged->count; i++) {
        struct report_finding copy;
        const struct finding *finding = &judged->findings[i];
        result = finding_copy(report, lives, &folds->items[finding->fold], finding, stacks, &copy);
        if (result == 0)
            result = report_add_finding(report, &copy, &pid, 1, &place[i]);
    }
    for (size_t i = 0; result == 0 && i < judged->count; i++) {
        if (judged->findings[i].cause != LIVES_NONE)
            take_cause(report, place[i], place[judged->findings[i].cause]);
        stand_alone(report, place[i]);
    }
    free(place);
    return result;
}

/* ---- sites ---- */

static void add_handles(struct report_site *site, const struct lives *lives, const struct fold *fold)
{
    for (size_t i = 0; i < fold->life_count && site->handle_count < REPORT_HANDLES; i++) {
        const struct life *life = &lives->lives[fold->lives[i]];
        if (life->end == LIFE_OPEN)
            site->handles[site->handle_count++] = life->handle;
    }
}

static enum likeness site_likeness(const struct report *report, size_t index, const void *wanted)
{
    const struct report_site *a = &report->sites[index], *b = wanted;
    bool same = a->resource == b->resource && a->known == b->known && text_order(a->peer, b->peer) == 0;
    return same ? likeness(report, &a->site, a->runs[0], &b->site) : LIKE_NOTHING;
}

/* The first and the last acquire; of several processes, of all of them. */
static void note_times(struct report_site *site, const struct lives *lives, const struct fold *fold,
                       const struct report_process *process)
{
    double first = report_seconds(lives, fold->first);
    double last = report_seconds(lives, fold->last);
    uint64_t start = process->start_realtime_ns;
    uint64_t first_ns = start ? start + (uint64_t)((first > 0 ? first : 0) * 1e9) : 0;
    uint64_t last_ns = start ? start + (uint64_t)((last > 0 ? last : 0) * 1e9) : 0;
    bool fresh = site->pid_count == 0;
    site->first_s = fresh || first < site->first_s ? first : site->first_s;
    site->last_s = fresh || last > site->last_s ? last : site->last_s;
    site->first_realtime_ns = fresh || first_ns < site->first_realtime_ns ? first_ns : site->first_realtime_ns;
    site->last_realtime_ns = fresh || last_ns > site->last_realtime_ns ? last_ns : site->last_realtime_ns;
}

static int site_add(struct report *report, const struct lives *lives, const struct fold *fold,
                    enum verdict verdict, const struct frame *frame, const struct report_process *process)
{
    struct report_site wanted = {.resource = fold->resource, .verdict = verdict, .known = frame != NULL};
    if (frame)
        wanted.site = report_copy_frame(report, frame);
    wanted.peer = report_keep(report, fold_peer(lives, fold));
    size_t known = report->process_count > 1 ? most_alike(report, report->site_count, site_likeness, &wanted) : REPORT_NONE;
    struct report_site *site = known == REPORT_NONE ? NULL : &report->sites[known];
    if (!site) {
        site = report_append(&report->sites, &report->site_count, sizeof(*site));
        if (!site)
            return -ENOMEM;
        *site = wanted;
    }
    site->opened += fold->opened;
    site->closed += fold->closed;
    site->open += fold->open;
    site->bytes_open += fold->bytes_open;
    site->estimated |= fold->estimated;
    tally_join(&site->born, &fold->born);
    tally_join(&site->living, &fold->living);
    site->verdict = verdict < site->verdict ? verdict : site->verdict;
    add_handles(site, lives, fold);
    note_times(site, lives, fold, process);
    int result = add_number(report, &site->runs, &site->run_count, report->run);
    return result < 0 ? result : add_number(report, &site->pids, &site->pid_count, process->pid);
}

static int add_sites(struct report *report, const struct lives *lives, const struct folds *folds,
                     const struct judged *judged, const struct report_stacks *stacks,
                     const struct report_process *process, bool all)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < folds->count; i++) {
        const struct fold *fold = &folds->items[i];
        enum verdict verdict = judged->verdicts[i];
        if (fold->opened == 0)
            continue;
        if (verdict >= VERDICT_PLATEAU)
            report->quiet[verdict]++;
        else if (verdict == VERDICT_CHURN)
            report->quiet[VERDICT_STEADY]++;
        if (all)
            result = site_add(report, lives, fold, verdict,
                              blame_in((void *)(uintptr_t)stacks, fold->stack), process);
    }
    return result;
}

/* ---- peers, totals ---- */

static int add_peers(struct report *report, const struct lives *lives)
{
    for (size_t i = 0; i < lives->peer_count; i++) {
        const struct peer *from = &lives->peers[i];
        struct report_peer *peer = NULL;
        if (from->opened == 0)
            continue;
        for (size_t k = 0; k < report->peer_count; k++) {
            if (report->peers[k].server == from->server && strcmp(report->peers[k].text, from->text) == 0)
                peer = &report->peers[k];
        }
        if (!peer) {
            peer = report_append(&report->peers, &report->peer_count, sizeof(*peer));
            if (!peer)
                return -ENOMEM;
            peer->text = report_keep(report, from->text);
            peer->server = from->server;
            if (!peer->text)
                return -ENOMEM;
        }
        peer->open += from->open;
        peer->peak += from->peak;
        peer->opened += from->opened;
        peer->closed += from->closed;
        peer->closed_by_finalizer += from->closed_by_finalizer;
        peer->close_wait += from->close_wait;
    }
    return 0;
}

static int add_deaths(struct report *report, const struct report_process *process, const struct lives *lives)
{
    for (size_t i = 0; i < lives->death_count; i++) {
        const struct waited *from = &lives->deaths[i];
        struct report_death *death = report_append(&report->deaths, &report->death_count, sizeof(*death));
        if (!death)
            return -ENOMEM;
        double later = lives->source.seconds(lives->source.data, from->time);
        *death = (struct report_death){process->start_realtime_ns + (uint64_t)(later * 1e9), from->pid, from->status, process->pid, process->run};
    }
    return 0;
}

/* The work that can be told and compared: samples of the heap are no number of allocations. */
static enum axis axis_told(const struct lives *lives)
{
    bool samples = lives->axis == AXIS_ALLOCATIONS && lives->source.heap_mean > 0;
    return samples ? AXIS_TIME : lives->axis;
}

const char report_came_late[] =
    "where that was made, and what calls do that go through addresses of functions which the program had copied before";

static int add_before(struct report *report, struct report_process *process, const struct lives *lives)
{
    process->before = lives->before;
    process->before_peers = arena_alloc(&report->arena, (lives->peer_count + 1) * sizeof(*process->before_peers));
    if (!process->before_peers)
        return -ENOMEM;
    for (size_t i = 0; i < lives->peer_count; i++) {
        const struct peer *from = &lives->peers[i];
        if (from->before > 0)
            process->before_peers[process->before_peer_count++] =
                (struct report_before_peer){report_keep(report, from->text), from->server, from->before, from->before_closed};
    }
    return 0;
}

static int add_process(struct report *report, const struct report_process *from, const struct lives *lives)
{
    struct report_process *process = report_append(&report->processes, &report->process_count, sizeof(*process));
    if (!process)
        return -ENOMEM;
    *process = *from;
    process->exe = report_keep(report, from->exe);
    process->command = arena_alloc(&report->arena, (from->command_count + 1) * sizeof(*process->command));
    if (!process->command)
        return -ENOMEM;
    for (size_t i = 0; i < from->command_count; i++)
        process->command[i] = report_keep(report, from->command[i]);
    memcpy(process->books, lives->books, sizeof(process->books));
    if (add_before(report, process, lives) < 0)
        return -ENOMEM;
    report->complete &= from->complete;
    report->events += from->events;
    report->lost_events += from->lost_events;
    enum axis axis = axis_told(lives);
    if (axis < report->axis) {
        report->axis = axis;
        report->work = 0;
    }
    if (axis == report->axis)
        report->work += lives->at_tc.at[axis];
    return 0;
}

int report_add(struct report *report, const struct report_process *process, const struct lives *lives,
               const struct report_stacks *stacks, bool all)
{
    struct folds folds = {0};
    struct judged judged = {0};
    void *data = (void *)(uintptr_t)stacks;
    report->run = process->run;
    int result = add_process(report, process, lives);
    if (result == 0)
        result = add_deaths(report, process, lives);
    if (result == 0)
        result = folds_build(lives, blame_in, data, all, &folds);
    if (result == 0)
        result = judge(lives, &folds, blame_in, data, &judged);
    if (result == 0)
        result = add_findings(report, lives, &folds, &judged, stacks, process->pid);
    if (result == 0)
        result = add_sites(report, lives, &folds, &judged, stacks, process, all);
    if (result == 0)
        result = add_peers(report, lives);
    if (result == 0)
        result = kinship_add(report, process, lives, &folds, stacks);
    if (result == 0)
        result = report_add_statements(report, lives, stacks, process->pid);
    if (result == 0)
        result = report_add_pools(report, lives, stacks, process->pid);
    if (result == 0)
        result = report_add_queues(report, lives, stacks, process->pid);
    if (result == 0 && report->with_statements)
        result = report_add_rows(report, process, lives, stacks);
    if (result == 0)
        result = report_add_memory(report, lives, &folds, stacks, process);
    if (result == 0)
        result = report_add_outlook(report, lives, &folds, &judged, process->pid);
    if (result == 0 && report->places)
        result = places_add(report->places, report, process, lives, &folds, &judged, stacks);
    judged_clear(&judged);
    folds_clear(&folds);
    arena_free(&report->scratch);
    return result;
}

/* ---- order ---- */

/* Connections and what belongs to them first: they run out suddenly, memory slowly. */
static int resource_rank(unsigned resource)
{
    switch (resource) {
    case STRAY_CONNECTION:
        return 0;
    case STRAY_PGCONN:
        return 1;
    case STRAY_SOCKET:
        return 2;
    case STRAY_PGRESULT:
        return 3;
    case STRAY_HEAP:
    case STRAY_PYOBJECT:
        return 5;
    default:
        return 4;
    }
}

static int more_first(uint64_t a, uint64_t b)
{
    return (a < b) - (a > b);
}

double report_fact(const struct report_finding *finding, const char *name)
{
    for (size_t i = 0; i < finding->fact_count; i++)
        if (strcmp(finding->facts[i].name, name) == 0)
            return finding->facts[i].value;
    return 0;
}

static int faster_first(const struct report_finding *a, const struct report_finding *b)
{
    double fast = report_fact(a, "bytes_per_hour"), other = report_fact(b, "bytes_per_hour");
    return (fast < other) - (fast > other);
}

static int finding_order(const void *left, const void *right)
{
    const struct report_finding *a = left, *b = right;
    int order = (int)a->severity - (int)b->severity;
    if (order == 0)
        order = (a->cause != REPORT_NONE) - (b->cause != REPORT_NONE);
    if (order == 0)
        order = (int)a->verdict - (int)b->verdict;
    if (order == 0)
        order = resource_rank(a->resource) - resource_rank(b->resource);
    if (order == 0)
        order = faster_first(a, b);
    if (order == 0)
        order = more_first(a->bytes, b->bytes);
    if (order == 0)
        order = more_first(a->count, b->count);
    if (order == 0)
        order = report_frame_order(a->site, b->site);
    if (order == 0)
        order = (int)a->resource - (int)b->resource;
    if (order == 0)
        order = text_order(a->peer, b->peer);
    return order ? order : text_order(a->statement, b->statement);
}

static int process_order(const void *left, const void *right)
{
    const struct report_process *a = left, *b = right;
    if (a->start_realtime_ns != b->start_realtime_ns)
        return a->start_realtime_ns < b->start_realtime_ns ? -1 : 1;
    return (a->pid > b->pid) - (a->pid < b->pid);
}

static int site_order(const void *left, const void *right)
{
    const struct report_site *a = left, *b = right;
    int order = (int)a->resource - (int)b->resource;
    if (order == 0)
        order = more_first(a->bytes_open, b->bytes_open);
    if (order == 0)
        order = more_first(a->open, b->open);
    if (order == 0)
        order = more_first(a->opened, b->opened);
    if (order == 0)
        order = (int)b->known - (int)a->known;
    if (order == 0)
        order = report_frame_order(&a->site, &b->site);
    return order ? order : text_order(a->peer, b->peer);
}

static int peer_order(const void *left, const void *right)
{
    const struct report_peer *a = left, *b = right;
    int order = (int)a->server - (int)b->server;
    if (order == 0)
        order = more_first(a->open, b->open);
    if (order == 0)
        order = more_first(a->opened, b->opened);
    return order ? order : strcmp(a->text, b->text);
}

static int pid_order(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void sort(void *items, size_t count, size_t size, int (*order)(const void *, const void *))
{
    if (count > 1)
        qsort(items, count, size, order);
}

/* Sorting moves findings; causes are found again by id. */
static int sort_findings(struct report *report)
{
    char(*causes)[sizeof(report->findings->id)] = calloc(report->finding_count + 1, sizeof(*causes));
    if (!causes)
        return -ENOMEM;
    for (size_t i = 0; i < report->finding_count; i++) {
        struct report_finding *finding = &report->findings[i];
        if (finding->cause == REPORT_NONE)
            continue;
        memcpy(causes[i], report->findings[finding->cause].id, sizeof(*causes));
        finding->cause = i;
    }
    sort(report->findings, report->finding_count, sizeof(*report->findings), finding_order);
    for (size_t i = 0; i < report->finding_count; i++) {
        struct report_finding *finding = &report->findings[i];
        const char *cause = finding->cause == REPORT_NONE ? NULL : causes[finding->cause];
        for (size_t k = 0; cause && k < report->finding_count; k++) {
            if (strcmp(report->findings[k].id, cause) == 0)
                finding->cause = k;
        }
    }
    free(causes);
    return 0;
}

/* Two places may share a hash: the later one by sight gets a number. */
static void tell_ids_apart(struct report *report)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        unsigned same = 1;
        for (size_t k = 0; k < i; k++)
            same +=
                strncmp(report->findings[k].id, report->findings[i].id, strlen(report->findings[i].id)) == 0;
        size_t length = strlen(report->findings[i].id);
        if (same > 1)
            snprintf(report->findings[i].id + length, sizeof(report->findings[i].id) - length, "-%u", same);
    }
}

static double total_duration(const struct report *report)
{
    double longest = 0;
    uint64_t begin = report->process_count ? report->processes[0].start_realtime_ns : 0;
    for (size_t i = 0; i < report->process_count; i++) {
        const struct report_process *process = &report->processes[i];
        double later = begin && process->start_realtime_ns > begin
                           ? (double)(process->start_realtime_ns - begin) / 1e9
                           : 0;
        if (later + process->duration_s > longest)
            longest = later + process->duration_s;
    }
    return longest;
}

int report_end(struct report *report)
{
    report_settle_ends(report);
    int result = kinship_judge(report);
    if (result < 0)
        return result;
    sort(report->processes, report->process_count, sizeof(*report->processes), process_order);
    sort(report->sites, report->site_count, sizeof(*report->sites), site_order);
    sort(report->peers, report->peer_count, sizeof(*report->peers), peer_order);
    if (report->places && places_end(report->places) < 0)
        return -ENOMEM;
    report->duration_s = total_duration(report);
    tell_ids_apart(report);
    result = report_end_outlook(report);
    if (result == 0)
        result = sort_findings(report);
    for (size_t i = 0; result == 0 && i < report->finding_count; i++) {
        struct report_finding *finding = &report->findings[i];
        sort(finding->pids, finding->pid_count, sizeof(*finding->pids), pid_order);
        finding->message = report_message(report, finding);
        result = finding->message ? 0 : -ENOMEM;
    }
    for (size_t i = 0; i < report->site_count; i++)
        sort(report->sites[i].pids, report->sites[i].pid_count, sizeof(uint32_t), pid_order);
    return result;
}
