/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is kept of an SQL statement: its text without anything a user may have put into it. Literals become "$?" (which no
 * statement can hold otherwise: "?" alone is an operator), comments go, white space is one blank, lists of literals are
 * cut to their first member. A sign that can be no operator belongs to its number. Identifiers, operators and parameters ("$1") stay,
 * but for names of prepared statements, of which a program may make ever new ones: they become "$?" as well.
 *
 * One pass over at most SQL_SCANNED bytes; neither allocates nor blocks; any thread, also in a signal handler. The lexical
 * rules are those of PostgreSQL's manual, section 4.1. Where what is a literal depends on the server's settings (a quote
 * after a backslash), or where a literal does not end, all of the rest is left out.
 */
#ifndef STRAY_PRELOAD_SQL_NORMALISE_H
#define STRAY_PRELOAD_SQL_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQL_TEXT_MAX    4096u        /* bytes kept, with the closing NUL */
#define SQL_SCANNED     (64u << 10)  /* bytes looked at */
#define SQL_LENGTH_MAX  (1u << 20)   /* longer texts count as that long */
#define SQL_KEYS        4u

/* A constant that a WHERE clause asks to be equal: where it stands in the text, or its parameter. */
struct sql_key {
    const char *at; /* NULL: a parameter */
    uint32_t size;  /* bytes; of a parameter, its number, from 1 */
};

/* What a text does with prepared statements, if that is what it begins with. */
enum sql_prepared { SQL_PREPARED_NOT, SQL_PREPARES, SQL_EXECUTES, SQL_DEALLOCATES };

struct sql_statement {
    uint64_t hash;    /* of the text that is kept */
    uint64_t name;    /* of the prepared statement it makes, executes or closes: string_hash() as the server knows it; 0: none, or all */
    enum sql_prepared prepared;
    uint32_t size;    /* of that text, without a NUL */
    uint32_t length;  /* of the whole statement in bytes, at most SQL_LENGTH_MAX */
    uint32_t members; /* of its longest list of literals, or of rows of them, in the part that was looked at; 0: there is none */
    bool cut;         /* what is kept is the beginning only */
    uint32_t key_count;
    struct sql_key keys[SQL_KEYS]; /* of the last WHERE clause, in the order of the text; they point into it */
};

/* Reads `text`, which ends with a NUL, into `statement`, and if `kept` is not NULL the text that is kept into that, with a
 * NUL; it has room for SQL_TEXT_MAX bytes. */
void sql_normalise(const char *text, struct sql_statement *statement, char *kept);

#endif
