/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How old the resources of a site were when they were released. A counter of ages is seldom in the caches; so it is asked
 * for at once, and raised when OWED more have been asked for. releases_settle() raises what is left.
 */
#ifndef STRAY_LIVES_RELEASES_H
#define STRAY_LIVES_RELEASES_H

#include "lives/internal.h"

static inline unsigned age_bucket(const struct lives *lives, uint32_t mark, uint64_t time)
{
    uint64_t birth = marks_at(&lives->marks, mark)->at[AXIS_TIME];
    return bucket_of_ticks(&lives->ages, time > birth ? time - birth : 0);
}

static inline void released_add(uint32_t *counter, uint64_t count)
{
    *counter = count < UINT32_MAX - *counter ? *counter + (uint32_t)count : UINT32_MAX;
}

/* A release, before Tc, of what was born at `mark`. The site has grown. */
static inline void growth_release(struct lives *lives, struct site *site, uint32_t mark, uint64_t time)
{
    uint32_t **owed = &lives->owed[lives->owed_at++ % OWED], *counter = &site->released[age_bucket(lives, mark, time)];
    if (*owed)
        released_add(*owed, 1);
    *owed = counter;
    __builtin_prefetch(counter, 1);
    site->run++;
}

static inline void releases_settle(struct lives *lives)
{
    for (size_t i = 0; i < OWED; i++) {
        if (lives->owed[i])
            released_add(lives->owed[i], 1);
        lives->owed[i] = NULL;
    }
}

#endif
