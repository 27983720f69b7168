/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/texts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

#define FIRST_CAPACITY 256

/* The slot of `text`, or the free one where it belongs. */
static const char **slot_of(const char **slots, size_t capacity, const char *text)
{
    size_t at = (size_t)hash_text(HASH_BEGIN, text) & (capacity - 1);
    while (slots[at] && strcmp(slots[at], text) != 0)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

/* One in three slots stays free. */
static bool make_room(struct texts *texts)
{
    if (texts->capacity && texts->count < texts->capacity / 3 * 2)
        return true;
    size_t capacity = texts->capacity ? 2 * texts->capacity : FIRST_CAPACITY;
    const char **slots = calloc(capacity, sizeof(*slots));
    if (!slots)
        return false;
    for (size_t i = 0; i < texts->capacity; i++) {
        if (texts->slots[i])
            *slot_of(slots, capacity, texts->slots[i]) = texts->slots[i];
    }
    free(texts->slots);
    texts->slots = slots;
    texts->capacity = capacity;
    return true;
}

const char *texts_keep(struct texts *texts, const char *text)
{
    if (!make_room(texts))
        return NULL;
    const char **slot = slot_of(texts->slots, texts->capacity, text);
    if (!*slot && (*slot = arena_copy(&texts->arena, text, strlen(text))))
        texts->count++;
    return *slot;
}

void texts_free(struct texts *texts)
{
    arena_free(&texts->arena);
    free(texts->slots);
    *texts = (struct texts){0};
}
