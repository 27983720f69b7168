/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/activity.h"

#include <stdlib.h>

#include "lives/internal.h"

int activity_switch(struct activity *activity, uint32_t thread)
{
    uint32_t index;
    if (!map_get(&activity->index, thread, &index)) {
        index = (uint32_t)activity->count;
        int result = room_for(&activity->last, &activity->room, activity->count + 1, sizeof(*activity->last));
        if (result == 0)
            result = map_put(&activity->index, thread, index);
        if (result < 0)
            return result;
        activity->count++;
    }
    activity->thread = thread;
    activity->current = index;
    return 0;
}

uint64_t activity_last(const struct activity *activity, uint32_t thread)
{
    uint32_t index;
    return map_get(&activity->index, thread, &index) ? activity->last[index] : 0;
}

void activity_clear(struct activity *activity)
{
    map_clear(&activity->index);
    free(activity->last);
    *activity = (struct activity){0};
}
