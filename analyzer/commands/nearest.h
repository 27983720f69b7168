/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of the words there are was meant by one that is none of them. Thread safe. */
#ifndef STRAY_COMMANDS_NEAREST_H
#define STRAY_COMMANDS_NEAREST_H

#include <stddef.h>

#define NEAREST_MAX 32 /* bytes; longer words are near to none */

/* Begins as {.word = ..., .length = ...}; `found` is borrowed from who tries. */
struct nearest {
    const char *word; /* what was typed; ends after `length` bytes */
    size_t length;
    const char *found; /* NULL: none is near */
    unsigned distance;
};

/* Takes in one that was perhaps meant. It is near if at most 2 slips (a letter too many, missing, wrong, or two that changed places),
 * and no more than one for three letters, lead from it to what was typed. Of equally near ones the first stays. */
void nearest_try(struct nearest *nearest, const char *candidate);

/* Room for nearest_hint(). */
#define NEAREST_HINT (NEAREST_MAX + sizeof("; did you mean STRAY_?"))
/* "; did you mean PREFIX...?", for the end of a message; empty if none is near. Returns `text`. */
const char *nearest_hint(const struct nearest *nearest, const char *prefix, char text[NEAREST_HINT]);

#endif
