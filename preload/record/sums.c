/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/sums.h"

#include "record/clock.h"
#include "record/file.h"
#include "record/lane.h"
#include "record/spool.h"
#include "stray/hooks.h"
#include "sys.h"

#define LANES   8u   /* at most */
#define FIRST   2u   /* lanes as long as these are enough */
#define SPARSE  8u /* times as many lanes must there be, so that enough are left for threads */
#define SHELVES (2 * LANES)
#define NEAR    24u /* slots, from the one that its hash says, that a sum may stand in */
#define AHEAD   8    /* events */
#define ENOUGH  704u /* sums on a shelf that is worth writing: there is room left for what comes before its turn */
#define ALIKE   6   /* stacks whose ids differ in these bits only share a shelf: small differences are short in the trace */
#define TOLD_IN 4   /* seconds after which a shelf that was begun is written out */
#define OVERDUE 3   /* times as old as a shelf gets if nothing else is to be written */

struct shelf {
    uint64_t since; /* time of the first sum */
    uint32_t held;
};

static struct {
    uint32_t busy;
    bool refused; /* there is no room for lanes */
    unsigned doubled; /* lanes that are wanted, as a power of two, beyond the first */
    unsigned written, held; /* since that changed: shelves written in their time, and what was on them */
    uint64_t lane_count, used; /* used: lanes whose shelves take sums */
    struct stray_lane *lanes[LANES];
    uint64_t next[LANES]; /* number of the next buffer that is begun */
    struct shelf shelves[SHELVES];
} sums;

void sums_forget(void)
{
    __builtin_memset(&sums, 0, sizeof(sums));
}

void sums_renew(void)
{
    sums.busy = 0;
    __builtin_memset(sums.next, 0, sizeof(sums.next));
    __builtin_memset(sums.shelves, 0, sizeof(sums.shelves));
}

uint64_t sums_lane_count(void)
{
    return __atomic_load_n(&sums.lane_count, __ATOMIC_ACQUIRE);
}

static bool enter(void)
{
    return __atomic_exchange_n(&sums.busy, 1, __ATOMIC_ACQUIRE) == 0;
}

static void leave(void)
{
    __atomic_store_n(&sums.busy, 0, __ATOMIC_RELEASE);
}

static struct stray_lane *lane_of(unsigned shelf)
{
    return sums.lanes[shelf / 2];
}

static struct stray_event *slots_of(unsigned shelf)
{
    return lane_of(shelf)->events[shelf % 2];
}

static uint64_t wanted(void)
{
    return FIRST << sums.doubled;
}

/* One at a time: to populate them all would keep the program waiting. */
static void add_lane(void)
{
    struct stray_lane *lane = spool->lanes_capacity >= SPARSE * LANES ? lane_new(0) : NULL;
    sums.lanes[sums.lane_count] = lane;
    sums.refused = !lane;
    if (lane) /* after the lane was counted: whoever subtracts must not find too few */
        __atomic_store_n(&sums.lane_count, sums.lane_count + 1, __ATOMIC_RELEASE);
}

/* Sums that were put on shelves before there were more stay there until these are written. */
static bool have_lanes(void)
{
    if (sums.lane_count < wanted() && !sums.refused)
        add_lane();
    if (sums.lane_count >= wanted())
        __atomic_store_n(&sums.used, wanted(), __ATOMIC_RELAXED);
    return sums.used > 0;
}

/* A number is taken when the first sum comes, so that there are no gaps. */
static void begin(unsigned shelf, uint64_t now)
{
    struct stray_lane *lane = lane_of(shelf);
    lane->buffer[shelf % 2].sequence = sums.next[shelf / 2]++;
    __atomic_store_n(&lane->active, shelf % 2, __ATOMIC_RELEASE);
    __atomic_store_n(&lane->buffer[shelf % 2].used, STRAY_LANE_EVENTS, __ATOMIC_RELEASE);
    sums.shelves[shelf] = (struct shelf){.since = now};
}

static uint64_t hash(uint64_t value)
{
    value *= 0x9e3779b97f4a7c15u;
    return (value ^ value >> 32) * 0x9e3779b97f4a7c15u;
}

static unsigned shelf_of(const struct stray_event *sum)
{
    return (unsigned)((hash(sum->stack >> ALIKE) >> 32) & (2 * sums.used - 1));
}

static bool is_alike(const struct stray_event *a, const struct stray_event *b)
{
    return a->action == STRAY_ELIDED && a->stack == b->stack && a->hook == b->hook && a->resource == b->resource &&
           a->handle >> 56 == b->handle >> 56;
}

static uint64_t number_of(const struct stray_event *sum)
{
    return sum->handle & (~(uint64_t)0 >> 8);
}

static uint64_t first_place(const struct stray_event *sum)
{
    return hash(sum->stack ^ (uint64_t)sum->hook << 32 ^ sum->handle >> 56 << 48) % STRAY_LANE_EVENTS;
}

/* What is on the shelves is seldom in the processor's cache. (A function of its own would have no effect that gcc knows of, and be
 * left out.) */
static inline __attribute__((always_inline)) void fetch(const struct stray_event *event)
{
    if (event->action != STRAY_ELIDED)
        return;
    const struct stray_event *place = &slots_of(shelf_of(event))[first_place(event)];
    __builtin_prefetch(place);
    __builtin_prefetch(place + 2);
}

/* Its place: a sum alike that has room for more, else a free slot; NULL: there is neither nearby. */
static struct stray_event *place_for(unsigned shelf, const struct stray_event *sum)
{
    struct stray_event *slots = slots_of(shelf);
    uint64_t at = first_place(sum);
    for (unsigned i = 0; i < NEAR; i++) {
        struct stray_event *slot = &slots[(at + i) % STRAY_LANE_EVENTS];
        if (slot->action == 0 ||
            (is_alike(slot, sum) && !((slot->value | sum->value) >> 63) && !((number_of(slot) + number_of(sum)) >> 56)))
            return slot;
    }
    return NULL;
}

/* The commit word goes last. */
static void put_down(struct stray_event *slot, const struct stray_event *sum)
{
    uint64_t commit;
    slot->time = sum->time;
    slot->handle = sum->handle;
    slot->value = sum->value;
    __builtin_memcpy(&commit, &sum->stack, sizeof(commit));
    __atomic_store_n((uint64_t *)(void *)&slot->stack, commit, __ATOMIC_RELEASE);
}

static bool put_away(const struct stray_event *sum)
{
    unsigned shelf = shelf_of(sum);
    struct stray_event *slot = place_for(shelf, sum);
    if (!slot)
        return false;
    if (sums.shelves[shelf].held == 0)
        begin(shelf, sum->time);
    if (slot->action == 0) {
        put_down(slot, sum);
        sums.shelves[shelf].held++;
        return true;
    }
    slot->time = sum->time > slot->time ? sum->time : slot->time;
    slot->value += sum->value;
    slot->handle += number_of(sum);
    return true;
}

static bool has_sums(const struct stray_event *events)
{
    const struct stray_event *event = events;
    while (event < events + STRAY_LANE_EVENTS && event->action != STRAY_ELIDED)
        event++;
    return event < events + STRAY_LANE_EVENTS;
}

static unsigned take(struct stray_event *events, unsigned enough, uint64_t *blocks)
{
    const struct stray_event *end = events + STRAY_LANE_EVENTS;
    unsigned taken = 0;
    for (struct stray_event *event = events; event < end && taken < enough; event++) {
        if (end - event > AHEAD)
            fetch(event + AHEAD);
        if (event->action == STRAY_ELIDED && put_away(event)) {
            *blocks += event->resource == STRAY_HEAP ? number_of(event) : 0;
            __atomic_store_n(&event->action, 0, __ATOMIC_RELEASE);
            taken++;
        }
    }
    return taken;
}

/* While a sum moves, a reader may find it twice or not at all: it tells by `moves`. */
unsigned sums_take(struct stray_event *events, unsigned enough, uint64_t *ret_blocks)
{
    unsigned taken = 0;
    *ret_blocks = 0;
    if (!has_sums(events) || !enter())
        return 0;
    if (have_lanes()) {
        __atomic_add_fetch(&spool->moves, 1, __ATOMIC_ACQ_REL);
        taken = take(events, enough, ret_blocks);
        __atomic_add_fetch(&spool->moves, 1, __ATOMIC_ACQ_REL);
    }
    leave();
    return taken;
}

/* The number stays until a sum comes again: there is one less to be missed. */
static void write_out(unsigned shelf)
{
    struct stray_lane *lane = lane_of(shelf);
    struct stray_buffer *buffer = &lane->buffer[shelf % 2];
    if (!file_write_events(lane->number, buffer->sequence, slots_of(shelf), STRAY_LANE_EVENTS))
        file_count_lost(STRAY_LANE_EVENTS);
    __builtin_memset(slots_of(shelf), 0, sizeof(lane->events[0]));
    __atomic_store_n(&buffer->used, 0, __ATOMIC_RELEASE);
    sums.shelves[shelf] = (struct shelf){0};
}

/* How urgent it is to write a shelf out; 0: not. */
static uint64_t urgency(const struct shelf *shelf, uint64_t now, bool in_time)
{
    uint64_t age = shelf->held > 0 && now > shelf->since ? now - shelf->since : 0;
    if (in_time && shelf->held >= ENOUGH)
        return shelf->held;
    return age > TOLD_IN * clock_ticks_per_second * (in_time ? 1 : OVERDUE);
}

static void want(unsigned doubled)
{
    sums.doubled = doubled;
    sums.written = sums.held = 0;
}

/* A shelf that is full before its time would be written less often if there were more of them; where all have had their time and were
 * a third full in the mean, half of them will do. */
static void adapt(const struct shelf *shelf, uint64_t now)
{
    if (sums.used != wanted())
        return;
    if (shelf->held >= ENOUGH && now - shelf->since < TOLD_IN * clock_ticks_per_second) {
        want(wanted() < LANES ? sums.doubled + 1 : sums.doubled);
        return;
    }
    sums.held += shelf->held;
    if (++sums.written < 2 * sums.used)
        return;
    want(sums.doubled > 0 && sums.held < sums.written * (ENOUGH / 3) ? sums.doubled - 1 : sums.doubled);
}

/* The file has its pages: they can be given back, and come again when it is used. */
static void give_back(unsigned shelf)
{
    if (shelf >= 2 * sums.used)
        sys_madvise(slots_of(shelf), sizeof(struct stray_event[STRAY_LANE_EVENTS]), MADV_DONTNEED);
}

bool sums_tell(uint64_t now, bool in_time)
{
    uint64_t most = 0;
    unsigned which = 0;
    if (__atomic_load_n(&sums.used, __ATOMIC_RELAXED) == 0 || !enter())
        return false;
    for (unsigned shelf = 0; shelf < SHELVES; shelf++) {
        uint64_t urgent = urgency(&sums.shelves[shelf], now, in_time);
        which = urgent > most ? shelf : which;
        most = urgent > most ? urgent : most;
    }
    if (most > 0) {
        adapt(&sums.shelves[which], now);
        write_out(which);
        give_back(which);
    }
    leave();
    return most > 0;
}
