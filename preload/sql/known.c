/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sql/known.h"

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
