/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lives of files, plain sockets and handles of user-defined pairs come by the million. Of those that ended, the last few of each site are kept, and
 * stand for its habits; the earlier ones become figures of their site, and their rows are used again. What the
 * verdicts ask of neighbours (did its thread open another while it was open?) is noted on these before.
 */
#include <errno.h>
#include <stdlib.h>

#include "lives/internal.h"

#define NEIGHBOURS  64   /* lives looked at before and behind one that goes */
#define COMPACT_MIN 1024 /* gone ones from which it pays to close up */

static bool may_retire(const struct lives *lives, const struct life *life)
{
    bool common = life->resource == STRAY_FILE || life->resource == STRAY_SOCKET || is_user_defined(life->resource);
    return common && !lives->ended && life->end != LIFE_EXEC && life->partner == LIVES_NONE;
}

/* Open, at some time, together with `life`, and of the same thread. */
static bool overlap(const struct life *earlier, const struct life *later)
{
    return earlier->thread == later->thread && (earlier->end == LIFE_OPEN || earlier->death > later->birth);
}

static void tell_earlier(struct lives *lives, uint32_t index)
{
    const struct life *life = &lives->lives[index];
    bool told = false;
    for (uint32_t i = index, looked = 0; i-- > 0 && looked < NEIGHBOURS;) {
        struct life *earlier = &lives->lives[i];
        if (earlier->gone || earlier->inherited)
            continue;
        looked++;
        if (!told && earlier->thread == life->thread && earlier->resource == life->resource) {
            told = true;
            if (earlier->next_birth == 0)
                earlier->next_birth = life->birth;
        }
        earlier->overlaps |= earlier->site == life->site && overlap(earlier, life);
    }
}

static bool overlaps_later(const struct lives *lives, uint32_t index)
{
    const struct life *life = &lives->lives[index];
    for (size_t i = (size_t)index + 1, looked = 0; i < lives->life_count && looked < NEIGHBOURS; i++) {
        const struct life *later = &lives->lives[i];
        if (later->gone)
            continue;
        looked++;
        if (later->site == life->site && overlap(life, later))
            return true;
    }
    return false;
}

/* An exit handler's close moves Tc: that life is still wanted. */
static enum closer closer_of(const struct lives *lives, const struct life *life)
{
    return life->end == LIFE_CLOSED ? lives->source.closer(lives->source.data, life->closing_stack) : CLOSER_UNKNOWN;
}

static void count_gone(struct lives *lives, uint32_t index, enum closer closer)
{
    struct life *life = &lives->lives[index];
    struct gone *gone = &lives->sites[life->site].gone;
    if (gone->count++ == 0 || life->birth < gone->first) {
        gone->first = life->birth;
        gone->first_mark = life->mark;
    }
    if (life->birth > gone->last)
        gone->last = life->birth;
    gone->finalized += is_finalizer(closer) && !life->pipe;
    gone->overlapped |= life->overlaps || overlaps_later(lives, index);
    life->gone = true;
    lives->gone_count++;
}

static void forget(struct lives *lives, uint32_t index)
{
    enum closer closer = closer_of(lives, &lives->lives[index]);
    if (closer == CLOSER_EXIT)
        return;
    tell_earlier(lives, index);
    count_gone(lives, index, closer);
}

/* ---- closing up ---- */

static void renumber(const uint32_t *place, uint32_t *index)
{
    if (*index != LIVES_NONE)
        *index = place[*index];
}

static void renumber_map(struct map *map, const uint32_t *place)
{
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].used)
            renumber(place, &map->slots[i].value);
}

static void renumber_all(struct lives *lives, const uint32_t *place)
{
    for (size_t i = 0; i < lives->life_count; i++)
        renumber(place, &lives->lives[i].partner);
    for (size_t i = 0; i < lives->fd_count; i++)
        lives->fds[i] = lives->fds[i] ? place[lives->fds[i] - 1] + 1 : 0;
    renumber_map(&lives->conn_map, place);
    for (size_t i = 0; i < STRAY_USER_END - STRAY_USER_FIRST; i++)
        renumber_map(&lives->handles[i], place);
    for (size_t i = 0; i < lives->site_count; i++) {
        struct site *site = &lives->sites[i];
        for (uint32_t k = 0; site->recent && k < site->gone.ended && k < RECENT_LIVES; k++)
            renumber(place, &site->recent[k]);
    }
}

/* The order of birth stays. */
int lives_close_up(struct lives *lives)
{
    uint32_t *place = calloc(lives->life_count + 1, sizeof(*place));
    uint32_t kept = 0;
    if (!place)
        return -ENOMEM;
    for (size_t i = 0; i < lives->life_count; i++) {
        place[i] = lives->lives[i].gone ? LIVES_NONE : kept;
        if (!lives->lives[i].gone)
            lives->lives[kept++] = lives->lives[i];
    }
    lives->life_count = kept;
    lives->gone_count = 0;
    renumber_all(lives, place);
    free(place);
    return 0;
}

/* ---- the last few ---- */

static int recall(struct lives *lives, uint32_t index)
{
    struct site *site = &lives->sites[lives->lives[index].site];
    if (!site->recent && !(site->recent = calloc(RECENT_LIVES, sizeof(*site->recent))))
        return -ENOMEM;
    uint32_t *slot = &site->recent[site->gone.ended % RECENT_LIVES];
    if (site->gone.ended++ >= RECENT_LIVES)
        forget(lives, *slot);
    *slot = index;
    return 0;
}

int life_retire(struct lives *lives, uint32_t index)
{
    struct life *life = &lives->lives[index];
    int result = 0;
    if (!may_retire(lives, life))
        return 0;
    if (life->site != LIVES_NONE) {
        result = recall(lives, index);
    } else {
        life->gone = true;
        lives->gone_count++;
    }
    if (lives->gone_count >= COMPACT_MIN && 2 * lives->gone_count >= lives->life_count)
        result = result < 0 ? result : lives_close_up(lives);
    return result;
}
