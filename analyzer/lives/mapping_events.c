/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mmap, munmap, mremap: counted once a call, with the bytes that are still mapped. */
#include <errno.h>
#include <stdlib.h>

#include "lives/counting.h"
#include "lives/releases.h"

struct moving_pieces {
    struct pieces pieces;
    uint64_t start, size;
};

#define LANE_LIMIT (1u << 20)

/* What mappings_remove() tells about: when, and to whom. */
struct unmapping {
    struct lives *lives;
    uint64_t time;
};

static void shrunk(void *data, const struct mapping *mapping, uint64_t bytes)
{
    const struct unmapping *unmapping = data;
    struct lives *lives = unmapping->lives;
    struct site *site = &lives->sites[mapping->site];
    count_resize(lives, site, bytes, 0);
    if (mapping->bytes > 0)
        return;
    if (site->growth && !lives->ended)
        growth_release(lives, site, mapping->mark, unmapping->time);
    count_close(lives, site, STRAY_MMAP, 0);
}

static int unmap(struct lives *lives, uint64_t start, uint64_t end, uint64_t time, uint64_t *ret_bytes)
{
    struct unmapping unmapping = {lives, time};
    return mappings_remove(&lives->mappings, start, end, shrunk, &unmapping, ret_bytes);
}

/* Whatever was mapped there was replaced by what came. */
static int make_room(struct lives *lives, uint64_t start, uint64_t end, uint64_t time)
{
    uint64_t bytes;
    return unmap(lives, start, end, time, &bytes);
}

static int map(struct lives *lives, const struct stray_event *event)
{
    uint64_t end = event->handle + event->value;
    uint32_t site;
    int result = make_room(lives, event->handle, end, event->time);
    if (result == 0)
        result = site_find(lives, STRAY_MMAP, event->stack, LIVES_NONE, &site);
    if (result < 0)
        return result;
    struct mapping *mapping = mappings_new(&lives->mappings, site, lives->marks.current);
    if (!mapping)
        return -ENOMEM;
    result = mappings_add(&lives->mappings, mapping, event->handle, end);
    if (result == 0)
        count_open(lives, &lives->sites[site], STRAY_MMAP, event->value, event->time);
    return result;
}

static int unmap_event(struct lives *lives, const struct stray_event *event)
{
    uint64_t bytes;
    int result = unmap(lives, event->handle, event->handle + event->value, event->time, &bytes);
    lives->books[STRAY_MMAP].unknown += result == 0 && bytes == 0;
    return result;
}

/* The piece that holds `address` goes on up to `end`; nothing where it is not known, or goes there already. */
static int extend(struct lives *lives, uint64_t address, uint64_t end, uint64_t time)
{
    struct piece *piece = mappings_find(&lives->mappings, address);
    if (!piece || piece->end >= end)
        return 0;
    int result = make_room(lives, piece->end, end, time);
    if (result < 0)
        return result;
    count_resize(lives, &lives->sites[piece->mapping->site], 0, end - piece->end);
    mappings_extend(piece, end);
    return 0;
}

static int resize(struct lives *lives, const struct stray_event *event)
{
    lives->books[STRAY_MMAP].unknown += !mappings_find(&lives->mappings, event->handle);
    return extend(lives, event->handle, event->handle + event->value, event->time);
}

/* NULL without memory. */
static struct moving_pieces *moving_of(struct lives *lives, uint32_t lane)
{
    size_t index = lane < LANE_LIMIT ? (size_t)lane + 1 : 0;
    if (room_for(&lives->moving_pieces, &lives->moving_pieces_count, index + 1, sizeof(*lives->moving_pieces)) < 0)
        return NULL;
    return &lives->moving_pieces[index];
}

/* In the books they stay mapped all the while. Pieces whose second event never came stay so, too. */
static int move_from(struct lives *lives, const struct stray_event *event, uint32_t lane)
{
    struct moving_pieces *moving = moving_of(lives, lane);
    if (!moving)
        return -ENOMEM;
    moving->pieces.count = 0;
    moving->start = event->handle;
    moving->size = event->value;
    int result = mappings_take(&lives->mappings, event->handle, event->handle + event->value, &moving->pieces);
    lives->books[STRAY_MMAP].unknown += result == 0 && moving->pieces.count == 0;
    return result;
}

/* What it grew by belongs to its last piece. */
static int move_to(struct lives *lives, const struct stray_event *event, uint32_t lane)
{
    struct moving_pieces *moving = moving_of(lives, lane);
    if (!moving)
        return -ENOMEM;
    uint64_t size = event->value > moving->size ? event->value : moving->size;
    if (size > UINT64_MAX - event->handle) {
        lives->strange++;
        return 0;
    }
    bool known = moving->pieces.count > 0;
    int result = make_room(lives, event->handle, event->handle + size, event->time);
    if (result == 0)
        result = mappings_put(&lives->mappings, &moving->pieces, event->handle - moving->start);
    if (result == 0 && known && moving->size > 0)
        result = extend(lives, event->handle + moving->size - 1, event->handle + event->value, event->time);
    return result;
}

int mapping_event(struct lives *lives, const struct stray_event *event, uint32_t lane)
{
    if (event->action != STRAY_INHERITED && (event->value == 0 || event->value > UINT64_MAX - event->handle)) {
        lives->strange++;
        return 0;
    }
    switch (event->action) {
    case STRAY_OPEN:
        return map(lives, event);
    case STRAY_CLOSE:
        return unmap_event(lives, event);
    case STRAY_RESIZE:
        return resize(lives, event);
    case STRAY_MOVE_FROM:
        return move_from(lives, event, lane);
    case STRAY_MOVE_TO:
        return move_to(lives, event, lane);
    case STRAY_INHERITED:
        lives->books[STRAY_MMAP].inherited++;
        return 0;
    default:
        return 0;
    }
}

void mappings_end(struct lives *lives)
{
    for (size_t i = 0; i < lives->moving_pieces_count; i++)
        free(lives->moving_pieces[i].pieces.items);
    free(lives->moving_pieces);
    mappings_clear(&lives->mappings);
}
