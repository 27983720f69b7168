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
    const struct libpq *libpq;
    const PGconn *conn;
    uint32_t stack;
    uint16_t hook;
};

/* Before the call, as late as can be: returns its stamp; those of its events follow closely. */
uint64_t statements_sent(const struct sql_call *call);
/* After a call on `conn` that gave `result` (NULL: none is left), which takes `size` bytes: the value of its RESULT, which is told
 * before its USE. */
uint64_t statements_result(const struct libpq *libpq, const PGconn *conn, PGresult *result, size_t size);

#endif
