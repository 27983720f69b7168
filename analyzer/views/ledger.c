/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/ledger.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "read/array.h"
#include "read/words.h"

#define FIRST_INTERVAL_S 0.001 /* between two points; doubled whenever a process has too many */

/* What the last sample of a descriptor said, for as long as its number meant one thing. */
struct look {
    uint64_t handle, time;
    uint8_t state;
};

/* What is kept while one process is read. */
struct ledger_pass {
    struct map current; /* by descriptor: its look, counted from 1; 0: a new one begins */
    struct look *looks;
    size_t look_count, look_room;
    struct map stacks; /* by node */
    size_t first_point, first_moment;
    unsigned moments, moment_step; /* told so far; of so many one is kept */
    double interval, next;
    uint64_t rss, tracer;
};

/* ---- growing ---- */

/* One more item, zeroed, at the end of the array whose pointer stands at `array`; NULL without memory. */
static void *append(void *array, size_t *room, size_t *count, size_t size)
{
    void *items;
    memcpy(&items, array, sizeof(items));
    char *grown = array_grow(items, room, *count, size);
    if (!grown)
        return NULL;
    memcpy(array, &grown, sizeof(grown));
    memset(grown + *count * size, 0, size);
    return grown + (*count)++ * size;
}

static const char *keep(struct ledger *ledger, const char *text)
{
    const char *kept = text ? arena_copy(&ledger->arena, text, strlen(text)) : NULL;
    ledger->starved |= text && !kept;
    return kept;
}

/* ---- frames and stacks, each once ---- */

/* Where the line is known, which instruction of it was running tells nothing more. */
static uint64_t offset_of(const struct frame *frame)
{
    return frame->line ? 0 : frame->offset;
}

static uint64_t frame_hash(const struct frame *frame)
{
    uint64_t offset = offset_of(frame);
    uint64_t hash = hash_text(hash_text(HASH_BEGIN, frame->function), frame->file);
    hash = hash_bytes(hash_text(hash, frame->module), &frame->line, sizeof(frame->line));
    hash = hash_bytes(hash, &offset, sizeof(offset));
    unsigned kind = (unsigned)frame->language << 2 | (unsigned)frame->user << 1 | frame->inlined;
    return hash_bytes(hash, &kind, sizeof(kind));
}

static int frame_add(struct ledger *ledger, const struct frame *frame, uint32_t *ret_frame)
{
    uint64_t hash = frame_hash(frame);
    if (map_get(&ledger->frame_map, hash, ret_frame))
        return 0;
    struct report_frame *added =
        append(&ledger->frames, &ledger->frame_room, &ledger->frame_count, sizeof(*added));
    if (!added)
        return -ENOMEM;
    *added = (struct report_frame){
        .function = keep(ledger, frame->function),
        .file = keep(ledger, frame->file),
        .module = keep(ledger, frame->module),
        .line = frame->line,
        .offset = offset_of(frame),
        .code = frame->code,
        .python = frame->language == LANGUAGE_PYTHON,
        .user = frame->user,
        .inlined = frame->inlined,
    };
    *ret_frame = (uint32_t)(ledger->frame_count - 1);
    return map_put(&ledger->frame_map, hash, *ret_frame);
}

static int stack_intern(struct ledger *ledger, const struct ledger_stack *stack, uint32_t *ret_stack)
{
    uint64_t hash = hash_bytes(HASH_BEGIN, stack->frames, stack->count * sizeof(*stack->frames));
    hash = hash_bytes(hash_bytes(hash, &stack->blame, sizeof(stack->blame)), &stack->truncated, sizeof(bool));
    if (map_get(&ledger->stack_map, hash, ret_stack))
        return 0;
    struct ledger_stack *added =
        append(&ledger->stacks, &ledger->stack_room, &ledger->stack_count, sizeof(*added));
    if (!added)
        return -ENOMEM;
    *added = *stack;
    *ret_stack = (uint32_t)(ledger->stack_count - 1);
    return map_put(&ledger->stack_map, hash, *ret_stack);
}

static int stack_add(struct ledger *ledger, const struct report_stacks *stacks, uint32_t node,
                     uint32_t *ret_stack)
{
    if (map_get(&ledger->pass->stacks, node, ret_stack))
        return 0;
    const struct stack *from = stacks->stack(stacks->data, node);
    struct ledger_stack copy = {
        .count = (uint32_t)from->count, .blame = (uint32_t)from->blame, .truncated = from->truncated};
    copy.frames = arena_alloc(&ledger->arena, (from->count + 1) * sizeof(*copy.frames));
    int result = copy.frames ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < from->count; i++)
        result = frame_add(ledger, &from->frames[i], &copy.frames[i]);
    if (result == 0)
        result = stack_intern(ledger, &copy, ret_stack);
    return result < 0 ? result : map_put(&ledger->pass->stacks, node, *ret_stack);
}

/* ---- while events pass ---- */

static int note_state(struct ledger_pass *pass, const struct stray_event *event)
{
    uint32_t current = 0;
    map_get(&pass->current, event->handle, &current);
    if (current == 0) {
        if (!append(&pass->looks, &pass->look_room, &pass->look_count, sizeof(*pass->looks)))
            return -ENOMEM;
        current = (uint32_t)pass->look_count;
        if (map_put(&pass->current, event->handle, current) < 0)
            return -ENOMEM;
    }
    pass->looks[current - 1] = (struct look){event->handle, event->time, (uint8_t)(event->value >> 56)};
    return 0;
}

/* After one of these a number means another thing. */
static bool ends_meaning(const struct stray_event *event)
{
    return event->action == STRAY_OPEN || event->action == STRAY_DUP || event->action == STRAY_CLOSE ||
           event->action == STRAY_IMPLICIT || event->action == STRAY_RECONCILED ||
           event->action == STRAY_EXEC_CLOSED;
}

static int note_look(struct ledger_pass *pass, const struct stray_event *event)
{
    uint32_t current;
    enum stray_key key;
    if (event->action == STRAY_SAMPLE)
        return note_state(pass, event);
    if (!ends_meaning(event) || !resource_key(event->resource, &key) || key != STRAY_KEY_DESCRIPTOR ||
        !map_get(&pass->current, event->handle, &current) || current == 0)
        return 0;
    return map_put(&pass->current, event->handle, 0);
}

static int look_order(const void *left, const void *right)
{
    const struct look *a = left, *b = right;
    if (a->handle != b->handle)
        return a->handle < b->handle ? -1 : 1;
    return (a->time > b->time) - (a->time < b->time);
}

/* The state when `life` was last looked at; 0: it never was. Looks are in order. */
static unsigned state_of(const struct ledger_pass *pass, const struct life *life)
{
    size_t low = 0, high = pass->look_count;
    struct look wanted = {life->handle, life->end == LIFE_OPEN ? UINT64_MAX : life->death, 0};
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (look_order(&pass->looks[middle], &wanted) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    const struct look *last = low ? &pass->looks[low - 1] : NULL;
    return last && last->handle == life->handle && last->time >= life->birth ? last->state : 0;
}

/* Every second one from `first` on goes. Returns how many there are then; half as many may come from now on. */
static size_t thin(void *items, size_t size, size_t first, size_t count)
{
    char *bytes = items;
    size_t to = first;
    for (size_t from = first; from < count; from += 2, to++)
        memmove(bytes + to * size, bytes + from * size, size);
    return to;
}

/* In the middle of the pass: books of samples count these, and say what they stand for. */
static uint64_t open_now(const struct book *book)
{
    return !book->estimated ? book->open : book->open ? tally_whole(&book->living) : 0;
}

static int add_point(struct ledger *ledger, const struct lives *lives, double time)
{
    struct ledger_pass *pass = ledger->pass;
    if (ledger->point_count - pass->first_point >= LEDGER_POINTS) {
        ledger->point_count = thin(ledger->points, sizeof(*ledger->points), pass->first_point, ledger->point_count);
        pass->interval *= 2;
    }
    struct ledger_point *point =
        append(&ledger->points, &ledger->point_room, &ledger->point_count, sizeof(*point));
    if (!point)
        return -ENOMEM;
    point->process = (uint32_t)ledger->process_count;
    point->time_s = time;
    point->rss = pass->rss;
    point->tracer = pass->tracer;
    point->heap_bytes = lives->books[STRAY_HEAP].bytes_open;
    for (unsigned i = 0; i < STRAY_USER_END; i++)
        point->open[i] = open_now(&lives->books[i]);
    pass->next = time + pass->interval;
    return 0;
}

static int add_moment(struct ledger *ledger, const struct lives *lives, double time)
{
    struct ledger_pass *pass = ledger->pass;
    const struct resident *now = &lives->residents.last;
    if (lives->residents.moments == pass->moments)
        return 0;
    pass->moments = lives->residents.moments;
    if (pass->moments % pass->moment_step != 0)
        return 0;
    if (ledger->moment_count - pass->first_moment >= LEDGER_MOMENTS) {
        ledger->moment_count = thin(ledger->moments, sizeof(*ledger->moments), pass->first_moment, ledger->moment_count);
        pass->moment_step *= 2;
    }
    struct ledger_moment *moment = append(&ledger->moments, &ledger->moment_room, &ledger->moment_count, sizeof(*moment));
    if (!moment)
        return -ENOMEM;
    *moment = (struct ledger_moment){(uint32_t)ledger->process_count, time, now->total,
                                     parts_at(now, lives->books[STRAY_HEAP].opened > 0)};
    return 0;
}

static int pass_begin(struct ledger *ledger)
{
    if (ledger->pass)
        return 0;
    ledger->pass = calloc(1, sizeof(*ledger->pass));
    if (!ledger->pass)
        return -ENOMEM;
    ledger->pass->interval = FIRST_INTERVAL_S;
    ledger->pass->first_point = ledger->point_count;
    ledger->pass->first_moment = ledger->moment_count;
    ledger->pass->moment_step = 1;
    return 0;
}

static void pass_end(struct ledger *ledger)
{
    if (!ledger->pass)
        return;
    map_clear(&ledger->pass->current);
    map_clear(&ledger->pass->stacks);
    free(ledger->pass->looks);
    free(ledger->pass);
    ledger->pass = NULL;
}

int ledger_event(void *data, const struct lives *lives, const struct stray_event *event)
{
    struct ledger *ledger = data;
    int result = pass_begin(ledger);
    if (result == 0)
        result = note_look(ledger->pass, event);
    if (result < 0)
        return result;
    if (event->action == STRAY_MEMORY) {
        ledger->pass->rss = event->handle;
        ledger->pass->tracer = event->value;
    }
    double time = lives->source.seconds(lives->source.data, event->time);
    if (result == 0 && time >= ledger->pass->next)
        result = add_point(ledger, lives, time);
    if (result == 0)
        result = add_moment(ledger, lives, time);
    return result;
}

/* ---- when a process is finished ---- */

static double seconds(const struct lives *lives, uint64_t time)
{
    return lives->source.seconds(lives->source.data, time);
}

static double span(const struct lives *lives, uint64_t ticks)
{
    return lives->source.span(lives->source.data, ticks);
}

static int add_process(struct ledger *ledger, const struct report_process *from, const struct lives *lives)
{
    struct ledger_process *process =
        append(&ledger->processes, &ledger->process_room, &ledger->process_count, sizeof(*process));
    if (!process)
        return -ENOMEM;
    *process = (struct ledger_process){
        .pid = from->pid,
        .parent_pid = from->parent_pid,
        .exe = keep(ledger, from->exe),
        .start_realtime_ns = from->start_realtime_ns,
        .duration_s = from->duration_s,
        .end_s = lives->events ? fmax(seconds(lives, lives->tc), 0) : 0,
        .end = from->end,
        .events = from->events,
        .lost_events = from->lost_events,
    };
    for (unsigned axis = 0; axis < AXIS_COUNT; axis++)
        process->work[axis] = axis == AXIS_TIME ? process->end_s : (double)lives->at_tc.at[axis];
    return 0;
}

/* Naming stacks takes long where object files have much debug information. */
static bool *sites_to_name(const struct ledger *ledger, const struct lives *lives)
{
    bool *named = calloc(lives->site_count + 1, sizeof(*named));
    for (size_t i = 0; named && i < lives->site_count; i++)
        named[i] = ledger->all;
    for (size_t i = 0; named && i < lives->life_count; i++)
        if (lives->lives[i].site != LIVES_NONE)
            named[lives->lives[i].site] = true;
    return named;
}

/* Of a place that was sampled, what the samples stand for. */
static void estimate(struct ledger_place *place, const struct site *site)
{
    double each = site->opened ? site->born.count / (double)site->opened : 0;
    place->opened = tally_whole(&site->born);
    place->open = site->open ? tally_whole(&site->living) : 0;
    place->closed = place->opened > place->open ? place->opened - place->open : 0;
    place->alive = site->alive ? tally_whole(&site->at_end) : 0;
    place->peak = (uint64_t)((double)site->peak * each + 0.5);
    place->opened_by_end = (uint64_t)((double)site->opened_by_tc * each + 0.5);
    place->estimated = true;
    place->alive_variance = site->at_end.variance;
}

static struct ledger_place place_of(const struct ledger *ledger, const struct lives *lives,
                                    const struct site *site, const char *const *peers)
{
    struct ledger_place place = {
        .process = (uint32_t)ledger->process_count - 1,
        .stack = LEDGER_NONE,
        .resource = site->resource,
        .peer = site->peer == LIVES_NONE ? NULL : peers[site->peer],
        .server = site->peer != LIVES_NONE && lives->peers[site->peer].server,
        .opened = site->opened,
        .closed = site->closed,
        .open = site->open,
        .bytes_open = site->bytes_open,
        .peak = site->peak,
        .opened_by_end = site->opened_by_tc,
        .alive = site->alive,
        .alive_bytes = site->alive_bytes,
        .first_s = seconds(lives, site->first),
        .last_s = seconds(lives, site->last),
    };
    if (site->estimated)
        estimate(&place, site);
    return place;
}

/* The index of a place is that of its site, counted from the process's first place. */
static int add_places(struct ledger *ledger, const struct lives *lives, const struct report_stacks *stacks,
                      const char *const *peers)
{
    bool *named = sites_to_name(ledger, lives);
    int result = named ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < lives->site_count; i++) {
        struct ledger_place place = place_of(ledger, lives, &lives->sites[i], peers);
        if (named[i])
            result = stack_add(ledger, stacks, lives->sites[i].stack, &place.stack);
        struct ledger_place *added =
            append(&ledger->places, &ledger->place_room, &ledger->place_count, sizeof(*added));
        if (added)
            *added = place;
        else
            result = -ENOMEM;
    }
    free(named);
    return result;
}

static enum ledger_closed closed_how(const struct life *life)
{
    switch (life->end) {
    case LIFE_OPEN:
        return LEDGER_OPEN;
    case LIFE_EXEC:
        return LEDGER_EXEC;
    case LIFE_IMPLICIT:
        return LEDGER_IMPLICIT;
    case LIFE_RECONCILED:
        return LEDGER_RECONCILED;
    default:
        break;
    }
    if (life->closer == CLOSER_EXIT || life->ended_late)
        return LEDGER_EXIT;
    bool finalizer = life->closer == CLOSER_DESTRUCTOR || life->closer == CLOSER_COLLECTOR;
    return finalizer ? LEDGER_FINALIZER : LEDGER_CLOSED;
}

/* A PGconn's uses are its statements; its connection's too. */
static void count_statements(const struct lives *lives, const struct life *from, struct ledger_life *life)
{
    const struct life *conn = from->resource == STRAY_PGCONN ? from
                              : from->partner != LIVES_NONE  ? &lives->lives[from->partner]
                                                             : NULL;
    life->statements_known = conn != NULL;
    life->statements = conn ? conn->uses : 0;
}

/* ... and of its transactions. */
static void tell_transactions(struct ledger *ledger, const struct lives *lives, const struct life *from, struct ledger_life *life)
{
    const struct life *owner = from->resource == STRAY_PGCONN || from->partner == LIVES_NONE ? from : &lives->lives[from->partner];
    const struct statement_conn *conn = statements_conn(&lives->statements, owner->handle, owner->birth);
    const struct lives_source *source = &lives->source;
    if (!life->statements_known || !conn)
        return;
    life->transactions = conn->transactions;
    life->in_transaction_s = span(lives, conn->in_transaction);
    life->transaction = conn->status;
    if (conn->last_use == STATEMENTS_NONE || !source->statement)
        return;
    char *shown = report_shown_statement(source->statement(source->data, lives->statements.uses[conn->last_use].definition));
    life->last_statement = keep(ledger, shown);
    free(shown);
}

static const char *life_peer(const struct ledger *ledger, const struct lives *lives, const struct life *life,
                             const char *const *peers)
{
    if (life->peer != LIVES_NONE)
        return peers[life->peer];
    if (life->partner != LIVES_NONE && lives->lives[life->partner].peer != LIVES_NONE)
        return peers[lives->lives[life->partner].peer];
    return NULL;
}

static struct ledger_life life_of(const struct ledger *ledger, const struct lives *lives, size_t index,
                                  const char *const *peers)
{
    const struct life *from = &lives->lives[index];
    uint64_t end = from->end == LIFE_OPEN ? lives->last_time : from->death;
    struct ledger_life life = {
        .process = (uint32_t)ledger->process_count - 1,
        .place = from->site,
        .closing_stack = LEDGER_NONE,
        .partner = from->partner == LIVES_NONE ? LEDGER_NONE : from->partner,
        .resource = from->resource,
        .peer = life_peer(ledger, lives, from, peers),
        .server = from->server,
        .copy = from->copy,
        .handle = from->handle,
        .thread = from->thread,
        .opened_s = seconds(lives, from->birth),
        .ended_s = seconds(lives, end),
        .used_s = seconds(lives, from->last_use),
        .busy_s = span(lives, from->busy),
        .connect_s = span(lives, from->connect),
        .uses = from->uses ? from->uses : from->sent,
        .close_wait_s = from->close_wait > 0 ? seconds(lives, from->close_wait_first) : -1,
        .state = from->resource == STRAY_PGCONN ? 0 : state_of(ledger->pass, from),
        .closed = closed_how(from),
    };
    count_statements(lives, from, &life);
    return life;
}

static int add_before(struct ledger *ledger, const struct lives *lives, size_t index, const char *const *peers)
{
    struct ledger_life *life = append(&ledger->before, &ledger->before_room, &ledger->before_count, sizeof(*life));
    if (!life)
        return -ENOMEM;
    *life = life_of(ledger, lives, index, peers);
    tell_transactions(ledger, lives, &lives->lives[index], life);
    life->place = life->partner = LEDGER_NONE;
    return 0;
}

/* Lives that stand for what was inherited are left out; the others move up, and so do indexes of partners. */
static int add_lives(struct ledger *ledger, const struct lives *lives, const struct report_stacks *stacks,
                     const char *const *peers, size_t first_place)
{
    uint32_t *moved = calloc(lives->life_count + 1, sizeof(*moved));
    size_t first = ledger->life_count;
    int result = moved ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < lives->life_count; i++) {
        const struct life *from = &lives->lives[i];
        moved[i] = LEDGER_NONE;
        if (from->before)
            result = add_before(ledger, lives, i, peers);
        if (from->inherited || from->site == LIVES_NONE)
            continue;
        struct ledger_life life = life_of(ledger, lives, i, peers);
        tell_transactions(ledger, lives, from, &life);
        life.place += (uint32_t)first_place;
        if (from->closing_stack)
            result = stack_add(ledger, stacks, from->closing_stack, &life.closing_stack);
        moved[i] = (uint32_t)ledger->life_count;
        struct ledger_life *added =
            append(&ledger->lives, &ledger->life_room, &ledger->life_count, sizeof(*added));
        if (added)
            *added = life;
        else
            result = -ENOMEM;
    }
    for (size_t i = first; result == 0 && i < ledger->life_count; i++)
        if (ledger->lives[i].partner != LEDGER_NONE)
            ledger->lives[i].partner = moved[ledger->lives[i].partner];
    free(moved);
    return result;
}

static const char **keep_peers(struct ledger *ledger, const struct lives *lives)
{
    const char **peers = calloc(lives->peer_count + 1, sizeof(*peers));
    for (size_t i = 0; peers && i < lives->peer_count; i++)
        peers[i] = keep(ledger, lives->peers[i].text);
    return peers;
}

static int add_busy(struct ledger *ledger, const struct lives *lives, const char *const *peers)
{
    for (size_t i = 0; i < lives->peer_count; i++) {
        const struct busy *from = lives->peers[i].busy;
        if (!from)
            continue;
        struct ledger_busy *busy = append(&ledger->busy, &ledger->busy_room, &ledger->busy_count, sizeof(*busy));
        if (!busy)
            return -ENOMEM;
        busy->process = (uint32_t)ledger->process_count - 1;
        busy->peer = peers[i];
        busy->server = lives->peers[i].server;
        busy->from_s = seconds(lives, lives->first_time);
        busy->width_s = span(lives, UINT64_C(1) << from->shift);
        for (unsigned k = 0; k < BUSY_WINDOWS; k++)
            busy->seconds[k] = span(lives, from->ticks[k]);
    }
    return 0;
}

int ledger_process(void *data, const struct report_process *process, const struct lives *lives,
                   const struct report_stacks *stacks)
{
    struct ledger *ledger = data;
    size_t first_place = ledger->place_count;
    int result = pass_begin(ledger);
    if (result == 0 && lives->events)
        result = add_point(ledger, lives, seconds(lives, lives->last_time));
    if (result == 0 && ledger->pass->look_count > 1)
        qsort(ledger->pass->looks, ledger->pass->look_count, sizeof(struct look), look_order);
    if (result == 0)
        result = add_process(ledger, process, lives);
    const char **peers = result == 0 ? keep_peers(ledger, lives) : NULL;
    if (!peers)
        result = -ENOMEM;
    if (result == 0)
        result = add_places(ledger, lives, stacks, peers);
    if (result == 0)
        result = add_lives(ledger, lives, stacks, peers, first_place);
    if (result == 0)
        result = add_busy(ledger, lives, peers);
    free(peers);
    pass_end(ledger);
    return result == 0 && ledger->starved ? -ENOMEM : result;
}

/* ---- whole ---- */

int ledger_begin(bool all, struct ledger **ret_ledger)
{
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    if (!ledger)
        return -ENOMEM;
    ledger->all = all;
    *ret_ledger = ledger;
    return 0;
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    pass_end(ledger);
    report_free(ledger->report);
    arena_free(&ledger->arena);
    map_clear(&ledger->frame_map);
    map_clear(&ledger->stack_map);
    free(ledger->processes);
    free(ledger->frames);
    free(ledger->stacks);
    free(ledger->places);
    free(ledger->lives);
    free(ledger->before);
    free(ledger->points);
    free(ledger->moments);
    free(ledger->busy);
    free(ledger);
}

int ledger_build(char *const *paths, size_t count, const char *given, const struct report_options *options,
                 struct ledger **ret_ledger, struct error *error)
{
    struct ledger *ledger;
    int result = ledger_begin(options->all, &ledger);
    if (result < 0)
        return error_set(error, result, "%s: %s", given, error_reason(result));
    struct report_visitor visitor = {.data = ledger, .event = ledger_event, .process = ledger_process};
    struct report_options how = *options;
    how.visitor = &visitor;
    result = report_build(paths, count, given, &how, &ledger->report, error);
    if (result < 0)
        ledger_free(ledger);
    else
        *ret_ledger = ledger;
    return result;
}

const struct report_frame *ledger_blame(const struct ledger *ledger, uint32_t stack)
{
    const struct ledger_stack *found = stack == LEDGER_NONE ? NULL : &ledger->stacks[stack];
    return found && found->count ? &ledger->frames[found->frames[found->blame]] : NULL;
}

const char *ledger_closed_word(enum ledger_closed closed)
{
    static const char *const words[] = {"open", "closed",   "finalizer", "exit",
                                        "exec", "implicit", "reconciled"};
    return words[closed];
}

const char *ledger_transaction_word(const struct ledger_life *life)
{
    static const char *const words[] = {"idle", "active", "idle in transaction", "idle in failed transaction", "unknown"};
    return life->statements_known && life->transaction < sizeof(words) / sizeof(*words) ? words[life->transaction] : NULL;
}

const char *ledger_state_word(unsigned state)
{
    static const char *const words[] = {NULL,         "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
                                        "FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
                                        "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING"};
    return state < sizeof(words) / sizeof(*words) ? words[state] : NULL;
}

double ledger_idle(const struct ledger_life *life)
{
    return fmax(life->ended_s - life->used_s, 0);
}
