/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one place may do. Mixtures do two things at one stack, as a constructor does that serves all callers.
 */
#include <math.h>

#include "sim.h"

#define SMALL 100      /* bytes, where many leak */
#define LARGE (200000) /* bytes, where few do: what is worth a word */

static unsigned total(const struct world *world)
{
    return world->steps * world->births;
}

/* Births of one step: `births` on average. */
static unsigned births(struct sim *sim)
{
    return (unsigned)sim_below(sim, 2 * sim->world.births + 1);
}

static void in_use(struct sim *sim)
{
    sim_dies_in(sim, sim_born(sim), sim_exponential(sim, sim->world.life));
}

/* One in `share` is never released; of the others most are brief. */
static void leak_share(struct sim *sim, double share)
{
    for (unsigned i = births(sim); i > 0; i--)
        if (sim_uniform(sim) < share)
            sim_born(sim);
        else if (i % 8 == 0)
            in_use(sim);
        else
            sim_brief(sim, SITE, 1);
}

static void leak_all(struct sim *sim)
{
    sim_born(sim);
}

static void leak_one_percent(struct sim *sim)
{
    leak_share(sim, 0.01 * sim->world.leak);
}

static void leak_rare(struct sim *sim)
{
    leak_share(sim, 0.0005 * sim->world.leak);
}

static void leak_from_onset(struct sim *sim)
{
    leak_share(sim, sim_progress(sim) < sim->world.onset ? 0 : 0.02 * sim->world.leak);
}

/* Nearly all else is brief. */
static void leak_few(struct sim *sim)
{
    if (sim->step % 2)
        sim_born(sim);
    sim_brief(sim, SITE, 500);
}

static void keep_all(struct sim *sim)
{
    sim_keep(sim, sim_born(sim));
}

static void churn(struct sim *sim)
{
    leak_share(sim, 0);
}

/* A cache that evicts what came first. */
static void lru(struct sim *sim)
{
    for (unsigned i = births(sim); i > 0; i--) {
        if (sim_kept(sim) >= sim->world.fill * total(&sim->world))
            sim_dies(sim, sim_take_oldest(sim));
        sim_keep(sim, sim_born(sim));
    }
}

static void evict_any(struct sim *sim)
{
    for (unsigned i = births(sim); i > 0; i--) {
        if (sim_kept(sim) >= sim->world.fill / 4 * total(&sim->world))
            sim_dies(sim, sim_take_any(sim));
        sim_keep(sim, sim_born(sim));
    }
}

/* A memo of a finite number of keys: each draw may miss. */
static void finite_keys(struct sim *sim)
{
    double keys = fmax(50, sim->world.fill / 2 * total(&sim->world));
    for (unsigned i = births(sim); i > 0; i--)
        if (sim_uniform(sim) * keys >= (double)sim_kept(sim))
            sim_keep(sim, sim_born(sim));
        else
            sim_brief(sim, SITE, 1);
}

/* A memo without a bound: ever fewer keys are new. */
static void endless_keys(struct sim *sim)
{
    for (unsigned i = births(sim); i > 0; i--)
        if (sim_uniform(sim) < pow(1 + sim->step, -0.45))
            sim_born(sim);
        else
            sim_brief(sim, SITE, 1);
}

static void ttl(struct sim *sim)
{
    for (unsigned i = births(sim); i > 0; i--)
        sim_dies_in(sim, sim_born(sim), sim->world.ttl * sim->world.seconds * (0.9 + 0.2 * sim_uniform(sim)));
}

static void collect(struct sim *sim)
{
    for (unsigned i = births(sim); i > 0; i--)
        sim_keep(sim, sim_born(sim));
    double every = sim->world.period * sim->world.steps;
    if (fmod(sim->step + 1, every) < 1)
        while (sim_kept(sim) > 0)
            sim_dies(sim, sim_take_oldest(sim));
}

/* What one burst needs is released when it is over. */
static void burst(struct sim *sim)
{
    double burst = sim->world.steps / 12.0;
    for (unsigned i = births(sim); i > 0; i--)
        sim_keep(sim, sim_born(sim));
    if (fmod(sim->step + 1, burst) < 1)
        while (sim_kept(sim) > 0)
            sim_dies(sim, sim_take_any(sim));
}

/* Connections of as many users as there are, who stay a while. */
static void sessions(struct sim *sim)
{
    for (unsigned i = births(sim); i > 0; i--)
        sim_dies_in(sim, sim_born(sim), sim_exponential(sim, sim->world.ttl * sim->world.seconds / 8));
}

static void load_table(struct sim *sim, unsigned rows)
{
    while (rows-- > 0)
        sim_born(sim);
}

static bool first_step_after(const struct sim *sim, double place)
{
    return sim->step == (unsigned)(place * sim->world.steps);
}

static void start_tables(struct sim *sim)
{
    if (sim_progress(sim) < 0.02)
        load_table(sim, 50);
    else
        churn(sim);
}

static void step_table(struct sim *sim)
{
    if (first_step_after(sim, sim->world.onset))
        load_table(sim, 3000);
    else
        churn(sim);
}

/* Loaded once, used from then on; a cache that was filled when it was first wanted. */
static void lazy_cache(struct sim *sim)
{
    if (sim_progress(sim) > 0.15 && sim_progress(sim) < 0.15 + sim->world.fill / 2)
        sim_born(sim);
    else
        churn(sim);
}

static void container(struct sim *sim)
{
    uint64_t used = (uint64_t)sim->step * LARGE / 8, room = 64;
    while (room < used)
        room += room / 8 + 64;
    sim_container(sim, room);
}

static void doubling_container(struct sim *sim)
{
    uint64_t used = (uint64_t)sim->step * LARGE / 8, room = 64;
    while (room < used)
        room *= 2;
    sim_container(sim, room);
}

/* A buffer that fits what is in hand. */
static void resized_buffer(struct sim *sim)
{
    sim_container(sim, 4096 + sim_below(sim, 8 * LARGE));
}

static void grown_buffer(struct sim *sim)
{
    uint64_t wanted = 4096 + sim_below(sim, 8 * LARGE);
    sim_container(sim, wanted > sim->container_size ? wanted : sim->container_size);
}

/* ---- mixtures ---- */

static void and_leak(struct sim *sim, double share)
{
    if (sim_uniform(sim) < share * sim->world.leak)
        sim_born(sim);
}

static void lru_and_leak(struct sim *sim)
{
    lru(sim);
    and_leak(sim, 0.2);
}

static void evict_and_leak(struct sim *sim)
{
    evict_any(sim);
    and_leak(sim, 0.2);
}

static void ttl_and_leak(struct sim *sim)
{
    ttl(sim);
    and_leak(sim, 0.2);
}

static void collect_and_leak(struct sim *sim)
{
    collect(sim);
    and_leak(sim, 0.2);
}

static void tables_and_leak(struct sim *sim)
{
    start_tables(sim);
    and_leak(sim, 0.2);
}

static void step_and_leak(struct sim *sim)
{
    step_table(sim);
    and_leak(sim, 0.2);
}

static void lru_and_ttl(struct sim *sim)
{
    lru(sim);
    ttl(sim);
}

static void tables_and_collect(struct sim *sim)
{
    if (sim_progress(sim) < 0.02)
        load_table(sim, 10);
    collect(sim);
}

/* ---- mixtures that were held out ---- */

static void keys_and_leak(struct sim *sim)
{
    finite_keys(sim);
    and_leak(sim, 0.2);
}

static void sessions_and_leak(struct sim *sim)
{
    sessions(sim);
    and_leak(sim, 0.2);
}

static void bursts_and_leak(struct sim *sim)
{
    burst(sim);
    and_leak(sim, 0.2);
}

static void lazy_and_leak(struct sim *sim)
{
    lazy_cache(sim);
    and_leak(sim, 0.2);
}

static void lru_and_tables_and_leak(struct sim *sim)
{
    lru(sim);
    tables_and_leak(sim);
}

/* The leak is mended: a new version of a plug-in is loaded half-way. */
static void leak_that_ceased(struct sim *sim)
{
    if (sim_progress(sim) < sim->world.onset)
        leak_share(sim, 0.02 * sim->world.leak);
    else
        churn(sim);
}

static void lru_and_bursts(struct sim *sim)
{
    lru(sim);
    if (sim->step % 50 == 0)
        for (unsigned i = 0; i < 20; i++)
            sim_dies_in(sim, sim_born(sim), sim->world.seconds * 0.01);
}

static void keys_and_ttl(struct sim *sim)
{
    finite_keys(sim);
    ttl(sim);
}

static void sessions_and_collect(struct sim *sim)
{
    sessions(sim);
    collect(sim);
}

/* A pool that is enlarged when all are in use, and shrunk after a while. */
static void elastic_pool(struct sim *sim)
{
    double busy = 0.5 + 0.5 * sin(4 * M_PI * sim_progress(sim));
    size_t wanted = 20 + (size_t)(200 * busy * sim->world.fill);
    while (sim_kept(sim) < wanted)
        sim_keep(sim, sim_born(sim));
    if (sim_kept(sim) > wanted + 10)
        sim_dies(sim, sim_take_any(sim));
    sim_brief(sim, SITE, sim->world.births);
}

/* Two tables, at the start and when they are first wanted, each reloaded as a whole now and then. */
static void reloaded_table(struct sim *sim)
{
    double every = sim->world.period * sim->world.steps;
    if (sim->step == 0 || fmod(sim->step + 1, every) < 1) {
        for (unsigned i = 0; i < 400; i++)
            sim_keep(sim, sim_born(sim));
        while (sim_kept(sim) > 400)
            sim_dies(sim, sim_take_oldest(sim));
    }
    churn(sim);
}

/* ---- what was never looked at while rules were made ---- */

/* Half of what a tenth of the time asks for fails, and errors leak. */
static void outages(struct sim *sim)
{
    double place = sim_progress(sim) * 20;
    bool out = place - floor(place) < 0.1;
    leak_share(sim, out ? 0.1 * sim->world.leak : 0);
}

/* One tenant of eight has a plug-in that forgets. */
static void leaky_tenant(struct sim *sim)
{
    leak_share(sim, sim->step % 8 == 3 ? 0.02 * sim->world.leak : 0);
}

/* Most log out; some never come back. */
static void lost_sessions(struct sim *sim)
{
    double seconds = sim->world.ttl * sim->world.seconds / 8;
    for (unsigned i = births(sim); i > 0; i--)
        if (sim_uniform(sim) < 0.02 * sim->world.leak)
            sim_born(sim);
        else
            sim_dies_in(sim, sim_born(sim), sim_exponential(sim, seconds));
}

/* What a job leaves behind that runs forty times in all. */
static void leaky_jobs(struct sim *sim)
{
    double every = sim->world.steps / 40.0;
    if (fmod(sim->step + 1, every) < 1)
        load_table(sim, 20);
    churn(sim);
}

/* Lives of all lengths: most are short, a few are longer than half of the run. */
static double pareto(struct sim *sim, double least)
{
    return least * pow(1 - sim_uniform(sim), -1 / 1.5);
}

static void long_tail(struct sim *sim)
{
    for (unsigned i = births(sim); i > 0; i--)
        sim_dies_in(sim, sim_born(sim), pareto(sim, sim->world.life));
}

static void long_tail_and_leak(struct sim *sim)
{
    long_tail(sim);
    and_leak(sim, 0.3);
}

static void jobs_and_leak(struct sim *sim)
{
    churn(sim);
    if (sim->step % 40 == 0)
        for (unsigned i = 0; i < 30; i++)
            sim_dies_in(sim, sim_born(sim), sim->world.seconds * 0.02);
    and_leak(sim, 0.1);
}

static void root_keys(struct sim *sim)
{
    for (unsigned i = births(sim); i > 0; i--)
        if (sim_uniform(sim) < pow(1 + sim->step, -0.55))
            sim_born(sim);
        else
            sim_brief(sim, SITE, 1);
}

static void vector_half_as_much_again(struct sim *sim)
{
    uint64_t used = (uint64_t)(sim->step + 1) * LARGE / 4, room = 64;
    while (room < used)
        room += room / 2;
    sim_container(sim, room);
}

/* A ring that grows until it holds what is to be remembered. */
static void ring(struct sim *sim)
{
    double wanted = fmin(sim_progress(sim) / sim->world.fill, 1);
    sim_container(sim, 4096 + (uint64_t)(wanted * 50) * LARGE);
}

/* An operator doubles the cache, once. */
static void lru_enlarged(struct sim *sim)
{
    double room = sim->world.fill * total(&sim->world) / (sim_progress(sim) < sim->world.onset ? 8 : 4);
    for (unsigned i = births(sim); i > 0; i--) {
        if (sim_kept(sim) >= room)
            sim_dies(sim, sim_take_oldest(sim));
        sim_keep(sim, sim_born(sim));
    }
}

/* What is asked for again lives on for as long again. */
static void renewed(struct sim *sim)
{
    double ttl = sim->world.ttl / 4 * sim->world.seconds;
    for (unsigned i = births(sim); i > 0; i--) {
        double seconds = ttl;
        while (sim_uniform(sim) < 0.4)
            seconds += ttl * sim_uniform(sim);
        sim_dies_in(sim, sim_born(sim), seconds);
    }
}

/* Each worker fills its own cache, and workers are started until half of the run. */
static void worker_caches(struct sim *sim)
{
    unsigned workers = (unsigned)(fmin(sim_progress(sim), sim->world.onset) * 40), filled = (unsigned)sim_kept(sim) / 100;
    for (unsigned i = filled; i < workers; i++)
        for (unsigned k = 0; k < 100; k++)
            sim_keep(sim, sim_born(sim));
    churn(sim);
}

/* Taken from a free list; new ones are made when more are in use than ever before. */
static void free_list(struct sim *sim)
{
    double busy = 40 + 20 * sin(12 * M_PI * sim_progress(sim)) + sim_exponential(sim, 8);
    while (sim_kept(sim) < busy * 4)
        sim_keep(sim, sim_born(sim));
    sim_brief(sim, SITE, sim->world.births);
}

/* A phase works on what the one before left, and then drops that. */
static void phases(struct sim *sim)
{
    double phase = sim->world.steps / 7.0;
    for (unsigned i = births(sim); i > 0; i--)
        sim_keep(sim, sim_born(sim));
    if (fmod(sim->step + 1, phase) < 1)
        for (size_t i = sim_kept(sim) / 2; i > 0; i--)
            sim_dies(sim, sim_take_oldest(sim));
}

/* The data set is read anew, each time a little larger. */
static void reloaded_and_larger(struct sim *sim)
{
    double every = sim->world.period / 2 * sim->world.steps;
    if (sim->step == 0 || fmod(sim->step + 1, every) < 1) {
        size_t rows = 400 + (size_t)(80 * sim_progress(sim));
        for (size_t i = 0; i < rows; i++)
            sim_keep(sim, sim_born(sim));
        while (sim_kept(sim) > rows)
            sim_dies(sim, sim_take_oldest(sim));
    }
    churn(sim);
}

/* Two caches at one stack, one of which evicts at random. */
static void two_caches(struct sim *sim)
{
    evict_any(sim);
    if (sim->step % 3 == 0)
        sim_dies_in(sim, sim_born(sim), sim->world.ttl * sim->world.seconds / 2);
}

/* ---- written for the fifth set, before any rule was tried on it ---- */

/* When so much is kept, all but a share goes at once. */
static void saw(struct sim *sim, double room, double rest)
{
    for (unsigned i = births(sim); i > 0; i--)
        sim_keep(sim, sim_born(sim));
    if (sim_kept(sim) >= room)
        while (sim_kept(sim) > rest * room)
            sim_dies(sim, sim_take_oldest(sim));
}

static void sawtooth(struct sim *sim)
{
    saw(sim, sim->world.fill / 3 * total(&sim->world) + 100, 0.5);
}

static void sawtooth_and_leak(struct sim *sim)
{
    sawtooth(sim);
    and_leak(sim, 0.2);
}

/* The next data set is read step by step, beside the one in use, which goes when it is complete. */
static void double_buffer(struct sim *sim)
{
    double every = fmax(20, sim->world.period * sim->world.steps);
    if (fmod(sim->step, every) < 0.3 * every)
        for (unsigned i = births(sim) + 1; i > 0; i--)
            sim_keep(sim, sim_born(sim));
    else if (fmod(sim->step, every) < 0.3 * every + 1)
        for (size_t rows = (size_t)(0.3 * every) * sim->world.births; sim_kept(sim) > rows;)
            sim_dies(sim, sim_take_oldest(sim));
    else
        sim_brief(sim, SITE, sim->world.births);
}

static void double_buffer_and_leak(struct sim *sim)
{
    double_buffer(sim);
    and_leak(sim, 0.2);
}

/* A deploy in the middle drops what was cached, and other keys are cached then: some hundreds. */
static void deployed(struct sim *sim)
{
    if (first_step_after(sim, sim->world.onset))
        while (sim_kept(sim) > 0)
            sim_dies(sim, sim_take_any(sim));
    double keys = 100 + sim->world.fill / 16 * total(&sim->world);
    for (unsigned i = births(sim); i > 0; i--)
        if (sim_uniform(sim) * keys >= (double)sim_kept(sim))
            sim_keep(sim, sim_born(sim));
        else
            sim_brief(sim, SITE, 1);
}

/* ... and the new version leaks. */
static void deployed_leak(struct sim *sim)
{
    deployed(sim);
    if (sim_progress(sim) > sim->world.onset)
        and_leak(sim, 0.3);
}

/* Each fifth of the run has keys of its own; those of the one before are dropped a little later. */
static void weekly_keys(struct sim *sim)
{
    double week = sim->world.steps / 5.0, place = fmod(sim->step, week);
    double keys = 60 + sim->world.fill / 30 * total(&sim->world);
    for (unsigned i = births(sim); i > 0; i--)
        if (sim_uniform(sim) < exp(-place * sim->world.births / keys))
            sim_dies_in(sim, sim_born(sim), sim->world.seconds * 0.22);
        else
            sim_brief(sim, SITE, 1);
}

static void weekly_keys_and_leak(struct sim *sim)
{
    weekly_keys(sim);
    and_leak(sim, 0.2);
}

/* Grows by ten when all are in use, and goes back at night. Three days. */
static void stepping_pool(struct sim *sim)
{
    double hour = fmod(3 * sim_progress(sim), 1);
    double busy = hour < 0.8 ? 20 + 120 * sim->world.fill * (1 - fabs(hour - 0.4) / 0.4) + sim_exponential(sim, 3) : 0;
    if (hour >= 0.8)
        while (sim_kept(sim) > 20)
            sim_dies(sim, sim_take_oldest(sim));
    while (sim_kept(sim) < busy)
        for (unsigned i = 0; i < 10; i++)
            sim_keep(sim, sim_born(sim));
    sim_brief(sim, SITE, sim->world.births);
}

/* In a storm each request is tried again and again, and waits ever longer in between. */
static void retry_storms(struct sim *sim)
{
    double place = sim_progress(sim) * 9 + sim->world.onset;
    unsigned tries = place - floor(place) < 0.15 ? 5 : 0;
    for (unsigned i = births(sim); i > 0; i--) {
        sim_brief(sim, SITE, 1);
        for (unsigned try = 0; try < tries; try++)
            sim_dies_in(sim, sim_born(sim), sim_exponential(sim, sim->world.seconds * 0.0005 * (1 << try)));
    }
}

/* What a storm's failures forget. */
static void storm_leak(struct sim *sim)
{
    double place = sim_progress(sim) * 9 + sim->world.onset;
    retry_storms(sim);
    if (place - floor(place) < 0.15)
        and_leak(sim, 0.6);
}

/* Errors come at random in bursts of some dozens of requests, of which nobody knows the next; each error leaks. */
static void error_bursts(struct sim *sim)
{
    if (sim->errors == 0 && sim_uniform(sim) < 60.0 / sim->world.steps)
        sim->errors = 10 + sim_below(sim, 20);
    churn(sim);
    if (sim->errors == 0)
        return;
    sim->errors--;
    and_leak(sim, 0.5);
}

/* A list of all that leaked is made anew, now and then; what it holds stays where it is. */
static void swapped_holders(struct sim *sim)
{
    if (sim->step % 50 == 0) {
        sim_keep(sim, sim_born(sim));
        if (sim_kept(sim) > 2)
            sim_dies(sim, sim_take_oldest(sim));
    }
    churn(sim);
    and_leak(sim, 0.2);
}

/* All that has piled up is copied with each reload. */
static void copied_leak(struct sim *sim)
{
    double every = fmax(20, sim->world.period * sim->world.steps);
    if (fmod(sim->step + 1, every) < 1)
        for (size_t i = sim_kept(sim); i > 0; i--) {
            sim_keep(sim, sim_born(sim));
            sim_dies(sim, sim_take_oldest(sim));
        }
    churn(sim);
    if (sim_uniform(sim) < 0.2 * sim->world.leak)
        sim_keep(sim, sim_born(sim));
}

/* Each is a little larger than the one before. */
static void growing_objects(struct sim *sim)
{
    churn(sim);
    if (sim_uniform(sim) < 0.1 * sim->world.leak)
        sim_born_large(sim, (uint64_t)((double)sim->world.size * (0.2 + 3 * sim_progress(sim))));
}

/* Twice as fast, or half as fast, from an onset on. */
static void two_phase_leak(struct sim *sim)
{
    bool later = sim_progress(sim) > sim->world.onset, faster = sim->world.births % 2;
    churn(sim);
    and_leak(sim, later == faster ? 0.3 : 0.15);
}

/* A flag is switched on and off for some of the users. */
static void flagged_leak(struct sim *sim)
{
    leak_share(sim, fmod(sim_progress(sim) * 7, 1) < 0.6 ? 0.02 * sim->world.leak : 0);
}

/* A queue backs up while more comes than is done. */
static void backlog(struct sim *sim)
{
    double hour = fmod(3 * sim_progress(sim) + sim->world.onset, 1);
    for (unsigned i = births(sim); i > 0; i--) {
        sim_keep(sim, sim_born(sim));
        for (double done = hour < 0.4 ? 0.7 : 1.6; done > 0 && sim_kept(sim) > 0; done--)
            if (sim_uniform(sim) < done)
                sim_dies(sim, sim_take_oldest(sim));
    }
}

static void heaps_keys(struct sim *sim)
{
    for (unsigned i = births(sim); i > 0; i--)
        if (sim_uniform(sim) < pow(1 + sim->step, -0.4))
            sim_born(sim);
        else
            sim_brief(sim, SITE, 1);
}

/* Two generations of a cache: the older one goes when the younger is full, as a whole. */
static void generations(struct sim *sim)
{
    size_t room = 50 + (size_t)(sim->world.fill / 4 * total(&sim->world));
    for (unsigned i = births(sim); i > 0; i--)
        sim_keep(sim, sim_born(sim));
    if (sim_kept(sim) >= 2 * room)
        while (sim_kept(sim) > room)
            sim_dies(sim, sim_take_oldest(sim));
}

/* Evicts the rarely used first: what is popular stays for ever, and is found out early. */
static void lfu(struct sim *sim)
{
    double room = sim->world.fill / 3 * total(&sim->world);
    for (unsigned i = births(sim); i > 0; i--) {
        if (sim_kept(sim) >= room)
            sim_dies(sim, sim->kept[--sim->kept_count]);
        sim_keep(sim, sim_born(sim));
    }
}

/* ---- worlds ---- */

static void many_small(struct world *world)
{
    world->steps = world->steps < 2000 ? 2000 : world->steps;
    world->requests = world->requests ? world->steps : 0;
    world->size = SMALL;
}

static void enough_for_rare(struct world *world)
{
    world->births = 60000 / world->steps + 1;
}

static void rising(struct world *world)
{
    world->load = LOAD_RISING;
}

static void in_bursts(struct world *world)
{
    world->load = LOAD_BURSTS;
}

/* A program of a second, no server: two hundred rounds. */
static void script(struct world *world)
{
    world->requests = 0;
    world->steps = 200;
    world->seconds = 1;
    world->load = LOAD_EVEN;
}

static void suite(struct world *world)
{
    script(world);
    world->requests = world->steps;
}

static void a_day(struct world *world)
{
    world->seconds = 86400;
    world->load = LOAD_DAILY;
}

static void late_onset(struct world *world)
{
    world->leak *= 2;
}

/* What turns over but once or twice in the run hides whatever else happens there. */
static void faster_turnover(struct world *world)
{
    world->fill /= 2;
}

/* ... and slowly. */
static void slower_turnover(struct world *world)
{
    world->fill *= 3;
}

static void short_ttl(struct world *world)
{
    world->load = LOAD_RISING;
    world->ttl /= 4;
}

const struct scenario scenarios[] = {
    {"leak 100 %", VERDICT_LEAKED, many_small, leak_all, false, FAMILY_TUNED},
    {"leak 1 %", VERDICT_LEAKED, NULL, leak_one_percent, false, FAMILY_TUNED},
    {"leak 0.05 %", VERDICT_LEAKED, enough_for_rare, leak_rare, false, FAMILY_TUNED},
    {"leak with onset", VERDICT_LEAKED, late_onset, leak_from_onset, false, FAMILY_TUNED},
    {"leak under rising load", VERDICT_LEAKED, rising, leak_one_percent, false, FAMILY_TUNED},
    {"leak in bursts", VERDICT_LEAKED, in_bursts, leak_one_percent, false, FAMILY_TUNED},
    {"leak in a script of a second", VERDICT_LEAKED, script, leak_all, false, FAMILY_TUNED},
    {"leak of few in a script", VERDICT_LEAKED, script, leak_few, false, FAMILY_TUNED},
    {"leak in a suite of a second", VERDICT_LEAKED, suite, leak_all, false, FAMILY_TUNED},
    {"leak in a day", VERDICT_LEAKED, a_day, leak_one_percent, false, FAMILY_TUNED},
    {"freed at shutdown only", VERDICT_LEAKED, many_small, keep_all, true, FAMILY_TUNED},
    {"lru and leak", VERDICT_LEAKED, faster_turnover, lru_and_leak, false, FAMILY_TUNED},
    {"random eviction and leak", VERDICT_LEAKED, faster_turnover, evict_and_leak, false, FAMILY_TUNED},
    {"ttl and leak", VERDICT_LEAKED, NULL, ttl_and_leak, false, FAMILY_TUNED},
    {"collections and leak", VERDICT_LEAKED, NULL, collect_and_leak, false, FAMILY_TUNED},
    {"start-up tables and leak", VERDICT_LEAKED, NULL, tables_and_leak, false, FAMILY_TUNED},
    {"step and leak", VERDICT_LEAKED, NULL, step_and_leak, false, FAMILY_TUNED},
    {"unbounded memo", VERDICT_CREEP, NULL, endless_keys, false, FAMILY_TUNED},
    {"growing container", VERDICT_CREEP, NULL, container, false, FAMILY_TUNED},
    {"doubling container", VERDICT_CREEP, NULL, doubling_container, false, FAMILY_TUNED},
    {"churn", VERDICT_STEADY, NULL, churn, false, FAMILY_TUNED},
    {"churn of a day", VERDICT_STEADY, a_day, churn, false, FAMILY_TUNED},
    {"lru", VERDICT_STEADY, NULL, lru, false, FAMILY_TUNED},
    {"random eviction", VERDICT_STEADY, NULL, evict_any, false, FAMILY_TUNED},
    {"slow random eviction", VERDICT_STEADY, slower_turnover, evict_any, false, FAMILY_TUNED},
    {"finite key space", VERDICT_STEADY, NULL, finite_keys, false, FAMILY_TUNED},
    {"lazy cache", VERDICT_STEADY, NULL, lazy_cache, false, FAMILY_TUNED},
    {"ttl", VERDICT_STEADY, NULL, ttl, false, FAMILY_TUNED},
    {"ttl under rising load", VERDICT_STEADY, short_ttl, ttl, false, FAMILY_TUNED},
    {"rising load", VERDICT_STEADY, rising, churn, false, FAMILY_TUNED},
    {"sessions under rising load", VERDICT_STEADY, rising, sessions, false, FAMILY_TUNED},
    {"collections now and then", VERDICT_STEADY, NULL, collect, false, FAMILY_TUNED},
    {"bursts", VERDICT_STEADY, in_bursts, burst, false, FAMILY_TUNED},
    {"step", VERDICT_STEADY, NULL, step_table, false, FAMILY_TUNED},
    {"start-up tables", VERDICT_STEADY, NULL, start_tables, false, FAMILY_TUNED},
    {"start-up tables and collections", VERDICT_STEADY, NULL, tables_and_collect, false, FAMILY_TUNED},
    {"lru and ttl", VERDICT_STEADY, NULL, lru_and_ttl, false, FAMILY_TUNED},
    {"buffer resized up and down", VERDICT_STEADY, NULL, resized_buffer, false, FAMILY_TUNED},
    {"buffer that fits the largest", VERDICT_STEADY, NULL, grown_buffer, false, FAMILY_TUNED},
    {"finite key space and leak", VERDICT_LEAKED, NULL, keys_and_leak, false, FAMILY_HELD_OUT},
    {"sessions and leak", VERDICT_LEAKED, NULL, sessions_and_leak, false, FAMILY_HELD_OUT},
    {"bursts and leak", VERDICT_LEAKED, in_bursts, bursts_and_leak, false, FAMILY_HELD_OUT},
    {"lazy cache and leak", VERDICT_LEAKED, NULL, lazy_and_leak, false, FAMILY_HELD_OUT},
    {"lru, tables and leak", VERDICT_LEAKED, faster_turnover, lru_and_tables_and_leak, false, FAMILY_HELD_OUT},
    {"leak that ceased", VERDICT_STEADY, NULL, leak_that_ceased, false, FAMILY_HELD_OUT},
    {"lru and bursts", VERDICT_STEADY, NULL, lru_and_bursts, false, FAMILY_HELD_OUT},
    {"finite key space and ttl", VERDICT_STEADY, NULL, keys_and_ttl, false, FAMILY_HELD_OUT},
    {"sessions and collections", VERDICT_STEADY, NULL, sessions_and_collect, false, FAMILY_HELD_OUT},
    {"elastic pool", VERDICT_STEADY, NULL, elastic_pool, false, FAMILY_HELD_OUT},
    {"reloaded table", VERDICT_STEADY, NULL, reloaded_table, false, FAMILY_HELD_OUT},
    {"leak in outages", VERDICT_LEAKED, NULL, outages, false, FAMILY_FRESH},
    {"leak of one tenant", VERDICT_LEAKED, NULL, leaky_tenant, false, FAMILY_FRESH},
    {"sessions of which some are lost", VERDICT_LEAKED, NULL, lost_sessions, false, FAMILY_FRESH},
    {"leak of a job", VERDICT_LEAKED, NULL, leaky_jobs, false, FAMILY_FRESH},
    {"long tail and leak", VERDICT_LEAKED, NULL, long_tail_and_leak, false, FAMILY_FRESH},
    {"jobs and leak", VERDICT_LEAKED, NULL, jobs_and_leak, false, FAMILY_FRESH},
    {"memo of a root", VERDICT_CREEP, NULL, root_keys, false, FAMILY_FRESH},
    {"container that grows by halves", VERDICT_CREEP, NULL, vector_half_as_much_again, false, FAMILY_FRESH},
    {"ring that fills", VERDICT_STEADY, NULL, ring, false, FAMILY_FRESH},
    {"lru enlarged", VERDICT_STEADY, NULL, lru_enlarged, false, FAMILY_FRESH},
    {"lives renewed", VERDICT_STEADY, NULL, renewed, false, FAMILY_FRESH},
    {"caches of workers", VERDICT_STEADY, NULL, worker_caches, false, FAMILY_FRESH},
    {"free list", VERDICT_STEADY, NULL, free_list, false, FAMILY_FRESH},
    {"phases", VERDICT_STEADY, NULL, phases, false, FAMILY_FRESH},
    {"reloaded, each time larger", VERDICT_STEADY, NULL, reloaded_and_larger, false, FAMILY_FRESH},
    {"long tail", VERDICT_STEADY, NULL, long_tail, false, FAMILY_FRESH},
    {"two caches", VERDICT_STEADY, NULL, two_caches, false, FAMILY_FRESH},
    {"sawtooth cache and leak", VERDICT_LEAKED, NULL, sawtooth_and_leak, false, FAMILY_UNSEEN},
    {"double-buffered reload and leak", VERDICT_LEAKED, NULL, double_buffer_and_leak, false, FAMILY_UNSEEN},
    {"leak since a deploy", VERDICT_LEAKED, NULL, deployed_leak, false, FAMILY_UNSEEN},
    {"weekly keys and leak", VERDICT_LEAKED, NULL, weekly_keys_and_leak, false, FAMILY_UNSEEN},
    {"leak in retry storms", VERDICT_LEAKED, NULL, storm_leak, false, FAMILY_UNSEEN},
    {"leak in bursts of errors", VERDICT_LEAKED, NULL, error_bursts, false, FAMILY_UNSEEN},
    {"leak whose holders are swapped", VERDICT_LEAKED, NULL, swapped_holders, false, FAMILY_UNSEEN},
    {"leak that reloads copy", VERDICT_LEAKED, NULL, copied_leak, false, FAMILY_UNSEEN},
    {"leak of ever larger objects", VERDICT_LEAKED, NULL, growing_objects, false, FAMILY_UNSEEN},
    {"leak in two phases", VERDICT_LEAKED, NULL, two_phase_leak, false, FAMILY_UNSEEN},
    {"leak behind a flag", VERDICT_LEAKED, NULL, flagged_leak, false, FAMILY_UNSEEN},
    {"memo by Heaps' law", VERDICT_CREEP, NULL, heaps_keys, false, FAMILY_UNSEEN},
    {"sawtooth cache", VERDICT_STEADY, NULL, sawtooth, false, FAMILY_UNSEEN},
    {"double-buffered reload", VERDICT_STEADY, NULL, double_buffer, false, FAMILY_UNSEEN},
    {"cache filled again after a deploy", VERDICT_STEADY, NULL, deployed, false, FAMILY_UNSEEN},
    {"weekly keys", VERDICT_STEADY, NULL, weekly_keys, false, FAMILY_UNSEEN},
    {"pool in steps, smaller at night", VERDICT_STEADY, NULL, stepping_pool, false, FAMILY_UNSEEN},
    {"retry storms", VERDICT_STEADY, NULL, retry_storms, false, FAMILY_UNSEEN},
    {"backlog", VERDICT_STEADY, NULL, backlog, false, FAMILY_UNSEEN},
    {"generations of a cache", VERDICT_STEADY, NULL, generations, false, FAMILY_UNSEEN},
    {"cache that evicts what came last", VERDICT_STEADY, NULL, lfu, false, FAMILY_UNSEEN},
};
const size_t scenario_count = sizeof(scenarios) / sizeof(*scenarios);
