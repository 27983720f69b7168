/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that comes from a traced program, made fit to be shown: it may not command the terminal, stays one
 * line, and is UTF-8. Thread safe. */
#ifndef STRAY_SAFE_H
#define STRAY_SAFE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the character at `text`, which is not empty. Harmless: it is UTF-8, and can neither command a terminal nor turn text
 * around (U+202E and its like) nor end a line. */
size_t character_length(const char *text, bool *ret_harmless);
/* Columns that such a character fills when it is shown. */
#define ESCAPED_COLUMNS 4 /* of a byte as \xNN */
static inline size_t character_columns(size_t length, bool harmless)
{
    return harmless ? 1 : ESCAPED_COLUMNS * length;
}
/* Columns that `text` fills when it is shown escaped. */
size_t shown_columns(const char *text);
/* With what is not harmless escaped as \xNN. */
void print_safe(FILE *out, const char *text);
/* The same as a string, to be freed; NULL without memory. */
char *safe_text(const char *text);
/* The same, byte by byte to who escapes more; takes no memory. */
void print_clean(FILE *out, const char *text, void (*put)(FILE *out, char byte));
/* Only what is not UTF-8, as \xNN, in a buffer of UTF8_ROOM(text) bytes. Backslashes before that, and before what looks like it,
 * are doubled: different texts stay different. */
#define UTF8_ROOM(text) (4 * strlen(text) + 1)
void utf8_copy(char *to, const char *text);
/* Closes a stream of open_memstream(): its text, or NULL if memory ran out on the way. */
char *memory_stream_end(FILE *out, char **text);

#endif
