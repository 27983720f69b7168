/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/judge.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "verdicts/connections.h"
#include "verdicts/ended.h"
#include "verdicts/heap.h"
#include "verdicts/tempfiles.h"

#define FEW_BLOCKS     30 /* heap */
#define FEW_OTHERS     10 /* PGresults and other blocks */
#define HOUR_S         3600.0
#define RECYCLED_BYTES 208 /* a tuple of 20 with its header, and a little */
#define SAMPLE_ERROR_S 0.01 /* the kernel's clock ticks may be 10 ms */

_Static_assert(COHORT_WINDOWS == LIVES_WINDOWS, "cohorts are handed over as they are");

struct court {
    const struct lives *lives;
    const struct folds *folds;
    blame_of *blame;
    void *data;
    struct judged judged;
    size_t room;
    bool *leaked;   /* lives that a finding counts as leaked */
    uint32_t *next; /* of each life: the one that its thread acquired next, or LIVES_NONE */
    double tc, work;
    double bucket_age[AGE_BUCKETS + 1];
};

static struct finding *finding_add(struct court *court, uint32_t fold)
{
    struct judged *judged = &court->judged;
    if (judged->count == court->room) {
        size_t room = court->room ? 2 * court->room : 16;
        struct finding *moved = reallocarray(judged->findings, room, sizeof(*moved));
        if (!moved)
            return NULL;
        judged->findings = moved;
        court->room = room;
    }
    struct finding *finding = &judged->findings[judged->count++];
    *finding = (struct finding){.fold = fold, .stack = court->folds->items[fold].stack, .cause = LIVES_NONE};
    return finding;
}

static void fact_add(struct finding *finding, const char *name, double value, bool count)
{
    if (finding->fact_count < FACTS_MAX)
        finding->facts[finding->fact_count++] = (struct fact){name, value, count, count};
}

/* ---- lives ---- */

static double seconds(const struct court *court, uint64_t time)
{
    return court->lives->source.seconds(court->lives->source.data, time);
}

static double span(const struct court *court, uint64_t ticks)
{
    return court->lives->source.span(court->lives->source.data, ticks);
}

/* A PGconn's failure is its connection's as well. */
static bool failed(const struct lives *lives, const struct life *life)
{
    return life->failed || (life->partner != LIVES_NONE && lives->lives[life->partner].failed);
}

static double next_birth(const struct court *court, const struct life *life)
{
    uint32_t next = court->next[life - court->lives->lives];
    double kept = next == LIVES_NONE ? INFINITY : seconds(court, court->lives->lives[next].birth);
    return life->next_birth ? fmin(kept, seconds(court, life->next_birth)) : kept;
}

/* Requests and statements; allocations are told by marks that lie up to some hundreds apart. */
static bool is_load(const struct lives *lives)
{
    return lives->axis <= AXIS_STATEMENTS;
}

/* Statements, else pieces of data that were sent, else half the calls: one there, one back. */
static uint32_t exchanges_of(const struct life *life)
{
    return life->uses ? life->uses : life->sent ? life->sent : life->moved / 2 + life->moved % 2;
}

static struct usage usage_of(const struct court *court, const struct life *life)
{
    const struct lives *lives = court->lives;
    return (struct usage){
        .birth = seconds(court, life->birth),
        .last_use = fmin(seconds(court, life->last_use), court->tc),
        .end = life->end == LIFE_OPEN ? court->tc : seconds(court, life->death),
        .work = lives_work(lives, life->mark),
        .work_by = is_load(lives) ? 0 : fmin(lives_work_by(lives, life->mark), court->work),
        .connect_s = span(court, life->connect),
        .close_wait_s = span(court, life->close_wait_last - life->close_wait_first),
        .close_wait = life->close_wait,
        .next_s = next_birth(court, life),
        .quiet_s = span(court, life->quiet),
        .error_s = life->sampled ? SAMPLE_ERROR_S : 0,
        .uses = exchanges_of(life),
        .thread = life->thread,
        .open = life_open_at_tc(life),
        .used_known = life->used_known,
        .by_ender = lives->tc_thread != 0 && life->thread == lives->tc_thread,
        .orphan = life->closer == CLOSER_EXIT,
        .finalizer = life->closer == CLOSER_DESTRUCTOR || life->closer == CLOSER_COLLECTOR,
        .server = life->server,
        .failed = failed(lives, life),
        .copy = life->copy,
        .handed_on = life->handed_on,
        .overlaps = life->overlaps,
    };
}

static bool keeps_lives(const struct fold *fold)
{
    return fold->life_count > 0;
}

/* The lives of a fold as the rules want them; *ret_indexes says which is which. */
static int usages_of(const struct court *court, const struct fold *fold, struct usage **ret_usages,
                     uint32_t **ret_indexes, size_t *ret_count)
{
    struct usage *usages = calloc(fold->life_count + 1, sizeof(*usages));
    uint32_t *indexes = calloc(fold->life_count + 1, sizeof(*indexes));
    size_t count = 0;
    if (!usages || !indexes) {
        free(usages);
        free(indexes);
        return -ENOMEM;
    }
    for (size_t i = 0; i < fold->life_count; i++) {
        const struct life *life = &court->lives->lives[fold->lives[i]];
        if (life->born_late)
            continue;
        indexes[count] = fold->lives[i];
        usages[count++] = usage_of(court, life);
    }
    *ret_usages = usages;
    *ret_indexes = indexes;
    *ret_count = count;
    return 0;
}

/* Open ones whose peer has hung up. */
static uint64_t close_wait_of(const struct court *court, const struct fold *fold)
{
    uint64_t count = 0;
    for (size_t i = 0; i < fold->life_count; i++) {
        const struct life *life = &court->lives->lives[fold->lives[i]];
        count += life_open_at_tc(life) && life->close_wait > 0;
    }
    return count;
}

static void life_facts(const struct court *court, struct finding *finding,
                       const struct usage_judgement *judgement, const struct fold *fold)
{
    fact_add(finding, "opened", (double)fold->opened, true);
    fact_add(finding, "closed", (double)fold->closed, true);
    fact_add(finding, "open_at_end", (double)fold->alive, true);
    if (judgement->verdict == VERDICT_LEAKED || judgement->verdict == VERDICT_OPEN_AT_EXIT) {
        fact_add(finding, "median_idle_s", judgement->median_idle_s, false);
        fact_add(finding, "spread_over_time", judgement->spread_time, false);
        fact_add(finding, "spread_over_work", judgement->spread_work, false);
    }
    if (fold->closed > 0)
        fact_add(finding, "median_life_s", judgement->median_life_s, false);
    if (judgement->verdict == VERDICT_LEAKED) {
        fact_add(finding, "never_released", judgement->never_released.estimate, false);
        fact_add(finding, "never_released_low", judgement->never_released.low, false);
        fact_add(finding, "never_released_high", judgement->never_released.high, false);
    }
    if (judgement->verdict == VERDICT_FINALIZER_CLOSED)
        fact_add(finding, "share_of_closes", judgement->share, false);
    if (judgement->verdict == VERDICT_CHURN)
        fact_add(finding, "share_of_time_connecting", judgement->share, false);
    uint64_t waiting = close_wait_of(court, fold);
    if (waiting > 0)
        fact_add(finding, "close_wait", (double)waiting, true);
    fact_add(finding, "observed_s", court->tc, false);
}

static int say(struct court *court, uint32_t fold, const struct usage_judgement *judgement)
{
    struct finding *finding = finding_add(court, fold);
    if (!finding)
        return -ENOMEM;
    finding->verdict = judgement->verdict;
    finding->severity = judgement->severity;
    finding->confidence = judgement->confidence;
    finding->count = judgement->count;
    finding->first_s = judgement->first;
    finding->last_s = judgement->last;
    const struct interval *rate = &judgement->per_second;
    finding->rated = rate->estimate > 0;
    finding->rate_per_hour =
        (struct interval){rate->estimate * HOUR_S, rate->low * HOUR_S, rate->high * HOUR_S};
    life_facts(court, finding, judgement, &court->folds->items[fold]);
    return 0;
}

static bool is_closed_by_hand(const struct lives *lives, unsigned resource)
{
    for (size_t i = 0; i < lives->site_count; i++)
        if (lives->sites[i].resource == resource && lives->sites[i].gone.count > lives->sites[i].gone.finalized)
            return true;
    for (size_t i = 0; i < lives->life_count; i++) {
        const struct life *life = &lives->lives[i];
        bool left = life->closer == CLOSER_DESTRUCTOR || life->closer == CLOSER_COLLECTOR || life->closer == CLOSER_EXIT;
        if (life->resource == resource && life->end == LIFE_CLOSED && !left)
            return true;
    }
    return false;
}

/* Of a user's own resource nobody knows whether its holder can close it otherwise (Python's SSL objects have no close()), but
 * where somebody does. */
static bool judge_finalizers(const struct court *court, uint32_t which, const struct usage_figures *figures,
                             struct usage_judgement *judgement)
{
    unsigned resource = court->folds->items[which].resource;
    return usage_judge_finalizers(figures, judgement) &&
           (resource < STRAY_USER_FIRST || is_closed_by_hand(court->lives, resource));
}

static int judge_usages(struct court *court, uint32_t which, const struct usage_figures *figures, bool *marks,
                        const uint32_t *indexes)
{
    struct usage_judgement judgement, waiting;
    int result = usage_judge_open(figures, &judgement, marks);
    if (result < 0)
        return result;
    court->judged.verdicts[which] = judgement.verdict;
    for (size_t i = 0; i < figures->count; i++)
        court->leaked[indexes[i]] = marks[i];
    bool leaked = judgement.verdict == VERDICT_LEAKED;
    bool waits = !leaked && usage_judge_close_wait(figures, &waiting);
    bool said_by_waiting = waits && waiting.count >= judgement.count;
    if (judgement.severity != SEVERITY_NONE && !said_by_waiting)
        result = say(court, which, &judgement);
    if (result == 0 && waits)
        result = say(court, which, &waiting);
    if (result == 0 && judge_finalizers(court, which, figures, &judgement))
        result = say(court, which, &judgement);
    else if (result == 0 && !leaked && usage_judge_churn(figures, &judgement))
        result = say(court, which, &judgement);
    return result;
}

static struct usage_gone gone_of(const struct court *court, const struct gone *gone)
{
    if (gone->count == 0)
        return (struct usage_gone){0};
    return (struct usage_gone){
        .count = gone->count,
        .finalized = gone->finalized,
        .first = seconds(court, gone->first),
        .last = seconds(court, gone->last),
        .first_work = lives_work(court->lives, gone->first_mark),
        .overlapped = gone->overlapped,
    };
}

static int judge_lives(struct court *court, uint32_t which)
{
    const struct fold *fold = &court->folds->items[which];
    struct usage *usages;
    uint32_t *indexes;
    size_t count;
    int result = usages_of(court, fold, &usages, &indexes, &count);
    if (result < 0)
        return result;
    struct usage_figures figures = {
        .usage = usages,
        .count = count,
        .gone = gone_of(court, &fold->gone),
        .tc = court->tc,
        .work = court->work,
        .work_is_load = is_load(court->lives),
        .exits = court->lives->ending == ENDING_EXIT && court->lives->voluntary,
        .connection = fold->resource == STRAY_CONNECTION || fold->resource == STRAY_PGCONN,
    };
    bool *marks = calloc(count + 1, sizeof(*marks));
    court->judged.verdicts[which] = VERDICT_FEW;
    if (!marks)
        result = -ENOMEM;
    else if (count > 0)
        result = judge_usages(court, which, &figures, marks, indexes);
    free(marks);
    free(usages);
    free(indexes);
    return result;
}

/* From the last life back to the first, by thread and kind. */
static int find_next(struct court *court)
{
    struct map latest = {0};
    int result = 0;
    for (size_t i = court->lives->life_count; result == 0 && i-- > 0;) {
        const struct life *life = &court->lives->lives[i];
        uint64_t key = (uint64_t)life->thread << 16 | (uint64_t)life->resource << 8 | life->server;
        court->next[i] = LIVES_NONE;
        if (life->inherited)
            continue;
        map_get(&latest, key, &court->next[i]);
        result = map_put(&latest, key, (uint32_t)i);
    }
    map_clear(&latest);
    return result;
}

/* ---- blocks ---- */

static bool is_memory(unsigned resource)
{
    return resource == STRAY_HEAP || resource == STRAY_PYOBJECT;
}

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
    uint64_t count, bytes, resized;
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

static int say_growing(struct court *court, uint32_t which, const struct leakage *leakage)
{
    const struct fold *fold = &court->folds->items[which];
    struct finding *finding = finding_add(court, which);
    if (!finding)
        return -ENOMEM;
    finding->verdict = leakage->verdict;
    finding->severity = leakage->verdict == VERDICT_LEAKED ? SEVERITY_ERROR : SEVERITY_WARNING;
    finding->confidence = leakage->worst.confidence;
    finding->stack = leakage->stack;
    finding->count = leakage->count;
    finding->bytes = leakage->bytes;
    finding->estimated = leakage->estimated;
    finding->tally = leakage->tally;
    finding->first_s = seconds(court, leakage->first);
    finding->last_s = fmin(seconds(court, leakage->last), court->tc);
    fact_add(finding, "opened", (double)fold->opened, true);
    fact_add(finding, "closed", (double)fold->closed, true);
    fact_add(finding, "open_at_end", (double)fold->alive, true);
    if (leakage->worst.container)
        fact_add(finding, "grown_by_realloc_bytes", (double)leakage->resized, true);
    else
        cohort_facts(finding, leakage);
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
    struct finding *finding = finding_add(court, which);
    if (!finding)
        return -ENOMEM;
    court->judged.verdicts[which] = judgement->verdict;
    finding->verdict = judgement->verdict;
    finding->severity = judgement->severity;
    finding->confidence = judgement->confidence;
    finding->count = judgement->count;
    finding->first_s = seconds(court, fold->first);
    finding->last_s = fmin(seconds(court, fold->last), court->tc);
    finding->rated = court->tc > 0;
    if (finding->rated)
        finding->rate_per_hour = stats_rate(judgement->count, court->tc / HOUR_S);
    fact_add(finding, "opened", (double)fold->opened, true);
    fact_add(finding, "closed", (double)fold->closed, true);
    fact_add(finding, "open_at_end", (double)fold->alive, true);
    fact_add(finding, "ended", (double)judgement->count, true);
    fact_add(finding, "observed_s", court->tc, false);
    return 0;
}

/* An arena comes where the interpreter's pool happens to be used up, and is kept as long as any object in it lives: the line
 * where it came is no more to blame than any other. */
static bool is_arena(const struct court *court, const struct site *site)
{
    const struct frame *frame = site->resource == STRAY_MMAP ? court->blame(court->data, site->stack) : NULL;
    return frame && frame->pooled;
}

static int judge_blocks(struct court *court, uint32_t which)
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
        if (grows && is_arena(court, site)) {
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
    court->judged.verdicts[which] = loud ? leakage.verdict : leakage.count > 0 ? VERDICT_STEADY : quiet;
    return loud ? say_growing(court, which, &leakage) : 0;
}

/* ---- temporary files ---- */

static int say_left(struct court *court, uint32_t which, const struct tempfile_judgement *judgement)
{
    const struct fold *fold = &court->folds->items[which];
    struct finding *finding = finding_add(court, which);
    if (!finding)
        return -ENOMEM;
    finding->verdict = judgement->verdict;
    finding->severity = judgement->severity;
    finding->confidence = judgement->confidence;
    finding->count = fold->left;
    finding->example = fold->left_path;
    finding->first_s = seconds(court, fold->first);
    finding->last_s = seconds(court, fold->last);
    finding->rated = judgement->verdict == VERDICT_LEAKED && court->tc > 0;
    if (finding->rated)
        finding->rate_per_hour = stats_rate(fold->left, court->tc / HOUR_S);
    fact_add(finding, "opened", (double)fold->opened, true);
    fact_add(finding, "closed", (double)fold->closed, true);
    fact_add(finding, "left_behind", (double)fold->left, true);
    fact_add(finding, "observed_s", court->tc, false);
    return 0;
}

static int judge_tempfiles(struct court *court, uint32_t which)
{
    const struct fold *fold = &court->folds->items[which];
    struct tempfile_figures figures = {
        .opened = fold->opened,
        .left = fold->left,
        .exits = court->lives->ending == ENDING_EXIT,
        .goes_on = court->lives->ending == ENDING_EXEC,
    };
    struct tempfile_judgement judgement = tempfile_judge(&figures);
    court->judged.verdicts[which] = judgement.verdict;
    return judgement.severity == SEVERITY_NONE ? 0 : say_left(court, which, &judgement);
}

static int judge_fold(struct court *court, uint32_t which)
{
    const struct fold *fold = &court->folds->items[which];
    if (fold->resource == STRAY_TEMPFILE)
        return judge_tempfiles(court, which);
    return keeps_lives(fold) ? judge_lives(court, which) : judge_blocks(court, which);
}

/* ---- causes ---- */

static uint32_t finding_of(const struct court *court, uint32_t fold, enum verdict verdict)
{
    for (uint32_t i = 0; i < court->judged.count; i++) {
        if (court->judged.findings[i].fold == fold && court->judged.findings[i].verdict == verdict)
            return i;
    }
    return LIVES_NONE;
}

static bool counts_life(const struct court *court, const struct finding *finding, uint32_t index)
{
    const struct life *life = &court->lives->lives[index];
    if (finding->verdict == VERDICT_LEAKED)
        return court->leaked[index];
    if (finding->verdict == VERDICT_OPEN_AT_EXIT)
        return life_open_at_tc(life);
    return !life->born_late;
}

/* The connection finding with the same verdict to which most of a PGconn finding's lives are tied. */
static uint32_t connection_behind(const struct court *court, const struct finding *finding,
                                  const uint32_t *fold_of)
{
    const struct fold *fold = &court->folds->items[finding->fold];
    uint64_t tied = 0, counted = 0;
    uint32_t cause = LIVES_NONE;
    for (size_t i = 0; i < fold->life_count; i++) {
        if (!counts_life(court, finding, fold->lives[i]))
            continue;
        counted++;
        uint32_t partner = court->lives->lives[fold->lives[i]].partner;
        uint32_t behind =
            partner == LIVES_NONE ? LIVES_NONE : finding_of(court, fold_of[partner], finding->verdict);
        if (behind == LIVES_NONE)
            continue;
        tied++;
        cause = behind;
    }
    return 2 * tied > counted ? cause : LIVES_NONE;
}

static bool same_function(const struct frame *a, const struct frame *b)
{
    return a && b && a->function && b->function && strcmp(a->function, b->function) == 0 &&
           (a->file == b->file || (a->file && b->file && strcmp(a->file, b->file) == 0));
}

/* Memory acquired by the function that leaks connections or files is held by them: a database in a file has its pages, a
 * stream its buffer. */
static uint32_t handle_holding(const struct court *court, const struct finding *finding)
{
    const struct frame *here = court->blame(court->data, finding->stack);
    for (uint32_t i = 0; i < court->judged.count; i++) {
        const struct finding *other = &court->judged.findings[i];
        unsigned resource = court->folds->items[other->fold].resource;
        bool holder = resource == STRAY_CONNECTION || resource == STRAY_PGCONN || resource == STRAY_FILE ||
                      resource >= STRAY_USER_FIRST;
        if (holder && other->verdict == VERDICT_LEAKED && other->cause == LIVES_NONE &&
            same_function(here, court->blame(court->data, other->stack)))
            return i;
    }
    return LIVES_NONE;
}

/* CPython keeps small tuples, lists, dictionaries, frames and floats that die for reuse, without telling its allocator: who
 * takes one and keeps it holds a block that another line acquired. The largest is a tuple of 20. */
static bool may_be_recycled(const struct court *court, const struct finding *finding)
{
    return court->folds->items[finding->fold].resource == STRAY_PYOBJECT &&
           finding->bytes <= RECYCLED_BYTES * finding->count;
}

/* The growth that says most; LIVES_NONE: there is none of which the line is certain. */
static uint32_t certain_growth(const struct court *court)
{
    uint32_t most = LIVES_NONE;
    for (uint32_t i = 0; i < court->judged.count; i++) {
        const struct finding *other = &court->judged.findings[i];
        bool grows = other->verdict == VERDICT_LEAKED || other->verdict == VERDICT_CREEP;
        if (grows && other->cause == LIVES_NONE && !may_be_recycled(court, other) &&
            (most == LIVES_NONE || other->bytes > court->judged.findings[most].bytes))
            most = i;
    }
    return most;
}

/* Of what may have been recycled the line is a hint, and goes with a growth of which the line is certain. */
static void doubt_recycled(struct court *court)
{
    uint32_t certain = certain_growth(court);
    for (uint32_t i = 0; i < court->judged.count; i++) {
        struct finding *finding = &court->judged.findings[i];
        if (!may_be_recycled(court, finding))
            continue;
        finding->severity = SEVERITY_NOTE;
        finding->confidence = CONFIDENCE_LOW;
        if (finding->cause == LIVES_NONE)
            finding->cause = certain;
    }
}

static int find_causes(struct court *court)
{
    uint32_t *fold_of = calloc(court->lives->life_count + 1, sizeof(*fold_of));
    if (!fold_of)
        return -ENOMEM;
    for (uint32_t i = 0; i < court->folds->count; i++) {
        for (size_t k = 0; k < court->folds->items[i].life_count; k++)
            fold_of[court->folds->items[i].lives[k]] = i;
    }
    for (uint32_t i = 0; i < court->judged.count; i++) {
        struct finding *finding = &court->judged.findings[i];
        if (court->folds->items[finding->fold].resource == STRAY_PGCONN)
            finding->cause = connection_behind(court, finding, fold_of);
    }
    for (uint32_t i = 0; i < court->judged.count; i++) {
        struct finding *finding = &court->judged.findings[i];
        const struct fold *fold = &court->folds->items[finding->fold];
        if (!keeps_lives(fold) && fold->resource != STRAY_TEMPFILE)
            finding->cause = handle_holding(court, finding);
    }
    doubt_recycled(court);
    free(fold_of);
    return 0;
}

static bool peer_leaks(const struct court *court, uint32_t peer)
{
    for (size_t i = 0; i < court->judged.count; i++) {
        const struct finding *finding = &court->judged.findings[i];
        if (finding->verdict == VERDICT_LEAKED && court->folds->items[finding->fold].peer == peer)
            return true;
    }
    return false;
}

/* Advice to reuse connections is noise while connections to the same peer leak, and a PGconn's is that of its
 * connection said twice. */
static void drop_idle_advice(struct court *court)
{
    size_t kept = 0;
    for (size_t i = 0; i < court->judged.count; i++) {
        const struct finding *finding = &court->judged.findings[i];
        const struct fold *fold = &court->folds->items[finding->fold];
        if (finding->verdict == VERDICT_CHURN &&
            (fold->resource == STRAY_PGCONN || peer_leaks(court, fold->peer)))
            continue;
        court->judged.findings[kept++] = *finding;
    }
    court->judged.count = kept;
}

int judge(const struct lives *lives, const struct folds *folds, blame_of *blame, void *data,
          struct judged *ret_judged)
{
    struct court court = {.lives = lives, .folds = folds, .blame = blame, .data = data};
    court.tc = lives->source.seconds(lives->source.data, lives->tc);
    court.work = (double)lives->at_tc.at[lives->axis];
    for (unsigned i = 0; i <= AGE_BUCKETS; i++)
        court.bucket_age[i] = age_of_bucket(i);
    court.leaked = calloc(lives->life_count + 1, sizeof(*court.leaked));
    court.judged.verdicts = calloc(folds->count + 1, sizeof(*court.judged.verdicts));
    court.next = calloc(lives->life_count + 1, sizeof(*court.next));
    int result = court.leaked && court.judged.verdicts && court.next ? find_next(&court) : -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < folds->count; i++)
        result = judge_fold(&court, i);
    if (result == 0)
        drop_idle_advice(&court);
    if (result == 0)
        result = find_causes(&court);
    free(court.leaked);
    free(court.next);
    if (result < 0)
        judged_clear(&court.judged);
    else
        *ret_judged = court.judged;
    return result;
}

void judged_clear(struct judged *judged)
{
    free(judged->findings);
    free(judged->verdicts);
    *judged = (struct judged){0};
}
