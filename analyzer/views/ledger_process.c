/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the ledger keeps of a process that was read: places, lives, and what event loops did. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "views/ledger_steps.h"

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
        ledger_append(&ledger->processes, &ledger->process_room, &ledger->process_count, sizeof(*process));
    if (!process)
        return -ENOMEM;
    *process = (struct ledger_process){
        .pid = from->pid,
        .parent_pid = from->parent_pid,
        .exe = ledger_keep(ledger, from->exe),
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
            result = ledger_add_stack(ledger, stacks, lives->sites[i].stack, &place.stack);
        struct ledger_place *added =
            ledger_append(&ledger->places, &ledger->place_room, &ledger->place_count, sizeof(*added));
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
    bool finalizer = is_finalizer(life->closer);
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
    life->last_statement = ledger_keep(ledger, shown);
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
        .state = from->resource == STRAY_PGCONN ? 0 : ledger_state_of(ledger->pass, from),
        .closed = closed_how(from),
    };
    count_statements(lives, from, &life);
    return life;
}

static int add_before(struct ledger *ledger, const struct lives *lives, size_t index, const char *const *peers)
{
    struct ledger_life *life = ledger_append(&ledger->before, &ledger->before_room, &ledger->before_count, sizeof(*life));
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
            result = ledger_add_stack(ledger, stacks, from->closing_stack, &life.closing_stack);
        moved[i] = (uint32_t)ledger->life_count;
        struct ledger_life *added =
            ledger_append(&ledger->lives, &ledger->life_room, &ledger->life_count, sizeof(*added));
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
        peers[i] = ledger_keep(ledger, lives->peers[i].text);
    return peers;
}

static int add_busy(struct ledger *ledger, const struct lives *lives, const char *const *peers)
{
    for (size_t i = 0; i < lives->peer_count; i++) {
        const struct busy *from = lives->peers[i].busy;
        if (!from)
            continue;
        struct ledger_busy *busy = ledger_append(&ledger->busy, &ledger->busy_room, &ledger->busy_count, sizeof(*busy));
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
    int result = ledger_pass_begin(ledger);
    if (result == 0 && lives->events)
        result = ledger_add_point(ledger, lives, seconds(lives, lives->last_time));
    if (result == 0)
        ledger_sort_looks(ledger->pass);
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
    ledger_pass_end(ledger);
    return result == 0 && ledger->starved ? -ENOMEM : result;
}
