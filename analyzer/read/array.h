/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Growing arrays. Usage: grown = array_grow(array, &room, count, sizeof(*array)); NULL: out of memory, and
 * the array stays as it was.
 */
#ifndef STRAY_READ_ARRAY_H
#define STRAY_READ_ARRAY_H

#include <stdint.h>
#include <stdlib.h>

/* Returns `array`, perhaps moved, with room for at least one element more than `count`. */
static inline void *array_grow(void *array, size_t *room, size_t count, size_t unit)
{
    if (count < *room)
        return array;
    size_t wanted = *room ? *room * 2 : 16;
    if (wanted <= count || wanted > SIZE_MAX / unit)
        return NULL;
    void *grown = realloc(array, wanted * unit);
    if (grown)
        *room = wanted;
    return grown;
}

#endif
