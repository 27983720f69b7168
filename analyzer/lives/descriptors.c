/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors: every lifetime is kept. What they share with PGconns, of which that is true as well, stands here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lives/counting.h"

#define FILE_USES       3 /* calls that make a use of a file worth knowing */
#define FD_LIMIT        (1u << 22) /* a larger number in a trace is damage */
#define TCP_CLOSE       7 /* of a connection: reset by the peer, or shut down by both sides */
#define TCP_CLOSE_WAIT  8
#define IDLE_UNKNOWN    UINT32_MAX
#define USED_CALLS(v)   ((uint32_t)((v) >> 40))
#define USED_BEFORE(v)  ((v) & ((UINT64_C(1) << 40) - 1))
#define SAMPLE_STATE(v) ((unsigned)((v) >> 56))
#define SAMPLE_USES(v)  ((uint32_t)((v) >> 32) & 0xffffff)
#define SAMPLE_IDLE(v)  ((uint32_t)(v))

bool is_descriptor(unsigned resource)
{
    return resource == STRAY_SOCKET || resource == STRAY_CONNECTION || resource == STRAY_FILE;
}

/* ---- peers ---- */

static int peer_add(struct lives *lives, const char *text, bool server, uint32_t *ret_peer)
{
    for (size_t i = 0; i < lives->peer_count; i++) {
        if (lives->peers[i].server == server && strcmp(lives->peers[i].text, text) == 0) {
            *ret_peer = (uint32_t)i;
            return 0;
        }
    }
    int result = room_for(&lives->peers, &lives->peer_room, lives->peer_count + 1, sizeof(struct peer));
    if (result < 0)
        return result;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    lives->peers[lives->peer_count] = (struct peer){.text = copy, .server = server};
    *ret_peer = (uint32_t)lives->peer_count++;
    return 0;
}

/* Definitions with the same text are the same peer. */
static int peer_find(struct lives *lives, uint64_t endpoint, bool server, uint32_t *ret_peer)
{
    uint64_t key = endpoint << 1 | server;
    if (map_get(&lives->peer_map, key, ret_peer))
        return 0;
    const char *text = endpoint ? lives->source.endpoint(lives->source.data, endpoint) : NULL;
    uint32_t peer;
    int result = peer_add(lives, text ? text : "unknown", server, &peer);
    if (result == 0)
        result = map_put(&lives->peer_map, key, peer);
    if (result == 0)
        *ret_peer = peer;
    return result;
}

/* ---- lives ---- */

int life_add(struct lives *lives, const struct stray_event *event, uint32_t thread, struct life **ret_life)
{
    int result = room_for(&lives->lives, &lives->life_room, lives->life_count + 1, sizeof(struct life));
    if (result < 0)
        return result;
    struct life *life = &lives->lives[lives->life_count++];
    *life = (struct life){
        .handle = event->handle,
        .birth = event->time,
        .last_use = event->time,
        .resource = event->resource,
        .site = LIVES_NONE,
        .peer = LIVES_NONE,
        .partner = LIVES_NONE,
        .thread = thread,
        .mark = lives->marks.current,
        .born_late = lives->ended,
    };
    *ret_life = life;
    return 0;
}

int life_count(struct lives *lives, struct life *life, uint32_t stack)
{
    int result = site_find(lives, life->resource, stack, life->peer, &life->site);
    if (result == 0)
        count_open(lives, &lives->sites[life->site], life->resource, 0, life->birth);
    return result;
}

void life_end(struct lives *lives, struct life *life, enum life_end how, const struct stray_event *event)
{
    life->end = (uint8_t)how;
    life->death = event->time;
    life->ended_late = lives->ended;
    life->closing_stack = how == LIFE_CLOSED ? event->stack : 0;
    if (life->site != LIVES_NONE) {
        struct site *site = &lives->sites[life->site];
        count_close(lives, site, site->resource, 0);
    }
}

static void peer_busy(struct lives *lives, struct peer *peer, uint64_t from, uint64_t to)
{
    if (!peer->busy)
        peer->busy = calloc(1, sizeof(*peer->busy));
    lives->starved |= !peer->busy;
    if (peer->busy && from >= lives->first_time)
        busy_add(peer->busy, from - lives->first_time, to - lives->first_time);
}

void life_used(struct lives *lives, struct life *life, uint64_t time, uint64_t took, uint32_t uses)
{
    if (lives->ended && time > lives->tc)
        return;
    uint64_t began = took < time ? time - took : 0;
    if (began > life->last_use && began - life->last_use > life->quiet)
        life->quiet = began - life->last_use;
    if (time > life->last_use)
        life->last_use = time;
    life->busy += took;
    if (took > 0 && life->peer != LIVES_NONE)
        peer_busy(lives, &lives->peers[life->peer], began, time);
    life->uses += uses;
    life->used_known = true;
    life->sampled = false;
}

/* The calls of this process on a descriptor, as it counts them itself: `calls` in all, the last at `time`. How long it
 * was silent between two of them is known for those that were told one by one; of others it is the most it can be. */
static void life_moved(struct lives *lives, struct life *life, uint64_t time, uint32_t calls)
{
    if (calls <= life->moved)
        return;
    life->moved = calls;
    life->moved_last = time;
    if (!life->parting)
        life_used(lives, life, time, 0, 0);
}

/* What a sample says of the time is off by a kernel tick; where uses are told exactly it is not wanted. */
static void life_sampled(const struct lives *lives, struct life *life, uint64_t time, uint32_t sent)
{
    if (lives->ended && time > lives->tc)
        return;
    if (sent > life->sent)
        life->sent = sent;
    if (life->parting || life->copy || (life->used_known && !life->sampled))
        return;
    if (time > life->last_use)
        life->last_use = time;
    life->used_known = true;
    life->sampled = true;
}

/* ---- descriptors ---- */

struct life *fd_life(struct lives *lives, uint64_t fd)
{
    if (fd >= lives->fd_count || lives->fds[fd] == 0)
        return NULL;
    return &lives->lives[lives->fds[fd] - 1];
}

static int fd_set_life(struct lives *lives, uint64_t fd, const struct life *life)
{
    if (fd >= FD_LIMIT) {
        lives->strange++;
        return 0;
    }
    int result = room_for(&lives->fds, &lives->fd_count, (size_t)fd + 1, sizeof(*lives->fds));
    if (result == 0)
        lives->fds[fd] = life ? (uint32_t)(life - lives->lives) + 1 : 0;
    return result;
}

/* ---- what was open when a running process was attached to ---- */

static int before_add(struct lives *lives, struct life *life, uint64_t endpoint)
{
    life->before = true;
    lives->before.open[life->resource]++;
    if (life->resource != STRAY_CONNECTION)
        return 0;
    int result = peer_find(lives, endpoint, life->server, &life->peer);
    if (result == 0 && life->peer != LIVES_NONE)
        lives->peers[life->peer].before++;
    return result;
}

void before_end(struct lives *lives, const struct life *life)
{
    if (!life->before)
        return;
    lives->before.closed[life->resource]++;
    if (life->resource == STRAY_CONNECTION && life->peer != LIVES_NONE)
        lives->peers[life->peer].before_closed++;
}

/* Its last use was before its birth, which is that of the trace. */
static void before_idle(struct life *life, uint64_t used)
{
    if (life->before && !life->used_known && used < life->last_use)
        life->last_use = used;
}

static int fd_end(struct lives *lives, const struct stray_event *event, enum life_end how)
{
    struct life *life = fd_life(lives, event->handle);
    if (!life) {
        lives->books[event->resource].unknown += how == LIFE_CLOSED;
        return 0;
    }
    lives->fds[event->handle] = 0;
    before_end(lives, life);
    life_end(lives, life, how, event);
    return life_retire(lives, (uint32_t)(life - lives->lives));
}

/* A new life on the descriptor; what was open there ended without a hook seeing it. */
static int fd_add(struct lives *lives, const struct stray_event *event, uint32_t thread,
                  struct life **ret_life)
{
    int result = fd_life(lives, event->handle) ? fd_end(lives, event, LIFE_IMPLICIT) : 0;
    struct life *life;
    if (result == 0)
        result = life_add(lives, event, thread, &life);
    if (result == 0)
        result = fd_set_life(lives, event->handle, life);
    if (result == 0)
        *ret_life = life;
    return result;
}

static int fd_open(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    struct life *life;
    int result = fd_add(lives, event, thread, &life);
    if (result == 0)
        life->pipe = event->hook == STRAY_HOOK_pipe || event->hook == STRAY_HOOK_pipe2;
    if (result == 0 && event->resource == STRAY_CONNECTION) {
        life->server = true;
        result = peer_find(lives, event->value, true, &life->peer);
    }
    return result < 0 ? result : life_count(lives, life, event->stack);
}

static int fd_inherited(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    struct life *life;
    int result = fd_add(lives, event, thread, &life);
    if (result < 0)
        return result;
    life->inherited = true;
    life->server = (event->value & STRAY_ACCEPTED) != 0;
    lives->books[event->resource].inherited++;
    return lives->before.attached ? before_add(lives, life, event->value & ~STRAY_ACCEPTED) : 0;
}

/* A copy has its original's kind and peer, and is an acquire of its own. */
static int fd_dup(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    const struct life *original = fd_life(lives, event->value);
    struct life seed = {.resource = event->resource, .peer = LIVES_NONE};
    if (original)
        seed = *original;
    struct life *life;
    int result = fd_add(lives, event, thread, &life);
    if (result < 0)
        return result;
    life->resource = seed.resource;
    life->peer = seed.peer;
    life->server = seed.server;
    life->copy = true;
    if (life->resource == STRAY_CONNECTION && life->peer == LIVES_NONE)
        result = peer_find(lives, 0, false, &life->peer);
    return result < 0 ? result : life_count(lives, life, event->stack);
}

/* The life moves to the site it now belongs to: it was a socket, or had another peer. */
static int life_recount(struct lives *lives, struct life *life, uint32_t stack)
{
    if (life->site != LIVES_NONE)
        count_retract(lives, &lives->sites[life->site]);
    return life_count(lives, life, stack);
}

/* A descriptor that was open before anything was recorded becomes known by its connect. */
static int fd_of_connect(struct lives *lives, const struct stray_event *event, uint32_t thread,
                         struct life **ret_life)
{
    *ret_life = fd_life(lives, event->handle);
    return *ret_life ? 0 : fd_add(lives, event, thread, ret_life);
}

static int fd_connecting(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    struct life *life = fd_life(lives, event->handle);
    if (!life) {
        lives->books[event->resource].unknown++;
        return 0;
    }
    life->definition = event->value;
    life->connecting_stack = event->stack;
    return 0;
}

static int fd_connected(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    struct life *life;
    int result = fd_of_connect(lives, event, thread, &life);
    if (result < 0 || life->inherited)
        return result;
    uint64_t endpoint = event->value ? event->value : life->definition;
    uint32_t stack = event->stack ? event->stack : life->connecting_stack;
    uint32_t peer;
    result = peer_find(lives, endpoint, false, &peer);
    if (result < 0)
        return result;
    life->definition = 0;
    bool again = life->resource == STRAY_CONNECTION && life->site != LIVES_NONE;
    if (again)
        stack = lives->sites[life->site].stack;
    else if (!stack && life->site != LIVES_NONE)
        stack = lives->sites[life->site].stack;
    life->resource = STRAY_CONNECTION;
    life->peer = peer;
    if (event->time > life->last_use)
        life->last_use = event->time;
    return life_recount(lives, life, stack);
}

static int fd_endpoint(struct lives *lives, const struct stray_event *event)
{
    struct life *life = fd_life(lives, event->handle);
    if (!life || life->inherited || life->resource != STRAY_CONNECTION)
        return 0;
    int result = peer_find(lives, event->value, life->server, &life->peer);
    return result < 0 ? result : life_recount(lives, life, lives->sites[life->site].stack);
}

static void close_wait_sample(struct life *life, uint64_t time, bool waiting)
{
    if (!waiting) {
        life->close_wait = 0;
        return;
    }
    if (life->close_wait++ == 0)
        life->close_wait_first = time;
    life->close_wait_last = time;
}

static uint64_t time_before(const struct lives *lives, uint64_t time, double microseconds)
{
    uint64_t ticks = (uint64_t)(microseconds / 1000.0 * lives->mark_ticks);
    return ticks < time ? time - ticks : 0;
}

static void fd_sample(struct lives *lives, const struct stray_event *event)
{
    struct life *life = fd_life(lives, event->handle);
    if (!life)
        return;
    life->stream = true;
    if (SAMPLE_IDLE(event->value) != IDLE_UNKNOWN) {
        uint64_t used = time_before(lives, event->time, SAMPLE_IDLE(event->value) * 1000.0);
        before_idle(life, used);
        life_sampled(lives, life, used, SAMPLE_USES(event->value));
    }
    unsigned state = SAMPLE_STATE(event->value);
    close_wait_sample(life, event->time, state == TCP_CLOSE_WAIT || (state == TCP_CLOSE && !life->shut));
}

/* A file in use again and again is not forgotten. That it was used once, at its making perhaps (a pipe, an eventfd), says
 * nothing against it, as it would of a connection. */
static void fd_moved(struct lives *lives, const struct stray_event *event)
{
    struct life *life = fd_life(lives, event->handle);
    uint64_t time = time_before(lives, event->time, (double)USED_BEFORE(event->value));
    bool once = event->resource == STRAY_FILE && USED_CALLS(event->value) < FILE_USES;
    if (life && !once)
        life_moved(lives, life, time > life->birth ? time : life->birth, USED_CALLS(event->value));
}

static void fd_used(struct lives *lives, const struct stray_event *event)
{
    struct life *life = fd_life(lives, event->handle);
    if (!life)
        return;
    if (event->action == STRAY_DURATION) {
        life->connect += event->value;
    } else {
        life_used(lives, life, event->time, event->value, 1);
    }
}

int descriptor_event(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    struct life *life;
    switch (event->action) {
    case STRAY_OPEN:
        return fd_open(lives, event, thread);
    case STRAY_DUP:
        return fd_dup(lives, event, thread);
    case STRAY_INHERITED:
        return fd_inherited(lives, event, thread);
    case STRAY_CONNECTING:
        return fd_connecting(lives, event, thread);
    case STRAY_CONNECTED:
        return fd_connected(lives, event, thread);
    case STRAY_ENDPOINT:
        return fd_endpoint(lives, event);
    case STRAY_REFUSED:
        life = fd_life(lives, event->handle);
        if (life)
            life->definition = 0;
        return 0;
    case STRAY_CLOSE:
        life = fd_life(lives, event->handle);
        if (life)
            life->handed_on = life->thread != thread;
        return fd_end(lives, event, LIFE_CLOSED);
    case STRAY_IMPLICIT:
        return fd_end(lives, event, LIFE_IMPLICIT);
    case STRAY_RECONCILED:
        return fd_end(lives, event, LIFE_RECONCILED);
    case STRAY_EXEC_CLOSED:
        return fd_end(lives, event, LIFE_EXEC);
    case STRAY_SAMPLE:
        fd_sample(lives, event);
        return 0;
    case STRAY_USE:
    case STRAY_DURATION:
        fd_used(lives, event);
        return 0;
    case STRAY_USED:
        fd_moved(lives, event);
        return 0;
    case STRAY_SHUTDOWN:
        life = fd_life(lives, event->handle);
        if (life)
            life->shut = true;
        return 0;
    default:
        return 0;
    }
}
