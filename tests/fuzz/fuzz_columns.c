/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as the payload of a GROUPED or INDEXED frame. Input: 0 for events, else nodes (1 byte), count (2 bytes), first
 * and last time or first id (8 each), then the payload.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "read/columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct head {
    uint8_t nodes;
    uint16_t count;
    uint64_t first, last;
} __attribute__((packed));

static void check_events(const uint8_t *payload, size_t size, const struct head *head)
{
    struct stray_event *events = malloc((head->count + (size_t)1) * sizeof(*events));
    if (events && grouped_decode(payload, size, head->count, head->first, head->last, events) == 0)
        for (uint32_t i = 0; i < head->count; i++)
            if (events[i].time < head->first || events[i].time > head->last)
                abort();
    free(events);
}

static void check_nodes(const uint8_t *payload, size_t size, const struct head *head)
{
    struct stray_node *nodes = malloc((head->count + (size_t)1) * sizeof(*nodes));
    uint32_t first = (uint32_t)head->first | 1;
    if (nodes && indexed_decode(payload, size, head->count, first, nodes) == 0)
        for (uint32_t i = 0; i < head->count; i++)
            if (nodes[i].parent > (uint64_t)first + i)
                abort();
    free(nodes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct head head;
    if (size < sizeof(head))
        return 0;
    memcpy(&head, data, sizeof(head));
    size -= sizeof(head);
    uint8_t *payload = malloc(size + 1); /* a block of its own: reads beyond its end are seen */
    if (!payload)
        return 0;
    memcpy(payload + 1, data + sizeof(head), size);
    if (head.nodes == 0)
        check_events(payload + 1, size, &head);
    else
        check_nodes(payload + 1, size, &head);
    free(payload);
    return 0;
}
