/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/statements.h"

#include <string.h>

#include "record/defs.h"
#include "record/index.h"
#include "settings.h"
#include "sql/keyed.h"
#include "sql/known.h"
#include "sql/normalise.h"
#include "text.h"

#define MEMBERS_MANY  1000u
#define VALUE_MAX     64u /* bytes of a value that are compared */
#define PREPARED      256u
#define FIELD_STATE   'C' /* PG_DIAG_SQLSTATE */
#define BINARY        1
#define TRANSACTION_NONE 0 /* of PGTransactionStatusType */
#define TUPLES_OK        2 /* of ExecStatusType */
#define NONFATAL_ERROR   6
#define FATAL_ERROR      7

/* ---- texts ---- */

static uint32_t flags_of(const struct sql_statement *statement)
{
    static const uint32_t prepared[] = {
        [SQL_PREPARED_NOT] = 0,
        [SQL_PREPARES] = STRAY_STATEMENT_PREPARES,
        [SQL_EXECUTES] = STRAY_STATEMENT_EXECUTES,
        [SQL_DEALLOCATES] = STRAY_STATEMENT_DEALLOCATES,
    };
    uint32_t flags = prepared[statement->prepared];
    if (settings.sql == SQL_OFF)
        return flags | STRAY_STATEMENT_HIDDEN;
    if (settings.sql == SQL_TEXT)
        return flags | STRAY_STATEMENT_RAW | (statement->length >= SQL_TEXT_MAX ? STRAY_STATEMENT_CUT : 0);
    return flags | (statement->cut ? STRAY_STATEMENT_CUT : 0);
}

static uint32_t add_text(const struct sql_statement *statement, const char *text, size_t size)
{
    struct stray_def_statement fields = {statement->hash, flags_of(statement), 0};
    struct iovec parts[] = {{&fields, sizeof(fields)}, {(void *)(uintptr_t)text, size}, {(char[]){0}, 1}};
    return defs_add(STRAY_DEF_STATEMENT, parts, 3);
}

static uint32_t add_example(const struct sql_statement *statement, const char *text)
{
    return add_text(statement, text, statement->length < SQL_TEXT_MAX ? statement->length : SQL_TEXT_MAX - 1);
}

/* Not on the stack, which may be a small one. Seldom: once for each text. */
static uint32_t add_normalised(struct sql_statement *statement, const char *text)
{
    char *kept = sys_memory(SQL_TEXT_MAX);
    if (!kept)
        return 0;
    sql_normalise(text, statement, kept);
    uint32_t id = add_text(statement, kept, statement->size);
    sys_munmap(kept, SQL_TEXT_MAX);
    return id;
}

static uint64_t index_key(uint64_t hash)
{
    return index_mix(hash, STRAY_DEF_STATEMENT);
}

static uint32_t define(struct sql_statement *statement, const char *text)
{
    uint64_t key = index_key(statement->hash);
    uint32_t id = index_find(key);
    if (id)
        return id;
    if (settings.sql == SQL_OFF)
        id = add_text(statement, "", 0);
    else
        id = settings.sql == SQL_TEXT ? add_example(statement, text) : add_normalised(statement, text);
    if (id)
        index_put(key, id);
    return id;
}

/* ---- what WHERE clauses ask for ---- */

/* By name of the statement: which parameters are its keys, a byte each; and who it belongs to. */
static uint64_t prepared[PREPARED];

static uint64_t *prepared_at(uint64_t who)
{
    return &prepared[who % PREPARED];
}

static uint64_t prepared_tag(uint64_t who)
{
    return who & ~(uint64_t)UINT32_MAX;
}

static void prepared_remember(uint64_t who, const struct sql_statement *statement)
{
    uint64_t packed = prepared_tag(who);
    for (uint32_t i = 0; i < statement->key_count; i++)
        if (!statement->keys[i].at && statement->keys[i].size <= UINT8_MAX)
            packed |= (uint64_t)statement->keys[i].size << 8 * i;
    __atomic_store_n(prepared_at(who), packed, __ATOMIC_RELAXED);
}

static uint64_t hash_parameter(const struct sql_parameters *parameters, uint32_t number)
{
    if (number == 0 || number > (uint32_t)parameters->count || !parameters->values[number - 1])
        return 0;
    const char *value = parameters->values[number - 1];
    bool binary = parameters->formats && parameters->formats[number - 1] == BINARY;
    size_t size = binary && parameters->lengths ? (size_t)parameters->lengths[number - 1] : strnlen(value, VALUE_MAX);
    return keyed_hash(value, size < VALUE_MAX ? size : VALUE_MAX);
}

static uint64_t key_of_text(const struct sql_statement *statement, const struct sql_parameters *parameters)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < statement->key_count; i++) {
        const struct sql_key *key = &statement->keys[i];
        uint64_t one = key->at ? keyed_hash(key->at, key->size < VALUE_MAX ? key->size : VALUE_MAX)
                               : hash_parameter(parameters, key->size);
        if (one == 0)
            return 0;
        all = index_mix(all, one);
    }
    return all;
}

static uint64_t key_of_prepared(uint64_t who, const struct sql_parameters *parameters)
{
    uint64_t packed = __atomic_load_n(prepared_at(who), __ATOMIC_RELAXED), all = 0;
    if (prepared_tag(packed) != prepared_tag(who))
        return 0;
    for (uint32_t numbers = (uint32_t)packed; numbers; numbers >>= 8) {
        uint64_t one = hash_parameter(parameters, numbers & UINT8_MAX);
        if (one == 0)
            return 0;
        all = index_mix(all, one);
    }
    return all;
}

/* ---- what is sent ---- */

/* Before the call. */
static bool in_transaction(const struct sql_call *call)
{
    return call->libpq->PQtransactionStatus && call->libpq->PQtransactionStatus(call->conn) != TRANSACTION_NONE;
}

struct telling {
    const struct sql_call *call;
    uint64_t begin, time; /* begin: of the first event; 0: none was told yet */
};

/* Each later than the one before: what has one stamp may change places. */
static void tell(struct telling *telling, uint8_t action, uint64_t value, uint32_t stack)
{
    if (telling->begin == 0)
        telling->begin = telling->time = clock_before();
    emit_at(telling->time, action, STRAY_PGCONN, telling->call->hook, handle_of(telling->call->conn), value, stack);
    telling->time = clock_next(telling->time);
}

/* Of a text or pattern that was met before, the hash of its statement, which is odd; one less if it has keys. Members and names are
 * not kept. */
static void remember_text(uint64_t known, const struct sql_statement *statement)
{
    if (known && statement->members < MEMBERS_MANY && !statement->name)
        known_put(known, statement->key_count > 0 ? statement->hash & ~UINT64_C(1) : statement->hash);
}

/* Whether that is all there is to tell. */
static bool tell_known(struct telling *telling, uint64_t known, size_t length)
{
    const struct sql_call *call = telling->call;
    uint64_t hash = known && !call->name ? known_find(known) : 0;
    bool has_keys = !(hash & 1);
    uint32_t id = hash && !(has_keys && in_transaction(call)) ? index_find(index_key(hash | 1)) : 0;
    if (id)
        tell(telling, STRAY_STATEMENT, id | (uint64_t)length << 32, call->stack);
    return id != 0;
}

/* Returns the name of the prepared statement that the text itself is about; 0: there is none. */
static uint64_t tell_text(struct telling *telling, uint64_t who)
{
    const struct sql_call *call = telling->call;
    size_t length = strnlen(call->text, KNOWN_LENGTH_MAX + 1);
    uint64_t text = known_text(call->text, length);
    if (tell_known(telling, text, length))
        return 0;
    uint64_t pattern = known_pattern(call->text, length);
    if (tell_known(telling, pattern, length))
        return 0;
    struct sql_statement statement;
    sql_normalise(call->text, &statement, NULL);
    remember_text(text, &statement);
    remember_text(pattern, &statement);
    uint64_t members = statement.members;
    tell(telling, STRAY_STATEMENT, define(&statement, call->text) | (uint64_t)statement.length << 32, call->stack);
    if (members >= MEMBERS_MANY)
        tell(telling, STRAY_MEMBERS, members, 0);
    if (call->name)
        prepared_remember(who, &statement);
    uint64_t key = statement.key_count > 0 && in_transaction(call) ? key_of_text(&statement, &call->parameters) : 0;
    if (key)
        tell(telling, STRAY_KEY, key, 0);
    return statement.name;
}

static void tell_prepared(struct telling *telling, uint64_t who)
{
    const struct sql_call *call = telling->call;
    tell(telling, STRAY_STATEMENT, 0, call->stack);
    uint64_t key = call->parameters.count > 0 && in_transaction(call) ? key_of_prepared(who, &call->parameters) : 0;
    if (key)
        tell(telling, STRAY_KEY, key, 0);
}

uint64_t statements_sent(const struct sql_call *call)
{
    struct telling telling = {call, 0, 0};
    uint64_t name = call->name ? string_hash(call->name) : 0, who = index_mix(handle_of(call->conn), name);
    if (call->text && !call->name)
        name = tell_text(&telling, who);
    else if (call->text)
        tell_text(&telling, who);
    else
        tell_prepared(&telling, who);
    if (name)
        tell(&telling, STRAY_NAMED, name, 0);
    return telling.begin;
}

/* ---- what came of it ---- */

static uint64_t at_most(uint64_t number, unsigned bits)
{
    uint64_t most = (UINT64_C(1) << bits) - 1;
    return number < most ? number : most;
}

static uint64_t state_number(const char *state)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < 5; i++) {
        bool digit = state[i] >= '0' && state[i] <= '9', letter = state[i] >= 'A' && state[i] <= 'Z';
        if (!digit && !letter)
            return 0;
        number = number * 36 + (uint64_t)(digit ? state[i] - '0' : state[i] - 'A' + 10);
    }
    return number;
}

static uint64_t state_of(const struct libpq *libpq, PGresult *result)
{
    const char *state = libpq->PQresultErrorField ? libpq->PQresultErrorField(result, FIELD_STATE) : NULL;
    return state ? state_number(state) : 0;
}

/* Rows, or the SQLSTATE. */
static uint64_t rows_of(const struct libpq *libpq, PGresult *result, int status)
{
    if (status == FATAL_ERROR || status == NONFATAL_ERROR)
        return state_of(libpq, result);
    int rows = libpq->PQntuples ? libpq->PQntuples(result) : 0;
    if (rows > 0 || status == TUPLES_OK) /* the last one of those that came row by row tells of all, and holds none */
        return (uint64_t)rows;
    const char *touched = libpq->PQcmdTuples ? libpq->PQcmdTuples(result) : NULL;
    return touched ? string_number(touched) : 0;
}

uint64_t statements_result(const struct libpq *libpq, const PGconn *conn, PGresult *result, size_t size)
{
    uint64_t value = (uint64_t)STRAY_RESULT_NONE << STRAY_RESULT_STATUS;
    if (result && libpq->PQresultStatus) {
        int status = libpq->PQresultStatus(result);
        value = (uint64_t)(status & 15) << STRAY_RESULT_STATUS;
        value |= at_most(size / STRAY_RESULT_BYTES_UNIT, STRAY_RESULT_BYTES_BITS) << STRAY_RESULT_ROWS_BITS;
        value |= at_most(rows_of(libpq, result, status), STRAY_RESULT_ROWS_BITS);
    }
    if (libpq->PQtransactionStatus)
        value |= (uint64_t)(libpq->PQtransactionStatus(conn) & 15) << STRAY_RESULT_TRANSACTION;
    return value;
}
