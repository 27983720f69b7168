/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libpq's calls say of statements: which one is sent, by what name, what came of it. Texts are normalised before they
 * are kept (sql/normalise.h), parameters are never kept. The rules of wrap.h hold.
 */
#ifndef STRAY_PRELOAD_HOOKS_STATEMENTS_H
#define STRAY_PRELOAD_HOOKS_STATEMENTS_H

#include "hooks/wrap.h"

/* Parameters of a call, as libpq takes them. */
struct sql_parameters {
    const char *const *values;
    const int *lengths, *formats;
    int count;
};

/* For rows of hooks.def. */
static inline struct sql_parameters sql_given(int count, const char *const *values, const int *lengths, const int *formats)
{
    return (struct sql_parameters){values, lengths, formats, values ? count : 0};
}
#define SQL_NONE        sql_given(0, NULL, NULL, NULL)
#define SQL_GIVEN       sql_given

/* A call that sends a statement. */
struct sql_call {
    const char *text; /* NULL: it is known by its name only */
    const char *name; /* of the prepared statement or portal; NULL: none */
    struct sql_parameters parameters;
    uint64_t conn;
    uint32_t stack;
    uint16_t hook;
    bool in_transaction; /* before the call */
};

/* Before the call; `time` is its stamp, and those of its events follow closely. */
void statements_sent(const struct sql_call *call, uint64_t time);
/* After a call on `conn` that gave `result` (NULL: none is left), and was over at `time`: before its USE is told, which ends it. */
void statements_result(const struct libpq *libpq, uint16_t hook, const PGconn *conn, PGresult *result, uint64_t time);

#endif
