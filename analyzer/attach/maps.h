/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mappings of another process, as they were at one moment. */
#ifndef STRAY_ATTACH_MAPS_H
#define STRAY_ATTACH_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct map {
    uint64_t start, end, offset, inode;
    bool readable, executable;
    char *path; /* empty: anonymous */
};

struct maps {
    struct map *items; /* in the order of addresses */
    size_t count;
};

/* 0, or a negative errno; -EACCES: not permitted. */
int maps_read(pid_t pid, struct maps *ret_maps);
void maps_free(struct maps *maps);

/* The mapping that holds `address`; NULL: none. */
const struct map *maps_at(const struct maps *maps, uint64_t address);

#endif
