/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known by an address, stack by stack: from sites to figures, from judgements to findings. */
#include <errno.h>
#include <math.h>

#include "verdicts/court.h"
#include "verdicts/ended.h"
#include "verdicts/heap.h"

#define FEW_BLOCKS 30 /* heap */
#define FEW_OTHERS 10 /* PGresults and other blocks */

_Static_assert(COHORT_WINDOWS == LIVES_WINDOWS, "cohorts are handed over as they are");

/* Room for what figures of one site point to. */
struct workspace {
    double window_end[LIVES_WINDOWS];
    double low[LIVES_WINDOWS], low_bytes[LIVES_WINDOWS], work[LIVES_WINDOWS], time[LIVES_WINDOWS];
};

static double time_at(const struct court *court, double work)
{
    const struct lives *lives = court->lives;
    return fmin(seconds(court, marks_time_at(&lives->marks, lives->axis, work)), court->tc);
}

static void fill_windows(const struct court *court, double from, struct workspace *space)
{
    for (int i = 0; i < LIVES_WINDOWS; i++) {
        double work = from + (court->work - from) * (i + 1) / LIVES_WINDOWS;
        space->window_end[i] = i == LIVES_WINDOWS - 1 ? court->tc : time_at(court, work);
    }
}

/* The windows of the pass, from the first on that ends after `from`; on the axis of time if `timed`. */
static struct levels levels_of(const struct court *court, const struct windows *windows, bool timed, double from,
                               struct workspace *space)
{
    const struct marks *marks = &court->lives->marks;
    unsigned count = 0;
    for (uint32_t i = 0; i <= windows->current; i++) {
        uint32_t end = windows_mark(windows, i + 1);
        bool last = i == windows->current || end > marks->current;
        double work = last ? court->work : fmin(lives_work(court->lives, end), court->work);
        double time = last ? court->tc : fmin(seconds(court, marks_at(marks, end)->at[AXIS_TIME]), court->tc);
        double place = timed ? time : work;
        if (place <= from)
            continue;
        space->low[count] = windows->low[i];
        space->low_bytes[count] = (double)windows->low_bytes[i];
        space->work[count] = place;
        space->time[count] = time;
        count++;
    }
    return (struct levels){space->low, space->low_bytes, space->work, space->time, count};
}

static struct ages ages_of(const struct court *court, const struct growth *growth, uint64_t closed)
{
    double kept = 0;
    for (unsigned i = 0; i < AGE_BUCKETS; i++)
        kept += growth->released[i];
    return (struct ages){.released = growth->released,
                         .surviving = growth->surviving,
                         .bound = court->bucket_age,
                         .buckets = AGE_BUCKETS,
                         .unseen = kept > 0 ? fmax(1, (double)closed / kept) : 1};
}

/* How much a program that only computes has done is told by its allocations; but samples of small objects are taken where
 * there is next to no other allocation. */
static void judge_by_time(const struct court *court, const struct site *site, struct heap_figures *figures,
                          struct workspace *space)
{
    double first = seconds(court, site->first);
    for (int i = 0; i < LIVES_WINDOWS; i++)
        space->window_end[i] = first + (court->tc - first) * (i + 1) / LIVES_WINDOWS;
    figures->first = first;
    figures->by_work = site->growth->by_time;
    figures->window_work = 0;
    figures->lead = 0;
    figures->levels = levels_of(court, &site->growth->windows, true, first, space);
}

static struct heap_judgement judge_site(const struct court *court, const struct site *site)
{
    const struct lives *lives = court->lives;
    const struct growth *growth = site->growth;
    struct workspace space;
    double from = lives_growth_from(lives, site);
    struct heap_figures figures = {
        .opened = site->opened_by_tc,
        .closed = site->opened_by_tc - site->alive,
        .peak = site->peak,
        .alive = site->alive,
        .alive_bytes = site->alive_bytes,
        .warm = site->warm,
        .few = is_memory(site->resource) ? FEW_BLOCKS : FEW_OTHERS,
        .task = site->resource == STRAY_THREAD || site->resource == STRAY_CHILD,
        .ended = site->ended,
        .in_use = site->in_use,
        .first = fmax(seconds(court, site->first), time_at(court, from)),
        .tc = court->tc,
        .work_is_load = is_load(lives),
        .from = court->work > 0 ? from / court->work : 0,
    };
    if (!growth)
        return heap_judge(&figures);
    fill_windows(court, from, &space);
    figures.in_runs = growth->in_runs;
    figures.resized = growth->resized;
    figures.by_work = growth->by_work;
    figures.by_time = growth->by_time;
    figures.window_end = space.window_end;
    figures.window_work = (court->work - from) / LIVES_WINDOWS;
    if (figures.window_work > 0)
        figures.lead = (from - lives_work(lives, site->first_mark)) / figures.window_work;
    figures.ages = ages_of(court, growth, figures.closed);
    figures.levels = levels_of(court, &growth->windows, false, from, &space);
    if (site->resource == STRAY_PYOBJECT && site->estimated && !figures.work_is_load)
        judge_by_time(court, site, &figures, &space);
    return heap_judge(&figures);
}

static double rss_growth(const struct lives *lives)
{
    return (double)lives->memory.last_rss - (double)lives->memory.first_rss;
}

/* What the leaking sites of a fold add up to. */
struct leakage {
    enum verdict verdict;
    uint64_t count, bytes, own_bytes, resized;
    bool estimated;
    struct tally tally;
    uint64_t survivors;                            /* of which the rates are made */
    double per_second, per_work, bytes_per_second; /* estimates, added up */
    uint64_t first, last;
    uint32_t stack;
    uint64_t most;
    struct heap_judgement worst;
};

static void add_up(struct leakage *leakage, const struct site *site, const struct heap_judgement *judgement)
{
    if (leakage->count == 0 || site->first < leakage->first)
        leakage->first = site->first;
    if (site->last > leakage->last)
        leakage->last = site->last;
    if (leakage->count == 0 || judgement->verdict < leakage->verdict)
        leakage->verdict = judgement->verdict;
    if (leakage->count == 0 || site->alive_bytes > leakage->most) {
        leakage->most = site->alive_bytes;
        leakage->stack = site->stack;
        leakage->worst = *judgement;
    }
    double each = site->estimated ? site->at_end.count / (double)site->alive : 1; /* those that a survivor stands for */
    leakage->estimated |= site->estimated;
    tally_join(&leakage->tally, &site->at_end);
    leakage->count += site->estimated ? tally_whole(&site->at_end) : site->alive;
    leakage->bytes += site->alive_bytes;
    leakage->own_bytes += site->own_bytes;
    leakage->resized += site->growth ? site->growth->resized : 0;
    leakage->survivors += judgement->cohorts.survivors;
    leakage->per_second += each * judgement->per_second.estimate;
    leakage->per_work += each * judgement->per_work;
    leakage->bytes_per_second += judgement->bytes_per_second.estimate;
}

/* What the verdict rests on: of the stack that holds most. */
static void cohort_facts(struct finding *finding, const struct leakage *leakage)
{
    const struct heap_judgement *worst = &leakage->worst;
    fact_add(finding, "survivors", (double)leakage->survivors, true);
    fact_add(finding, "surviving_generations", worst->cohorts.generations, false);
    fact_add(finding, "growth_order", worst->cohorts.order, false);
    fact_add(finding, "growth_order_sd", worst->cohorts.order_sd, false);
    fact_add(finding, "tail_hazard", worst->hazard, false);
    fact_add(finding, "never_released", worst->never_released.estimate, false);
    fact_add(finding, "never_released_low", worst->never_released.low, false);
    fact_add(finding, "never_released_high", worst->never_released.high, false);
    fact_add(finding, "follow_up_s", worst->follow_up, false);
    fact_add(finding, "onset_s", worst->onset, false);
    if (worst->young)
        fact_add(finding, "too_early_to_tell", 1, false);
}

/* `estimate` with the relative interval of `like`. */
static struct interval scaled(double estimate, const struct interval *like)
{
    double factor = like->estimate > 0 ? estimate / like->estimate : 0;
    return (struct interval){estimate, like->low * factor, like->high * factor};
}

static void interval_fact(struct finding *finding, const char *const names[3], const struct interval *value)
{
    fact_add(finding, names[0], value->estimate, false);
    fact_add(finding, names[1], value->low, false);
    fact_add(finding, names[2], value->high, false);
}

/* The last three facts are rates: those of several processes add up. */
static void sum_last_three(struct finding *finding)
{
    for (size_t i = 3; i > 0 && finding->fact_count >= 3; i--)
        finding->facts[finding->fact_count - i].summed = true;
}

/* By the hour, and by the unit of work where that is a load. What counts for the interval are the survivors
 * of all stacks together. */
static void rate_facts(const struct court *court, struct finding *finding, const struct leakage *leakage)
{
    static const char *const bytes[] = {"bytes_per_hour", "bytes_per_hour_low", "bytes_per_hour_high"};
    static const char *const work[] = {"per_unit_of_work", "per_unit_of_work_low", "per_unit_of_work_high"};
    struct interval whole = leakage->survivors ? stats_rate(leakage->survivors, 1) : (struct interval){0};
    struct interval by_bytes = leakage->worst.container ? scaled(leakage->bytes_per_second * HOUR_S,
                                                                 &leakage->worst.bytes_per_second)
                                                        : scaled(leakage->bytes_per_second * HOUR_S, &whole);
    finding->rated = leakage->per_second > 0;
    finding->rate_per_hour = scaled(leakage->per_second * HOUR_S, &whole);
    if (by_bytes.estimate > 0) {
        interval_fact(finding, bytes, &by_bytes);
        sum_last_three(finding);
    }
    if (leakage->per_work > 0 && is_load(court->lives)) {
        struct interval each = scaled(leakage->per_work, &whole);
        interval_fact(finding, work, &each);
    }
    double growth = rss_growth(court->lives);
    if (growth > 0 && finding->bytes > 0)
        fact_add(finding, "share_of_rss_growth", fmin(1, (double)finding->bytes / growth), false);
}

static enum severity severity_of(enum verdict verdict)
{
    return verdict == VERDICT_LEAKED ? SEVERITY_ERROR : verdict == VERDICT_CREEP ? SEVERITY_WARNING : SEVERITY_NOTE;
}

static int say_growing(struct court *court, uint32_t which, const struct leakage *leakage, bool small)
{
    const struct fold *fold = &court->folds->items[which];
    struct finding *finding = finding_add(court, which, leakage->verdict, severity_of(leakage->verdict), leakage->worst.confidence);
    if (!finding)
        return -ENOMEM;
    finding->small = small;
    finding->stack = leakage->stack;
    finding->count = leakage->count;
    finding->bytes = leakage->bytes;
    finding->own_bytes = leakage->own_bytes;
    finding->estimated = leakage->estimated;
    finding->tally = leakage->tally;
    finding->first_s = seconds(court, leakage->first);
    finding->last_s = fmin(seconds(court, leakage->last), court->tc);
    counts_add(finding, fold);
    if (leakage->worst.container)
        fact_add(finding, "grown_by_realloc_bytes", (double)leakage->resized, true);
    else
        cohort_facts(finding, leakage);
    if (leakage->verdict != VERDICT_OPEN_AT_EXIT) /* what has ended grows no more */
        rate_facts(court, finding, leakage);
    fact_add(finding, "trend_z", leakage->worst.z, false);
    fact_add(finding, "observed_s", court->tc, false);
    return 0;
}

/* Threads and children that have ended, of all sites of a fold. */
static struct ended_figures ended_of(const struct court *court, const struct fold *fold)
{
    struct ended_figures figures = {.child = fold->resource == STRAY_CHILD}; /* all 0 for other kinds */
    for (size_t i = 0; i < fold->site_count; i++) {
        figures.ended += court->lives->sites[fold->sites[i]].ended;
        figures.overtaken += court->lives->sites[fold->sites[i]].overtaken;
        figures.in_turn += court->lives->sites[fold->sites[i]].in_turn;
    }
    return figures;
}

static int say_ended(struct court *court, uint32_t which, const struct ended_judgement *judgement)
{
    const struct fold *fold = &court->folds->items[which];
    struct finding *finding = finding_add(court, which, judgement->verdict, judgement->severity, judgement->confidence);
    if (!finding)
        return -ENOMEM;
    court->judged.verdicts[which] = judgement->verdict;
    finding->count = judgement->count;
    finding->first_s = seconds(court, fold->first);
    finding->last_s = fmin(seconds(court, fold->last), court->tc);
    finding->rated = court->tc > 0;
    if (finding->rated)
        finding->rate_per_hour = stats_rate(judgement->count, court->tc / HOUR_S);
    counts_add(finding, fold);
    fact_add(finding, "ended", (double)judgement->count, true);
    fact_add(finding, "observed_s", court->tc, false);
    return 0;
}

/* An arena comes where the interpreter's pool happens to be used up, and is kept as long as any object in it lives: the line
 * where it came is no more to blame than any other. */
static bool is_arena(const struct court *court, const struct site *site)
{
    const struct frame *frame = site->resource == STRAY_MMAP ? blame(court, site->stack) : NULL;
    return frame && frame->pooled;
}

int judge_blocks(struct court *court, uint32_t which)
{
    const struct fold *fold = &court->folds->items[which];
    struct leakage leakage = {.verdict = VERDICT_STEADY};
    enum verdict quiet = VERDICT_FEW;
    uint64_t busiest = 0;
    struct ended_figures ended = ended_of(court, fold);
    struct ended_judgement unasked = ended_judge(&ended);
    if (unasked.severity != SEVERITY_NONE)
        return say_ended(court, which, &unasked);
    for (size_t i = 0; i < fold->site_count; i++) {
        const struct site *site = &court->lives->sites[fold->sites[i]];
        struct heap_judgement judgement = judge_site(court, site);
        bool grows = judgement.verdict == VERDICT_LEAKED || judgement.verdict == VERDICT_CREEP;
        if (grows && (is_arena(court, site) || is_looked_up(court, site))) {
            judgement.verdict = VERDICT_STEADY;
            grows = false;
        }
        if (grows) {
            add_up(&leakage, site, &judgement);
        } else if (site->opened > busiest) {
            busiest = site->opened;
            quiet = judgement.verdict;
        }
    }
    bool loud =
        leakage.count > 0 && (!is_memory(fold->resource) ||
                              heap_above_floor(leakage.count, leakage.bytes, rss_growth(court->lives)));
    bool memory = is_memory(fold->resource) || fold->resource == STRAY_MMAP;
    if (leakage.count > 0 && memory && is_kept_by_tool(court, leakage.stack))
        leakage.verdict = VERDICT_OPEN_AT_EXIT;
    court->judged.verdicts[which] = loud ? leakage.verdict : leakage.count > 0 ? VERDICT_STEADY : quiet;
    return leakage.count > 0 ? say_growing(court, which, &leakage, !loud) : 0;
}
