/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handles of user-defined pairs: nothing is known of them but who acquired and who released them. */
#include "lives/internal.h"

static struct map *map_of(struct lives *lives, unsigned resource)
{
    return &lives->handles[resource - STRAY_USER_FIRST];
}

static struct life *handle_life(struct lives *lives, const struct stray_event *event)
{
    uint32_t index;
    if (!map_get(map_of(lives, event->resource), event->handle, &index) || index == LIVES_NONE)
        return NULL;
    return &lives->lives[index];
}

static int handle_end(struct lives *lives, const struct stray_event *event, enum life_end how)
{
    struct life *life = handle_life(lives, event);
    if (!life) {
        lives->books[event->resource].unknown++;
        return 0;
    }
    map_put(map_of(lives, event->resource), event->handle, LIVES_NONE); /* replaces: cannot fail */
    life_end(lives, life, how, event);
    return life_retire(lives, (uint32_t)(life - lives->lives));
}

/* One that is acquired again without a release was released where nobody saw it. */
static int handle_open(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    struct life *life;
    int result = handle_life(lives, event) ? handle_end(lives, event, LIFE_IMPLICIT) : 0;
    if (result == 0)
        result = life_add(lives, event, thread, &life);
    if (result == 0)
        result = map_put(map_of(lives, event->resource), event->handle, (uint32_t)(life - lives->lives));
    return result < 0 ? result : life_count(lives, life, event->stack);
}

int handle_event(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    if (event->action == STRAY_OPEN)
        return event->handle ? handle_open(lives, event, thread) : 0;
    if (event->action == STRAY_CLOSE)
        return handle_end(lives, event, LIFE_CLOSED);
    return 0;
}
