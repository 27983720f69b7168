/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/nearest.h"

#include <stdio.h>
#include <string.h>

#define SLIPS_MAX 2

static unsigned lesser(unsigned left, unsigned right)
{
    return left < right ? left : right;
}

/* How many slips lead from one word to the other: F. J. Damerau, "A technique for computer detection and correction of spelling
 * errors", Communications of the ACM 7(3), 1964, by the recurrence of R. A. Wagner and M. J. Fischer, "The string-to-string
 * correction problem", Journal of the ACM 21(1), 1974. Letters that changed places are not edited again. */
static unsigned distance(const char *left, size_t left_length, const char *right, size_t right_length)
{
    unsigned slips[NEAREST_MAX + 1][NEAREST_MAX + 1];
    for (size_t i = 0; i <= left_length; i++)
        for (size_t j = 0; j <= right_length; j++) {
            if (i == 0 || j == 0) {
                slips[i][j] = (unsigned)(i + j);
                continue;
            }
            unsigned least = slips[i - 1][j - 1] + (left[i - 1] != right[j - 1]);
            least = lesser(least, lesser(slips[i - 1][j], slips[i][j - 1]) + 1);
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                least = lesser(least, slips[i - 2][j - 2] + 1);
            slips[i][j] = least;
        }
    return slips[left_length][right_length];
}

void nearest_try(struct nearest *nearest, const char *candidate)
{
    size_t length = strlen(candidate);
    if (nearest->length > NEAREST_MAX || length > NEAREST_MAX)
        return;
    unsigned slips = distance(nearest->word, nearest->length, candidate, length);
    if (slips > SLIPS_MAX || 3 * slips > length || (nearest->found && slips >= nearest->distance))
        return;
    nearest->found = candidate;
    nearest->distance = slips;
}

const char *nearest_hint(const struct nearest *nearest, const char *prefix, char text[NEAREST_HINT])
{
    text[0] = '\0';
    if (nearest->found)
        snprintf(text, NEAREST_HINT, "; did you mean %s%s?", prefix, nearest->found);
    return text;
}
