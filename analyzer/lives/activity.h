/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When each thread was last seen to do anything but allocate: a pool's members work on, one that is forgotten waits for ever. A zeroed
 * struct knows no thread. Memory grows with threads. Not thread safe.
 */
#ifndef STRAY_LIVES_ACTIVITY_H
#define STRAY_LIVES_ACTIVITY_H

#include "lives/map.h"

struct activity {
    struct map index; /* by thread */
    uint64_t *last;
    size_t count, room;
    uint32_t thread, current; /* the thread that was seen last, and its index */
};

/* Another thread than that which was seen last. -ENOMEM. */
int activity_switch(struct activity *activity, uint32_t thread);
/* When `thread` was seen last; 0: never. */
uint64_t activity_last(const struct activity *activity, uint32_t thread);
void activity_clear(struct activity *activity);

/* `thread` does something. -ENOMEM. */
static inline int activity_seen(struct activity *activity, uint32_t thread, uint64_t time)
{
    if (thread == 0)
        return 0;
    int result = thread != activity->thread ? activity_switch(activity, thread) : 0;
    if (result == 0)
        activity->last[activity->current] = time;
    return result;
}

#endif
