/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as an EVENTS payload. Input: count (2 bytes), first and last time (8 each), then the payload. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "read/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct stray_event *events, uint32_t count, uint64_t first, uint64_t last)
{
    if (events_sort(events, count) < 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (events[i].time < first || events[i].time > last || (i > 0 && events[i].time < events[i - 1].time))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t count;
    uint64_t times[2];
    if (size < sizeof(count) + sizeof(times))
        return 0;
    memcpy(&count, data, sizeof(count));
    memcpy(times, data + sizeof(count), sizeof(times));
    size_t payload = size - sizeof(count) - sizeof(times);
    uint8_t *plain = malloc(payload + 1);
    struct stray_event *events = malloc((count + 1) * sizeof(*events));
    if (plain && events) {
        memcpy(plain, data + size - payload, payload); /* a block of its own: reads beyond its end are seen */
        if (events_decode(plain, payload, count, times[0], times[1], events) == 0)
            check(events, count, times[0], times[1]);
    }
    free(events);
    free(plain);
    return 0;
}
