/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that comes from a traced program, made fit to be shown: it may not command the terminal, stays one
 * line, and is UTF-8 where that is wanted. Thread safe. */
#ifndef STRAY_SAFE_H
#define STRAY_SAFE_H

#include <stdio.h>

/* With control characters escaped as \xNN. */
void print_safe(FILE *out, const char *text);
/* The same as a string, to be freed; NULL without memory. */
char *safe_text(const char *text);
/* What is not UTF-8 is replaced by U+FFFD; control characters stay. To be freed; NULL without memory. */
char *utf8_text(const char *text);
/* Both: UTF-8 without control characters. */
char *clean_text(const char *text);

#endif
