/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Statements that mean the same have one fingerprint, however they are written: libpg_query parses them as PostgreSQL does, and
 * leaves out what are values. What it cannot parse is known by its text.
 */
#ifndef STRAY_NAMES_FINGERPRINT_H
#define STRAY_NAMES_FINGERPRINT_H

#include <stdbool.h>

#define FINGERPRINT_SIZE 17 /* 16 hexadecimal digits and a NUL */

/* Of a text without literals, as traces hold it ("$?"). False: it could not be parsed, or there is no memory. */
bool fingerprint_of(const char *text, char ret_fingerprint[FINGERPRINT_SIZE]);

#endif
