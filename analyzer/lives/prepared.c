/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of prepared statements, of each connection. The server keeps what a name stands for until it is deallocated or the
 * connection ends. A name is abandoned if it was used, and never again after the same place gave the same text another name on
 * the same connection: a set of names that is used again and again has none.
 */
#include <errno.h>
#include <stdlib.h>

#include "lives/internal.h"
#include "lives/sessions.h"

#define UNNAMED        UINT64_C(0xcbf29ce484222325) /* hash of "": the next one takes its place */
#define ABANDONED_MIN  10u /* on one connection, of one place and text */
#define KEPT_SHARE     0.5 /* of the time in which statements were sent: a connection that was kept, though it is closed */

static uint64_t row_key(const struct prepared_name *name)
{
    return key_of(name->conn + UINT64_C(1), name->hash);
}

static struct prepared_name *name_of(struct statements *statements, uint32_t conn, uint64_t hash, uint32_t *ret_row)
{
    const struct prepared_name sought = {.conn = conn, .hash = hash};
    if (!map_get(&statements->prepared_map, row_key(&sought), ret_row))
        return NULL;
    struct prepared_name *name = &statements->names[*ret_row];
    return name->conn == conn && name->hash == hash ? name : NULL; /* else its place is another one's by now */
}

/* ---- the list of a connection's names, in the order in which they were made ---- */

static void link_last(struct statements *statements, uint32_t row)
{
    struct prepared_name *name = &statements->names[row];
    struct session *session = &statements->sessions[statements->conns[name->conn].session];
    name->before = session->last_name;
    name->after = 0;
    if (name->before)
        statements->names[name->before - 1].after = row + 1;
    else
        session->first_name = row + 1;
    session->last_name = row + 1;
}

static void give_back(struct statements *statements, uint32_t row)
{
    struct prepared_name *name = &statements->names[row];
    struct session *session = &statements->sessions[statements->conns[name->conn].session];
    *(name->before ? &statements->names[name->before - 1].after : &session->first_name) = name->after;
    *(name->after ? &statements->names[name->after - 1].before : &session->last_name) = name->before;
    *name = (struct prepared_name){.conn = STATEMENTS_NONE, .after = statements->free_name};
    statements->free_name = row + 1;
}

static int take(struct statements *statements, uint32_t *ret_row)
{
    if (statements->free_name) {
        *ret_row = statements->free_name - 1;
        statements->free_name = statements->names[*ret_row].after;
        return 0;
    }
    int result = room_for(&statements->names, &statements->name_room, statements->name_count + 1, sizeof(*statements->names));
    if (result == 0)
        *ret_row = (uint32_t)statements->name_count++;
    return result;
}

/* ---- what is done with them ---- */

static int place_row(struct statements *statements, const struct session_telling *telling, uint32_t place, uint32_t *ret_row)
{
    bool new;
    int result = row_of(&statements->prepared_place_map, key_of(telling->definition, place), &statements->prepared,
                        &statements->prepared_room, &statements->prepared_count, sizeof(*statements->prepared), ret_row, &new);
    if (result == 0 && new)
        statements->prepared[*ret_row] =
            (struct statement_prepared){.definition = telling->definition, .stack = telling->stack, .first = telling->time};
    return result;
}

int prepared_made(struct statements *statements, uint32_t conn, const struct session_telling *telling, uint32_t place,
                  uint32_t *ret_name)
{
    uint32_t row, of;
    *ret_name = STATEMENTS_NONE;
    if (telling->name == UNNAMED || telling->name == 0 || telling->definition == 0 || name_of(statements, conn, telling->name, &row))
        return 0; /* a name that is taken the server refuses */
    int result = place_row(statements, telling, place, &of);
    if (result == 0)
        result = take(statements, &row);
    if (result < 0)
        return result;
    statements->names[row] = (struct prepared_name){.hash = telling->name, .made = telling->time, .conn = conn, .of = of};
    link_last(statements, row);
    statements->prepared[of].made++;
    statements->prepared[of].last = telling->time;
    *ret_name = row;
    return map_put(&statements->prepared_map, row_key(&statements->names[row]), row);
}

void prepared_failed(struct statements *statements, uint32_t conn, uint32_t row)
{
    if (statements->names[row].conn != conn)
        return;
    statements->prepared[statements->names[row].of].made--;
    give_back(statements, row);
}

void prepared_used(struct statements *statements, uint32_t conn, uint64_t hash, uint64_t time)
{
    uint32_t row;
    struct prepared_name *name = name_of(statements, conn, hash, &row);
    if (name)
        name->used = time;
}

void prepared_closed(struct statements *statements, uint32_t conn, uint64_t hash)
{
    uint32_t row;
    struct prepared_name *name = name_of(statements, conn, hash, &row);
    if (!name)
        return;
    statements->prepared[name->of].deallocated++;
    give_back(statements, row);
}

void prepared_closed_all(struct statements *statements, uint32_t conn, bool deallocated)
{
    const struct session *session = &statements->sessions[statements->conns[conn].session];
    while (session->first_name) {
        uint32_t row = session->first_name - 1;
        statements->prepared[statements->names[row].of].deallocated += deallocated;
        give_back(statements, row);
    }
}

/* ---- the end of a connection ---- */

/* Gives up the last name. */
static int leave_last(struct statements *statements, uint32_t row, uint64_t time)
{
    const struct prepared_name *name = &statements->names[row];
    struct prepared_ending *ending = &statements->prepared[name->of].ending;
    bool last = ending->conn != name->conn + 1; /* of its place and text: none came after it */
    if (last)
        *ending = (struct prepared_ending){.of = name->of, .conn = name->conn + 1, .birth = statements->conns[name->conn].birth,
                                           .end = time};
    bool abandoned = !last && name->used != 0 && name->used < ending->next;
    ending->left++;
    ending->abandoned += abandoned;
    ending->next = name->made;
    give_back(statements, row);
    if (!abandoned || ending->abandoned != ABANDONED_MIN)
        return 0;
    int result = room_for(&statements->endings, &statements->ending_room, statements->ending_count + 1, sizeof(*statements->endings));
    if (result == 0)
        statements->endings[statements->ending_count++] = *ending;
    return result;
}

/* What was noted when the tenth abandoned one was met is brought up to date. */
static void note_endings(struct statements *statements, size_t first)
{
    for (size_t i = first; i < statements->ending_count; i++)
        statements->endings[i] = statements->prepared[statements->endings[i].of].ending;
}

int prepared_conn_ended(struct statements *statements, uint32_t conn, uint64_t time)
{
    const struct session *session = &statements->sessions[statements->conns[conn].session];
    size_t first = statements->ending_count;
    int result = 0;
    while (session->last_name && result == 0)
        result = leave_last(statements, session->last_name - 1, time);
    note_endings(statements, first);
    return result;
}

void prepared_finish(struct statements *statements, uint64_t tc)
{
    uint64_t begin = statements->begin, all = tc > begin ? tc - begin : 0;
    for (size_t i = 0; i < statements->ending_count; i++) {
        const struct prepared_ending *ending = &statements->endings[i];
        struct statement_prepared *place = &statements->prepared[ending->of];
        uint64_t from = ending->birth > begin ? ending->birth : begin;
        if (ending->end < tc && (double)(ending->end - from) < KEPT_SHARE * (double)all) {
            place->brief++;
            continue;
        }
        place->left += ending->left;
        place->abandoned += ending->abandoned;
        place->connections++;
    }
}
