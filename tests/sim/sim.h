/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A service made of numbers: its events are fed to the analyzer's own pass, as if a trace had been read. What
 * a scenario does at one place, SITE, is known to be a leak or not; the verdict is held against that. Times
 * are nanoseconds, in order. Everything follows from the seed.
 */
#ifndef STRAY_TEST_SIM_H
#define STRAY_TEST_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lives/lifetimes.h"
#include "verdicts/verdict.h"

#define SITE  1 /* the place in question */
#define OTHER 2 /* a place that only comes and goes */

enum load {
    LOAD_EVEN,
    LOAD_RISING,
    LOAD_DAILY,
    LOAD_BURSTS,
    LOAD_FALLING,
    LOAD_NIGHTS,
    LOAD_PEAK,
    LOAD_RAMPS,   /* up and down again, five times */
    LOAD_PLUNGE,  /* nearly all is over after a third of the time */
    LOAD_WEEKS,   /* two weeks: five days, and two with little to do */
    LOAD_STORMS,  /* six, each with most of the work around it in a tenth of the time */
    LOAD_SHAPES
};

/* Of scenarios: by what they were used for. Sets of worlds go up to one of them. */
enum family { FAMILY_TUNED, FAMILY_HELD_OUT, FAMILY_FRESH, FAMILY_UNSEEN };

/* What varies between runs of one scenario. */
struct world {
    unsigned requests; /* 0: a script, whose work is allocations */
    unsigned steps;    /* requests, or rounds of the script */
    double seconds;
    enum load load;
    unsigned births; /* at SITE, in one step, on average */
    uint64_t size;   /* of one block */
    double life;     /* seconds a block is in use, on average; a small share of the run */
    double fill;     /* share of all births that a cache can hold */
    double ttl;      /* share of the run */
    double period;   /* of a collection: share of the run */
    double leak;     /* factor on a scenario's rate of leaking */
    double onset;    /* share of the run at which things begin that begin late */
    double mean;     /* bytes between two samples of the heap; 0: all blocks are told */
};

struct death {
    uint64_t time, handle;
};

/* Short lives at one stack, of ages in one octave, since the buffer was begun. */
struct sum {
    uint32_t stack;
    uint64_t octave, count;
};

struct sim {
    struct world world;
    struct lives *lives;
    uint64_t now, random, next_handle;
    unsigned step;
    struct death *deaths; /* a heap, soonest first */
    size_t death_count, death_room;
    uint64_t *kept; /* for scenarios to keep handles in, one after the other */
    size_t kept_count, kept_room, kept_first;
    uint64_t container, container_size;
    uint64_t errors; /* to come in this burst of them */
    struct sum sums[64];
    unsigned sum_count, buffered; /* events in the buffer that is not full yet */
    uint64_t flushed;             /* when the one before was full */
};

struct scenario {
    const char *name;
    enum verdict truth;                  /* LEAKED, CREEP, or STEADY for any quiet word */
    void (*adjust)(struct world *world); /* NULL: any world will do */
    void (*step)(struct sim *sim);       /* what SITE does in one step */
    bool at_exit;                        /* releases all it kept, once the end has begun */
    enum family family;
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* Uniform in [0, 1); whole numbers below `limit`; exponential with this mean. */
double sim_uniform(struct sim *sim);
uint64_t sim_below(struct sim *sim, uint64_t limit);
double sim_exponential(struct sim *sim, double mean);
/* Share of the run that has passed, by work. */
double sim_progress(const struct sim *sim);

/* A block born at SITE; its handle. */
uint64_t sim_born(struct sim *sim);
/* ... of this size. */
uint64_t sim_born_large(struct sim *sim, uint64_t size);
void sim_dies(struct sim *sim, uint64_t handle);
/* ... after so many seconds. */
void sim_dies_in(struct sim *sim, uint64_t handle, double seconds);
/* Births at `stack` whose deaths came before anything was written. The tracer tells their sum when its buffer
 * is full. */
void sim_brief(struct sim *sim, uint32_t stack, uint64_t count);
/* The scenario's one container is made, or resized. */
void sim_container(struct sim *sim, uint64_t size);
/* Keeps a handle; takes back the oldest, or any, of those kept. There must be one. */
void sim_keep(struct sim *sim, uint64_t handle);
uint64_t sim_take_oldest(struct sim *sim);
uint64_t sim_take_any(struct sim *sim);
size_t sim_kept(const struct sim *sim);

/* Runs a scenario to its end and returns the word for SITE; *ret_other: that for OTHER. */
enum verdict sim_run(const struct scenario *scenario, const struct world *world, uint64_t seed,
                     enum verdict *ret_other);

#endif
