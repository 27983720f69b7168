/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/fingerprint.h"

#include <inttypes.h>
#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "scarce.h"

/* The text with `literal`, two bytes, in place of each "$?": most places take a string, some a number only. */
static char *with_literals(const char *text, const char literal[2])
{
    char *copy = strdup(text);
    for (char *at = copy; at && (at = strstr(at, "$?")); at += 2)
        memcpy(at, literal, 2);
    return copy;
}

static bool parse(const char *text, const char literal[2], char ret_fingerprint[FINGERPRINT_SIZE])
{
    char *copy = with_literals(text, literal);
    if (!copy)
        return false;
    scarce_check();
    PgQueryFingerprintResult result = pg_query_fingerprint(copy);
    bool parsed = !result.error && result.fingerprint_str;
    if (parsed)
        snprintf(ret_fingerprint, FINGERPRINT_SIZE, "%s", result.fingerprint_str);
    pg_query_free_fingerprint_result(result);
    free(copy);
    return parsed;
}

bool fingerprint_of(const char *text, char ret_fingerprint[FINGERPRINT_SIZE])
{
    if (parse(text, "''", ret_fingerprint) || parse(text, " 1", ret_fingerprint))
        return true;
    snprintf(ret_fingerprint, FINGERPRINT_SIZE, "%016" PRIx64, hash_text(HASH_BEGIN, text));
    return false;
}
