/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Precision and recall of "leaked", on worlds that the rules were tuned on, on worlds that were looked at while they were, on
 * worlds that were held out, on fresh ones, and on a fifth set that was written before any rule met it: other rates, sizes, fills,
 * times to live, load shapes, mixtures and seeds. Fails where more of the healthy ones are accused than a set's share, and below
 * a precision of 0.99 (the rest is creep told as leaked) and the set's recall.
 *
 *     sim [-v] [-s MEAN] [SEEDS [SCENARIO [SHIFT]]]    runs a scenario and set; -v: each wrong verdict; -s: of samples of the
 *                                                      heap; SHIFT: other seeds
 *
 * Of samples precision alone is asked: what leaks too little to be met often enough is not told.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define SEEDS         20
#define PRECISION_MIN 0.99
#define RECALL_MIN    0.95

struct range {
    double low, high;
};

/* From which a world is drawn; evenly over the logarithm where it spans decades. */
struct set {
    const char *name;
    uint64_t seed;
    struct range steps, seconds, births, size, life, fill, ttl, period, leak, onset;
    unsigned shapes; /* of load, the first so many */
    enum family family; /* the last of which it has scenarios */
    double accused;     /* the share of the healthy ones that may be: 0, or what is known and told in docs/VERDICTS.md */
    double recall;      /* the least; 0: RECALL_MIN */
};

static const struct set sets[] = {
    {.name = "tuned",
     .seed = 1,
     .steps = {2000, 4000},
     .seconds = {600, 7200},
     .births = {8, 16},
     .size = {200000, 200000},
     .life = {0.0001, 0.002},
     .fill = {0.2, 0.5},
     .ttl = {0.02, 0.2},
     .period = {0.04, 0.2},
     .leak = {1, 2},
     .onset = {0.3, 0.5},
     .shapes = 2},
    {.name = "looked at",
     .seed = 1000003,
     .steps = {1200, 6000},
     .seconds = {20, 80000},
     .births = {5, 24},
     .size = {200000, 200000},
     .life = {0.00002, 0.005},
     .fill = {0.12, 0.65},
     .ttl = {0.01, 0.3},
     .period = {0.03, 0.3},
     .leak = {0.8, 5},
     .onset = {0.2, 0.52},
     .shapes = LOAD_BURSTS + 1},
    {.name = "held out",
     .seed = 77700001,
     .steps = {1500, 8000},
     .seconds = {8, 250000},
     .births = {4, 30},
     .size = {60000, 3000000},
     .life = {0.00001, 0.006},
     .fill = {0.1, 0.6},
     .ttl = {0.008, 0.25},
     .period = {0.025, 0.25},
     .leak = {0.9, 6},
     .onset = {0.15, 0.5},
     .shapes = LOAD_PEAK + 1,
     .family = FAMILY_HELD_OUT},
    {.name = "fresh",
     .seed = 5550000011,
     .steps = {1000, 9000},
     .seconds = {4, 400000},
     .births = {3, 40},
     .size = {40000, 4000000},
     .life = {0.000008, 0.004},
     .fill = {0.08, 0.55},
     .ttl = {0.006, 0.22},
     .period = {0.02, 0.22},
     .leak = {0.9, 8},
     .onset = {0.12, 0.48},
     .shapes = LOAD_PLUNGE + 1,
     .family = FAMILY_FRESH},
    {.name = "unseen",
     .seed = 98765432101,
     .steps = {1000, 10000},
     .seconds = {5, 600000},
     .births = {3, 50},
     .size = {30000, 5000000},
     .life = {0.000006, 0.004},
     .fill = {0.07, 0.5},
     .ttl = {0.005, 0.2},
     .period = {0.018, 0.2},
     .leak = {0.9, 9},
     .onset = {0.1, 0.48},
     .shapes = LOAD_SHAPES,
     .family = FAMILY_UNSEEN,
     .accused = 0.001,
     .recall = 0.85},
};

struct score {
    unsigned runs, right, leaks, found, falsely, creeps_right, creeps, creeps_falsely, healthy, accused;
};

static double draw(struct sim *dice, struct range range)
{
    if (range.low == range.high)
        return range.low;
    return range.low * pow(range.high / range.low, sim_uniform(dice));
}

static double mean;

static struct world draw_world(const struct set *set, struct sim *dice)
{
    struct world world = {.steps = (unsigned)draw(dice, set->steps),
                          .seconds = draw(dice, set->seconds),
                          .load = (enum load)sim_below(dice, set->shapes),
                          .births = (unsigned)draw(dice, set->births),
                          .size = (uint64_t)draw(dice, set->size),
                          .fill = draw(dice, set->fill),
                          .ttl = draw(dice, set->ttl),
                          .period = draw(dice, set->period),
                          .leak = draw(dice, set->leak),
                          .onset = draw(dice, set->onset),
                          .mean = mean};
    world.life = world.seconds * draw(dice, set->life);
    world.requests = world.steps;
    return world;
}

static void count(struct score *score, enum verdict truth, enum verdict verdict, enum verdict other)
{
    bool right = verdict == truth || (truth == VERDICT_STEADY && verdict > VERDICT_CREEP);
    score->healthy += 1 + (truth == VERDICT_STEADY);
    score->accused += (other <= VERDICT_CREEP) + (truth == VERDICT_STEADY && !right);
    score->runs++;
    score->right += right;
    score->leaks += truth == VERDICT_LEAKED;
    score->found += truth == VERDICT_LEAKED && right;
    score->falsely += (truth != VERDICT_LEAKED && verdict == VERDICT_LEAKED) + (other == VERDICT_LEAKED);
    score->creeps += truth == VERDICT_CREEP;
    score->creeps_right += truth == VERDICT_CREEP && right;
    score->creeps_falsely += (truth == VERDICT_STEADY && verdict == VERDICT_CREEP) + (other == VERDICT_CREEP);
}

static void run_scenario(const struct set *set, size_t index, unsigned seeds, uint64_t shift, bool verbose,
                         struct score *score)
{
    const struct scenario *scenario = &scenarios[index];
    unsigned words[VERDICT_COUNT] = {0};
    for (unsigned i = 0; i < seeds; i++) {
        struct sim dice = {.random = set->seed + 7919 * (index + 1) + 104729 * (uint64_t)i + shift};
        struct world world = draw_world(set, &dice);
        enum verdict other, verdict = sim_run(scenario, &world, dice.random, &other);
        words[verdict]++;
        unsigned before = score->right;
        count(score, scenario->truth, verdict, other);
        if (verbose && (score->right == before || other <= VERDICT_CREEP))
            printf("    wrong: %s, seed %u: %s (other: %s); %u steps, %.0f s, load %d, births %u, life %.2g, "
                   "fill %.2f, "
                   "ttl %.3f, period %.3f, leak %.2f, onset %.2f\n",
                   scenario->name, i, verdict_name(verdict), verdict_name(other), world.steps, world.seconds,
                   (int)world.load, world.births, world.life / world.seconds, world.fill, world.ttl,
                   world.period, world.leak, world.onset);
    }
    printf("  %-34s", scenario->name);
    for (unsigned word = 0; word < VERDICT_COUNT; word++)
        if (words[word])
            printf(" %s %u", verdict_name((enum verdict)word), words[word]);
    printf("\n");
}

static bool run_set(const struct set *set, unsigned seeds, uint64_t shift, const char *only, bool verbose)
{
    struct score score = {0};
    printf("%s:\n", set->name);
    for (size_t i = 0; i < scenario_count; i++)
        if (scenarios[i].family <= set->family && (!only || strcmp(only, scenarios[i].name) == 0))
            run_scenario(set, i, seeds, shift, verbose, &score);
    double named = score.found + score.falsely;
    double precision = named > 0 ? score.found / named : 1;
    double recall = score.leaks > 0 ? (double)score.found / score.leaks : 1;
    printf("%s: leaked: precision %.3f, recall %.3f (%u of %u, %u falsely); creep: %u of %u, %u falsely; "
           "healthy: %u of %u accused; %u of %u runs right\n",
           set->name, precision, recall, score.found, score.leaks, score.falsely, score.creeps_right, score.creeps,
           score.creeps_falsely, score.accused, score.healthy, score.right, score.runs);
    return score.accused <= set->accused * score.healthy && precision >= PRECISION_MIN && (mean > 0 || recall >= (set->recall > 0 ? set->recall : RECALL_MIN));
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0, good = true;
    argv += verbose;
    argc -= verbose;
    if (argc > 2 && strcmp(argv[1], "-s") == 0) {
        mean = strtod(argv[2], NULL);
        argv += 2;
        argc -= 2;
    }
    unsigned seeds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : SEEDS;
    const char *only = argc > 2 && *argv[2] ? argv[2] : NULL;
    uint64_t shift = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++)
        good &= run_set(&sets[i], seeds, shift, only, verbose);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
