/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements by the place that sends them: calls, the connections they are sent on, and what was read before it is written. */
#include <string.h>

#include "lives/sessions.h"

/* Asked for once a stack. */
int use_place(struct statements *statements, uint32_t stack, uint32_t *ret_place)
{
    const struct statements_source *source = &statements->source;
    *ret_place = stack;
    if (!source->place || map_get(&statements->place_map, stack, ret_place))
        return 0;
    *ret_place = source->place(source->data, stack);
    return map_put(&statements->place_map, stack, *ret_place);
}

static int use_row(struct statements *statements, const struct session_telling *telling, uint32_t *ret_row)
{
    bool new;
    const struct statements_source *source = &statements->source;
    uint32_t place;
    int result = use_place(statements, telling->stack, &place);
    if (result < 0)
        return result;
    result = row_of(&statements->use_map, key_of(telling->definition, place), &statements->uses,
                        &statements->use_room, &statements->use_count, sizeof(*statements->uses), ret_row, &new);
    if (result < 0 || !new)
        return result;
    struct statement_use *use = &statements->uses[*ret_row];
    *use = (struct statement_use){.definition = telling->definition, .stack = telling->stack, .hook = telling->hook,
                                  .first = telling->time, .overwrites_of = STATEMENTS_NONE, .conn = STATEMENTS_NONE};
    sql_words_read(source->text ? source->text(source->data, telling->definition) : NULL, &use->words);
    return 0;
}

static void remember_read(struct session *session, const struct session_telling *telling, const struct sql_words *words, uint32_t use)
{
    if (session->read_count == SESSION_READS)
        memmove(session->reads, session->reads + 1, --session->read_count * sizeof(*session->reads));
    session->reads[session->read_count++] = (struct session_read){telling->key, words->table, use};
}

static void look_for_read(const struct session *session, const struct session_telling *telling, struct statement_use *use)
{
    for (uint32_t i = 0; i < session->read_count; i++) {
        const struct session_read *read = &session->reads[i];
        if (read->key != telling->key || read->table != use->words.table)
            continue;
        use->overwrites++;
        use->overwrites_of = read->use;
        return;
    }
}

/* Reading a row and writing it again, with a value that was made of what was read, loses what others wrote meanwhile. */
static void follow_keys(struct statements *statements, struct session *session, const struct session_telling *telling, uint32_t row)
{
    struct statement_use *use = &statements->uses[row];
    if (telling->key == 0 || use->words.table == 0)
        return;
    if (use->words.selects && !use->words.locks)
        remember_read(session, telling, &use->words, row);
    else if (use->words.updates && use->words.constants)
        look_for_read(session, telling, use);
}

/* Of a text that is sent from several places, each connection counts at the first. */
static int count_connection(struct statements *statements, uint32_t row, uint32_t conn)
{
    uint64_t definition = statements->uses[row].definition, key = key_of(definition ? definition : ~(uint64_t)row, conn);
    uint32_t known;
    if (map_get(&statements->pair_map, key, &known))
        return 0;
    statements->uses[row].connections++;
    return map_put(&statements->pair_map, key, 1);
}

uint32_t statements_group(const struct statements *statements, uint32_t conn)
{
    while (statements->conns[conn].group != conn)
        conn = statements->conns[conn].group;
    return conn;
}

/* Whoever sends the same over one connection and then another got both from the same pool. The older one stands for them, and
 * what was on the way to it is led there at once, so that ways stay short. */
static void join_group(struct statements *statements, uint32_t conn, uint32_t other)
{
    uint32_t a = statements_group(statements, conn), b = statements_group(statements, other), root = a < b ? a : b;
    statements->conns[a].group = statements->conns[b].group = root;
    statements->conns[conn].group = statements->conns[other].group = root;
}

int use_called(struct statements *statements, uint32_t conn, const struct session_telling *telling, uint32_t *ret_row)
{
    int result = use_row(statements, telling, ret_row);
    if (result < 0)
        return result;
    struct statement_use *use = &statements->uses[*ret_row];
    use->calls++;
    use->last = telling->time;
    if (telling->length > use->length_most)
        use->length_most = telling->length;
    if (telling->members > use->members_most)
        use->members_most = telling->members;
    if (!use->words.control) {
        statements->conns[conn].last_use = *ret_row;
        statements->conns[conn].statements++;
        if (use->conn != STATEMENTS_NONE && use->conn != conn)
            join_group(statements, conn, use->conn);
        use->conn = conn;
    }
    follow_keys(statements, session_of(statements, conn), telling, *ret_row);
    return count_connection(statements, *ret_row, conn);
}
