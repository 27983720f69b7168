/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verdicts/judge.h"

#define SECOND 1e9
#define BUFFER 1000 /* events, as in a lane */

/* ---- chance ---- */

static uint64_t next_random(struct sim *sim)
{
    sim->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = sim->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double sim_uniform(struct sim *sim)
{
    return (double)(next_random(sim) >> 11) / 9007199254740992.0;
}

uint64_t sim_below(struct sim *sim, uint64_t limit)
{
    return (uint64_t)(sim_uniform(sim) * (double)limit);
}

double sim_exponential(struct sim *sim, double mean)
{
    return -mean * log(1 - sim_uniform(sim));
}

double sim_progress(const struct sim *sim)
{
    return (double)sim->step / sim->world.steps;
}

/* ---- events ---- */

static void feed_at(struct sim *sim, uint64_t time, unsigned action, unsigned resource, uint64_t handle,
                    uint64_t value, uint32_t stack)
{
    struct stray_event event = {.time = time,
                                .handle = handle,
                                .value = value,
                                .stack = stack,
                                .action = (uint8_t)action,
                                .resource = (uint8_t)resource};
    if (lives_feed(sim->lives, &event, 0, 1, sim->flushed) < 0)
        abort();
}

/* Events come in the order of time, so this must be before anything later is fed: sums are moved to the end
 * of their buffer, where most of them have their last release anyway. */
static void flush(struct sim *sim)
{
    for (unsigned i = 0; i < sim->sum_count; i++) {
        const struct sum *sum = &sim->sums[i];
        feed_at(sim, sim->now, STRAY_ELIDED, STRAY_HEAP, sum->count | sum->octave << 56,
                sum->count * sim->world.size, sum->stack);
    }
    sim->sum_count = sim->buffered = 0;
    sim->flushed = sim->now;
}

static void feed(struct sim *sim, unsigned action, unsigned resource, uint64_t handle, uint64_t value,
                 uint32_t stack)
{
    feed_at(sim, sim->now, action, resource, handle, value, stack);
    sim->now += 100;
    if (++sim->buffered >= BUFFER)
        flush(sim);
}

/* ---- samples ---- */

#define UNSEEN 1 /* in the handle of a block that is no sample */

/* Whether a block of `size` is a sample. */
static bool is_hit(struct sim *sim, uint64_t size)
{
    return sim->world.mean == 0 || sim_uniform(sim) < -expm1(-(double)size / sim->world.mean);
}

static uint64_t new_handle(struct sim *sim, uint64_t size)
{
    return (sim->next_handle += 16) | (is_hit(sim, size) ? 0 : UNSEEN);
}

static void tell(struct sim *sim, unsigned action, uint64_t handle, uint64_t value, uint32_t stack)
{
    if (!(handle & UNSEEN))
        feed(sim, action, STRAY_HEAP, handle, value, stack);
}

static uint64_t born_at(struct sim *sim, uint32_t stack, uint64_t size)
{
    uint64_t handle = new_handle(sim, size);
    tell(sim, STRAY_OPEN, handle, size, stack);
    return handle;
}

uint64_t sim_born(struct sim *sim)
{
    return born_at(sim, SITE, sim->world.size);
}

uint64_t sim_born_large(struct sim *sim, uint64_t size)
{
    return born_at(sim, SITE, size);
}

void sim_dies(struct sim *sim, uint64_t handle)
{
    tell(sim, STRAY_CLOSE, handle, 0, 0);
}

/* Samples are not told in sum. */
static void brief_samples(struct sim *sim, uint32_t stack, uint64_t octave, uint64_t count)
{
    while (count-- > 0)
        sim_dies_in(sim, born_at(sim, stack, sim->world.size), exp2((double)octave + 0.5) / SECOND);
}

void sim_brief(struct sim *sim, uint32_t stack, uint64_t count)
{
    uint64_t octave = 12 + sim_below(sim, 8); /* 4 microseconds to 1 ms */
    unsigned at = 0;
    if (count == 0)
        return;
    if (sim->world.mean > 0) {
        brief_samples(sim, stack, octave, count);
        return;
    }
    while (at < sim->sum_count && (sim->sums[at].stack != stack || sim->sums[at].octave != octave))
        at++;
    if (at == sim->sum_count) {
        sim->sums[sim->sum_count++] = (struct sum){.stack = stack, .octave = octave};
        sim->buffered++;
    }
    sim->sums[at].count += count;
}

void sim_container(struct sim *sim, uint64_t size)
{
    uint64_t from = sim->container;
    if (from && size == sim->container_size)
        return;
    sim->container = new_handle(sim, size);
    sim->container_size = size;
    if (from && !(from & UNSEEN) && !(sim->container & UNSEEN)) {
        tell(sim, STRAY_MOVE_FROM, from, 0, 0);
        tell(sim, STRAY_MOVE_TO, sim->container, size, 0);
        return;
    }
    if (from)
        tell(sim, STRAY_LEFT, from, 0, 0);
    tell(sim, STRAY_OPEN, sim->container, size, SITE);
}

static void *room(void *items, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return items;
    *room = *room ? 2 * *room : 1024;
    void *moved = reallocarray(items, *room, size);
    if (!moved)
        abort();
    return moved;
}

/* ---- deaths to come ---- */

static void swap(struct death *a, struct death *b)
{
    struct death kept = *a;
    *a = *b;
    *b = kept;
}

void sim_dies_in(struct sim *sim, uint64_t handle, double seconds)
{
    sim->deaths = room(sim->deaths, &sim->death_room, sim->death_count, sizeof(*sim->deaths));
    size_t at = sim->death_count++;
    sim->deaths[at] = (struct death){sim->now + (uint64_t)(seconds * SECOND), handle};
    for (; at > 0 && sim->deaths[at].time < sim->deaths[(at - 1) / 2].time; at = (at - 1) / 2)
        swap(&sim->deaths[at], &sim->deaths[(at - 1) / 2]);
}

static struct death soonest(struct sim *sim)
{
    struct death first = sim->deaths[0];
    sim->deaths[0] = sim->deaths[--sim->death_count];
    for (size_t at = 0, child; (child = 2 * at + 1) < sim->death_count; at = child) {
        if (child + 1 < sim->death_count && sim->deaths[child + 1].time < sim->deaths[child].time)
            child++;
        if (sim->deaths[at].time <= sim->deaths[child].time)
            break;
        swap(&sim->deaths[at], &sim->deaths[child]);
    }
    return first;
}

static void come_to(struct sim *sim, uint64_t time)
{
    while (sim->death_count > 0 && sim->deaths[0].time <= time) {
        struct death death = soonest(sim);
        if (death.time > sim->now)
            sim->now = death.time;
        sim_dies(sim, death.handle);
    }
    if (time > sim->now)
        sim->now = time;
}

/* ---- what scenarios keep ---- */

void sim_keep(struct sim *sim, uint64_t handle)
{
    sim->kept = room(sim->kept, &sim->kept_room, sim->kept_count, sizeof(*sim->kept));
    sim->kept[sim->kept_count++] = handle;
}

size_t sim_kept(const struct sim *sim)
{
    return sim->kept_count - sim->kept_first;
}

uint64_t sim_take_oldest(struct sim *sim)
{
    return sim->kept[sim->kept_first++];
}

uint64_t sim_take_any(struct sim *sim)
{
    size_t at = sim->kept_first + sim_below(sim, sim_kept(sim));
    uint64_t handle = sim->kept[at];
    sim->kept[at] = sim->kept[--sim->kept_count];
    return handle;
}

/* ---- one run ---- */

static const char *endpoint(void *data, uint64_t id)
{
    return "client";
}

static enum closer closer(void *data, uint32_t node)
{
    return CLOSER_EXPLICIT;
}

static double seconds(void *data, uint64_t time)
{
    return (double)time / SECOND;
}

static const struct lives_source source = {NULL, endpoint, closer, seconds, seconds, NULL, NULL, NULL, 0, true, 0, NULL};

static const struct stack *stack(void *data, uint32_t node)
{
    static struct frame frames[] = {
        {.function = "none"}, {.function = "site", .line = SITE}, {.function = "other", .line = OTHER}};
    static const struct stack stacks[] = {
        {.frames = &frames[0], .count = 1}, {.frames = &frames[1], .count = 1}, {.frames = &frames[2], .count = 1}};
    return &stacks[node < 3 ? node : 0];
}

static const struct frame *blame(void *data, uint32_t node)
{
    return stack(data, node)->frames;
}

/* When in the run, as a share, a share of the work is done. */
static double time_of_work(enum load load, double work)
{
    double bursts = 12, day = 2 * M_PI;
    switch (load) {
    case LOAD_RISING:
        return sqrt(work);
    case LOAD_DAILY:
        return work + 0.9 * sin(day * work) / day;
    case LOAD_BURSTS:
        return (floor(work * bursts) + 0.2 * (work * bursts - floor(work * bursts))) / bursts;
    case LOAD_FALLING:
        return work * work;
    case LOAD_NIGHTS: /* three days, with nothing to do for half of each */
        return (floor(3 * work) + 0.25 + 0.5 * (3 * work - floor(3 * work))) / 3;
    case LOAD_RAMPS:
        return work + 0.09 * sin(10 * M_PI * work) / M_PI;
    case LOAD_PLUNGE:
        return work < 0.9 ? work / 2.7 : 1.0 / 3 + (work - 0.9) / 0.15;
    case LOAD_WEEKS: /* a twentieth of a week's work is done in its last two days */
        day = 2 * work - floor(2 * work);
        return (floor(2 * work) + (day < 0.95 ? day / 0.95 * 5 / 7 : 5.0 / 7 + (day - 0.95) / 0.05 * 2 / 7)) / 2;
    case LOAD_STORMS:
        day = 6 * work - floor(6 * work);
        return (floor(6 * work) + (day < 0.2 ? 2.25 * day : day < 0.8 ? 0.45 + (day - 0.2) / 6 : 0.55 + (day - 0.8) * 2.25)) / 6;
    case LOAD_PEAK: /* half of the work in a tenth of the time */
        return work < 0.25 ? work * 1.8 : work < 0.75 ? 0.45 + (work - 0.25) * 0.2 : 0.55 + (work - 0.75) * 1.8;
    default:
        return work;
    }
}

static void one_step(struct sim *sim, const struct scenario *scenario)
{
    if (sim->world.requests)
        feed(sim, STRAY_OPEN, STRAY_CONNECTION, 5, 1, 3);
    scenario->step(sim);
    sim_brief(sim, OTHER, 1 + sim_below(sim, 20));
    if (sim->world.requests)
        feed(sim, STRAY_CLOSE, STRAY_CONNECTION, 5, 0, 4);
}

static void end(struct sim *sim, const struct scenario *scenario)
{
    come_to(sim, (uint64_t)(sim->world.seconds * SECOND));
    flush(sim);
    feed(sim, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_EXIT, 0);
    while (scenario->at_exit && sim_kept(sim) > 0)
        sim_dies(sim, sim_take_oldest(sim));
    feed(sim, STRAY_END, 0, 0, STRAY_ENDING_EXIT, 0);
    if (lives_finish(sim->lives) < 0)
        abort();
}

static enum verdict verdict_at(const struct folds *folds, const struct judged *judged, unsigned line)
{
    for (size_t i = 0; i < folds->count; i++)
        if (folds->items[i].resource == STRAY_HEAP && folds->items[i].stack == line)
            return judged->verdicts[i];
    return VERDICT_FEW;
}

static enum verdict sentence(const struct lives *lives, enum verdict *ret_other)
{
    struct folds folds;
    struct judged judged;
    if (folds_build(lives, blame, NULL, true, &folds) < 0 || judge(lives, &folds, stack, NULL, &judged) < 0)
        abort();
    enum verdict verdict = verdict_at(&folds, &judged, SITE);
    *ret_other = verdict_at(&folds, &judged, OTHER);
    for (size_t i = 0; getenv("SIM_VERBOSE") && i < judged.count; i++)
        for (size_t k = 0; k < judged.findings[i].fact_count; k++)
            printf("  %s %.4g\n", judged.findings[i].facts[k].name, judged.findings[i].facts[k].value);
    judged_clear(&judged);
    folds_clear(&folds);
    return verdict;
}

enum verdict sim_run(const struct scenario *scenario, const struct world *world, uint64_t seed,
                     enum verdict *ret_other)
{
    struct sim sim = {.world = *world, .random = seed, .now = 1000};
    struct lives_source sampled = source;
    sampled.heap_mean = world->mean;
    if (lives_open(&sampled, &sim.lives) < 0)
        abort();
    if (scenario->adjust)
        scenario->adjust(&sim.world);
    for (sim.step = 0; sim.step < sim.world.steps; sim.step++) {
        double place = ((double)sim.step + sim_uniform(&sim)) / sim.world.steps;
        come_to(&sim, (uint64_t)(time_of_work(sim.world.load, place) * sim.world.seconds * SECOND));
        one_step(&sim, scenario);
    }
    end(&sim, scenario);
    enum verdict verdict = sentence(sim.lives, ret_other);
    lives_close(sim.lives);
    free(sim.deaths);
    free(sim.kept);
    return verdict;
}
