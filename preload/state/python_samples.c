/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/python_samples.h"

#include "record/clock.h"
#include "record/index.h"
#include "sys.h"
#include "stray/format.h"

#define WAYS  8u         /* addresses of one cache line */
#define SETS  (1u << 18) /* each for so many bytes of address space as have one sample in the mean: 4 GiB together */
#define SPACE 14         /* ... log2 */
#define FULL  UINT8_MAX  /* a count that is no longer one */
_Static_assert(PYTHON_SAMPLES_MEAN == 1 << SPACE, "a set has room for several times the mean");

uint32_t python_samples_due;
_Alignas(STRAY_PAGE) uint8_t python_samples_counts[PYTHON_SAMPLES_COUNTS];
uint64_t python_samples_pages[PYTHON_SAMPLES_PAGES / 64];

/* Aligned to pages, so that a forked child can give them back to the kernel: to write zeros would make all of it resident. */
static _Alignas(STRAY_PAGE) uint64_t table[SETS][WAYS];
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

bool python_samples_drawn(void)
{
    return generator != 0;
}

int64_t python_samples_draw(void)
{
    if (generator == 0)
        generator = index_mix(clock_before(), (uint64_t)(uintptr_t)&generator) | 1;
    return (int64_t)(minus_ln(random_word()) * PYTHON_SAMPLES_MEAN);
}

uint64_t python_samples_weight(size_t size)
{
    double x = (double)size / PYTHON_SAMPLES_MEAN; /* at most 1/32: four terms of 1 - exp(-x) will do */
    double share = x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4)));
    return (uint64_t)(16 / share + 0.5);
}

/* Neighbours have neighbouring sets: pages of the table that no arena belongs to take no memory. */
static uint64_t *set_of(const void *block)
{
    return table[(uintptr_t)block >> SPACE & (SETS - 1)];
}

static uint8_t *count_of(const void *block)
{
    return &python_samples_counts[(uintptr_t)block >> 4 & (PYTHON_SAMPLES_COUNTS - 1)];
}

/* A count that was full once stays so: how many it has missed is not known. */
static void count_change(const void *block, int by)
{
    uint8_t *count = count_of(block), have = __atomic_load_n(count, __ATOMIC_RELAXED);
    while (have != FULL &&
           !__atomic_compare_exchange_n(count, &have, (uint8_t)(have + by), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

bool python_samples_add(const void *block)
{
    uint64_t *set = set_of(block);
    for (unsigned way = 0; way < WAYS; way++) {
        uint64_t none = 0;
        if (!__atomic_compare_exchange_n(&set[way], &none, (uint64_t)(uintptr_t)block, false, __ATOMIC_RELAXED,
                                         __ATOMIC_RELAXED))
            continue;
        count_change(block, 1);
        return true;
    }
    return false;
}

bool python_samples_remove(const void *block)
{
    uint64_t *set = set_of(block);
    for (unsigned way = 0; block && way < WAYS; way++) {
        uint64_t have = (uint64_t)(uintptr_t)block;
        if (!__atomic_compare_exchange_n(&set[way], &have, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            continue;
        count_change(block, -1);
        return true;
    }
    return false;
}

static void forget(void *pages, size_t size)
{
    if (sys_madvise(pages, size, MADV_DONTNEED) != 0)
        __builtin_memset(pages, 0, size);
}

void python_samples_forget(void)
{
    forget(table, sizeof(table));
    forget(python_samples_counts, sizeof(python_samples_counts));
}
