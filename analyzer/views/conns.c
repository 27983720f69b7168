/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_memory.h"
#include "views/conns.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "read/words.h"
#include "views/json.h"
#include "views/numbers.h"

const char *const conns_columns[] = {"opened_s",   "duration_s", "idle_s", "busy_share", "uses",
                                     "statements", "transactions", "in_transaction_s", "transaction", "last_statement", "peer",       "kind",   "state",      "closed",
                                     "resource",   "pid",        "thread", "site",       NULL};

struct view {
    const struct ledger *ledger;
    const struct ledger_life *life;
    const struct ledger_process *process;
    const struct report_frame *site;
    double duration_s, busy_share;
    bool before; /* open when the process was attached to: how long it has been open is not known, only for how long since */
};

/* Rows behind those of lives are of what was open before. */
static struct view view_of(const struct ledger *ledger, size_t row)
{
    const struct ledger_life *life = row < ledger->life_count ? &ledger->lives[row] : &ledger->before[row - ledger->life_count];
    struct view view = {.ledger = ledger, .life = life, .process = &ledger->processes[life->process]};
    view.before = life->place == LEDGER_NONE;
    view.site = view.before ? NULL : ledger_blame(ledger, ledger->places[life->place].stack);
    view.duration_s = life->ended_s > life->opened_s ? life->ended_s - life->opened_s : 0;
    view.busy_share = view.duration_s > 0 ? life->busy_s / view.duration_s : 0;
    view.busy_share = view.busy_share > 1 ? 1 : view.busy_share;
    return view;
}

static const char *kind_of(const struct ledger_life *life)
{
    return life->server ? "server" : "client";
}

static struct listing_key key_of(const void *rows, size_t row, const char *name)
{
    struct view view = view_of(rows, row);
    const struct ledger_life *life = view.life;
    const struct {
        const char *name;
        struct listing_key key;
    } keys[] = {
        {"opened_s", {.number = true, .ascending = true, .value = life->opened_s}},
        {"duration_s", {.number = true, .value = view.duration_s}},
        {"idle_s", {.number = true, .value = ledger_idle(life)}},
        {"busy_share", {.number = true, .value = view.busy_share}},
        {"uses", {.number = true, .value = life->uses}},
        {"statements", {.number = true, .value = life->statements}},
        {"transactions", {.number = true, .value = (double)life->transactions}},
        {"in_transaction_s", {.number = true, .value = life->in_transaction_s}},
        {"transaction", {.text = ledger_transaction_word(life)}},
        {"last_statement", {.text = life->last_statement}},
        {"pid", {.number = true, .ascending = true, .value = view.process->pid}},
        {"thread", {.number = true, .ascending = true, .value = life->thread}},
        {"peer", {.text = life->peer}},
        {"kind", {.text = kind_of(life)}},
        {"state", {.text = ledger_state_word(life->state)}},
        {"closed", {.text = ledger_closed_word(life->closed)}},
        {"resource", {.text = resource_label(life->resource)}},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (strcmp(keys[i].name, name) == 0)
            return keys[i].key;
    return (struct listing_key){.text = view.site ? view.site->function : NULL};
}

static uint64_t calendar(const struct ledger_process *process, double seconds)
{
    return process->start_realtime_ns
               ? process->start_realtime_ns + (uint64_t)((seconds > 0 ? seconds : 0) * 1e9)
               : 0;
}

static bool wanted(const struct ledger *ledger, const struct listing_filter *filter, size_t row)
{
    struct view view = view_of(ledger, row);
    const struct ledger_life *life = view.life;
    bool kind = filter->resources ? listing_wants_resource(filter, life->resource)
                                  : life->resource == STRAY_CONNECTION;
    uint64_t opened = calendar(view.process, life->opened_s);
    return kind && listing_wants_site(filter, view.site) &&
           (!filter->peer || listing_matches(filter->peer, life->peer)) &&
           listing_wants_time(filter, life->opened_s, life->opened_s, opened, opened);
}

int conns_select(const struct ledger *ledger, const struct listing_filter *filter, size_t **ret_rows,
                 size_t *ret_count)
{
    size_t all = ledger->life_count + ledger->before_count, *rows = calloc(all + 1, sizeof(*rows)), count = 0;
    struct listing_filter how = *filter;
    if (!rows)
        return -ENOMEM;
    for (size_t i = 0; i < all; i++)
        if (wanted(ledger, filter, i))
            rows[count++] = i;
    *ret_count = listing_arrange(&how, ledger, key_of, "uses", rows, count);
    *ret_rows = rows;
    return 0;
}

/* ---- text ---- */

static void add_number(struct grid *grid, bool known, uint64_t number)
{
    if (known)
        grid_add(grid, "%" PRIu64, number);
    else
        grid_add(grid, "-");
}

int conns_write_text(const struct ledger *ledger, const size_t *rows, size_t count, FILE *out)
{
    static const struct grid_column columns[] = {
        {"opened", true}, {"lived", true},  {"closed", false}, {"kind", false}, {"peer", false},
        {"uses", true},   {"stmts", true},  {"busy", true},    {"txs", true},    {"in tx", true}, {"idle", true},  {"state", false},
        {"pid", true},    {"thread", true}, {"place", false}};
    struct grid grid = {.columns = columns, .column_count = sizeof(columns) / sizeof(*columns)};
    for (size_t i = 0; i < count; i++) {
        struct view view = view_of(ledger, rows[i]);
        const struct ledger_life *life = view.life;
        const char *state = ledger_state_word(life->state);
        struct words lived, idle, transaction;
        char place[1024];
        listing_frame(view.site, place, sizeof(place));
        if (view.before)
            grid_add(&grid, "before");
        else
            grid_add(&grid, "%.3f", life->opened_s);
        grid_add(&grid, "%s", words_duration(&lived, view.duration_s));
        grid_add(&grid, "%s", ledger_closed_word(life->closed));
        grid_add(&grid, "%s",
                 life->resource == STRAY_CONNECTION ? kind_of(life) : resource_label(life->resource));
        grid_add(&grid, "%s", life->peer ? life->peer : "-");
        grid_add(&grid, "%" PRIu32, life->uses);
        add_number(&grid, life->statements_known, life->statements);
        grid_add(&grid, "%.1f %%", 100 * view.busy_share);
        add_number(&grid, life->statements_known, life->transactions);
        grid_add(&grid, "%s", life->statements_known ? words_duration(&transaction, life->in_transaction_s) : "-");
        grid_add(&grid, "%s", words_duration(&idle, ledger_idle(life)));
        grid_add(&grid, "%s", state ? state : "-");
        grid_add(&grid, "%" PRIu32, view.process->pid);
        grid_add(&grid, "%" PRIu32, life->thread);
        grid_add(&grid, "%s", place);
    }
    return grid_finish(&grid, out);
}

/* ---- JSON ---- */

static json_t *row_json(const struct ledger *ledger, size_t row)
{
    struct view view = view_of(ledger, row);
    const struct ledger_life *life = view.life;
    const char *state = ledger_state_word(life->state);
    json_t *object = json_object();
    json_object_set_new(object, "resource", json_string(resource_label(life->resource)));
    json_object_set_new(object, "peer", json_text(life->peer));
    json_object_set_new(object, "kind", json_string(kind_of(life)));
    json_object_set_new(object, "pid", json_integer(view.process->pid));
    json_object_set_new(object, "thread", json_integer(life->thread));
    json_object_set_new(object, "handle", json_whole(life->handle));
    json_object_set_new(object, "before_attach", json_boolean(view.before));
    json_object_set_new(object, "opened_s", view.before ? json_null() : report_json_real(life->opened_s));
    json_object_set_new(object, "opened", view.before ? json_null() : report_json_moment(calendar(view.process, life->opened_s)));
    json_object_set_new(object, "ended_s",
                        life->closed == LEDGER_OPEN ? json_null() : report_json_real(life->ended_s));
    json_object_set_new(object, "duration_s", report_json_real(view.duration_s));
    json_object_set_new(object, "closed", json_string(ledger_closed_word(life->closed)));
    json_object_set_new(object, "uses", json_integer(life->uses));
    json_object_set_new(object, "statements",
                        life->statements_known ? json_integer(life->statements) : json_null());
    json_object_set_new(object, "transactions",
                        life->statements_known ? json_whole(life->transactions) : json_null());
    json_object_set_new(object, "in_transaction_s",
                        life->statements_known ? report_json_real(life->in_transaction_s) : json_null());
    json_object_set_new(object, "transaction", json_text(ledger_transaction_word(life)));
    json_object_set_new(object, "last_statement", json_text(life->last_statement));
    json_object_set_new(object, "busy_s", report_json_real(life->busy_s));
    json_object_set_new(object, "busy_share", report_json_real(view.busy_share));
    json_object_set_new(object, "connect_s", report_json_real(life->connect_s));
    json_object_set_new(object, "idle_s", report_json_real(ledger_idle(life)));
    json_object_set_new(object, "tcp_state", state ? json_string(state) : json_null());
    json_object_set_new(object, "copy", json_boolean(life->copy));
    json_object_set_new(object, "site", report_json_frame(view.site));
    json_object_set_new(object, "closed_at",
                        life->closing_stack == LEDGER_NONE
                            ? json_null()
                            : report_json_frame(ledger_blame(ledger, life->closing_stack)));
    return object;
}

int conns_write_json(const struct ledger *ledger, const size_t *rows, size_t count, FILE *out)
{
    json_memory_watch();
    json_t *object = json_object(), *list = json_array();
    json_object_set_new(object, "schema", json_string("stray-conns/1"));
    json_object_set_new(object, "trace", report_json_trace(ledger->report));
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, row_json(ledger, rows[i]));
    json_object_set_new(object, "conns", list);
    return report_json_write(object, out);
}
