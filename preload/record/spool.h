/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool: the mapped file in which lanes, stack nodes and definitions live until they are in the trace, so that
 * whatever kills the process, they can be read.
 *
 * The file is as long as everything might ever need, and sparse; what is mapped of it grows with what is used, for the
 * program's address space may be limited or locked. Each piece is populated before it is used, so that a full disk is a
 * refusal here and never a SIGBUS there. No descriptor is kept. Forked children do not inherit the
 * mapping. Thread and signal safe but for spool_open().
 */
#ifndef STRAY_PRELOAD_SPOOL_H
#define STRAY_PRELOAD_SPOOL_H

#include <stdbool.h>

#include "stray/format.h"

#define SPOOL_LANES_MAX 4096u /* lanes at most; fewer where the file may not be that long */

extern struct stray_spool_header *spool; /* NULL until opened */

/* Creates and maps the file at `path` (which must not exist). Where that is not beside the trace, a symbolic link to it is
 * made at `link` (else NULL), so that readers find it. 0 or a negative errno. */
int spool_open(const char *path, const char *link, const uint8_t trace_id[16]);
/* The same with the file `fd`, empty and open for reading and writing, which stays the caller's, and at the addresses of an earlier
 * spool, if there was one: lanes that threads have stay theirs, and are empty. `path` is what it is called. */
int spool_adopt(int fd, const char *path, const uint8_t trace_id[16]);
/* Gives the file up, but keeps the addresses: who comes late finds memory there. The lanes' number is kept. */
void spool_retire(void);
/* Forgets the mapping: in a forked child, which does not have it. */
void spool_forget(void);
/* Puts empty memory where the mapping is missing: in a forked child that is about to return into the middle of the tracer's
 * work, which then finds no room and goes on. */
void spool_stand_in(void);
/* Removes the file, unless another has its name by now, and the link; the mapping stays valid, for late writers. */
void spool_remove(void);
/* Where readers find it: the link, if there is one. */
const char *spool_path(void);
/* Removes the spool at `path` of another process, and what it links to, if it is a link. */
void spool_remove_other(const char *path);

enum spool_area { SPOOL_NODES, SPOOL_DEFS, SPOOL_LANES, SPOOL_AREAS };

/* Makes bytes [0, end) of an area writable without risk. False: no room. */
bool spool_reserve(enum spool_area area, uint64_t end);

/* Where an area begins. Mappings of twice the size are added as it grows; older ones stay, for whoever uses them. So it
 * is asked for after the number that is to be looked up there is known. */
#define SPOOL_LEVELS 16
#define SPOOL_MAPPED (UINT64_C(512) << 10) /* of each area at first */
extern char *spool_bases[SPOOL_AREAS][SPOOL_LEVELS];
extern uint32_t spool_level[SPOOL_AREAS]; /* the largest mapping */

static inline char *spool_at(enum spool_area area)
{
    return spool_bases[area][__atomic_load_n(&spool_level[area], __ATOMIC_ACQUIRE)];
}
static inline struct stray_node *spool_nodes(void)
{
    return (struct stray_node *)(void *)spool_at(SPOOL_NODES);
}
static inline char *spool_defs(void)
{
    return spool_at(SPOOL_DEFS);
}
/* Always in the smallest mapping that holds it whole: read through several, its pages would be told as resident several
 * times. */
static inline struct stray_lane *spool_lane(uint64_t index)
{
    uint64_t end = (index + 1) * sizeof(struct stray_lane);
    unsigned level = end <= SPOOL_MAPPED ? 0 : 64 - (unsigned)__builtin_clzll((end - 1) / SPOOL_MAPPED);
    char *base = __atomic_load_n(&spool_bases[SPOOL_LANES][level], __ATOMIC_ACQUIRE);
    if (!base) /* whoever grew the area has gone past that size */
        base = spool_at(SPOOL_LANES);
    return (struct stray_lane *)(void *)base + index;
}

/* Counts events that could not be recorded. */
static inline void spool_count_lost(uint64_t events)
{
    __atomic_fetch_add(&spool->lost_events, events, __ATOMIC_RELAXED);
}

#endif
