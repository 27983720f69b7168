/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sql/known.h"

#include <stdbool.h>

#include "record/index.h"

#define PLACES 256u

/* Threads write without waiting for each other: what does not go together is found out by `check`. */
static struct place {
    uint64_t check; /* text ^ value */
    uint64_t value;
} places[PLACES];

uint64_t known_text(const char *text, size_t length)
{
    if (length > KNOWN_LENGTH_MAX)
        return 0;
    uint64_t hash = length, word = 0;
    for (; length >= sizeof(word); length -= sizeof(word), text += sizeof(word)) {
        __builtin_memcpy(&word, text, sizeof(word));
        hash = index_mix(hash, word);
    }
    for (word = 0; length > 0; length--)
        word = word << 8 | (uint8_t)text[length - 1];
    return index_mix(hash, word) | 1;
}

enum kind { OTHER, PART /* of a word, or of a number that is not whole */, DIGIT, IDENTIFIER /* in double quotes */ };

static const uint8_t kinds[256] = {
    ['A' ... 'Z'] = PART, ['a' ... 'z'] = PART, ['_'] = PART, ['$'] = PART, ['.'] = PART, [128 ... 255] = PART,
    ['0' ... '9'] = DIGIT, ['"'] = IDENTIFIER,
};

/* Whether the digits from `at` to `next` are a whole number. In strings and comments that makes no difference. */
static bool is_number(const char *text, const char *at, const char *next, const char *end)
{
    return (at == text || kinds[(uint8_t)at[-1]] != PART) && (next == end || kinds[(uint8_t)*next] != PART);
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte)) /* in all bytes of a word */

/* Whether any byte of `word` is less than `limit`, which is 128 at most. */
static bool has_less(uint64_t word, uint8_t limit)
{
    return ((word - EACH(limit)) & ~word & EACH(128)) != 0;
}

/* Whether a digit is in it, or a double quote. */
static bool has_digit_or_quote(const char *at)
{
    uint64_t word;
    __builtin_memcpy(&word, at, sizeof(word));
    return has_less(word ^ EACH('0'), 10) || has_less(word ^ EACH('"'), 1);
}

static const char *find_digit_or_quote(const char *at, const char *end)
{
    while (end - at >= (ptrdiff_t)sizeof(uint64_t) && !has_digit_or_quote(at))
        at += sizeof(uint64_t);
    while (at < end && kinds[(uint8_t)*at] < DIGIT)
        at++;
    return at;
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && kinds[(uint8_t)*at] == DIGIT)
        at++;
    return at;
}

/* The texts between numbers, one after the other. From the first identifier in quotes on every digit may be a part of a name. */
uint64_t known_pattern(const char *text, size_t length)
{
    const char *begin = text, *end = text + length, *at = text;
    uint64_t hash = 0;
    if (length > KNOWN_LENGTH_MAX)
        return 0;
    while ((at = find_digit_or_quote(at, end)) < end && kinds[(uint8_t)*at] == DIGIT) {
        const char *next = skip_digits(at, end);
        if (is_number(text, at, next, end)) {
            hash = index_mix(hash, known_text(begin, (size_t)(at - begin)));
            begin = next;
        }
        at = next;
    }
    return index_mix(hash, known_text(begin, (size_t)(end - begin))) | 1;
}

uint64_t known_find(uint64_t text)
{
    struct place *place = &places[text >> 1 & (PLACES - 1)];
    uint64_t value = __atomic_load_n(&place->value, __ATOMIC_RELAXED);
    return (__atomic_load_n(&place->check, __ATOMIC_RELAXED) ^ value) == text ? value : 0;
}

void known_put(uint64_t text, uint64_t value)
{
    struct place *place = &places[text >> 1 & (PLACES - 1)];
    __atomic_store_n(&place->value, value, __ATOMIC_RELAXED);
    __atomic_store_n(&place->check, text ^ value, __ATOMIC_RELAXED);
}
