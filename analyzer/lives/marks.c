/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/marks.h"

#include <errno.h>
#include <stdlib.h>

int marks_open(struct marks *marks)
{
    *marks = (struct marks){.items = malloc(MARKS_LIMIT * sizeof(*marks->items)),
                            .slope = calloc(MARKS_LIMIT + 1, sizeof(*marks->slope))};
    if (marks->items && marks->slope)
        return 0;
    marks_clear(marks);
    return -ENOMEM;
}

void marks_clear(struct marks *marks)
{
    free(marks->items);
    free(marks->slope);
    *marks = (struct marks){0};
}

/* What two indexes rose by, one rises by now. */
static void merge_spread(struct marks *marks)
{
    double rise = 0, before = 0;
    for (size_t i = 0; i < MARKS_LIMIT / 2; i++) {
        double first = rise + marks->slope[2 * i];
        rise = first + marks->slope[2 * i + 1];
        marks->slope[i] = first + rise - before;
        before = first + rise;
    }
    marks->slope[MARKS_LIMIT / 2] = -before;
    for (size_t i = MARKS_LIMIT / 2 + 1; i <= MARKS_LIMIT; i++)
        marks->slope[i] = 0;
}

void marks_spread(struct marks *marks, uint32_t from, double amount)
{
    size_t first = from >> marks->shift, last = marks->current >> marks->shift;
    if (first >= last)
        first = last > 0 ? last - 1 : 0;
    size_t count = last > first ? last - first : 1;
    marks->slope[last + 1 - count] += amount / (double)count;
    marks->slope[last + 1] -= amount / (double)count;
}

/* Rounding may leave a little below 0; what a damaged trace tells has no bounds. */
static uint64_t whole(double amount)
{
    return amount >= 0x1p64 - 2048 ? UINT64_MAX : amount > 0 ? (uint64_t)(amount + 0.5) : 0;
}

uint64_t marks_settle(struct marks *marks, enum axis axis)
{
    double rise = 0, sum = 0;
    for (size_t i = 0; i < marks->count; i++) {
        rise += marks->slope[i];
        sum += rise;
        marks->items[i].at[axis] += whole(sum);
    }
    return whole(sum);
}

void marks_add(struct marks *marks, const struct mark *now)
{
    if (marks->count > 0)
        marks->current++;
    if ((marks->current >> marks->shift) >= MARKS_LIMIT) {
        for (size_t i = 0; i < MARKS_LIMIT / 2; i++)
            marks->items[i] = marks->items[2 * i];
        merge_spread(marks);
        marks->count = MARKS_LIMIT / 2;
        marks->shift++;
    }
    size_t index = marks->current >> marks->shift;
    if (index >= marks->count) {
        marks->items[index] = *now;
        marks->count = index + 1;
    }
}

const struct mark *marks_after(const struct marks *marks, uint32_t number)
{
    size_t next = (number >> marks->shift) + 1;
    return next < marks->count ? &marks->items[next] : NULL;
}

uint32_t marks_number_at(const struct marks *marks, uint64_t time)
{
    size_t low = 0, high = marks->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (marks->items[middle].at[AXIS_TIME] <= time)
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)(low << marks->shift);
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
