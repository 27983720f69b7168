/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of statements by the very texts they came as: most programs send a few again and again, and to hash a text
 * takes a fifth of what it takes to read it. Of the texts themselves nothing is kept.
 *
 * Thread and signal safe, neither allocates nor blocks. What a forked child inherits holds there, too.
 */
#ifndef STRAY_PRELOAD_SQL_KNOWN_H
#define STRAY_PRELOAD_SQL_KNOWN_H

#include <stddef.h>
#include <stdint.h>

#define KNOWN_LENGTH_MAX 1024u /* bytes of a text that is worth it */

/* Tells a text from others; 0: it is too long. */
uint64_t known_text(const char *text, size_t length);
/* The same for all texts that differ in whole numbers only, where these are literals: "id = 5" and "id = 4711", not "t5" nor "$5".
 * They are one statement. */
uint64_t known_pattern(const char *text, size_t length);
/* What known_put() was given last for it; 0: nothing, or it has been forgotten since. */
uint64_t known_find(uint64_t known_text);
void known_put(uint64_t known_text, uint64_t value);

#endif
