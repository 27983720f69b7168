/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/lifetimes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lives/internal.h"

#define MARK_EVENTS    256   /* a mark is made at least every so many events */
#define MARK_SECONDS   0.001 /* ... and every so many seconds that see an event */
#define LANE_LIMIT     (1u << 20)
#define GROWN_COUNT    32 /* from so many open at once a site's cohorts are kept */
#define GROWN_BYTES    65536
#define OBEYED_SECONDS 60  /* a signal that ends the process does so within this time */
#define OBEYED_SHARE   0.1 /* ... or this share of the run, whichever is longer */
#define DYING_SECONDS  1
#define GROWN_OTHERS   8    /* the same for what is not heap: rarer, and dearer */
#define GROWN_OPENED   1000 /* ... or from so many births on: few of very many may leak */

int room_for(void *array, size_t *room, size_t wanted, size_t size)
{
    void *items;
    if (wanted <= *room)
        return 0;
    size_t bigger = *room ? *room : 64;
    while (bigger < wanted)
        bigger *= 2;
    memcpy(&items, array, sizeof(items));
    char *moved = reallocarray(items, bigger, size);
    if (!moved)
        return -ENOMEM;
    memset(moved + *room * size, 0, (bigger - *room) * size);
    memcpy(array, &moved, sizeof(moved));
    *room = bigger;
    return 0;
}

static int site_add(struct lives *lives, unsigned resource, uint32_t stack, uint32_t peer, uint32_t *ret_site)
{
    int result = room_for(&lives->sites, &lives->site_room, lives->site_count + 1, sizeof(struct site));
    if (result < 0)
        return result;
    lives->sites[lives->site_count] = (struct site){
        .resource = (uint8_t)resource, .stack = stack, .peer = peer, .first_mark = lives->marks.current};
    *ret_site = (uint32_t)lives->site_count++;
    return 0;
}

/* Heap sites are asked for once an allocation: an array by node, no hashing. Entries are the site plus one.
 */
static int heap_site_find(struct lives *lives, uint32_t stack, uint32_t *ret_site)
{
    if (stack >= lives->node_site_count) {
        int result = room_for(&lives->node_sites, &lives->node_site_count, (size_t)stack + 1,
                              sizeof(*lives->node_sites));
        if (result < 0)
            return result;
    }
    if (lives->node_sites[stack] == 0) {
        uint32_t site;
        int result = site_add(lives, STRAY_HEAP, stack, LIVES_NONE, &site);
        if (result < 0)
            return result;
        lives->node_sites[stack] = site + 1;
    }
    *ret_site = lives->node_sites[stack] - 1;
    return 0;
}

int site_find(struct lives *lives, unsigned resource, uint32_t stack, uint32_t peer, uint32_t *ret_site)
{
    if (resource == STRAY_HEAP && stack < (1u << 26))
        return heap_site_find(lives, stack, ret_site);
    uint64_t key = (uint64_t)stack | (uint64_t)resource << 32 | (uint64_t)(peer + 1) << 40;
    if (map_get(&lives->site_map, key, ret_site))
        return 0;
    uint32_t site;
    int result = site_add(lives, resource, stack, peer, &site);
    if (result == 0)
        result = map_put(&lives->site_map, key, site);
    if (result == 0)
        *ret_site = site;
    return result;
}

static void peer_count(struct lives *lives, uint32_t index, int opened, int open)
{
    if (index == LIVES_NONE)
        return;
    struct peer *peer = &lives->peers[index];
    peer->opened += (uint64_t)opened;
    peer->closed += open < 0 && opened == 0;
    peer->open += (uint64_t)open;
    if (peer->open > peer->peak)
        peer->peak = peer->open;
}

static bool is_memory(unsigned resource)
{
    return resource == STRAY_HEAP || resource == STRAY_PYOBJECT;
}

/* What counts as work on the axis of allocations. Samples of objects do not: of most of them sums alone tell, which tell no time.
 * Those of the heap are each a number of bytes that were asked for, which is as good a measure. */
static bool is_allocation(const struct stray_event *event)
{
    return event->resource == STRAY_HEAP || (event->resource == STRAY_PYOBJECT && event->value >> 32 == 0);
}

/* To be called before a site's state changes: until now it was what it is. */
static void growth_before(struct lives *lives, struct site *site)
{
    if (site->growth && !lives->ended)
        windows_advance(&site->growth->windows, lives->marks.current, site->open, site->bytes_open);
}

/* ... and after it has changed. */
static void growth_after(struct lives *lives, struct site *site)
{
    uint64_t count = is_memory(site->resource) ? GROWN_COUNT : GROWN_OTHERS;
    bool grown = site->open >= count || site->bytes_open >= GROWN_BYTES || site->opened >= GROWN_OPENED;
    if (lives->ended)
        return;
    if (!site->growth && grown) {
        site->growth = calloc(1, sizeof(*site->growth));
        if (site->growth)
            windows_advance(&site->growth->windows, lives->marks.current, 0, 0);
        lives->starved |= !site->growth;
    }
    if (site->growth)
        windows_change(&site->growth->windows, site->open, site->bytes_open);
}

void count_open(struct lives *lives, uint32_t index, uint64_t size, uint64_t time)
{
    struct site *site = &lives->sites[index];
    struct book *book = &lives->books[site->resource];
    growth_before(lives, site);
    if (site->opened++ == 0) {
        site->first = time;
        site->first_mark = lives->marks.current;
    }
    site->last = time;
    site->open++;
    site->opened_by_tc += !lives->ended;
    site->bytes_open += size;
    if (site->open > site->peak)
        site->peak = site->open;
    if (site->bytes_open > site->peak_bytes)
        site->peak_bytes = site->bytes_open;
    growth_after(lives, site);
    if (site->growth)
        site->growth->run = 0;
    book->opened++;
    book->bytes_open += size;
    if (++book->open > book->peak)
        book->peak = book->open;
    if (book->bytes_open > book->peak_bytes)
        book->peak_bytes = book->bytes_open;
    peer_count(lives, site->peer, 1, 1);
}

void count_close(struct lives *lives, uint32_t index, uint64_t size)
{
    struct site *site = &lives->sites[index];
    struct book *book = &lives->books[site->resource];
    growth_before(lives, site);
    site->closed++;
    site->open--;
    site->bytes_open -= size;
    growth_after(lives, site);
    book->closed++;
    book->open--;
    book->bytes_open -= size;
    peer_count(lives, site->peer, 0, -1);
}

void count_retract(struct lives *lives, uint32_t index)
{
    struct site *site = &lives->sites[index];
    struct book *book = &lives->books[site->resource];
    growth_before(lives, site);
    site->opened--;
    site->open--;
    growth_after(lives, site);
    site->opened_by_tc -= !lives->ended && site->opened_by_tc > 0;
    book->opened--;
    book->open--;
    peer_count(lives, site->peer, -1, -1);
}

void count_resize(struct lives *lives, uint32_t index, uint64_t old_size, uint64_t new_size)
{
    struct site *site = &lives->sites[index];
    struct book *book = &lives->books[site->resource];
    growth_before(lives, site);
    site->bytes_open += new_size - old_size;
    if (site->bytes_open > site->peak_bytes)
        site->peak_bytes = site->bytes_open;
    growth_after(lives, site);
    if (site->growth && new_size > old_size && !lives->ended)
        site->growth->resized += new_size - old_size;
    book->bytes_open += new_size - old_size;
    if (book->bytes_open > book->peak_bytes)
        book->peak_bytes = book->bytes_open;
}

/* ---- blocks: everything that is known by an address and whose closing stack does not matter ---- */

/* A thread that was not joined may leave its id to another: its number tells them apart. */
static uint64_t key_of(const struct stray_event *event)
{
    return event->resource == STRAY_THREAD ? event->handle | event->value << 32 : event->handle;
}

/* What libc's allocator takes for all that a block of the heap stands for. */
static uint64_t held_of(const struct lives *lives, unsigned resource, uint64_t size)
{
    if (resource != STRAY_HEAP)
        return 0;
    uint64_t held = resident_held(size);
    return lives->source.heap_mean > 0 ? tally_times(held, weight_of(lives, resource, size)) : held;
}

static void hold(struct lives *lives, uint64_t more, uint64_t less)
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

static void block_end(struct lives *lives, struct blocks *blocks, struct block *block, uint64_t time, bool left)
{
    struct site *site = &lives->sites[block->site];
    if (site->growth && !lives->ended)
        growth_release(lives, site, block->mark, time);
    if (site->resource == STRAY_CHILD && !lives->ended && block->mark >= site->waited)
        site->waited = block->mark + 1;
    count_close(lives, block->site, bytes_of(lives, site->resource, block->size));
    hold(lives, 0, held_of(lives, site->resource, block->size));
    if (left)
        weigh_left(lives, site, block->size);
    else if (is_weighed(lives, site->resource))
        weigh_close(lives, site, block->size);
    blocks_remove(blocks, block);
}

static bool has_value(unsigned resource)
{
    return is_memory(resource) || resource == STRAY_TEMPFILE;
}

static int block_open(struct lives *lives, const struct stray_event *event)
{
    struct blocks *blocks = &lives->blocks[event->resource];
    struct block *old = blocks_find(blocks, key_of(event));
    if (old)
        block_end(lives, blocks, old, event->time, false);
    struct block block = {.handle = key_of(event), .mark = lives->marks.current};
    block.size = has_value(event->resource) ? event->value : 0;
    int result = site_find(lives, event->resource, event->stack, LIVES_NONE, &block.site);
    if (result == 0)
        result = blocks_insert(blocks, block);
    if (result == 0)
        count_open(lives, block.site, bytes_of(lives, event->resource, block.size), event->time);
    if (result == 0)
        hold(lives, held_of(lives, event->resource, block.size), 0);
    if (result == 0 && is_weighed(lives, event->resource))
        weigh_open(lives, &lives->sites[block.site], block.size);
    return result;
}

/* Where blocks are samples, a release may be that of a block that was none. */
static void count_unknown(struct lives *lives, unsigned resource)
{
    struct book *book = &lives->books[resource];
    book->unknown += !book->estimated;
}

/* free() is what PQfreemem() calls, and many programs call it themselves. */
static void string_freed(struct lives *lives, const struct stray_event *event)
{
    struct blocks *strings = &lives->blocks[STRAY_PGSTRING];
    struct block *string = blocks_find(strings, event->handle);
    if (string)
        block_end(lives, strings, string, event->time, false);
}

static void block_close(struct lives *lives, const struct stray_event *event)
{
    if (event->resource == STRAY_HEAP)
        string_freed(lives, event);
    struct blocks *blocks = &lives->blocks[event->resource];
    struct block *block = blocks_find(blocks, key_of(event));
    if (block)
        block_end(lives, blocks, block, event->time, false);
    else if (event->action == STRAY_CLOSE) /* what is found gone may have been released in the same moment */
        count_unknown(lives, event->resource);
}

/* What popen() begins is known by its stream, and not by a pid. */
static bool is_death(const struct stray_event *event)
{
    return event->resource == STRAY_CHILD && event->action == STRAY_CLOSE && event->hook != STRAY_HOOK_pclose &&
           event->handle <= UINT32_MAX;
}

static bool is_at_exit(const struct lives *lives, const struct stray_event *event)
{
    return lives->source.closer(lives->source.data, event->stack) == CLOSER_EXIT;
}

static int death_add(struct lives *lives, const struct stray_event *event)
{
    int result = room_for(&lives->deaths, &lives->death_room, lives->death_count + 1, sizeof(*lives->deaths));
    if (result == 0)
        lives->deaths[lives->death_count++] =
            (struct waited){event->time, (uint32_t)event->handle, (uint32_t)event->value};
    return result;
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
    count_resize(lives, block->site, bytes_of(lives, resource, block->size), bytes_of(lives, resource, value));
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
        block_end(lives, blocks, old, event->time, false);
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
    struct blocks *blocks = &lives->blocks[event->resource];
    struct block *block = is_weighed(lives, event->resource) ? blocks_find(blocks, event->handle) : NULL;
    if (block)
        block_end(lives, blocks, block, event->time, true);
}

/* Sums of one batch lie close to one another, if not at one time. */
static void batch_come(struct batch *batch, uint32_t mark)
{
    if (mark > batch->to + (batch->to - batch->from) / 8 + 1) {
        batch->from = batch->to;
        batch->to = mark;
    } else if (mark > batch->to) {
        batch->to = mark;
    }
}

/* The mark since which the births of a sum came about: since the site's batch of sums before this one, and
 * where that is its first, since the lane's. */
static uint32_t sum_began(struct batch *lane, struct batch *site, uint32_t mark)
{
    batch_come(lane, mark);
    if (site->to == 0)
        *site = *lane;
    else
        batch_come(site, mark);
    return site->from;
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
static int block_elided(struct lives *lives, const struct stray_event *event, uint32_t lane, uint32_t thread)
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
    if (is_allocation(event) && !lives->ended && thread != 0)
        marks_spread(&lives->marks, sum_began(&moving->told, &site->told, lives->marks.current), (double)count);
    if (event->time > site->last)
        site->last = event->time;
    site->opened += count;
    site->closed += count;
    site->opened_by_tc += lives->ended ? 0 : count;
    lives->books[event->resource].opened += count;
    lives->books[event->resource].closed += count;
    weigh_elided(lives, site, event, count);
    growth_before(lives, site);
    growth_after(lives, site);
    if (site->growth && octave < 64 && !lives->ended)
        growth_elided(lives, site, octave, count);
    return 0;
}

/* What was done since the lane's WORK before. */
static int work_told(struct lives *lives, const struct stray_event *event, uint32_t lane)
{
    struct moving *moving = moving_of(lives, lane);
    if (!moving)
        return -ENOMEM;
    batch_come(&moving->told, lives->marks.current);
    if (!lives->ended)
        marks_spread(&lives->marks, moving->told.from, (double)event->value);
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

static void threads_left(struct lives *lives)
{
    for (size_t i = 0; i < lives->leaving_count; i++)
        block_close(lives, &lives->leaving[i]);
    lives->leaving_count = 0;
}

/* Something begins that is no memory, nor the exit's own doing. */
static bool is_new_work(const struct lives *lives, const struct stray_event *event)
{
    return event->action == STRAY_OPEN && !is_memory(event->resource) && event->resource != STRAY_MMAP &&
           !is_at_exit(lives, event);
}

/* Only temporary files are told more of. */
static void block_named(struct lives *lives, const struct stray_event *event)
{
    struct block *block = blocks_find(&lives->blocks[event->resource], event->handle);
    if (block && event->resource == STRAY_TEMPFILE)
        block->size = event->value;
}

static int block_event(struct lives *lives, const struct stray_event *event, uint32_t lane, uint32_t thread)
{
    switch (event->action) {
    case STRAY_OPEN:
        return event->handle ? block_open(lives, event) : 0;
    case STRAY_CLOSE:
    case STRAY_IMPLICIT:
    case STRAY_RECONCILED:
        if (event->resource == STRAY_THREAD && lives->awaited && !lives->ended)
            return thread_leaves(lives, event);
        block_close(lives, event);
        return is_death(event) ? death_add(lives, event) : 0;
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
        return 0;
    case STRAY_ELIDED:
        return block_elided(lives, event, lane, thread);
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

/* ---- the process ---- */

static int end_begins(struct lives *lives, uint64_t time, uint32_t thread, bool voluntary)
{
    if (lives->ended)
        return 0;
    lives->ended = true;
    lives->tc = lives->leaving_count > 0 ? lives->leaving[0].time : time;
    lives->tc_thread = thread;
    lives->voluntary = voluntary;
    int result = survivors_note(lives);
    threads_left(lives);
    return result;
}

/* What is resident once the exit has given back what the service held says nothing of the service. */
static void memory_sample(struct lives *lives, const struct stray_event *event)
{
    if (lives->ended && lives->memory.samples > 0)
        return;
    struct memory *memory = &lives->memory;
    uint64_t heap = lives->books[STRAY_HEAP].bytes_open;
    double variance = lives->books[STRAY_HEAP].living.bytes_variance;
    if (memory->samples++ == 0) {
        memory->first_rss = event->handle;
        memory->first_tracer = event->value;
        memory->first_heap = heap;
        memory->first_variance = variance;
    }
    memory->last_rss = event->handle;
    memory->last_tracer = event->value;
    memory->last_heap = heap;
    memory->last_variance = variance;
}

static int ended(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    static const enum ending endings[] = {
        [STRAY_ENDING_EXIT] = ENDING_EXIT,     [STRAY_ENDING_QUICK] = ENDING_EXIT,
        [STRAY_ENDING_PYTHON] = ENDING_EXIT,   [STRAY_ENDING_EXEC] = ENDING_EXEC,
        [STRAY_ENDING_SIGNAL] = ENDING_SIGNAL, [STRAY_ENDING_DETACH] = ENDING_DETACHED,
    };
    if (event->value < sizeof(endings) / sizeof(*endings))
        lives->ending = endings[event->value];
    if (lives->ending == ENDING_EXIT || lives->ending == ENDING_SIGNAL) {
        lives->exit_known = true;
        lives->exit_status = (uint32_t)event->handle;
    }
    return end_begins(lives, event->time, thread, lives->ending == ENDING_EXIT);
}

/* Whether a signal was what ended the process: it had not long to go. Else the program goes on after it, as
 * interactive ones do, or it drains so slowly that it is at work meanwhile. */
static bool was_obeyed(const struct lives *lives, uint64_t time)
{
    if (lives->source.end == 0)
        return true;
    double before = lives->source.span(lives->source.data, time - lives->first_time);
    double after =
        lives->source.end > time ? lives->source.span(lives->source.data, lives->source.end - time) : 0;
    return after <= before && after <= fmax(OBEYED_SECONDS, OBEYED_SHARE * (before + after));
}

static int signal_seen(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    if (event->handle == STRAY_SIGNAL_CAUGHT) {
        if (!was_obeyed(lives, event->time))
            return 0;
        lives->residents.over |= lives->residents.moments > 1; /* the next one comes when all is taken down */
        return end_begins(lives, event->time, thread, false);
    }
    lives->deadly = event->handle == STRAY_SIGNAL_DEADLY ? (uint32_t)event->value : 0;
    lives->deadly_time = event->time;
    return 0;
}

/* Exit handlers are called before an interpreter says that it is finalizing. */
static bool closes_at_exit(const struct lives *lives, const struct stray_event *event)
{
    return event->action == STRAY_CLOSE && event->stack != 0 && !lives->ended && is_at_exit(lives, event) &&
           was_obeyed(lives, event->time);
}

static int fork_add(struct lives *lives, const struct stray_event *event)
{
    int result = room_for(&lives->forks, &lives->fork_room, lives->fork_count + 1, sizeof(*lives->forks));
    if (result == 0)
        lives->forks[lives->fork_count++] = (struct forked){(uint32_t)event->handle, event->time};
    return result;
}

static void limit_told(struct lives *lives, const struct stray_event *event)
{
    if (event->handle == STRAY_LIMIT_DESCRIPTORS)
        lives->descriptor_limit = event->value;
    else if (event->handle == STRAY_LIMIT_MEMORY)
        lives->memory_limit = event->value;
}

static int process_event(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    switch (event->action) {
    case STRAY_MEMORY:
        memory_sample(lives, event);
        return 0;
    case STRAY_PART:
        resident_part(lives, event);
        return 0;
    case STRAY_LIMIT:
        limit_told(lives, event);
        return 0;
    case STRAY_END_BEGINS:
        return end_begins(lives, event->time, thread, event->value != STRAY_ENDING_SIGNAL);
    case STRAY_SIGNAL:
        return signal_seen(lives, event, thread);
    case STRAY_END:
        return ended(lives, event, thread);
    case STRAY_EXEC:
        lives->exec_pending = true;
        lives->exec_time = event->time;
        return 0;
    case STRAY_EXEC_FAILED:
        lives->exec_pending = false;
        return 0;
    case STRAY_FORK:
        return fork_add(lives, event);
    case STRAY_LOST:
        lives->lost += event->value;
        return 0;
    case STRAY_END_AWAITED:
        lives->awaited = true;
        return 0;
    default:
        lives->strange += event->action > STRAY_END_AWAITED || event->action < STRAY_OWNER;
        return 0;
    }
}

/* ---- the pass ---- */

static void advance(struct lives *lives, const struct stray_event *event)
{
    bool request = event->action == STRAY_OPEN && event->resource == STRAY_CONNECTION;
    bool statement =
        event->action == STRAY_USE && event->resource == STRAY_PGCONN && is_statement(event->hook);
    if (lives->marks.count == 0) {
        lives->first_time = event->time;
        lives->now.at[AXIS_TIME] = event->time;
        marks_add(&lives->marks, &lives->now);
    }
    bool late = event->time - lives->now.at[AXIS_TIME] >= lives->mark_ticks;
    lives->now.at[AXIS_REQUESTS] += request;
    lives->now.at[AXIS_STATEMENTS] += statement;
    lives->now.at[AXIS_ALLOCATIONS] += event->action == STRAY_OPEN && is_allocation(event);
    if (request || statement || late || ++lives->since_mark >= MARK_EVENTS) {
        lives->now.at[AXIS_TIME] = event->time;
        marks_add(&lives->marks, &lives->now);
        lives->since_mark = 0;
    }
    lives->last_time = event->time;
    lives->events++;
}

int lives_feed(struct lives *lives, const struct stray_event *event, uint32_t lane, uint32_t thread)
{
    advance(lives, event);
    if (closes_at_exit(lives, event) && end_begins(lives, event->time, thread, true) < 0)
        return -ENOMEM;
    if (lives->leaving_count > 0 && is_new_work(lives, event))
        threads_left(lives);
    if (event->action >= STRAY_OWNER)
        return process_event(lives, event, thread);
    bool of_statements = event->action >= STRAY_STATEMENT && event->action <= STRAY_BLOCKED;
    if ((of_statements || event->resource == STRAY_PGCONN) && !lives->ended) {
        int result = statements_feed(&lives->statements, event, thread);
        if (result < 0)
            return result;
    }
    if (of_statements)
        return 0;
    if (event->action == STRAY_WORK)
        return work_told(lives, event, lane);
    if (event->resource == STRAY_RESOURCE_NONE || event->resource >= STRAY_USER_END ||
        event->action > STRAY_LEFT || event->action < STRAY_OPEN) {
        lives->strange++;
        return 0;
    }
    if (event->resource == STRAY_PGCONN)
        return pgconn_event(lives, event, thread);
    if (is_descriptor(event->resource))
        return descriptor_event(lives, event, thread);
    if (is_user_defined(event->resource))
        return handle_event(lives, event, thread);
    if (event->resource == STRAY_MMAP)
        return mapping_event(lives, event, lane);
    return block_event(lives, event, lane, thread);
}

int lives_open(const struct lives_source *source, struct lives **ret_lives)
{
    struct lives *lives = calloc(1, sizeof(*lives));
    if (!lives)
        return -ENOMEM;
    lives->source = *source;
    lives->books[STRAY_HEAP].estimated = source->heap_mean > 0;
    double second = 1e9 / source->span(source->data, 1000000000);
    lives->mark_ticks = second > 1 && second < 1e15 ? (uint64_t)(second * MARK_SECONDS) : 1000000;
    age_table_fill(&lives->ages, source->span, source->data);
    if (marks_open(&lives->marks) < 0) {
        free(lives);
        return -ENOMEM;
    }
    struct statements_source statements = {source->data, source->statement, source->span, source->place};
    statements_open(&statements, &lives->statements);
    *ret_lives = lives;
    return 0;
}

void lives_close(struct lives *lives)
{
    if (!lives)
        return;
    for (size_t i = 0; i < lives->site_count; i++) {
        free(lives->sites[i].growth);
        free(lives->sites[i].recent);
    }
    for (size_t i = 0; i < lives->peer_count; i++)
        free(lives->peers[i].text);
    for (size_t i = 0; i < STRAY_USER_END; i++)
        blocks_clear(&lives->blocks[i]);
    map_clear(&lives->site_map);
    map_clear(&lives->peer_map);
    map_clear(&lives->conn_map);
    for (size_t i = 0; i < STRAY_USER_END - STRAY_USER_FIRST; i++)
        map_clear(&lives->handles[i]);
    marks_clear(&lives->marks);
    free(lives->sites);
    free(lives->lives);
    free(lives->peers);
    mappings_end(lives);
    statements_close(&lives->statements);
    free(lives->forks);
    free(lives->moving);
    free(lives->node_sites);
    free(lives->fds);
    free(lives->deaths);
    free(lives->leaving);
    free(lives->owned);
    free(lives);
}

/* An interpreter may begin to take itself down before anything else says so. */
static void ended_by_exit(struct lives *lives, struct life *life)
{
    life->ended_late = true;
    if (life->death < lives->tc)
        lives->tc = life->death;
}

static void settle_closers(struct lives *lives)
{
    for (size_t i = 0; i < lives->life_count; i++) {
        struct life *life = &lives->lives[i];
        if (life->inherited)
            continue;
        if (life->end == LIFE_CLOSED)
            life->closer = (uint8_t)lives->source.closer(lives->source.data, life->closing_stack);
        if (life->closer == CLOSER_EXIT)
            ended_by_exit(lives, life);
        bool finalizer = life->closer == CLOSER_DESTRUCTOR || life->closer == CLOSER_COLLECTOR;
        if (life->peer != LIVES_NONE && life->resource == STRAY_CONNECTION) {
            lives->peers[life->peer].closed_by_finalizer += finalizer && !life->ended_late;
            lives->peers[life->peer].close_wait += life->end == LIFE_OPEN && life->close_wait > 0;
        }
    }
}

/* Survivors of the kinds whose lives are all kept are counted here; for the block tables survivors_note()
 * did. */
static void settle_survivors(struct lives *lives)
{
    for (size_t i = 0; i < lives->life_count; i++) {
        if (life_open_at_tc(&lives->lives[i]))
            lives->sites[lives->lives[i].site].alive++;
    }
}

/* Closed, open and peak go together with what was opened. */
static void settle_estimates(struct lives *lives)
{
    for (size_t i = 0; i < STRAY_USER_END; i++) {
        struct book *book = &lives->books[i];
        if (!book->estimated)
            continue;
        book->opened = tally_whole(&book->born);
        book->open = book->open ? tally_whole(&book->living) : 0;
        book->closed = book->opened > book->open ? book->opened - book->open : 0;
        book->peak = tally_whole(&book->most);
    }
}

int lives_finish(struct lives *lives)
{
    if (lives->exec_pending && lives->ending == ENDING_UNSEEN)
        lives->ending = ENDING_EXEC;
    uint64_t end = lives->exec_pending ? lives->exec_time : lives->last_time;
    int result = end_begins(lives, end, 0, false);
    if (lives->deadly &&
        lives->source.span(lives->source.data, lives->last_time - lives->deadly_time) > DYING_SECONDS)
        lives->deadly = 0; /* another thread had it blocked */
    if (result == 0)
        result = statements_finish(&lives->statements, lives->tc);
    if (result == 0)
        result = lives_close_up(lives);
    if (result < 0)
        return result;
    settle_closers(lives);
    settle_survivors(lives);
    settle_estimates(lives);
    survivors_left(lives);
    return lives->starved ? -ENOMEM : result;
}

bool life_open_at_tc(const struct life *life)
{
    if (life->inherited || life->born_late)
        return false;
    return life->end == LIFE_OPEN || life->end == LIFE_EXEC || life->ended_late;
}
