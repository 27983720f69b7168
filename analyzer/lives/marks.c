/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/marks.h"

#include <errno.h>
#include <stdlib.h>

int marks_open(struct marks *marks)
{
    *marks = (struct marks){.items = malloc(MARKS_LIMIT * sizeof(*marks->items))};
    return marks->items ? 0 : -ENOMEM;
}

void marks_clear(struct marks *marks)
{
    free(marks->items);
    *marks = (struct marks){0};
}

void marks_add(struct marks *marks, const struct mark *now)
{
    if (marks->count > 0)
        marks->current++;
    if ((marks->current >> marks->shift) >= MARKS_LIMIT) {
        for (size_t i = 0; i < MARKS_LIMIT / 2; i++)
            marks->items[i] = marks->items[2 * i];
        marks->count = MARKS_LIMIT / 2;
        marks->shift++;
    }
    size_t index = marks->current >> marks->shift;
    if (index >= marks->count) {
        marks->items[index] = *now;
        marks->count = index + 1;
    }
}

const struct mark *marks_at(const struct marks *marks, uint32_t number)
{
    return &marks->items[number >> marks->shift];
}

uint64_t marks_time_at(const struct marks *marks, enum axis axis, double value)
{
    size_t low = 0, high = marks->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((double)marks->items[middle].at[axis] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return marks->items[low < marks->count ? low : marks->count - 1].at[AXIS_TIME];
}
