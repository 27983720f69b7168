/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/ahead.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "read/stream.h"

#define FRAMES      64              /* that may wait to be taken */
#define EVENTS      (FRAMES * 2048) /* ... and events, where frames are large; one frame may always wait */
#define FRAMES_MIN  64              /* fewer in the whole trace are not worth a thread */
#define WORKERS_MAX 4               /* more would only wait for who takes the frames */

/* A frame that was begun and not yet taken. */
struct slot {
    struct frame_info frame;
    struct stray_event *events;
    int result;
    bool done;
};

struct worker {
    pthread_t thread;
    struct ahead *ahead;
    struct unpacker unpacker;
};

struct ahead {
    const struct trace *trace;
    pthread_mutex_t lock; /* guards what follows, down to `stop` */
    pthread_cond_t room, done;
    struct stream stream;
    bool ended;                /* the stream has, */
    int failure;               /* ... by this error or 0 */
    struct slot slots[FRAMES]; /* frame i at i % FRAMES */
    size_t begun, taken;       /* frames */
    uint64_t waiting;          /* events of the frames between the two */
    struct stray_event *spare[FRAMES]; /* each has room for a lane's buffer */
    size_t spare_count;
    bool stop;
    struct worker workers[WORKERS_MAX];
    size_t worker_count;
};

static unsigned processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more than such a set holds */
    return online > 0 ? (unsigned)online : 1;
}

static bool may_begin(const struct ahead *ahead)
{
    size_t frames = ahead->begun - ahead->taken;
    return frames == 0 || (frames < FRAMES && ahead->waiting < EVENTS);
}

/* Claims the next frame as soon as there is room for it. NULL: there is nothing left to do. Holds the lock. */
static struct slot *claim(struct ahead *ahead)
{
    while (!ahead->stop && !ahead->ended && !may_begin(ahead))
        pthread_cond_wait(&ahead->room, &ahead->lock);
    if (ahead->stop || ahead->ended)
        return NULL;
    struct slot *slot = &ahead->slots[ahead->begun % FRAMES];
    int result = stream_next(&ahead->stream, &slot->frame);
    if (result <= 0) {
        ahead->ended = true;
        ahead->failure = result;
        pthread_cond_signal(&ahead->done);
        pthread_cond_broadcast(&ahead->room);
        return NULL;
    }
    ahead->begun++;
    ahead->waiting += slot->frame.count;
    slot->done = false;
    return slot;
}

/* Memory that goes back and forth between threads by malloc() would be given to the kernel and taken from it each time.
 * Holds the lock. */
static struct stray_event *take_spare(struct ahead *ahead, uint32_t count)
{
    return count <= STRAY_LANE_EVENTS && ahead->spare_count > 0 ? ahead->spare[--ahead->spare_count] : NULL;
}

static struct stray_event *room_for_frame(struct stray_event *spare, uint32_t count)
{
    return spare ? spare : malloc((count > STRAY_LANE_EVENTS ? count : STRAY_LANE_EVENTS) * sizeof(*spare));
}

static void decode(struct worker *worker, struct slot *slot)
{
    slot->events = room_for_frame(slot->events, slot->frame.count);
    slot->result = slot->events ? frame_decode(worker->ahead->trace, &slot->frame, &worker->unpacker, slot->events) : -ENOMEM;
}

static void *work(void *data)
{
    struct worker *worker = data;
    struct ahead *ahead = worker->ahead;
    struct slot *slot;
    pthread_mutex_lock(&ahead->lock);
    while ((slot = claim(ahead))) {
        slot->events = take_spare(ahead, slot->frame.count);
        pthread_mutex_unlock(&ahead->lock);
        decode(worker, slot);
        pthread_mutex_lock(&ahead->lock);
        slot->done = true;
        pthread_cond_signal(&ahead->done);
    }
    pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

static void start_workers(struct ahead *ahead, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct worker *worker = &ahead->workers[ahead->worker_count];
        worker->ahead = ahead;
        if (pthread_create(&worker->thread, NULL, work, worker) == 0)
            ahead->worker_count++;
    }
}

struct ahead *ahead_open(const struct trace *trace)
{
    unsigned count = processors();
    if (count < 2 || trace->index.ordinals < FRAMES_MIN)
        return NULL;
    struct ahead *ahead = calloc(1, sizeof(*ahead));
    if (!ahead)
        return NULL;
    ahead->trace = trace;
    stream_open(&ahead->stream, trace);
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->room, NULL);
    pthread_cond_init(&ahead->done, NULL);
    start_workers(ahead, count < WORKERS_MAX ? count : WORKERS_MAX);
    if (ahead->worker_count > 0)
        return ahead;
    ahead_close(ahead);
    return NULL;
}

int ahead_peek(struct ahead *ahead, struct frame_info *ret_frame)
{
    pthread_mutex_lock(&ahead->lock);
    while (ahead->begun == ahead->taken && !ahead->ended)
        pthread_cond_wait(&ahead->done, &ahead->lock);
    int result = ahead->begun > ahead->taken ? 1 : ahead->failure;
    if (result > 0)
        *ret_frame = ahead->slots[ahead->taken % FRAMES].frame;
    pthread_mutex_unlock(&ahead->lock);
    return result;
}

int ahead_take(struct ahead *ahead, struct stray_event **ret_events)
{
    struct slot *slot = &ahead->slots[ahead->taken % FRAMES];
    pthread_mutex_lock(&ahead->lock);
    while (!slot->done)
        pthread_cond_wait(&ahead->done, &ahead->lock);
    struct slot found = *slot;
    *slot = (struct slot){0};
    ahead->taken++;
    ahead->waiting -= found.frame.count;
    if (ahead->begun - ahead->taken <= FRAMES / 2 && ahead->waiting <= EVENTS / 2) /* not for each single frame */
        pthread_cond_broadcast(&ahead->room);
    pthread_mutex_unlock(&ahead->lock);
    if (found.result == 0)
        *ret_events = found.events;
    else
        free(found.events);
    return found.result;
}

void ahead_give_back(struct ahead *ahead, uint32_t count, struct stray_event *events)
{
    bool keep = count <= STRAY_LANE_EVENTS;
    pthread_mutex_lock(&ahead->lock);
    keep = keep && ahead->spare_count < FRAMES;
    if (keep)
        ahead->spare[ahead->spare_count++] = events;
    pthread_mutex_unlock(&ahead->lock);
    if (!keep)
        free(events);
}

void ahead_close(struct ahead *ahead)
{
    if (!ahead)
        return;
    pthread_mutex_lock(&ahead->lock);
    ahead->stop = true;
    pthread_cond_broadcast(&ahead->room);
    pthread_mutex_unlock(&ahead->lock);
    for (size_t i = 0; i < ahead->worker_count; i++) {
        pthread_join(ahead->workers[i].thread, NULL);
        unpacker_clear(&ahead->workers[i].unpacker);
    }
    for (size_t i = 0; i < FRAMES; i++)
        free(ahead->slots[i].events);
    for (size_t i = 0; i < ahead->spare_count; i++)
        free(ahead->spare[i]);
    stream_close(&ahead->stream);
    pthread_mutex_destroy(&ahead->lock);
    pthread_cond_destroy(&ahead->room);
    pthread_cond_destroy(&ahead->done);
    free(ahead);
}
