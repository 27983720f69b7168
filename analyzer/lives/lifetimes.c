/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/lifetimes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lives/internal.h"
#include "lives/releases.h"

#define MARK_EVENTS    256   /* a mark is made at least every so many events */
#define MARK_SECONDS   0.001 /* ... and every so many seconds that see an event */
#define SITES_FIRST    64
#define RELEASED_SITES 64
#define DYING_SECONDS  1

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

/* Sites begin where lines of the cache do. */
static int sites_grow(struct lives *lives)
{
    size_t room = lives->site_room ? 2 * lives->site_room : SITES_FIRST;
    struct site *sites = aligned_alloc(_Alignof(struct site), room * sizeof(*sites));
    if (!sites)
        return -ENOMEM;
    if (lives->site_count > 0)
        memcpy(sites, lives->sites, lives->site_count * sizeof(*sites));
    free(lives->sites);
    lives->sites = sites;
    lives->site_room = room;
    return 0;
}

static int site_add(struct lives *lives, unsigned resource, uint32_t stack, uint32_t peer, uint32_t *ret_site)
{
    int result = lives->site_count < lives->site_room ? 0 : sites_grow(lives);
    if (result < 0)
        return result;
    lives->sites[lives->site_count] = (struct site){.resource = (uint8_t)resource,
                                                    .stack = stack,
                                                    .peer = peer,
                                                    .first_mark = lives->marks.current,
                                                    .window = {.until = UINT32_MAX}};
    *ret_site = (uint32_t)lives->site_count++;
    return 0;
}

/* Entries are the site plus one. */
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

void peer_count(struct lives *lives, uint32_t index, int opened, int open)
{
    struct peer *peer = &lives->peers[index];
    peer->opened += (uint64_t)opened;
    peer->closed += open < 0 && opened == 0;
    peer->open += (uint64_t)open;
    if (peer->open > peer->peak)
        peer->peak = peer->open;
}

void growth_move(struct lives *lives, struct site *site)
{
    if (site->growth && !lives->ended)
        windows_move(&site->growth->windows, &site->window, lives->marks.current, site->open, site->bytes_open);
}

/* NULL: no memory. */
static uint32_t *released_new(struct lives *lives)
{
    size_t place = lives->grown_count % RELEASED_SITES;
    if (place == 0) {
        if (room_for(&lives->shelves, &lives->shelf_room, lives->shelf_count + 1, sizeof(*lives->shelves)) < 0)
            return NULL;
        uint32_t *shelf = calloc(RELEASED_SITES * AGE_BUCKETS, sizeof(*shelf));
        if (!shelf)
            return NULL;
        lives->shelves[lives->shelf_count++] = shelf;
    }
    lives->grown_count++;
    return lives->shelves[lives->shelf_count - 1] + place * AGE_BUCKETS;
}

/* NULL: no memory. */
static struct growth *growth_new(struct lives *lives)
{
    struct growth *growth = calloc(1, sizeof(*growth));
    struct births *births = growth && lives->source.births ? calloc(1, sizeof(*births)) : NULL;
    uint32_t *released = growth && (births || !lives->source.births) ? released_new(lives) : NULL;
    if (!released) {
        free(births);
        free(growth);
        lives->starved = true;
        return NULL;
    }
    growth->windows.births = births;
    growth->released = released;
    return growth;
}

void growth_begin(struct lives *lives, struct site *site)
{
    if (lives->ended || !(site->growth = growth_new(lives)))
        return;
    site->released = site->growth->released;
    site->window = (struct window){0};
    windows_advance(&site->growth->windows, &site->window, lives->marks.current, 0, 0);
    windows_born_since(&site->growth->windows, &site->window, site->first_mark, site->opened);
    window_change(&site->window, site->open, site->bytes_open);
}

/* ---- the pass ---- */

/* `request` and `statement`: it is one. */
static inline void advance(struct lives *lives, const struct stray_event *event, bool request, bool statement)
{
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

static inline bool is_request(const struct stray_event *event)
{
    return event->action == STRAY_OPEN && event->resource == STRAY_CONNECTION;
}

static bool sends_statement(const struct stray_event *event)
{
    return event->action == STRAY_USE && event->resource == STRAY_PGCONN && is_statement(event->hook);
}

/* An acquire or release of the heap that concerns nothing but its block: nearly all events of most traces. */
static inline bool is_plain(const struct stray_event *event)
{
    return event->resource == STRAY_HEAP && (event->action == STRAY_OPEN || (event->action == STRAY_CLOSE && event->stack == 0));
}

static inline int feed_plain(struct lives *lives, const struct stray_event *event)
{
    advance(lives, event, false, false);
    if (event->action == STRAY_OPEN)
        return heap_open(lives, event);
    heap_close(lives, event);
    return 0;
}

static int feed_other(struct lives *lives, const struct stray_event *event, uint32_t lane, uint32_t thread, uint64_t since)
{
    advance(lives, event, is_request(event), sends_statement(event));
    if (is_request(event))
        statements_requested(&lives->statements);
    if (closes_at_exit(lives, event) && end_begins(lives, event->time, thread, true) < 0)
        return -ENOMEM;
    if (lives->leaving_count > 0 && is_new_work(lives, event) && threads_left(lives) < 0)
        return -ENOMEM;
    if (event->action == STRAY_OWNER)
        return lane_taken(lives, lane);
    if (event->action > STRAY_OWNER)
        return process_event(lives, event, thread);
    bool of_statements = (event->action >= STRAY_STATEMENT && event->action <= STRAY_BLOCKED) || event->action == STRAY_AWAITED;
    if ((of_statements || event->resource == STRAY_PGCONN || event->resource == STRAY_PGRESULT) && !lives->ended) {
        int result = statements_feed(&lives->statements, event, thread);
        if (result < 0)
            return result;
    }
    if (of_statements)
        return 0;
    if (event->action == STRAY_WORK)
        return work_told(lives, event, lane);
    bool known = event->resource < STRAY_RESOURCE_END || is_user_defined(event->resource);
    if (event->resource == STRAY_RESOURCE_NONE || !known || event->action > STRAY_LEFT || event->action < STRAY_OPEN) {
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
    return block_event(lives, event, lane, thread, since);
}

/* What says that its thread was at work just then. Memory does not: how much is written of it, and when, is for the detail of the
 * trace to say. */
static bool is_activity(const struct stray_event *event)
{
    return event->resource != STRAY_HEAP && event->resource != STRAY_PYOBJECT && event->action != STRAY_WORK;
}

int lives_feed(struct lives *lives, const struct stray_event *event, uint32_t lane, uint32_t thread, uint64_t since)
{
    if (!lives->ended && is_activity(event) && activity_seen(&lives->activity, thread, event->time) < 0)
        return -ENOMEM;
    return is_plain(event) ? feed_plain(lives, event) : feed_other(lives, event, lane, thread, since);
}

uint64_t lives_mark_ticks(const struct lives_source *source)
{
    double second = 1e9 / source->span(source->data, 1000000000);
    return second > 1 && second < 1e15 ? (uint64_t)(second * MARK_SECONDS) : 1000000;
}

int lives_open(const struct lives_source *source, struct lives **ret_lives)
{
    struct lives *lives = calloc(1, sizeof(*lives));
    if (!lives)
        return -ENOMEM;
    lives->source = *source;
    lives->books[STRAY_HEAP].estimated = source->heap_mean > 0;
    lives->mark_ticks = lives_mark_ticks(source);
    age_table_fill(&lives->ages, source->span, source->data);
    if (marks_open(&lives->marks) < 0) {
        free(lives);
        return -ENOMEM;
    }
    struct statements_source statements = {source->data, source->statement, source->span, source->statement_flags, source->place};
    statements_open(&statements, &lives->statements);
    *ret_lives = lives;
    return 0;
}

void lives_close(struct lives *lives)
{
    if (!lives)
        return;
    for (size_t i = 0; i < lives->site_count; i++) {
        if (lives->sites[i].growth)
            free(lives->sites[i].growth->windows.births);
        free(lives->sites[i].growth);
        free(lives->sites[i].recent);
    }
    for (size_t i = 0; i < lives->peer_count; i++) {
        free(lives->peers[i].text);
        free(lives->peers[i].busy);
    }
    for (size_t i = 0; i < STRAY_USER_END; i++)
        blocks_clear(&lives->blocks[i]);
    map_clear(&lives->site_map);
    map_clear(&lives->peer_map);
    map_clear(&lives->end_map);
    activity_clear(&lives->activity);
    free(lives->thread_ends);
    map_clear(&lives->conn_map);
    for (size_t i = 0; i < STRAY_USER_END - STRAY_USER_FIRST; i++)
        map_clear(&lives->handles[i]);
    marks_clear(&lives->marks);
    for (size_t i = 0; i < lives->shelf_count; i++)
        free(lives->shelves[i]);
    free(lives->shelves);
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
        bool finalizer = is_finalizer(life->closer);
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
    releases_settle(lives);
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

uint32_t life_waits(const struct lives *lives, const struct life *life)
{
    return life->close_wait_first <= lives->tc ? life->close_wait : 0;
}
