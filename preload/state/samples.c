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

bool samples_hit(struct samples_line *line, uint64_t size, double mean)
{
    if (!line->begun) {
        line->begun = true;
        line->left = draw(mean) - (int64_t)size;
        if (line->left >= 0)
            return false;
    }
    line->left = draw(mean);
    return true;
}

void samples_line_forget(struct samples_line *line)
{
    *line = (struct samples_line){0};
    generator = 0;
}

static uint64_t *set_of(const struct samples *samples, const void *block)
{
    return samples->sets[(uintptr_t)block >> samples->shift & (samples->set_count - 1)];
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

/* Puts `to` where `from` stands. False: it stands nowhere. */
static bool exchange(const struct samples *samples, const void *block, uint64_t from, uint64_t to)
{
    uint64_t *set = samples->sets ? set_of(samples, block) : NULL;
    for (unsigned way = 0; set && way < SAMPLES_WAYS; way++) {
        uint64_t have = from;
        if (__atomic_compare_exchange_n(&set[way], &have, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

/* One whose release nobody saw may still be there under this address. */
void samples_add(const struct samples *samples, const void *block)
{
    uint64_t address = (uint64_t)(uintptr_t)block;
    if (samples_may_have(samples->counts, block) && exchange(samples, block, address, address))
        return;
    if (exchange(samples, block, 0, address))
        count_change(samples, block, 1);
    else
        count_fill(samples, block);
}

bool samples_has(const struct samples *samples, const void *block)
{
    uint64_t address = (uint64_t)(uintptr_t)block;
    return block && exchange(samples, block, address, address);
}

enum samples_found samples_remove(const struct samples *samples, const void *block)
{
    if (block && exchange(samples, block, (uint64_t)(uintptr_t)block, 0)) {
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

void samples_forget(const struct samples *samples)
{
    if (samples->sets)
        forget_pages(samples->sets, samples->set_count * sizeof(*samples->sets));
    forget_pages(samples->counts, SAMPLES_COUNTS);
}
