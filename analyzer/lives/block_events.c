/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that is known by an address, and whose closing stack does not matter. */
#include <errno.h>

#include "lives/counting.h"
#include "lives/releases.h"

#define LANE_LIMIT     (1u << 20)

/* A thread that was not joined may leave its id to another: its number tells them apart. */
static inline uint64_t key_of(const struct stray_event *event)
{
    return event->resource == STRAY_THREAD ? event->handle | event->value << 32 : event->handle;
}

/* What libc's allocator takes for all that a block of the heap stands for. */
static inline uint64_t held_of(const struct lives *lives, unsigned resource, uint64_t size)
{
    if (resource != STRAY_HEAP)
        return 0;
    uint64_t held = resident_held(size);
    return lives->source.heap_mean > 0 ? tally_times(held, weight_of(lives, resource, size)) : held;
}

static inline void hold(struct lives *lives, uint64_t more, uint64_t less)
{
    lives->held += more - less;
    if (lives->held > lives->peak_held)
        lives->peak_held = lives->held;
}

static void weigh_open(struct lives *lives, struct site *site, uint64_t value)
{
    struct book *book = &lives->books[site->resource];
    struct tally tally = tally_of_block(lives, site->resource, value);
    if (site->resource == STRAY_HEAP || value >> 32)
        site->estimated = book->estimated = true;
    tally_join(&site->born, &tally);
    tally_join(&site->living, &tally);
    tally_join(&book->born, &tally);
    tally_join(&book->living, &tally);
    if (book->living.count > book->most.count)
        book->most = book->living;
}

static void weigh_close(struct lives *lives, struct site *site, uint64_t value)
{
    struct tally tally = tally_of_block(lives, site->resource, value);
    tally_take(&site->living, &tally);
    tally_take(&lives->books[site->resource].living, &tally);
}

/* As if it had never been: it counts where, and as what, it is drawn next. */
static void weigh_left(struct lives *lives, struct site *site, uint64_t value)
{
    struct tally tally = tally_of_block(lives, site->resource, value);
    weigh_close(lives, site, value);
    tally_take(&site->born, &tally);
    tally_take(&lives->books[site->resource].born, &tally);
}

/* `resource` is the site's. */
static inline void block_end(struct lives *lives, unsigned resource, struct block *block, uint64_t time, bool left)
{
    struct site *site = &lives->sites[block->site];
    if (site->released && !lives->ended)
        growth_release(lives, site, block->mark, time);
    if (resource == STRAY_CHILD && !lives->ended && block->mark >= site->waited)
        site->waited = block->mark + 1;
    count_close(lives, site, resource, bytes_of(lives, resource, block->size));
    hold(lives, 0, held_of(lives, resource, block->size));
    if (left)
        weigh_left(lives, site, block->size);
    else if (is_weighed(lives, resource))
        weigh_close(lives, site, block->size);
    blocks_remove(&lives->blocks[resource], block);
}

static inline bool has_value(unsigned resource)
{
    return is_memory(resource) || resource == STRAY_TEMPFILE;
}

/* The slot for a block that begins; an older one of its handle was released unseen. NULL: no memory. */
static inline struct block *block_slot(struct lives *lives, unsigned resource, uint64_t key, uint64_t time)
{
    struct block *slot = blocks_claim(&lives->blocks[resource], key);
    if (!slot || !slot->handle)
        return slot;
    block_end(lives, resource, slot, time, false);
    return blocks_claim(&lives->blocks[resource], key);
}

/* Where the resource is known when this is compiled, all that concerns others falls away. */
static inline __attribute__((always_inline)) int block_open(struct lives *lives, const struct stray_event *event, unsigned resource)
{
    uint64_t size = has_value(resource) ? event->value : 0;
    uint32_t index;
    struct block *slot = block_slot(lives, resource, key_of(event), event->time);
    int result = slot ? site_of_blocks(lives, resource, event->stack, &index) : -ENOMEM;
    if (result < 0)
        return result;
    struct site *site = &lives->sites[index];
    slot->handle = key_of(event);
    slot->size = size;
    slot->site = index;
    slot->mark = lives->marks.current;
    lives->blocks[resource].count++;
    count_open(lives, site, resource, bytes_of(lives, resource, size), event->time);
    hold(lives, held_of(lives, resource, size), 0);
    if (is_weighed(lives, resource))
        weigh_open(lives, site, size);
    return 0;
}

/* Where blocks are samples, a release may be that of a block that was none. */
static void count_unknown(struct lives *lives, unsigned resource)
{
    struct book *book = &lives->books[resource];
    book->unknown += !book->estimated;
}

/* free() is what PQfreemem() calls, and many programs call it themselves. */
static inline void string_freed(struct lives *lives, const struct stray_event *event)
{
    struct block *string = blocks_find(&lives->blocks[STRAY_PGSTRING], event->handle);
    if (string)
        block_end(lives, STRAY_PGSTRING, string, event->time, false);
}

static inline __attribute__((always_inline)) void block_close(struct lives *lives, const struct stray_event *event, unsigned resource)
{
    if (resource == STRAY_HEAP)
        string_freed(lives, event);
    struct block *block = blocks_find(&lives->blocks[resource], key_of(event));
    if (block)
        block_end(lives, resource, block, event->time, false);
    else if (event->action == STRAY_CLOSE) /* what is found gone may have been released in the same moment */
        count_unknown(lives, resource);
}

/* What popen() begins is known by its stream, and not by a pid. */
static bool is_death(const struct stray_event *event)
{
    return event->resource == STRAY_CHILD && event->action == STRAY_CLOSE && event->hook != STRAY_HOOK_pclose &&
           event->handle <= UINT32_MAX;
}

static int death_add(struct lives *lives, const struct stray_event *event)
{
    int result = room_for(&lives->deaths, &lives->death_room, lives->death_count + 1, sizeof(*lives->deaths));
    if (result == 0)
        lives->deaths[lives->death_count++] =
            (struct waited){event->time, (uint32_t)event->handle, (uint32_t)event->value};
    return result;
}

/* A thread says itself that it ends; that it was joined is said by another. */
static int thread_ends(struct lives *lives, const struct stray_event *event)
{
    uint32_t index;
    if (event->resource != STRAY_THREAD || event->hook != STRAY_HOOK_NONE)
        return 0;
    if (!map_get(&lives->end_map, event->handle, &index)) {
        index = (uint32_t)lives->thread_end_count;
        int result = room_for(&lives->thread_ends, &lives->thread_end_room, index + (size_t)1, sizeof(*lives->thread_ends));
        if (result == 0)
            result = map_put(&lives->end_map, event->handle, index);
        if (result < 0)
            return result;
        lives->thread_end_count++;
    }
    lives->thread_ends[index] = event->time;
    return 0;
}

uint64_t life_thread_end(const struct lives *lives, const struct life *life)
{
    uint32_t index;
    bool ended = map_get(&lives->end_map, life->thread, &index) && lives->thread_ends[index] > life->birth;
    return ended ? lives->thread_ends[index] : UINT64_MAX;
}

static void block_ended(struct lives *lives, const struct stray_event *event)
{
    bool ends = event->resource == STRAY_THREAD || event->resource == STRAY_CHILD;
    struct block *block = ends ? blocks_find(&lives->blocks[event->resource], key_of(event)) : NULL;
    if (block)
        block->ended = event->time;
    else
        lives->strange += !ends;
}

/* NULL without memory. */
static struct moving *moving_of(struct lives *lives, uint32_t lane)
{
    size_t index = lane < LANE_LIMIT ? (size_t)lane + 1 : 0;
    if (room_for(&lives->moving, &lives->moving_count, index + 1, sizeof(*lives->moving)) < 0)
        return NULL;
    return &lives->moving[index];
}

/* The block leaves the table at once, since its address may be handed to another thread before MOVE_TO; in
 * the books it stays open all the while. */
static int block_move_from(struct lives *lives, const struct stray_event *event, uint32_t lane)
{
    struct moving *moving = moving_of(lives, lane);
    if (!moving)
        return -ENOMEM;
    struct blocks *blocks = &lives->blocks[event->resource];
    struct block *block = blocks_find(blocks, event->handle);
    moving->block = (struct block){0};
    moving->resource = event->resource;
    if (block) {
        moving->block = *block;
        blocks_remove(blocks, block);
    } else {
        count_unknown(lives, event->resource);
    }
    return 0;
}

/* A sample stands for as many as its size says now: they take the place of those that it stood for. */
static void block_change(struct lives *lives, const struct block *block, uint64_t value)
{
    struct site *site = &lives->sites[block->site];
    unsigned resource = site->resource;
    count_resize(lives, site, bytes_of(lives, resource, block->size), bytes_of(lives, resource, value));
    hold(lives, held_of(lives, resource, value), held_of(lives, resource, block->size));
    if (!is_weighed(lives, resource))
        return;
    weigh_left(lives, site, block->size);
    weigh_open(lives, site, value);
}

static int block_move_to(struct lives *lives, const struct stray_event *event, uint32_t lane)
{
    struct moving *moving = moving_of(lives, lane);
    if (!moving)
        return -ENOMEM;
    if (moving->block.handle == 0 || moving->resource != event->resource)
        return 0;
    struct block block = moving->block;
    struct blocks *blocks = &lives->blocks[event->resource];
    struct block *old = blocks_find(blocks, event->handle);
    if (old)
        block_end(lives, event->resource, old, event->time, false);
    if (event->resource != STRAY_TEMPFILE)
        block_change(lives, &block, event->value);
    block.handle = event->handle;
    if (event->resource != STRAY_TEMPFILE || event->value != 0)
        block.size = event->value;
    moving->block.handle = 0;
    return blocks_insert(blocks, block);
}

static void block_resize(struct lives *lives, const struct stray_event *event)
{
    struct block *block = blocks_find(&lives->blocks[event->resource], event->handle);
    if (!block) {
        count_unknown(lives, event->resource);
        return;
    }
    block_change(lives, block, event->value);
    block->size = event->value;
}

static void block_left(struct lives *lives, const struct stray_event *event)
{
    struct block *block = is_weighed(lives, event->resource) ? blocks_find(&lives->blocks[event->resource], event->handle) : NULL;
    if (block)
        block_end(lives, event->resource, block, event->time, true);
}

/* The mark since which the births of a sum came about. Sums of one buffer come one after the other. */
static uint32_t sum_began(const struct lives *lives, struct moving *lane, uint64_t since)
{
    if (lane->since != since || since == 0)
        lane->since_mark = marks_number_at(&lives->marks, since);
    lane->since = since;
    return lane->since_mark;
}

/* The value holds the sums of the weights and of the sizes; of their squares only the means can tell. */
static void weigh_elided(struct lives *lives, struct site *site, const struct stray_event *event, uint64_t count)
{
    if (site->resource != STRAY_PYOBJECT || event->value >> 32 == 0)
        return;
    double sum = (double)(event->value >> 32) / TALLY_UNIT, size = (double)(event->value & UINT32_MAX) / (double)count;
    struct tally each = tally_of(sum / (double)count, size * sum / (double)count);
    struct tally born = {sum, each.variance * (double)count, each.bytes_variance * (double)count};
    site->estimated = lives->books[site->resource].estimated = true;
    tally_join(&site->born, &born);
    tally_join(&lives->books[site->resource].born, &born);
}

/* Short lives that the tracer told only in sum: they raise no peak and leave nothing open. Those of lanes that nobody owns have
 * been told as WORK before. */
static int block_elided(struct lives *lives, const struct stray_event *event, uint32_t lane, uint32_t thread, uint64_t since)
{
    struct moving *moving = moving_of(lives, lane);
    uint64_t count = event->handle & ((UINT64_C(1) << 56) - 1);
    unsigned octave = (unsigned)(event->handle >> 56);
    uint32_t index;
    int result = moving ? site_find(lives, event->resource, event->stack, LIVES_NONE, &index) : -ENOMEM;
    if (result < 0)
        return result;
    struct site *site = &lives->sites[index];
    if (site->opened == 0) {
        site->first = event->time;
        site->first_mark = lives->marks.current;
    }
    uint32_t began = lives->marks.current;
    if (is_allocation(event) && !lives->ended && thread != 0) {
        began = sum_began(lives, moving, since);
        marks_spread(&lives->marks, began, (double)count);
        if (!moving->works) /* all before is told by this buffer, or those before it */
            moving->worked = moving->worked_before = lives->marks.current;
    }
    if (event->time > site->last)
        site->last = event->time;
    site->opened += count;
    site->closed += count;
    lives->books[event->resource].opened += count;
    lives->books[event->resource].closed += count;
    weigh_elided(lives, site, event, count);
    growth_before(lives, site);
    if (site->growth && !lives->ended)
        windows_born_since(&site->growth->windows, &site->window, began, count);
    growth_after(lives, site);
    if (site->growth && octave < 64 && !lives->ended)
        growth_elided(lives, site, octave, count);
    return 0;
}

int lane_taken(struct lives *lives, uint32_t lane)
{
    struct moving *moving = moving_of(lives, lane);
    if (!moving)
        return -ENOMEM;
    if (!moving->taken)
        moving->worked = moving->worked_before = lives->marks.current;
    moving->taken = true;
    return 0;
}

int work_told(struct lives *lives, const struct stray_event *event, uint32_t lane)
{
    struct moving *moving = moving_of(lives, lane);
    if (!moving)
        return -ENOMEM;
    if (!lives->ended)
        marks_spread(&lives->marks, moving->worked_before, (double)event->value);
    moving->worked_before = moving->worked;
    moving->worked = lives->marks.current;
    moving->works = true;
    return 0;
}

/* Threads that end while they are waited for may have been done with for long: an interpreter first tells its pools to end,
 * and waits for them. They count as open until something else begins; if nothing does, that was the end of the program. */
static int thread_leaves(struct lives *lives, const struct stray_event *event)
{
    int result = room_for(&lives->leaving, &lives->leaving_room, lives->leaving_count + 1, sizeof(*lives->leaving));
    if (result == 0)
        lives->leaving[lives->leaving_count++] = *event;
    return result;
}

int threads_left(struct lives *lives)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < lives->leaving_count; i++) {
        block_close(lives, &lives->leaving[i], lives->leaving[i].resource);
        if (!lives->ended) /* else they were told to end, and left nothing behind */
            result = thread_ends(lives, &lives->leaving[i]);
    }
    lives->leaving_count = 0;
    return result;
}

/* Only temporary files are told more of. */
static void block_named(struct lives *lives, const struct stray_event *event)
{
    struct block *block = blocks_find(&lives->blocks[event->resource], event->handle);
    if (block && event->resource == STRAY_TEMPFILE)
        block->size = event->value;
}

int heap_open(struct lives *lives, const struct stray_event *event)
{
    return event->handle ? block_open(lives, event, STRAY_HEAP) : 0;
}

void heap_close(struct lives *lives, const struct stray_event *event)
{
    block_close(lives, event, STRAY_HEAP);
}

int block_event(struct lives *lives, const struct stray_event *event, uint32_t lane, uint32_t thread, uint64_t since)
{
    switch (event->action) {
    case STRAY_OPEN:
        return event->handle ? block_open(lives, event, event->resource) : 0;
    case STRAY_CLOSE:
    case STRAY_IMPLICIT:
    case STRAY_RECONCILED:
        if (event->resource == STRAY_THREAD && lives->awaited && !lives->ended)
            return thread_leaves(lives, event);
        block_close(lives, event, event->resource);
        return is_death(event) ? death_add(lives, event) : thread_ends(lives, event);
    case STRAY_MOVE_FROM:
        return block_move_from(lives, event, lane);
    case STRAY_MOVE_TO:
        return event->handle ? block_move_to(lives, event, lane) : 0;
    case STRAY_RESIZE:
        block_resize(lives, event);
        return 0;
    case STRAY_INHERITED:
        lives->books[event->resource].inherited++;
        return 0;
    case STRAY_EXITED:
        block_ended(lives, event);
        return thread_ends(lives, event);
    case STRAY_ELIDED:
        return block_elided(lives, event, lane, thread, since);
    case STRAY_ENDPOINT:
        block_named(lives, event);
        return 0;
    case STRAY_LEFT:
        block_left(lives, event);
        return 0;
    default:
        return 0;
    }
}
