/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/resident.h"

#include "lives/internal.h"

#define PART_MASK     0xfffu
#define BLOCKS_ASKED  64 /* where they lie */

static void begin(struct lives *lives)
{
    lives->residents.telling = true;
    lives->residents.now = (struct resident){0};
    for (size_t i = 0; i < lives->site_count; i++)
        lives->sites[i].resident.now = 0;
}

/* Whether most of the open blocks lie in what hooked calls mapped. */
static bool heap_is_mapped(const struct lives *lives)
{
    const struct blocks *heap = &lives->blocks[STRAY_HEAP];
    size_t asked = 0, mapped = 0;
    for (size_t i = 0; i < heap->capacity && asked < BLOCKS_ASKED; i++) {
        if (heap->slots[i].handle == 0)
            continue;
        asked++;
        mapped += mappings_find(&lives->mappings, heap->slots[i].handle) != NULL;
    }
    return 2 * mapped > asked;
}

static void end(struct lives *lives)
{
    struct residents *residents = &lives->residents;
    struct resident *now = &residents->now;
    now->live = lives->books[STRAY_HEAP].bytes_open;
    now->live_variance = lives->books[STRAY_HEAP].living.bytes_variance;
    now->small = lives->books[STRAY_PYOBJECT].bytes_open;
    now->small_variance = lives->books[STRAY_PYOBJECT].living.bytes_variance;
    now->held = lives->held;
    now->peak_held = lives->peak_held;
    now->heap_mapped = heap_is_mapped(lives);
    residents->before = residents->last;
    residents->last = *now;
    if (residents->moments++ == 0)
        residents->first = *now;
    for (size_t i = 0; i < lives->site_count; i++) {
        struct resident_site *site = &lives->sites[i].resident;
        site->last = site->now;
        if (residents->moments == 1)
            site->first = site->now;
    }
    residents->telling = false;
    residents->over = lives->ended;
    if (residents->over && lives->memory.samples > 0)
        lives->memory.last_rss = now->total; /* the sample before may be a second old */
}

/* Pages of one map, and how many of them somebody was seen to map. */
struct sharing {
    struct lives *lives;
    uint64_t bytes, resident, mapped;
};

static void give(void *data, const struct mapping *mapping, uint64_t bytes)
{
    struct sharing *sharing = data;
    uint64_t part = (uint64_t)((unsigned __int128)sharing->resident * bytes / sharing->bytes);
    sharing->lives->sites[mapping->site].resident.now += part;
    sharing->mapped += part;
}

static void add(struct resident *now, unsigned part, uint64_t bytes)
{
    switch (part) {
    case STRAY_PART_HEAP:
    case STRAY_PART_ANONYMOUS:
        now->allocator += bytes;
        return;
    case STRAY_PART_STACK:
        now->stacks += bytes;
        return;
    case STRAY_PART_FILE:
        now->files += bytes;
        return;
    case STRAY_PART_TRACER:
        now->tracer += bytes;
        return;
    default:
        now->other += bytes;
        return;
    }
}

static void add_map(struct lives *lives, unsigned part, uint64_t start, uint64_t value)
{
    uint64_t bytes = (value >> 32) * STRAY_PAGE, resident = (value & UINT32_MAX) * STRAY_PAGE;
    struct sharing sharing = {lives, bytes, resident < bytes ? resident : bytes, 0};
    if (start > 0 && bytes > 0 && bytes <= UINT64_MAX - start)
        mappings_visit(&lives->mappings, start, start + bytes, give, &sharing);
    add(&lives->residents.now, part, resident - sharing.mapped);
    lives->residents.now.total += resident;
}

void resident_part(struct lives *lives, const struct stray_event *event)
{
    unsigned part = event->handle & PART_MASK;
    if (lives->residents.over)
        return;
    if (part == STRAY_PART_BEGIN)
        begin(lives);
    else if (!lives->residents.telling)
        return;
    else if (part == STRAY_PART_END)
        end(lives);
    else
        add_map(lives, part, event->handle & ~(uint64_t)PART_MASK, event->value);
}
