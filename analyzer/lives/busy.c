/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/busy.h"

static void widen(struct busy *busy)
{
    for (unsigned i = 0; i < BUSY_WINDOWS; i++)
        busy->ticks[i] = i < BUSY_WINDOWS / 2 ? busy->ticks[2 * i] + busy->ticks[2 * i + 1] : 0;
    busy->shift++;
}

void busy_add(struct busy *busy, uint64_t from, uint64_t to)
{
    if (to <= from)
        return;
    while ((to - 1) >> busy->shift >= BUSY_WINDOWS)
        widen(busy);
    while (from < to) {
        uint64_t width = UINT64_C(1) << busy->shift, rest = width - (from & (width - 1));
        uint64_t part = rest < to - from ? rest : to - from;
        busy->ticks[from >> busy->shift] += part;
        from += part;
    }
}
