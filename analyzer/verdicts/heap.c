/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/heap.h"

#include <math.h>
#include <stddef.h>

#include "verdicts/trend.h"

#define SURE_QUANTILE     0.999
#define FOLLOW_UP         1.1 /* times that age */
#define FOLLOW_UP_LEAST   0.03
#define FOLLOW_UP_MOST    0.5
#define FOLLOW_UPS        3 /* each twice the one before */
#define STATIC_LIVE       10
#define STATIC_SHARE      0.8
#define STEP_GROUPS       8
#define MIN_SURVIVORS     8
#define MIN_WINDOWS       8
#define MIN_GENERATIONS   0.75
#define MAX_HAZARD        0.5
#define SURVIVOR_SHARE    0.02 /* of the peak */
#define RISING            2.33 /* one-sided 99 % */
#define SURE_SURVIVORS    30
#define SURE_GENERATIONS  0.9
#define SURE_GROUPS       7
#define DEFERRED_SHARE    0.5
#define CHURN_PEAK        0.2
#define LINEAR            0.9 /* growth order whose interval must reach it to be called linear */
#define WEAK_AXIS         0.1 /* ... less on the axis of allocations, whose own shape adds to the doubt */
#define FLAT              0.25
#define SILENT_WORK       2 /* windows at the end without a survivor that may mean something */
#define SILENT_TIME       8 /* ... of time: an interpreter may take some only to end */
#define SPREAD            0.5 /* of the groups of time that hold a survivor */
#define SPREAD_BRIEFLY    0.25
#define BRIEF_S           1.0 /* shares of a shorter time say more of the scheduler than of the program */
#define INSTANT_S         0.02 /* within less, tasks may as well be the first of a pool */
#define SILENT_S          0.1 /* ... and no less than this: the scheduler may take some, too */
#define ONE_SIDED_95      1.645
#define GROWN             1.5
#define NEAR_PEAK         0.9
#define IDLE_THREADS      0.2 /* of those of a place may be, or else they are left behind */
#define LOAD_GROWN        1.25 /* times the work of the earlier half of the time */
#define LOAD_SHARE        1.5 /* times as many threads for each piece of work */
#define REPLACED          0.25 /* of what is open */
#define MIN_LIFE_SHARE    0.1 /* a site must have been at it for this share of the run */
#define CONTAINER_GROWN   3
#define CONTAINER_STEPS   3
#define CONTAINER_STEP    1.02
#define CONTAINER_COUNT   1.25
#define STEP_OVERDUE      2.5
#define STEP_OVERDUE_S    4.0 /* the same by the clock, of which a busy machine gives now more and now less */
#define FLOOR_BYTES       1048576.0
#define FLOOR_SHARE       0.01
#define FLOOR_COUNT       1000
#define FLOOR_COUNT_BYTES 65536

/* Tasks are no load, and in less than a second the scheduler makes the shares of the time: the work decides alone. */
static bool work_decides(const struct heap_figures *figures)
{
    return figures->work_is_load || (figures->task && figures->tc - figures->first < BRIEF_S);
}

/* Share of the run during which the site was at it: a load at the very end is no growth. */
static double presence(const struct heap_figures *figures)
{
    double work = 1 - figures->from, time = (figures->tc - figures->first) / figures->tc;
    return figures->work_is_load ? work : work_decides(figures) ? fmax(work, time) : time;
}

static double span_of(const struct heap_figures *figures)
{
    return figures->tc - figures->first;
}

static double follow_up(const struct heap_figures *figures)
{
    double age = FOLLOW_UP * survival_quantile(&figures->ages, SURE_QUANTILE);
    return fmin(fmax(age, FOLLOW_UP_LEAST * span_of(figures)), FOLLOW_UP_MOST * span_of(figures));
}

static unsigned silent_windows(const struct heap_figures *figures)
{
    double span = span_of(figures), wanted = span > 0 ? ceil(SILENT_S * COHORT_WINDOWS / span) : 0;
    return (unsigned)fmin(COHORT_WINDOWS, fmax(SILENT_TIME, wanted));
}

/* As many as a pool has, made in less than half of the time, and none since. */
static bool pool_filled(const struct heap_figures *figures)
{
    return figures->alive < SURE_SURVIVORS && cohorts_ceased(figures->by_time, COHORT_WINDOWS / 2);
}

/* Nearly all of them have ended by themselves, a while after the last one was made: in a run so brief they did so together, as the members
 * of a pool that is told to stop. However unevenly the scheduler let them be made, they are not without end. Nor need they be where all
 * of it took an instant. */
static bool may_be_pool(const struct heap_figures *figures)
{
    bool over = (double)(figures->alive - figures->ended) <= IDLE_THREADS * (double)figures->alive;
    bool stopped = span_of(figures) < BRIEF_S && over && cohorts_ceased(figures->by_time, COHORT_WINDOWS / 8);
    return figures->task && (stopped || span_of(figures) < INSTANT_S);
}

/* On the axis of allocations a cache that has filled up leaves no trace when nothing more is allocated, so
 * there the survivors must be spread over the time as well. */
static bool spread_in_time(const struct heap_figures *figures)
{
    if (work_decides(figures))
        return figures->work_is_load || !pool_filled(figures);
    struct cohorts cohorts = cohorts_of(figures->by_time, COHORT_WINDOWS, 0);
    double least = span_of(figures) < BRIEF_S ? SPREAD_BRIEFLY : SPREAD;
    return cohorts.generations >= least && cohorts.onset < COHORT_WINDOWS / 2 &&
           !cohorts_ceased(figures->by_time, silent_windows(figures));
}

/* ---- what was open, over the work ---- */

/* How fast `values` rose over a stretch of the work. */
static double slope(const struct levels *levels, const double *values, unsigned from, unsigned to)
{
    double work = levels->work[to] - levels->work[from];
    return work > 0 ? (values[to] - values[from]) / work : 0;
}

static bool flattens(const struct levels *levels)
{
    unsigned last = levels->count - 1;
    double overall = slope(levels, levels->low, 0, last);
    return slope(levels, levels->low, 2 * last / 3, last) <= FLAT * overall;
}

static bool grew(const struct levels *levels)
{
    return levels->low[levels->count - 1] >= GROWN * fmax(1, levels->low[0]);
}

/* The steps of a container, as windows. */
struct steps {
    unsigned count, first, latest, gap, gap_before;
};

static void step_taken(struct steps *steps, unsigned window)
{
    steps->gap_before = steps->gap;
    steps->gap = window - steps->latest;
    steps->latest = window;
    if (steps->count++ == 0)
        steps->first = window;
}

/* Each step of a vector that doubles takes twice as long as the one before: the next is due as much later again. On a busy machine
 * windows are of uneven length: no step is due sooner than they came on average. There are two at least. */
static bool step_overdue(const struct steps *steps, unsigned last)
{
    double due = steps->gap;
    if (steps->gap_before > 0 && steps->gap > steps->gap_before)
        due *= (double)steps->gap / steps->gap_before;
    due = fmax(due, (double)(steps->latest - steps->first) / (steps->count - 1));
    return last - steps->latest > STEP_OVERDUE * due + 1;
}

/* The same by the clock. In a brief run windows of the work may be anything but even: half of them in the last tenth of it. */
static bool step_overdue_in_time(const struct steps *steps, const double *time, unsigned last)
{
    double due = (time[steps->latest] - time[steps->first]) / (steps->count - 1);
    return time[last] - time[steps->latest] > STEP_OVERDUE_S * due;
}

/* Not all of them came in the first two fifths, by the work or by the clock. */
static bool steps_go_on(const struct steps *steps, const double *time, unsigned last)
{
    return 5 * steps->latest >= 2 * last || 5 * (time[steps->latest] - time[0]) >= 2 * (time[last] - time[0]);
}

/* Ever more bytes in no more blocks: they never shrink, and have grown in several steps, of late as well. */
static bool container_grows(const struct levels *levels)
{
    struct steps steps = {0};
    unsigned last = levels->count - 1;
    double highest = levels->low_bytes[0];
    for (unsigned i = 1; i <= last; i++) {
        if (levels->low_bytes[i] < highest / CONTAINER_STEP)
            return false;
        if (levels->low_bytes[i] > highest * CONTAINER_STEP) {
            highest = levels->low_bytes[i];
            step_taken(&steps, i);
        }
    }
    if (steps.count < CONTAINER_STEPS || (step_overdue(&steps, last) && step_overdue_in_time(&steps, levels->time, last)))
        return false;
    return steps_go_on(&steps, levels->time, last) &&
           levels->low_bytes[last] >= CONTAINER_GROWN * levels->low_bytes[0] &&
           levels->low[last] <= CONTAINER_COUNT * levels->low[last / 3] + 1;
}

static bool is_container(const struct heap_figures *figures)
{
    return figures->levels.count >= 8 && 2 * figures->resized >= figures->alive_bytes && figures->alive > 0 &&
           presence(figures) >= MIN_LIFE_SHARE && container_grows(&figures->levels);
}

static void judge_container(const struct heap_figures *figures, struct heap_judgement *judgement)
{
    const struct levels *levels = &figures->levels;
    struct trend trend = trend_of(levels->time, levels->low_bytes, levels->count);
    judgement->verdict = VERDICT_CREEP;
    judgement->container = true;
    judgement->z = trend.z;
    judgement->onset = figures->first;
    judgement->bytes_per_second = trend.slope;
    judgement->bytes_per_second.low = fmax(0, trend.slope.low);
}

/* ---- cohorts ---- */

static bool survives(const struct heap_figures *figures, const struct heap_judgement *judgement)
{
    const struct cohorts *cohorts = &judgement->cohorts;
    return cohorts->end - cohorts->onset >= MIN_WINDOWS && cohorts->generations >= MIN_GENERATIONS &&
           cohorts->survivors >= MIN_SURVIVORS && judgement->hazard < MAX_HAZARD &&
           (judgement->z > RISING || (cohorts->survivors >= SURE_SURVIVORS &&
                                      (double)cohorts->survivors >= SURVIVOR_SHARE * (double)figures->peak));
}

static void follow(const struct heap_figures *figures, double age, struct heap_judgement *judgement)
{
    judgement->follow_up = age;
    judgement->cohorts =
        cohorts_of(figures->by_work, cohorts_until(figures->window_end, figures->tc - age), figures->lead);
    /* On the axis of allocations work comes in lumps, of which nobody knows how they lay. */
    if (!figures->work_is_load)
        judgement->cohorts.order_sd *= sqrt(cohorts_unevenness(figures->by_work, &judgement->cohorts));
    judgement->hazard = survival_hazard(&figures->ages, age, figures->tc);
}

/* Where some are still released at the follow-up age, older ones may tell more: a cache that evicts at random
 * hides a leak at the same place only for a while. True: they survive at one of these ages. */
static bool follow_longer(const struct heap_figures *figures, struct heap_judgement *judgement)
{
    struct heap_judgement later = *judgement;
    for (unsigned i = 1; i < FOLLOW_UPS; i++) {
        double age = 2 * later.follow_up;
        if (age > FOLLOW_UP_MOST * span_of(figures))
            return false;
        follow(figures, age, &later);
        if (survives(figures, &later)) {
            *judgement = later;
            return true;
        }
    }
    return false;
}

static double time_of(const struct heap_figures *figures, unsigned window)
{
    return window ? figures->window_end[window - 1] : figures->first;
}

static bool began_late(const struct heap_figures *figures, const struct cohorts *cohorts)
{
    double place = (double)cohorts->onset / COHORT_WINDOWS;
    if (figures->work_is_load)
        place = figures->from + place * (1 - figures->from);
    return place > HEAP_LATE_ONSET;
}

/* A table that was filled at the same place must not hide a leak: then only the windows after that count. */
static bool goes_on(const struct heap_figures *figures, struct heap_judgement *judgement)
{
    struct cohorts tail;
    if (!figures->work_is_load || !cohorts_go_on(figures->by_work, &judgement->cohorts, figures->lead, &tail) ||
        tail.groups < SURE_GROUPS || tail.generations < SURE_GENERATIONS)
        return false;
    judgement->cohorts = tail;
    return true;
}

/* Share of the work, from `first` on, that was done by a time. */
static double work_by(const struct heap_figures *figures, double time)
{
    unsigned done = 0;
    while (done < COHORT_WINDOWS && figures->window_end[done] <= time)
        done++;
    return (double)done / COHORT_WINDOWS;
}

/* How many were open on average from one time to another. */
static double mean_open(const struct levels *levels, double from, double to)
{
    double sum = 0, begin = from;
    for (unsigned i = 0; i < levels->count && begin < to; i++) {
        double end = fmin(levels->time[i], to);
        if (end <= begin)
            continue;
        sum += levels->low[i] * (end - begin);
        begin = end;
    }
    return sum / (to - from);
}

/* More was done in the later half of the time than in the earlier, and there were hardly more threads for each piece of it. Of threads
 * that are left behind by a load, there are ever more for each piece, even where the load grows. */
static bool goes_with_load(const struct heap_figures *figures)
{
    if (!figures->task || span_of(figures) < BRIEF_S || figures->levels.count == 0)
        return false;
    double middle = figures->first + span_of(figures) / 2;
    double early = work_by(figures, middle), late = 1 - early, whole = figures->window_work * COHORT_WINDOWS;
    bool by_chance = figures->work_is_load && (late - early) * whole < RISING * sqrt(whole);
    if (late < LOAD_GROWN * early || by_chance)
        return false;
    double before = mean_open(&figures->levels, figures->first, middle), after = mean_open(&figures->levels, middle, figures->tc);
    return after * early <= LOAD_SHARE * before * late;
}

/* All do something. The youngest may not have begun. */
static bool at_work(const struct heap_figures *figures)
{
    double idle = (double)(figures->alive - figures->in_use);
    return figures->in_use > 0 && idle <= IDLE_THREADS * (double)figures->alive + 1;
}

/* What the order of growth is below, by the mean of two measures: each errs for reasons of its own. */
static double order_high(const struct heap_figures *figures, const struct cohorts *cohorts)
{
    double unevenness = figures->work_is_load ? 1 : cohorts_unevenness(figures->by_work, cohorts);
    double by_halves = cohorts->order + ONE_SIDED_95 * cohorts->order_sd;
    return (by_halves + cohorts_likely_order_high(figures->by_work, cohorts, figures->lead, unevenness)) / 2;
}

/* Where some live longer than can be waited for, what survives may only have taken the place of what went, as in a cache that turns
 * over once: a good deal of it was born in the later half of the windows, and what is open has not grown by that. */
static bool replaces(const struct heap_figures *figures, const struct heap_judgement *judgement)
{
    const struct levels *levels = &figures->levels;
    const struct cohorts *cohorts = &judgement->cohorts;
    unsigned half = cohorts->onset + (cohorts->end - cohorts->onset) / 2;
    double born = 0, before = 0;
    if (judgement->follow_up < FOLLOW_UP_MOST * span_of(figures) || levels->count == 0)
        return false;
    for (unsigned i = half; i < cohorts->end; i++)
        born += figures->by_work[i];
    for (unsigned i = 0; i < levels->count && levels->time[i] <= time_of(figures, half); i++)
        before = levels->low[i];
    double now = levels->low[levels->count - 1];
    return born >= REPLACED * now && now - before < REPLACED * born;
}

static enum verdict grows(const struct heap_figures *figures, struct heap_judgement *judgement)
{
    const struct cohorts *cohorts = &judgement->cohorts;
    double high = order_high(figures, cohorts);
    double linear = figures->work_is_load ? LINEAR : LINEAR - WEAK_AXIS;
    bool with_load = goes_with_load(figures);
    if (may_be_pool(figures) || (with_load && figures->work_is_load && at_work(figures)))
        return VERDICT_STEADY;
    if (cohorts_ceased(figures->by_work, SILENT_WORK) || !spread_in_time(figures) || presence(figures) < MIN_LIFE_SHARE ||
        replaces(figures, judgement))
        return VERDICT_PLATEAU;
    if (high < linear && goes_on(figures, judgement))
        return VERDICT_LEAKED;
    if (high < FLAT || (high < linear && flattens(&figures->levels)))
        return VERDICT_PLATEAU;
    judgement->young = high >= linear && began_late(figures, cohorts);
    /* Of a few dozen tasks nobody can tell; but allocations that go with them may be theirs, or a load that they were made for. */
    bool slower = figures->task ? with_load && !figures->work_is_load : high < linear;
    return slower || judgement->young ? VERDICT_CREEP : VERDICT_LEAKED;
}

/* Beyond doubt, so that nothing else that goes on at the same place can hide it. */
static bool surely_leaks(const struct heap_judgement *judgement, enum verdict grown)
{
    const struct cohorts *cohorts = &judgement->cohorts;
    return grown == VERDICT_LEAKED && cohorts->survivors >= SURE_SURVIVORS &&
           cohorts->groups >= SURE_GROUPS && cohorts->generations >= SURE_GENERATIONS &&
           cohorts->order >= LINEAR - 2 * cohorts->order_sd;
}

static enum verdict quiet(const struct heap_figures *figures, const struct heap_judgement *judgement)
{
    const struct levels *levels = &figures->levels;
    bool told = levels->count >= 8;
    if (told && judgement->z > RISING && judgement->hazard >= MAX_HAZARD &&
        (double)figures->alive >= NEAR_PEAK * (double)figures->peak)
        return flattens(levels) ? VERDICT_PLATEAU : VERDICT_TURNOVER;
    if (told && figures->alive >= STATIC_LIVE && grew(levels) && flattens(levels))
        return VERDICT_PLATEAU;
    if ((double)figures->peak < CHURN_PEAK * (double)figures->opened)
        return VERDICT_CHURN;
    return VERDICT_STEADY;
}

static enum verdict word_for(const struct heap_figures *figures, struct heap_judgement *judgement)
{
    const struct cohorts *cohorts = &judgement->cohorts;
    bool survive = survives(figures, judgement) || follow_longer(figures, judgement);
    enum verdict grown = survive ? grows(figures, judgement) : VERDICT_STEADY;
    if (surely_leaks(judgement, grown))
        return grown;
    if (figures->alive >= STATIC_LIVE && (double)figures->warm >= STATIC_SHARE * (double)figures->alive)
        return VERDICT_STATIC;
    if (cohorts->groups >= STEP_GROUPS && cohorts->top_two >= STATIC_SHARE &&
        5 * cohorts->survivors >= figures->alive)
        return VERDICT_STEP;
    if ((double)figures->in_runs >= DEFERRED_SHARE * (double)figures->closed &&
        2 * figures->closed >= figures->opened)
        return VERDICT_DEFERRED;
    return survive ? grown : quiet(figures, judgement);
}

/* Of all that is old enough to tell; of the later half of it where growth slows, for that is what goes on. */
static void find_rates(const struct heap_figures *figures, struct heap_judgement *judgement)
{
    const struct cohorts *cohorts = &judgement->cohorts;
    unsigned from = cohorts->onset;
    uint64_t survivors = 0;
    if (judgement->verdict == VERDICT_CREEP && !judgement->young)
        from += (cohorts->end - cohorts->onset) / 2;
    for (unsigned i = from; i < cohorts->end; i++)
        survivors += figures->by_work[i];
    double span = time_of(figures, cohorts->end) - time_of(figures, from);
    if (span <= 0 || figures->alive == 0)
        return;
    double size = (double)figures->alive_bytes / (double)figures->alive;
    judgement->per_second = stats_rate(survivors, span);
    if (figures->window_work > 0)
        judgement->per_work = (double)survivors / ((cohorts->end - from) * figures->window_work);
    judgement->bytes_per_second =
        (struct interval){size * judgement->per_second.estimate, size * judgement->per_second.low,
                          size * judgement->per_second.high};
}

static enum confidence confidence_in(const struct heap_judgement *judgement)
{
    const struct cohorts *cohorts = &judgement->cohorts;
    return cohorts->survivors >= 50 && cohorts->generations >= 0.95 ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
}

struct heap_judgement heap_judge(const struct heap_figures *figures)
{
    struct heap_judgement judgement = {.verdict = VERDICT_FEW, .confidence = CONFIDENCE_MEDIUM};
    const struct levels *levels = &figures->levels;
    judgement.never_released = stats_share(figures->alive, figures->opened);
    if (figures->by_work && is_container(figures)) {
        judge_container(figures, &judgement);
        return judgement;
    }
    if (figures->opened < figures->few)
        return judgement;
    if (!figures->by_work) {
        judgement.verdict = quiet(figures, &judgement);
        return judgement;
    }
    judgement.z = trend_z(levels->work, levels->low, levels->count);
    if (figures->closed > 0)
        judgement.never_released = survival_share(&figures->ages);
    follow(figures, follow_up(figures), &judgement);
    judgement.verdict = word_for(figures, &judgement);
    judgement.onset = time_of(figures, judgement.cohorts.onset);
    judgement.confidence = confidence_in(&judgement);
    find_rates(figures, &judgement);
    return judgement;
}

bool heap_above_floor(uint64_t survivors, uint64_t bytes, double rss_growth)
{
    if ((double)bytes >= fmax(FLOOR_BYTES, FLOOR_SHARE * rss_growth))
        return true;
    return survivors >= FLOOR_COUNT && bytes >= FLOOR_COUNT_BYTES && rss_growth < 100 * FLOOR_BYTES;
}
