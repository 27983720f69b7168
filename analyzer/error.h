/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the analyzer's libraries report failure: a function returns 0, or a negative errno and, where it takes
 * a `struct error *`, one sentence for the user ("WHAT: WHY") without the leading "stray: ". Libraries never
 * print. `struct error *` may be NULL.
 */
#ifndef STRAY_ERROR_H
#define STRAY_ERROR_H

struct error {
    char text[1024];
};

/* strerror() of a negative errno, in the words of this project where those are clearer. */
const char *error_reason(int code);

/* Stores a printf-formatted sentence and returns `code` (a negative errno), so that callers can return it. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
