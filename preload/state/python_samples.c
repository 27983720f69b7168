/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/python_samples.h"

#include "record/clock.h"
#include "settings.h"

#define MEAN     (1u << 14)
#define MEAN_MAX (1u << 26) /* what one of a byte stands for must fit its event */
#define LOOK     2048u /* samples after which it is looked how long they took: of what a program does at its start most is seen */
#define HASTE    2u    /* a part of a second: if they took less, the next ones are farther apart, */
#define EARLY    (1u << 16) /* samples of which none are farther apart: a script of some seconds is seen as closely as one at leisure */
#define LEISURE  4u    /* ... and if more than so many times as long, nearer again */

uint32_t python_samples_due;
_Alignas(SAMPLES_PAGE) uint8_t python_samples_counts[SAMPLES_COUNTS];
__thread struct samples_line python_samples_line;
__thread uint32_t python_samples_resizes;
uint64_t python_samples_pages[PYTHON_SAMPLES_PAGES / 64];

static _Alignas(SAMPLES_PAGE) uint64_t table[SAMPLES_ROOM][SAMPLES_WAYS];
struct samples python_samples = {.sets = table, .counts = python_samples_counts};

/* Whoever holds the interpreter's lock has this for himself; where interpreters have locks of their own, a count may be missed. */
static struct {
    double mean;    /* at the first level */
    uint64_t since; /* when the samples that are counted began */
    uint32_t count, early; /* early: those that were counted, up to EARLY */
    uint8_t level;         /* how often the mean has been doubled */
} pace = {.mean = MEAN};

static double mean_at(uint8_t level)
{
    return pace.mean * (double)(1u << level);
}

static void look_at_pace(uint64_t now)
{
    uint64_t took = now - pace.since, haste = clock_ticks_per_second / HASTE;
    if (pace.early < EARLY)
        pace.early += pace.count;
    else if (took < haste && mean_at(pace.level) * 2 <= MEAN_MAX)
        pace.level++;
    else if (took > haste * LEISURE && pace.level > 0)
        pace.level--;
    pace.since = now;
    pace.count = 0;
}

static uint64_t weight(size_t size, double mean)
{
    double x = (double)size / mean; /* at most 1/32: four terms of 1 - exp(-x) will do */
    double share = x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4)));
    return (uint64_t)(16 / share + 0.5);
}

/* The point that has hit was drawn by the mean of that time, the next one is by that of now. */
uint64_t python_samples_hit(size_t size)
{
    struct samples_line *line = &python_samples_line;
    uint8_t drawn = line->begun ? line->level : pace.level;
    line->level = pace.level;
    if (!samples_hit(line, size, mean_at(line->level)))
        return 0;
    if (++pace.count >= LOOK)
        look_at_pace(clock_before());
    return weight(size, mean_at(drawn));
}

void python_samples_init(void)
{
    pace.mean = MEAN;
    pace.level = 0;
    pace.count = pace.early = 0;
    pace.since = clock_before();
    if (settings.sample > MEAN)
        pace.mean = settings.sample < MEAN_MAX ? (double)settings.sample : MEAN_MAX;
}

void python_samples_forget(void)
{
    samples_forget(&python_samples);
    samples_line_forget(&python_samples_line);
}
