/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/numbers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *words_count(struct words *words, uint64_t count)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    char *out = words->text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ' ';
        *out++ = digits[i];
    }
    *out = '\0';
    return words->text;
}

const char *words_bytes(struct words *words, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    while (fabs(bytes) >= 1023.95 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(words->text, sizeof(words->text), unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return words->text;
}

const char *words_duration(struct words *words, double seconds)
{
    uint64_t whole = (uint64_t)(seconds + 0.5);
    if (seconds < 0.001)
        snprintf(words->text, sizeof(words->text), "%.2f ms", seconds * 1000);
    else if (seconds < 0.9995)
        snprintf(words->text, sizeof(words->text), "%.0f ms", seconds * 1000);
    else if (seconds < 59.95)
        snprintf(words->text, sizeof(words->text), "%.1f s", seconds);
    else if (whole < 3600)
        snprintf(words->text, sizeof(words->text), "%" PRIu64 " m %02" PRIu64 " s", whole / 60, whole % 60);
    else
        snprintf(words->text, sizeof(words->text), "%" PRIu64 " h %02" PRIu64 " m", whole / 3600,
                 whole / 60 % 60);
    return words->text;
}

const char *words_number(struct words *words, double number)
{
    if (number >= 99.95)
        return words_count(words, (uint64_t)(number + 0.5));
    snprintf(words->text, sizeof(words->text), number >= 9.995 ? "%.1f" : "%.2f", number);
    return words->text;
}

const char *words_things(struct words *words, uint64_t count, const char *thing)
{
    struct words number;
    snprintf(words->text, sizeof(words->text), "%s %s%s", words_count(&number, count), thing,
             count == 1 ? "" : strcmp(thing, "child") == 0 ? "ren" : "s");
    return words->text;
}
