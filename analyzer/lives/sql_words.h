/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the words of a normalised statement say of it, as far as rules need to know. No parser: words in the order in which
 * they stand, those in double quotes left out. Pure.
 */
#ifndef STRAY_LIVES_SQL_WORDS_H
#define STRAY_LIVES_SQL_WORDS_H

#include <stdbool.h>
#include <stdint.h>

struct sql_words {
    bool control;   /* BEGIN, COMMIT, SAVEPOINT, SET and the like: about the session, not about data */
    bool selects;   /* a SELECT, which takes no lock if `locks` is not set */
    bool locks;     /* ... FOR UPDATE, FOR SHARE */
    bool updates;   /* an UPDATE */
    bool constants; /* ... that sets a column to a literal or a parameter */
    bool fetches;   /* FETCH, MOVE: portions of what one statement asked for */
    bool bounded;   /* a LIMIT or FETCH says how many rows there may be */
    bool batches;   /* an INSERT, or a list of values, ANY (), VALUES: it may be about many rows at once */
    uint64_t table; /* hash of the name of the first table that is read or written; 0: none */
};

/* NULL is a text without words. */
void sql_words_read(const char *text, struct sql_words *ret_words);

#endif
