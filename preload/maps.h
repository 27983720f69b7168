/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this process has mapped, and how, at one moment. Raw system calls and memory of our own, so any thread may ask, also in a signal handler;
 * a list belongs to who has read it. */
#ifndef STRAY_PRELOAD_MAPS_H
#define STRAY_PRELOAD_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maps {
    struct map *list; /* in the order of addresses */
    size_t count;
};

/* False: it cannot be told, and there is nothing to free. Else to be freed. Opens /proc/self/maps, and needs a free descriptor for it. */
bool maps_read(struct maps *ret_maps);
void maps_free(const struct maps *maps);

/* PROT_ bits of what is mapped at `address`; -1: nothing. */
int maps_protection(const struct maps *maps, uintptr_t address);

#endif
