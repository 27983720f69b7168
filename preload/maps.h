/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this process has mapped, and how, at one moment. */
#ifndef STRAY_PRELOAD_MAPS_H
#define STRAY_PRELOAD_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maps {
    struct map *list; /* in the order of addresses */
    size_t count;
};

/* False: it cannot be told. */
bool maps_read(struct maps *ret_maps);
void maps_free(const struct maps *maps);

/* PROT_ bits of what is mapped at `address`; -1: nothing. */
int maps_protection(const struct maps *maps, uintptr_t address);

#endif
