/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/lane.h"

#include <errno.h>

#include "record/clock.h"
#include "record/emit.h"
#include "record/file.h"
#include "record/spool.h"
#include "record/sums.h"
#include "record/young.h"
#include "sys.h"

#define LOOKS_PER_SECOND 20
#define LOOK_SHARE       4  /* looks take no more than this part of the time */
#define SETTLES_IN       5     /* lane_settle() waits no longer than this part of a second */
#define SEEN_IN          20000 /* ... and no less than this: by then what any processor has stored is seen by all */
#define ROUNDS_MAX       100000 /* ... where no clock tells */

static const struct thread *owner_words[SPOOL_LANES_MAX]; /* by lane number: the words of the thread that took it last */

static uint32_t queue; /* for a new lane: one of these */
enum { QUEUE_EMPTY, QUEUE_ONE, QUEUE_MORE };

static uint32_t owners_kept[SPOOL_LANES_MAX]; /* from one trace of this process to the next */

static uint64_t lanes_made(void)
{
    return __atomic_load_n(&spool->lane_count, __ATOMIC_ACQUIRE);
}

static bool owner_is_dead(uint32_t owner)
{
    return sys_tgkill(sys_getpid(), (pid_t)owner, 0) == -ESRCH;
}

/* Takes over the lane of a thread that is no more. Every other call or so looks: the cost of looking is spread over the
 * lanes added since. */
static struct stray_lane *take_dead(uint32_t self)
{
    uint64_t count = lanes_made();
    for (uint64_t i = 0; i < count && i < spool->lanes_capacity; i++) {
        struct stray_lane *lane = spool_lane(i);
        uint32_t owner = __atomic_load_n(&lane->owner, __ATOMIC_ACQUIRE);
        if (owner != 0 && owner_is_dead(owner) &&
            __atomic_compare_exchange_n(&lane->owner, &owner, self, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return lane;
    }
    return NULL;
}

/* Whoever loses the race for a new lane has populated memory for nothing: of five thousand threads that begin at once, each
 * did so again and again. So they queue, with signals blocked. Nothing rests on the queue: who has seen no lane made for a
 * second, because the head was stopped or killed, goes on as if it were the head. */
static void enter_queue(void)
{
    static const struct timespec patience = {.tv_sec = 1};
    uint32_t none = QUEUE_EMPTY;
    if (__atomic_compare_exchange_n(&queue, &none, QUEUE_ONE, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    uint64_t seen = lanes_made(), before = seen;
    int result = 0;
    while (__atomic_exchange_n(&queue, QUEUE_MORE, __ATOMIC_ACQUIRE) != QUEUE_EMPTY &&
           (result == 0 || result == -EAGAIN || seen != before)) {
        before = seen;
        result = sys_futex_wait_for(&queue, QUEUE_MORE, &patience);
        seen = lanes_made();
    }
}

static void leave_queue(void)
{
    if (__atomic_exchange_n(&queue, QUEUE_EMPTY, __ATOMIC_RELEASE) == QUEUE_MORE)
        sys_futex_wake(&queue);
}

void lane_forget(void)
{
    queue = QUEUE_EMPTY;
}

static struct stray_lane *add_lane(uint32_t self)
{
    uint64_t index = __atomic_load_n(&spool->lane_count, __ATOMIC_RELAXED);
    do
        if (index >= spool->lanes_capacity || !spool_reserve(SPOOL_LANES, (index + 1) * sizeof(struct stray_lane)))
            return NULL;
    while (!__atomic_compare_exchange_n(&spool->lane_count, &index, index + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    struct stray_lane *lane = spool_lane(index);
    lane->number = (uint32_t)index;
    lane->buffer[1].sequence = 1;
    __atomic_store_n(&lane->owner, self, __ATOMIC_RELEASE);
    return lane;
}

struct stray_lane *lane_new(uint32_t self)
{
    if (lanes_made() >= spool->lanes_capacity)
        return NULL;
    enter_queue();
    struct stray_lane *lane = add_lane(self);
    leave_queue();
    return lane;
}

/* Looking for dead owners costs a system call a lane, so it is done each time the number of lanes has doubled, and when
 * no new lane can be had. */
static struct stray_lane *take_any(uint32_t self, uint64_t now)
{
    static uint64_t look_at = 4, full_until;
    uint64_t count = lanes_made();
    struct stray_lane *lane = NULL;
    if (count >= __atomic_load_n(&look_at, __ATOMIC_RELAXED)) {
        lane = take_dead(self);
        if (!lane)
            __atomic_store_n(&look_at, 2 * count, __ATOMIC_RELAXED);
    }
    if (!lane)
        lane = lane_new(self);
    if (lane || now < __atomic_load_n(&full_until, __ATOMIC_RELAXED))
        return lane;
    uint64_t begin = clock_before();
    lane = take_dead(self);
    if (!lane) { /* for all threads that have none, by what the look has cost: lanes may be free again soon */
        uint64_t most = clock_ticks_per_second / LOOKS_PER_SECOND, pause = (clock_before() - begin) * LOOK_SHARE;
        __atomic_store_n(&full_until, now + (pause < most ? pause : most), __ATOMIC_RELAXED);
    }
    return lane;
}

/* To look for a lane costs system calls. Where there is none, a thread does not look again for a while. */
struct stray_lane *lane_take(uint64_t now)
{
    if (now < thread_self.lane_after)
        return NULL;
    uint64_t mask = sys_no_signals();
    uint32_t self = (uint32_t)sys_gettid();
    struct stray_lane *lane = take_any(self, now);
    thread_self.lane = lane;
    thread_self.lane_after = now + clock_ticks_per_second / LOOKS_PER_SECOND;
    if (lane) {
        __atomic_store_n(&owner_words[lane->number], &thread_self, __ATOMIC_SEQ_CST); /* before the gate is read again */
        emit_system(STRAY_OWNER, self, 0);
    }
    sys_signals(mask);
    return lane;
}

static bool write_buffer(const struct stray_lane *lane, unsigned which)
{
    const struct stray_buffer *buffer = &lane->buffer[which];
    return file_write_events(lane->number, buffer->sequence, lane->events[which], STRAY_LANE_EVENTS);
}

/* All smaller ones are in the file or in the other buffer. */
static uint64_t next_number(const struct stray_lane *lane)
{
    const struct stray_buffer *buffer = lane->buffer;
    return (buffer[0].sequence > buffer[1].sequence ? buffer[0].sequence : buffer[1].sequence) + 1;
}

/* Once the frame is in the file; a kill in between leaves both, and the reader takes the fuller one. */
static void clear_buffer(struct stray_lane *lane, unsigned which)
{
    __builtin_memset(lane->events[which], 0, sizeof(lane->events[which]));
    __atomic_thread_fence(__ATOMIC_RELEASE);
    lane->buffer[which].sequence = next_number(lane);
    __atomic_store_n(&lane->buffer[which].used, 0, __ATOMIC_RELEASE);
}

/* What the file does not take is lost, for the slots are needed. */
static void flush_buffer(struct stray_lane *lane, unsigned which)
{
    if (!write_buffer(lane, which))
        file_count_lost(STRAY_LANE_EVENTS);
    clear_buffer(lane, which);
}

/* What else there is to write goes out when the buffers need not, so that no call takes much longer than the others. */
static void write_more(uint64_t now, bool in_time)
{
    if (!sums_tell(now, in_time))
        file_write_some_tables(now, in_time);
}

/* Work is told when it was done: the sums themselves come later. */
static void tell_work(uint64_t blocks, uint64_t now)
{
    struct stray_event event = {now, 0, blocks, 0, STRAY_HOOK_NONE, STRAY_WORK, STRAY_RESOURCE_NONE};
    struct stray_event *slot = blocks > 0 ? young_slot(thread_self.young) : NULL;
    if (slot)
        young_store(slot, &event);
}

/* No signal handler may jump out of a flush, and leave it half done, or put its frame below ours on a small stack. */
void lane_make_room(struct stray_lane *lane)
{
    uint64_t mask = sys_no_signals();
    unsigned other = (lane->active & 1) ^ 1;
    thread_self.flags |= THREAD_FLUSHING;
    uint64_t blocks;
    bool as_it_is = young_reopen(&blocks);
    if (!as_it_is && lane->buffer[other].used > 0)
        flush_buffer(lane, other);
    __atomic_store_n(&lane->active, other, __ATOMIC_RELEASE);
    uint64_t now = clock_before();
    tell_work(blocks, now);
    write_more(now, as_it_is);
    thread_self.flags &= ~(uint32_t)THREAD_FLUSHING;
    sys_signals(mask);
}

/* A buffer that its own thread may be writing is encoded from a copy, which does not change underway. */
static bool write_copy(const struct stray_lane *lane, unsigned which)
{
    size_t size = sizeof(lane->events[which]);
    struct stray_event *copy = sys_memory(size);
    if (!copy)
        return false;
    __builtin_memcpy(copy, lane->events[which], size);
    bool written = file_write_events(lane->number, lane->buffer[which].sequence, copy, STRAY_LANE_EVENTS);
    sys_munmap(copy, size);
    return written;
}

/* The words of a thread that has gone may be anything by now, or nothing. */
static bool is_at_work(const struct stray_lane *lane, uint32_t wanted)
{
    const struct thread *words = __atomic_load_n(&owner_words[lane->number], __ATOMIC_ACQUIRE);
    uint32_t owner = __atomic_load_n(&lane->owner, __ATOMIC_ACQUIRE), flags = wanted;
    if (words && sys_peek(&flags, &words->flags, sizeof(flags)) != (ssize_t)sizeof(flags))
        return false;
    return flags & wanted && owner != 0 && !owner_is_dead(owner);
}

static bool any_is_at_work(uint32_t flags)
{
    uint64_t count = lanes_made();
    for (uint64_t i = 0; i < count && i < spool->lanes_capacity; i++)
        if (spool_lane(i) != thread_self.lane && is_at_work(spool_lane(i), flags))
            return true;
    return false;
}

uint64_t lane_threads(void)
{
    uint64_t shelves = sums_lane_count();
    return lanes_made() - shelves;
}

bool lane_settle(void)
{
    if (lane_threads() <= (thread_self.lane ? 1 : 0))
        return true;
    uint64_t begin = clock_before(), passed = 0;
    bool busy = true;
    for (unsigned i = 0; i < ROUNDS_MAX && (passed < clock_ticks_per_second / SEEN_IN ||
                                            (busy && passed < clock_ticks_per_second / SETTLES_IN)); i++) {
        sys_yield();
        passed = clock_before() - begin;
        busy = any_is_at_work(THREAD_EMITTING);
    }
    return !busy;
}

bool lane_all_idle(void)
{
    return !any_is_at_work(THREAD_EMITTING | THREAD_UNWINDING | THREAD_FLUSHING);
}

void lane_keep_owners(void)
{
    for (uint64_t i = 0; i < spool->lane_count && i < SPOOL_LANES_MAX; i++)
        owners_kept[i] = spool_lane(i)->owner;
}

void lane_owners_forked(uint32_t thread)
{
    for (unsigned i = 0; i < SPOOL_LANES_MAX; i++)
        if (owners_kept[i] != 0)
            owners_kept[i] = thread;
}

/* As lane_new() and lane_take() make it. */
static void renew(struct stray_lane *lane, uint32_t number, uint32_t owner)
{
    lane->number = number;
    lane->owner = owner;
    lane->buffer[1].sequence = 1;
    if (owner == 0)
        return;
    lane->events[0][0] = (struct stray_event){.time = clock_before(), .handle = owner, .action = STRAY_OWNER};
    lane->buffer[0].used = 1;
}

void lane_renew_all(void)
{
    for (uint64_t i = 0; i < spool->lane_count && i < SPOOL_LANES_MAX; i++)
        renew(spool_lane(i), (uint32_t)i, owners_kept[i]);
}

static bool flush_lane(const struct stray_lane *lane)
{
    unsigned older = lane->buffer[0].sequence < lane->buffer[1].sequence ? 0 : 1;
    bool written = true;
    for (unsigned i = 0; i < 2; i++)
        if (lane->buffer[older ^ i].used > 0)
            written = write_copy(lane, older ^ i) && written;
    return written;
}

bool lane_flush_all(void)
{
    uint64_t mask = sys_no_signals();
    uint32_t outer = thread_self.flags;
    thread_self.flags = outer | THREAD_FLUSHING;
    bool written = true;
    uint64_t count = lanes_made();
    for (uint64_t i = 0; i < count && i < spool->lanes_capacity; i++)
        if (!thread_self.lane || i != thread_self.lane->number)
            written = flush_lane(spool_lane(i)) && written;
    written = file_complete_tables() && written;
    if (thread_self.lane) /* last: whoever finds the last words knows that all is there */
        written = flush_lane(thread_self.lane) && written;
    thread_self.flags = outer;
    sys_signals(mask);
    return written;
}
