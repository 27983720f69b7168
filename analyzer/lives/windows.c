/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/windows.h"

static uint32_t saturated(uint64_t count)
{
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

static void merge_births(uint32_t *born)
{
    for (unsigned i = 0; i < LIVES_WINDOWS / 2; i++)
        born[i] = saturated((uint64_t)born[2 * i] + born[2 * i + 1]);
    for (unsigned i = LIVES_WINDOWS / 2; i < LIVES_WINDOWS; i++)
        born[i] = 0;
}

static void merge_neighbours(struct windows *windows, struct window *latest)
{
    for (unsigned i = 0; i < LIVES_WINDOWS / 2; i++) {
        unsigned first = 2 * i, second = first + 1;
        windows->low[i] = windows->low[first];
        windows->low_bytes[i] = windows->low_bytes[first];
        if (second > latest->current)
            continue;
        if (windows->low[second] < windows->low[i])
            windows->low[i] = windows->low[second];
        if (windows->low_bytes[second] < windows->low_bytes[i])
            windows->low_bytes[i] = windows->low_bytes[second];
    }
    for (unsigned i = LIVES_WINDOWS / 2; i < LIVES_WINDOWS; i++) {
        windows->low[i] = 0;
        windows->low_bytes[i] = 0;
    }
    if (windows->births)
        merge_births(windows->births->born);
    latest->current /= 2;
    latest->shift++;
}

static void settle(struct windows *windows, struct window *latest)
{
    windows->low[latest->current] = latest->least;
    windows->low_bytes[latest->current] = latest->least_bytes;
    if (windows->births) {
        uint32_t *born = &windows->births->born[latest->current];
        *born = saturated((uint64_t)*born + latest->births);
    }
    latest->births = 0;
}

void windows_settle(struct windows *windows, struct window *latest)
{
    settle(windows, latest);
    windows->current = latest->current;
    windows->shift = latest->shift;
}

void windows_move(struct windows *windows, struct window *latest, uint32_t mark, uint64_t open, uint64_t bytes)
{
    settle(windows, latest);
    while (mark >> latest->shift >= LIVES_WINDOWS)
        merge_neighbours(windows, latest);
    while (latest->current < mark >> latest->shift) {
        latest->current++;
        windows->low[latest->current] = saturated(open);
        windows->low_bytes[latest->current] = (float)bytes;
    }
    latest->least = windows->low[latest->current];
    latest->least_bytes = windows->low_bytes[latest->current];
    latest->until = saturated(((uint64_t)latest->current + 1) << latest->shift);
}

void windows_born_since(struct windows *windows, const struct window *latest, uint32_t from, uint64_t count)
{
    uint32_t first = from >> latest->shift, last = latest->current;
    if (!windows->births)
        return;
    if (first > last)
        first = last;
    uint64_t parts = last - first + 1;
    for (uint64_t i = 0; i < parts; i++) {
        uint32_t *born = &windows->births->born[first + i];
        *born = saturated(*born + count * (i + 1) / parts - count * i / parts);
    }
}

void windows_kept(struct windows *windows, uint32_t mark)
{
    if (windows->births)
        windows->births->kept[mark >> windows->shift]++;
}

uint32_t windows_mark(const struct windows *windows, uint32_t index)
{
    return index << windows->shift;
}
