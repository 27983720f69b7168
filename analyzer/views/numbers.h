/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers as people read them. Each function writes into the caller's buffer and returns it, so that several
 * fit one printf. Locale independent.
 */
#ifndef STRAY_VIEWS_NUMBERS_H
#define STRAY_VIEWS_NUMBERS_H

#include <stdint.h>

struct words {
    char text[64];
};

/* "41 823" */
const char *words_count(struct words *words, uint64_t count);
/* "23.4 MiB" */
const char *words_bytes(struct words *words, double bytes);
/* "8 h 00 m", "1 m 12 s", "3.4 s", "12 ms" */
const char *words_duration(struct words *words, double seconds);
/* "11.6", "0.32", "1 250" : three significant digits */
const char *words_number(struct words *words, double number);
/* "1 connection", "2 connections" */
const char *words_things(struct words *words, uint64_t count, const char *thing);

#endif
