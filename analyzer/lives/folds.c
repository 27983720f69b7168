/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/folds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "hash.h"
#include "lives/internal.h"

#define PILED_UP 8 /* survivors from which a place is worth naming */

struct folding {
    const struct lives *lives;
    struct fold *items;
    size_t count, room;
    const struct frame **frames; /* of each fold; NULL: unknown */
    size_t frame_room;
    uint64_t *hashes;
    size_t hash_room;
    struct map first; /* hash to the first fold that has it */
};

static uint64_t hash_of(const struct site *site, const struct frame *frame)
{
    uint64_t hash = hash_bytes(HASH_BEGIN, &site->resource, sizeof(site->resource));
    hash = hash_bytes(hash, &site->peer, sizeof(site->peer));
    if (!frame)
        return hash;
    hash = hash_text(hash_text(hash, frame->function), frame->file);
    hash = hash_text(hash_bytes(hash, &frame->line, sizeof(frame->line)), frame->module);
    return frame->function || frame->line ? hash : hash_bytes(hash, &frame->offset, sizeof(frame->offset));
}

static bool same_frame(const struct frame *a, const struct frame *b)
{
    if (a == b || !a || !b)
        return a == b;
    return a->line == b->line && same_text(a->function, b->function) && same_text(a->file, b->file) &&
           same_text(a->module, b->module) && (a->function || a->line || a->offset == b->offset);
}

static bool fits(const struct folding *folding, size_t index, const struct site *site,
                 const struct frame *frame)
{
    const struct fold *fold = &folding->items[index];
    return fold->resource == site->resource && fold->peer == site->peer &&
           same_frame(folding->frames[index], frame);
}

static int fold_add(struct folding *folding, const struct site *site, const struct frame *frame,
                    uint64_t hash)
{
    size_t wanted = folding->count + 1;
    if (room_for(&folding->items, &folding->room, wanted, sizeof(*folding->items)) < 0 ||
        room_for(&folding->frames, &folding->frame_room, wanted, sizeof(*folding->frames)) < 0 ||
        room_for(&folding->hashes, &folding->hash_room, wanted, sizeof(*folding->hashes)) < 0)
        return -ENOMEM;
    folding->items[folding->count] = (struct fold){
        .resource = site->resource, .peer = site->peer, .stack = site->stack, .first = site->first};
    folding->frames[folding->count] = frame;
    folding->hashes[folding->count] = hash;
    return map_put(&folding->first, hash, (uint32_t)folding->count++);
}

/* Different places with one hash are possible; the next hash is tried then. */
static int fold_find(struct folding *folding, const struct site *site, const struct frame *frame,
                     uint32_t *ret_fold)
{
    for (uint64_t hash = hash_of(site, frame);; hash++) {
        if (!map_get(&folding->first, hash, ret_fold)) {
            *ret_fold = (uint32_t)folding->count;
            return fold_add(folding, site, frame, hash);
        }
        if (fits(folding, *ret_fold, site, frame))
            return 0;
    }
}

static void add_gone(struct gone *into, const struct gone *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->first < into->first) {
        into->first = from->first;
        into->first_mark = from->first_mark;
    }
    if (from->last > into->last)
        into->last = from->last;
    into->count += from->count;
    into->finalized += from->finalized;
    into->overlapped |= from->overlapped;
}

static void add_counts(struct fold *fold, const struct site *site)
{
    fold->opened += site->opened;
    fold->closed += site->closed;
    fold->open += site->open;
    fold->alive += site->alive;
}

static void add_estimates(struct fold *fold, const struct site *site)
{
    uint64_t opened = tally_whole(&site->born), open = site->open ? tally_whole(&site->living) : 0;
    fold->estimated = true;
    tally_join(&fold->born, &site->born);
    if (site->open)
        tally_join(&fold->living, &site->living);
    fold->opened += opened;
    fold->closed += opened > open ? opened - open : 0;
    fold->open += open;
    fold->alive += tally_whole(&site->at_end);
}

static int fold_site(struct folding *folding, uint32_t index, uint32_t which)
{
    struct fold *fold = &folding->items[which];
    const struct site *site = &folding->lives->sites[index];
    if (room_for(&fold->sites, &fold->site_room, fold->site_count + 1, sizeof(*fold->sites)) < 0)
        return -ENOMEM;
    fold->sites[fold->site_count++] = index;
    if (site->estimated)
        add_estimates(fold, site);
    else
        add_counts(fold, site);
    fold->bytes_open += site->bytes_open;
    fold->alive_bytes += site->alive_bytes;
    fold->left += site->left;
    if (site->left_path && (!fold->left_path || site->left_path < fold->left_path))
        fold->left_path = site->left_path;
    add_gone(&fold->gone, &site->gone);
    if (site->first < fold->first)
        fold->first = site->first;
    if (site->last > fold->last)
        fold->last = site->last;
    return 0;
}

/* Blocks come from so many places that naming all of them is most of the work; of anything else a line's figures are those of
 * all its stacks. */
static bool worth_naming(const struct site *site, bool all)
{
    if (site->opened == 0)
        return false;
    return all || !is_memory(site->resource) || site->growth || site->alive >= PILED_UP;
}

static int fold_sites(struct folding *folding, blame_of *blame, void *data, bool all, uint32_t *fold_of)
{
    for (uint32_t i = 0; i < folding->lives->site_count; i++) {
        const struct site *site = &folding->lives->sites[i];
        fold_of[i] = LIVES_NONE;
        if (!worth_naming(site, all))
            continue;
        int result = fold_find(folding, site, blame(data, site->stack), &fold_of[i]);
        if (result == 0)
            result = fold_site(folding, i, fold_of[i]);
        if (result < 0)
            return result;
    }
    return 0;
}

static int fold_lives(struct folding *folding, const uint32_t *fold_of)
{
    const struct lives *lives = folding->lives;
    for (uint32_t i = 0; i < lives->life_count; i++) {
        if (lives->lives[i].site == LIVES_NONE)
            continue;
        uint32_t which = fold_of[lives->lives[i].site];
        struct fold *fold = &folding->items[which];
        if (room_for(&fold->lives, &fold->life_room, fold->life_count + 1, sizeof(*fold->lives)) < 0)
            return -ENOMEM;
        fold->lives[fold->life_count++] = i;
    }
    return 0;
}

/* The stack to show is that of the site that holds most, then that of the busiest. */
static void choose_stacks(struct folding *folding)
{
    const struct site *sites = folding->lives->sites;
    for (size_t i = 0; i < folding->count; i++) {
        struct fold *fold = &folding->items[i];
        const struct site *best = &sites[fold->sites[0]];
        for (size_t k = 1; k < fold->site_count; k++) {
            const struct site *site = &sites[fold->sites[k]];
            if (site->alive_bytes != best->alive_bytes) {
                best = site->alive_bytes > best->alive_bytes ? site : best;
            } else if (site->alive != best->alive) {
                best = site->alive > best->alive ? site : best;
            } else if (site->opened > best->opened) {
                best = site;
            }
        }
        fold->stack = best->stack;
    }
}

int folds_build(const struct lives *lives, blame_of *blame, void *data, bool all, struct folds *ret_folds)
{
    struct folding folding = {.lives = lives};
    uint32_t *fold_of = calloc(lives->site_count + 1, sizeof(*fold_of));
    int result = fold_of ? fold_sites(&folding, blame, data, all, fold_of) : -ENOMEM;
    if (result == 0)
        result = fold_lives(&folding, fold_of);
    if (result == 0)
        choose_stacks(&folding);
    free(fold_of);
    free(folding.frames);
    free(folding.hashes);
    map_clear(&folding.first);
    struct folds folds = {folding.items, folding.count};
    if (result < 0)
        folds_clear(&folds);
    else
        *ret_folds = folds;
    return result;
}

void folds_clear(struct folds *folds)
{
    for (size_t i = 0; i < folds->count; i++) {
        free(folds->items[i].sites);
        free(folds->items[i].lives);
    }
    free(folds->items);
    *folds = (struct folds){0};
}
