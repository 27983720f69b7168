/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/ahead.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAMES      64              /* that may wait to be taken */
#define EVENTS      (FRAMES * 2048) /* ... and events, where frames are large; one frame may always wait */
#define FRAMES_MIN  64              /* fewer in the whole trace are not worth a thread */
#define WORKERS_MAX 4               /* more would only wait for who takes the frames */

/* A frame that was begun and not yet taken. */
struct slot {
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

/* Claims the next frame as soon as there is room for it. False: there is nothing left to do. Holds the lock. */
static bool claim(struct ahead *ahead, size_t *ret_frame)
{
    while (!ahead->stop && ahead->begun < ahead->trace->frame_count && !may_begin(ahead))
        pthread_cond_wait(&ahead->room, &ahead->lock);
    if (ahead->stop || ahead->begun == ahead->trace->frame_count)
        return false;
    *ret_frame = ahead->begun++;
    ahead->waiting += ahead->trace->frames[*ret_frame].count;
    ahead->slots[*ret_frame % FRAMES].done = false;
    return true;
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

static struct slot decode(struct worker *worker, size_t frame, struct stray_event *spare)
{
    const struct trace *trace = worker->ahead->trace;
    struct slot slot = {.done = true, .result = -ENOMEM};
    slot.events = room_for_frame(spare, trace->frames[frame].count);
    if (slot.events)
        slot.result = frame_decode(trace, frame, &worker->unpacker, slot.events);
    return slot;
}

static void *work(void *data)
{
    struct worker *worker = data;
    struct ahead *ahead = worker->ahead;
    size_t frame;
    pthread_mutex_lock(&ahead->lock);
    while (claim(ahead, &frame)) {
        struct stray_event *spare = take_spare(ahead, ahead->trace->frames[frame].count);
        pthread_mutex_unlock(&ahead->lock);
        struct slot slot = decode(worker, frame, spare);
        pthread_mutex_lock(&ahead->lock);
        ahead->slots[frame % FRAMES] = slot;
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
    if (count < 2 || trace->frame_count < FRAMES_MIN)
        return NULL;
    struct ahead *ahead = calloc(1, sizeof(*ahead));
    if (!ahead)
        return NULL;
    ahead->trace = trace;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->room, NULL);
    pthread_cond_init(&ahead->done, NULL);
    start_workers(ahead, count < WORKERS_MAX ? count : WORKERS_MAX);
    if (ahead->worker_count > 0)
        return ahead;
    ahead_close(ahead);
    return NULL;
}

int ahead_take(struct ahead *ahead, struct stray_event **ret_events)
{
    pthread_mutex_lock(&ahead->lock);
    size_t frame = ahead->taken;
    struct slot *slot = &ahead->slots[frame % FRAMES];
    while (frame == ahead->begun || !slot->done)
        pthread_cond_wait(&ahead->done, &ahead->lock);
    struct slot found = *slot;
    *slot = (struct slot){0};
    ahead->taken++;
    ahead->waiting -= ahead->trace->frames[frame].count;
    if (ahead->begun - ahead->taken <= FRAMES / 2 && ahead->waiting <= EVENTS / 2) /* not for each single frame */
        pthread_cond_broadcast(&ahead->room);
    pthread_mutex_unlock(&ahead->lock);
    if (found.result == 0)
        *ret_events = found.events;
    else
        free(found.events);
    return found.result;
}

void ahead_give_back(struct ahead *ahead, size_t frame, struct stray_event *events)
{
    bool keep = ahead->trace->frames[frame].count <= STRAY_LANE_EVENTS;
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
    pthread_mutex_destroy(&ahead->lock);
    pthread_cond_destroy(&ahead->room);
    pthread_cond_destroy(&ahead->done);
    free(ahead);
}
