/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the tokens of an SQL text end, by the lexical rules of PostgreSQL's manual, section 4.1. The text need not end with a
 * NUL: no byte at or behind `limit` is read. Each function takes a place in the text, and returns one from there to `limit`;
 * `limit` where a token does not end, or where what it is depends on the server's settings.
 *
 * Neither allocates nor blocks; any thread, also in a signal handler.
 */
#ifndef STRAY_PRELOAD_SQL_TOKENS_H
#define STRAY_PRELOAD_SQL_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum class {
    OTHER, BLANK, WORD /* letters, "_", and what is no ASCII */, DIGIT, QUOTE, IDENTIFIER /* in double quotes */, DOLLAR
};

/* The class of each byte. */
extern const uint8_t sql_classes[256];

static inline enum class class_at(const char *limit, const char *at)
{
    return at < limit ? (enum class)sql_classes[(uint8_t)*at] : OTHER;
}

static inline bool is_at(const char *limit, const char *at, char byte)
{
    return at < limit && *at == byte;
}

/* Past white space and comments. */
const char *skip_blanks(const char *limit, const char *at);

/* The same, for where there is seldom any. */
static inline const char *skip_blank(const char *limit, const char *at)
{
    enum class class = class_at(limit, at);
    return class == BLANK || (class == OTHER && at < limit && (*at == '-' || *at == '/')) ? skip_blanks(limit, at) : at;
}

/* Whether it is that keyword, which is written in small letters, in either case. */
static inline __attribute__((always_inline)) bool is_word(const char *at, const char *end, const char *word)
{
    if ((size_t)(end - at) != __builtin_strlen(word)) /* known when this is compiled */
        return false;
    for (; at < end; at++, word++)
        if ((*at | 0x20) != *word)
            return false;
    return true;
}

/* Past letters, digits, "_" and "$", as many as there are. */
const char *skip_word(const char *limit, const char *at);
/* Past a number that begins here, its exponent and all that hangs on it. */
const char *skip_number(const char *limit, const char *at);
/* Past the literal or parameter at `at`; NULL: there is none. */
const char *skip_value(const char *limit, const char *at);
/* Past the list of values whose bracket is at `at`, and how many it has; NULL: it holds something else, or nothing. */
const char *skip_list(const char *limit, const char *at, uint32_t *members);
/* Past what follows the first of several rows, as in "(1, 2), (3, 4)", and how many rows there are, that one among them. */
const char *skip_rows(const char *limit, const char *at, uint32_t *rows);

#endif
