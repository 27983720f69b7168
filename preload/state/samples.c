/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/samples.h"

#include "record/clock.h"
#include "record/index.h"
#include "sys.h"

#define FULL UINT8_MAX /* a count that is no longer one */

static __thread uint64_t generator; /* 0: not seeded */

/* xorshift64*, Vigna 2016. */
static uint64_t random_word(void)
{
    generator ^= generator >> 12;
    generator ^= generator << 25;
    generator ^= generator >> 27;
    return generator * 0x2545f4914f6cdd1du;
}

/* -ln(word / 2^64): the power of two by its leading zeros, the rest, in [1, 2), by the series of artanh. */
static double minus_ln(uint64_t word)
{
    int zeros = __builtin_clzll(word | 1);
    double rest = (double)(word << zeros >> 11) * 0x1p-52, z = (rest - 1) / (rest + 1), square = z * z;
    double ln = 2 * z * (1 + square * (1 / 3.0 + square * (1 / 5.0 + square * (1 / 7.0 + square * (1 / 9.0 + square / 11)))));
    return (zeros + 1) * 0.69314718055994531 - ln;
}

static int64_t draw(double mean)
{
    if (generator == 0)
        generator = index_mix(clock_before(), (uint64_t)(uintptr_t)&generator ^ (uint64_t)sys_getpid() << 48) | 1;
    return (int64_t)(minus_ln(random_word()) * mean);
}

/* The next point is `distance` away. What lies beyond a stretch without one is drawn again when it is reached, which is the same by
 * law, and by the mean of that time: nobody tells the threads of a process that the next trace has another one. */
static void set_next(struct samples_line *line, int64_t distance)
{
    line->bare = distance >= SAMPLES_STRETCH;
    line->left = line->bare ? SAMPLES_STRETCH : distance;
}

bool samples_hit(struct samples_line *line, uint64_t size, double mean)
{
    if (!line->begun) {
        line->begun = line->bare = true;
        line->left = -(int64_t)size;
    }
    int64_t beyond = -line->left; /* bytes of the block behind the point, or behind the stretch that had none */
    int64_t distance = line->bare ? draw(mean) : -1;
    bool hit = distance < beyond;
    set_next(line, hit ? draw(mean) : distance - beyond);
    return hit;
}

void samples_line_forget(struct samples_line *line)
{
    *line = (struct samples_line){0};
    generator = 0;
}

#define LEVEL_BITS(level) (9 + 2 * (level))
_Static_assert(SAMPLES_SETS == 1u << LEVEL_BITS(0), "of the first table");

/* By all of the address: small blocks lie close together. */
static uint64_t *set_of(const struct samples *samples, uint32_t level, uint64_t address)
{
    uint64_t before = (((uint64_t)1 << LEVEL_BITS(level)) - SAMPLES_SETS) / 3;
    return samples->sets[before + (address * 0x9e3779b97f4a7c15u >> (64 - LEVEL_BITS(level)))];
}

/* A count that was full once stays so: how many it has missed is not known. */
static void count_change(const struct samples *samples, const void *block, int by)
{
    uint8_t *count = &samples->counts[samples_place(block)], have = __atomic_load_n(count, __ATOMIC_RELAXED);
    while (have != FULL &&
           !__atomic_compare_exchange_n(count, &have, (uint8_t)(have + by), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static void count_fill(const struct samples *samples, const void *block)
{
    __atomic_store_n(&samples->counts[samples_place(block)], FULL, __ATOMIC_RELAXED);
}

/* Puts `to` where `from` stands in the set that `address` has in the table of that level. False: it stands nowhere. */
static bool exchange(const struct samples *samples, uint32_t level, uint64_t address, uint64_t from, uint64_t to)
{
    uint64_t *set = set_of(samples, level, address);
    for (unsigned way = 0; way < SAMPLES_WAYS; way++) {
        uint64_t have = from;
        if (__atomic_load_n(&set[way], __ATOMIC_RELAXED) == from &&
            __atomic_compare_exchange_n(&set[way], &have, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

/* Puts `to` where the address stands, in whichever table. */
static bool find(const struct samples *samples, uint64_t address, uint64_t to)
{
    uint32_t deepest = __atomic_load_n(&samples->deepest, __ATOMIC_RELAXED);
    for (uint32_t level = 0; samples->sets && level <= deepest; level++)
        if (exchange(samples, level, address, address, to))
            return true;
    return false;
}

static void deepen(struct samples *samples, uint32_t level)
{
    uint32_t have = __atomic_load_n(&samples->deepest, __ATOMIC_RELAXED);
    while (have < level && !__atomic_compare_exchange_n(&samples->deepest, &have, level, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static bool enter(struct samples *samples, uint64_t address)
{
    for (uint32_t level = 0; samples->sets && level < SAMPLES_LEVELS; level++) {
        deepen(samples, level);
        if (exchange(samples, level, address, 0, address))
            return true;
    }
    return false;
}

/* One whose release nobody saw may still be there under this address. */
void samples_add(struct samples *samples, const void *block)
{
    uint64_t address = (uint64_t)(uintptr_t)block;
    if (samples_may_have(samples->counts, block) && find(samples, address, address))
        return;
    if (enter(samples, address))
        count_change(samples, block, 1);
    else
        count_fill(samples, block);
}

bool samples_has(struct samples *samples, const void *block)
{
    uint64_t address = (uint64_t)(uintptr_t)block;
    return block && find(samples, address, address);
}

enum samples_found samples_remove(struct samples *samples, const void *block)
{
    if (block && find(samples, (uint64_t)(uintptr_t)block, 0)) {
        count_change(samples, block, -1);
        return SAMPLES_ONE;
    }
    return samples->counts[samples_place(block)] == FULL ? SAMPLES_PERHAPS : SAMPLES_NONE;
}

/* The kernel hands out pages of zeros, where they are touched again. */
static void forget_pages(void *pages, size_t size)
{
    if (sys_madvise(pages, size, MADV_DONTNEED) != 0)
        __builtin_memset(pages, 0, size);
}

void samples_forget(struct samples *samples)
{
    if (samples->sets)
        forget_pages(samples->sets, SAMPLES_ROOM * sizeof(*samples->sets));
    forget_pages(samples->counts, SAMPLES_COUNTS);
    samples->deepest = 0;
}
