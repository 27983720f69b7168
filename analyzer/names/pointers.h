/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pointers in the data of an object file, as they stand once the file is loaded: what its relocations say, or, where it is loaded
 * at a fixed address, its own bytes. */
#ifndef STRAY_NAMES_POINTERS_H
#define STRAY_NAMES_POINTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names/image.h"

struct pointer {
    uint64_t slot, value;
};

/* In the order of their slots. */
struct pointers {
    struct pointer *items;
    size_t count, capacity;
};

/* Reads them into `pointers`, which is empty. -ENOMEM; the items are to be freed in either case. */
int pointers_read(const struct image *image, struct pointers *pointers);
/* What stands at `slot`. False: no pointer. */
bool pointers_find(const struct pointers *pointers, uint64_t slot, uint64_t *ret_value);

#endif
