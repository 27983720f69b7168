/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/connections.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define NEVER_CLOSED_MIN   5 /* leaked ones, where the place never closes */
#define USUALLY_CLOSED_MIN 3 /* ... where it usually does */
#define FAILED_MIN         3
#define CERTAIN            10  /* from so many on, a place that opens one by one and never closes leaks */
#define START_UP           0.1 /* share of time and work that counts as start-up */
#define AT_ONCE            0.001 /* share of time in which a server makes the pipes of its threads */
#define LAST_MOMENTS       0.02 /* share of a place's time */
#define BRIEF_S            1.0 /* shares of a shorter time say more of the scheduler than of the program */
#define IDLE_SHARE         0.5 /* an abandoned one was idle for at least this share of its life */
#define LONGER             2.0 /* times the usual life that make a life long */
#define LONGER_IDLE        5.0 /* times the usual silence before a close that make a silence long */
#define KNOWN_IDLE         3.0 /* ... at a place that is known to leak */
#define IN_USE_SHARE       0.2 /* of the open ones may be in use before the place is taken for a pool */
#define POOL_USES          10
#define BUSY_SHARE         0.1 /* of open files that are used far more than the others make the place a cache */
#define WORKS_TIMES        3  /* times the others' uses that make one of them the one that works */
#define ALONE_TIMES        10 /* ... where its being used is the only sign */
#define JITTER_S           0.001
#define FINALIZER_MIN      10
#define FINALIZER_SHARE    0.2
#define CHURN_MIN          20
#define CHURN_PER_WORK     0.8
#define CHURN_LIFE_S       1.0
#define CHURN_EXCHANGES    5
#define CHURN_COSTLY       0.1
#define CLOSE_WAIT_SAMPLES 3
#define CLOSE_WAIT_S       60.0
#define CLOSE_WAIT_MIN     3 /* where samples were too few */

/* What the lifetimes of a place have in common. */
struct habits {
    size_t open, closed;
    double last_birth;
    double usual_life;  /* 95 % of the closed ones live no longer */
    double usual_quiet; /* ... and are never silent for longer while they are in use */
    double median_life;
    bool one_at_a_time; /* closed ones of one thread never overlap */
    bool undisturbed;   /* while one is held its thread acquires none elsewhere either */
    size_t known;       /* open ones whose use was observed */
    double median_uses; /* of the open ones */
};

static double first_birth(const struct usage_figures *figures)
{
    double first = figures->usage[0].birth;
    return figures->gone.count > 0 ? fmin(first, figures->gone.first) : first;
}

static double first_work(const struct usage_figures *figures)
{
    double first = figures->usage[0].work;
    return figures->gone.count > 0 ? fmin(first, figures->gone.first_work) : first;
}

static double life_of(const struct usage *usage)
{
    return usage->end - usage->birth;
}

static double idle_of(const struct usage_figures *figures, const struct usage *usage)
{
    double idle = figures->tc - usage->last_use;
    return idle > 0 ? idle : 0;
}

/* The usage must have ended before any later one of its thread begins. Only the nearest later one is looked
 * at: if any overlaps, a nearest one does. */
static bool one_at_a_time(const struct usage_figures *figures)
{
    for (size_t i = 0; i < figures->count; i++) {
        const struct usage *usage = &figures->usage[i];
        if (usage->open)
            continue;
        if (usage->overlaps)
            return false;
        for (size_t k = i + 1; k < figures->count && k < i + 64; k++) {
            if (figures->usage[k].thread != usage->thread)
                continue;
            if (figures->usage[k].birth < usage->end)
                return false;
            break;
        }
    }
    return true;
}

/* The longest it was silent while somebody held it; where its uses are not known, all its life. */
static double quiet_of(const struct usage *usage)
{
    return usage->used_known && usage->error_s == 0 ? fmax(usage->quiet_s, usage->end - usage->last_use)
                                                    : life_of(usage);
}

static int habits_find(const struct usage_figures *figures, struct habits *ret_habits)
{
    struct habits habits = {.undisturbed = true, .last_birth = figures->gone.count > 0 ? figures->gone.last : 0};
    habits.one_at_a_time = !figures->gone.overlapped && one_at_a_time(figures);
    double *values = calloc(3 * figures->count + 1, sizeof(*values));
    if (!values)
        return -ENOMEM;
    double *uses = values + figures->count, *quiet = uses + figures->count;
    for (size_t i = 0; i < figures->count; i++) {
        const struct usage *usage = &figures->usage[i];
        habits.last_birth = fmax(habits.last_birth, usage->birth);
        if (usage->open) {
            habits.known += usage->used_known;
            uses[habits.open++] = usage->uses;
        } else {
            quiet[habits.closed] = quiet_of(usage);
            habits.undisturbed &= usage->next_s >= usage->end;
            values[habits.closed++] = life_of(usage);
        }
    }
    habits.usual_quiet = stats_quantile(quiet, habits.closed, 0.95);
    habits.usual_life = stats_quantile(values, habits.closed, 0.95);
    habits.median_life = stats_quantile(values, habits.closed, 0.5);
    habits.median_uses = stats_quantile(uses, habits.open, 0.5);
    free(values);
    habits.closed += figures->gone.count;
    *ret_habits = habits;
    return 0;
}

/* Whether it was silent from `time` on. A clock that is off leaves room for doubt, which many uses settle. */
static bool silent_since(const struct usage *usage, double time)
{
    if (usage->last_use <= time)
        return true;
    return usage->last_use - usage->error_s <= time && usage->uses < POOL_USES;
}

/* Silent since a later one was opened at the same place. */
static bool superseded(const struct habits *habits, const struct usage *usage)
{
    return usage->birth < habits->last_birth && silent_since(usage, habits->last_birth);
}

/* Silent since the same thread came by again: whoever held it had let go of it. */
static bool thread_came_again(const struct usage_figures *figures, size_t index)
{
    const struct usage *usage = &figures->usage[index];
    for (size_t i = index + 1; i < figures->count; i++) {
        if (figures->usage[i].thread == usage->thread)
            return silent_since(usage, figures->usage[i].birth);
    }
    return false;
}

/* At a place that usually closes: far longer than is usual there, and no use to those that were opened later. A pool opens another
 * one only when none is free. */
static bool left_behind(const struct usage_figures *figures, const struct habits *habits, size_t index)
{
    const struct usage *usage = &figures->usage[index];
    double age = figures->tc - usage->birth;
    if (habits->one_at_a_time && thread_came_again(figures, index))
        return true;
    if (habits->undisturbed && isfinite(usage->next_s) && silent_since(usage, usage->next_s))
        return true;
    return superseded(habits, usage) && age > LONGER * habits->usual_life + JITTER_S &&
           idle_of(figures, usage) > LONGER_IDLE * habits->usual_quiet &&
           idle_of(figures, usage) >= IDLE_SHARE * age;
}

/* Used many times, for most of its life, and silent for hardly longer than it was before it was used again. */
static bool keeps_its_pace(const struct usage_figures *figures, const struct usage *usage)
{
    return usage->used_known && usage->uses >= POOL_USES &&
           2 * (usage->last_use - usage->birth) >= figures->tc - usage->birth &&
           idle_of(figures, usage) <= KNOWN_IDLE * usage->quiet_s + JITTER_S;
}

static bool goes_with_them(const struct usage_figures *figures, const struct habits *habits, size_t index)
{
    const struct usage *usage = &figures->usage[index];
    if (usage->orphan || usage->deserted)
        return true;
    return idle_of(figures, usage) > KNOWN_IDLE * habits->usual_quiet + JITTER_S && !keeps_its_pace(figures, usage);
}

static size_t mark_if(const struct usage_figures *figures, const struct habits *habits, bool *marks,
                      bool (*so)(const struct usage_figures *, const struct habits *, size_t))
{
    size_t count = 0;
    for (size_t i = 0; i < figures->count; i++) {
        marks[i] = marks[i] || (figures->usage[i].open && so(figures, habits, i));
        count += marks[i];
    }
    return count;
}

/* Once the place is known to leak, the younger ones need less to go with the others. */
static size_t mark_left_behind(const struct usage_figures *figures, const struct habits *habits, bool *marks)
{
    size_t count = mark_if(figures, habits, marks, left_behind);
    return count >= USUALLY_CLOSED_MIN ? mark_if(figures, habits, marks, goes_with_them) : count;
}

/* One that was opened last and shows nothing yet goes with the others if its thread has come to the end of
 * the program: nobody is left who could still be using it. */
static size_t mark_last(const struct usage_figures *figures, bool *marks)
{
    size_t last = figures->count - 1;
    const struct usage *usage = &figures->usage[last];
    if (marks[last] || !usage->open || !usage->by_ender || !figures->exits)
        return 0;
    marks[last] = true;
    return 1;
}

/* Used so many times more than the others that it does not do what they did. */
static bool stands_out(const struct habits *habits, const struct usage *usage, double times)
{
    return usage->uses >= times * fmax(1, habits->median_uses);
}

/* The last one opened did more than all others. */
static bool last_did_most(const struct usage_figures *figures, const struct habits *habits)
{
    const struct usage *last = &figures->usage[figures->count - 1];
    double by_others = 0;
    for (size_t i = 0; i + 1 < figures->count; i++)
        by_others += figures->usage[i].uses;
    return last->open && stands_out(habits, last, ALONE_TIMES) && last->uses > by_others;
}

/* All were opened, and then one did the work for longer than that took, while the others waited: a pool that
 * hands out what came back last. */
static bool one_works(const struct usage_figures *figures, const struct habits *habits)
{
    double filling = habits->last_birth - first_birth(figures);
    for (size_t i = 0; i < figures->count; i++) {
        const struct usage *usage = &figures->usage[i];
        if (usage->open && usage->last_use - habits->last_birth >= filling &&
            stands_out(habits, usage, WORKS_TIMES))
            return true;
    }
    return last_did_most(figures, habits);
}

/* Opened by the same line as those that leak, and in use all the while, far more than any of these was: a helper
 * that many call. */
static bool works_among_leaked(const struct usage_figures *figures, const struct habits *habits, double most,
                               const struct usage *usage)
{
    double span = habits->last_birth - first_birth(figures);
    return usage->birth < habits->last_birth && !superseded(habits, usage) &&
           usage->uses >= WORKS_TIMES * most && stands_out(habits, usage, ALONE_TIMES) &&
           2 * (usage->last_use - usage->birth) >= span;
}

/* Whether the same thread has used it after it opened another. */
static bool used_on(const struct usage_figures *figures, size_t index)
{
    const struct usage *usage = &figures->usage[index];
    for (size_t i = index + 1; i < figures->count; i++) {
        if (figures->usage[i].thread == usage->thread)
            return usage->last_use > figures->usage[i].birth;
    }
    return false;
}

/* Files that are kept open because some will be wanted again, nobody knows which: a few then do far more than the others. Of
 * connections to one peer all are alike, and to forget one is dearer. */
static bool is_cache(const struct usage_figures *figures, const struct habits *habits)
{
    size_t busy = 0;
    for (size_t i = 0; i < figures->count; i++) {
        const struct usage *usage = &figures->usage[i];
        busy += usage->open && stands_out(habits, usage, ALONE_TIMES) && used_on(figures, i);
    }
    return busy > 0 && (double)busy >= BUSY_SHARE * (double)habits->open;
}

/* At a place that never closes all open ones go together, those last opened included. */
static size_t mark_never_closed(const struct usage_figures *figures, const struct habits *habits, bool *marks)
{
    size_t silent = 0;
    double most = 0; /* uses of one that is silent */
    for (size_t i = 0; i < figures->count; i++) {
        const struct usage *usage = &figures->usage[i];
        if (!usage->open || !superseded(habits, usage))
            continue;
        silent++;
        most = fmax(most, usage->uses);
    }
    size_t others = habits->open > 0 ? habits->open - 1 : 0;
    if (others == 0 || (double)(others - silent) > IN_USE_SHARE * (double)others + (others >= 4 ? 1 : 0))
        return 0;
    if (one_works(figures, habits))
        return 0;
    size_t count = 0;
    for (size_t i = 0; i < figures->count; i++) {
        const struct usage *usage = &figures->usage[i];
        marks[i] = usage->open && !works_among_leaked(figures, habits, most, usage);
        count += marks[i];
    }
    return count;
}

/* From the place's first one on. */
static bool is_brief(const struct usage_figures *figures)
{
    return figures->tc - first_birth(figures) < BRIEF_S;
}

static double place(double from, double at, double to)
{
    return to > from ? fmin(1, fmax(0, (at - from) / (to - from))) : 1;
}

static void measure(const struct usage_figures *figures, const bool *marks, struct usage_judgement *judgement)
{
    const struct usage *first = NULL, *last = NULL;
    for (size_t i = 0; i < figures->count; i++) {
        if (!marks[i])
            continue;
        first = first ? first : &figures->usage[i];
        last = &figures->usage[i];
    }
    if (!first)
        return;
    judgement->first = first->birth;
    judgement->last = last->birth;
    judgement->spread_time = place(first_birth(figures), last->birth, figures->tc);
    /* Where little was done, opening them is the work that is to be set against what was done afterwards. */
    double own = is_brief(figures) && !figures->work_is_load ? (double)judgement->count : 0;
    judgement->spread_work =
        place(first_work(figures), fmax(last->work, last->work_by) + own, figures->work + own);
}

static int median_idle(const struct usage_figures *figures, const bool *marks, double *ret_idle)
{
    double *values = calloc(figures->count + 1, sizeof(*values));
    if (!values)
        return -ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < figures->count; i++) {
        if (marks[i])
            values[count++] = idle_of(figures, &figures->usage[i]);
    }
    *ret_idle = stats_quantile(values, count, 0.5);
    free(values);
    return 0;
}

/* Each was done with before the next was opened, but for a third of them: a loop or a caller, not a pool that
 * is being filled by many at once. */
static bool one_by_one(const struct usage_figures *figures, const bool *marks, size_t count)
{
    size_t overlaps = 0;
    const struct usage *before = NULL;
    for (size_t i = 0; i < figures->count; i++) {
        if (!marks[i])
            continue;
        overlaps += before && !silent_since(before, figures->usage[i].birth);
        before = &figures->usage[i];
    }
    return 3 * overlaps <= count;
}

/* Threads came back and opened another. Where each opened just one, they may be theirs to keep. */
static bool threads_came_again(const struct usage_figures *figures, const bool *marks, size_t count)
{
    size_t again = 0;
    for (size_t i = 0; i < figures->count; i++)
        again += marks[i] && thread_came_again(figures, i);
    return 2 * again >= count;
}

/* Opened at the start and never again: what pools and singletons do. But each used once, one by one, and never
 * again is a burst of leaks; what does so where nothing else tells must not be each thread's own. */
static bool start_up(const struct usage_figures *figures, const struct usage_judgement *judgement,
                     const struct habits *habits, const bool *marks, size_t count)
{
    bool early_work = judgement->spread_work <= START_UP;
    bool early_time = is_brief(figures) ? early_work : judgement->spread_time <= START_UP;
    bool used = habits->known > 0 && habits->median_uses >= 1;
    if (!used && !figures->work_is_load && judgement->spread_time <= AT_ONCE)
        return true; /* allocations are no measure where a server makes few */
    if (early_time && early_work)
        return !used || !one_by_one(figures, marks, count) ||
               (count < CERTAIN && !threads_came_again(figures, marks, count));
    if (!early_time && !(early_work && figures->work_is_load))
        return false;
    return !one_by_one(figures, marks, count) || (!used && (count < CERTAIN || early_work));
}

/* Files that a place which has been at it for long has left behind in its last moments only: what the end itself needed. */
static bool too_late(const struct usage_figures *figures, const struct usage_judgement *judgement)
{
    double first = first_birth(figures);
    return !figures->connection && !is_brief(figures) && judgement->count > 0 &&
           figures->tc - judgement->first < LAST_MOMENTS * (figures->tc - first);
}

static bool usually_closes(const struct habits *habits)
{
    return habits->closed >= USUALLY_CLOSED_MIN && habits->closed >= habits->open / 4;
}

static bool enough(const struct habits *habits, size_t count)
{
    if (usually_closes(habits))
        return count >= USUALLY_CLOSED_MIN;
    return count >= NEVER_CLOSED_MIN;
}

static enum confidence how_sure(const struct habits *habits, const struct usage_judgement *judgement)
{
    if (judgement->count >= CERTAIN && judgement->spread_time > 0.5)
        return CONFIDENCE_HIGH;
    return judgement->count >= CERTAIN || habits->known > 0 || habits->closed > 0 ? CONFIDENCE_MEDIUM
                                                                                  : CONFIDENCE_LOW;
}

static int say_leaked(const struct usage_figures *figures, const struct habits *habits, const bool *marks,
                      struct usage_judgement *judgement)
{
    judgement->verdict = VERDICT_LEAKED;
    judgement->severity = SEVERITY_ERROR;
    judgement->confidence = how_sure(habits, judgement);
    judgement->never_released = stats_share(judgement->count, figures->count + figures->gone.count);
    if (figures->tc > 0)
        judgement->per_second = stats_rate(judgement->count, figures->tc);
    return median_idle(figures, marks, &judgement->median_idle_s);
}

/* Open, and no leak: say what it is. */
static int say_harmless(const struct usage_figures *figures, const struct habits *habits, bool early,
                        bool *marks, struct usage_judgement *judgement)
{
    for (size_t i = 0; i < figures->count; i++)
        marks[i] = figures->usage[i].open;
    measure(figures, marks, judgement);
    int result = median_idle(figures, marks, &judgement->median_idle_s);
    judgement->count = habits->open;
    judgement->severity = SEVERITY_NONE;
    judgement->confidence = CONFIDENCE_MEDIUM;
    bool accepted = figures->count > 0 && figures->usage[0].server;
    if (habits->open > 0 && figures->exits && figures->connection && !accepted) {
        judgement->verdict = VERDICT_OPEN_AT_EXIT;
        judgement->severity = SEVERITY_NOTE;
    } else if (habits->open > 0 && habits->median_uses >= POOL_USES) {
        judgement->verdict = VERDICT_PLATEAU;
    } else if (early) {
        judgement->verdict = VERDICT_STATIC;
    } else {
        judgement->verdict = figures->count + figures->gone.count < NEVER_CLOSED_MIN ? VERDICT_FEW : VERDICT_STEADY;
    }
    for (size_t i = 0; i < figures->count; i++)
        marks[i] = false;
    return result;
}

/* One thread accepts, serves and closes. */
static bool serves_alone(const struct usage_figures *figures, const struct habits *habits)
{
    for (size_t i = 0; i < figures->count; i++) {
        if (!figures->usage[i].open && figures->usage[i].handed_on)
            return false;
    }
    return habits->closed >= USUALLY_CLOSED_MIN && habits->one_at_a_time;
}

/* A connection that was accepted is open because its client keeps it: only one whose client hung up, as the
 * samples saw, is left behind. Where nothing was sampled the habit of the place must do: one at a time, each
 * closed before the next by the thread that accepted it, but for these. */
static size_t mark_hung_up(const struct usage_figures *figures, const struct habits *habits, bool *marks)
{
    size_t count = 0;
    bool alone = habits->known == 0 && serves_alone(figures, habits);
    for (size_t i = 0; i < figures->count; i++) {
        const struct usage *usage = &figures->usage[i];
        bool left = habits->known > 0 ? usage->close_wait > 0 : alone && thread_came_again(figures, i);
        marks[i] = usage->open && left;
        count += marks[i];
    }
    return count;
}

static size_t mark_failed(const struct usage_figures *figures, bool *marks)
{
    size_t count = 0;
    for (size_t i = 0; i < figures->count; i++) {
        marks[i] = figures->usage[i].open && figures->usage[i].failed;
        count += marks[i];
    }
    return count;
}

static size_t mark_leaked(const struct usage_figures *figures, const struct habits *habits, bool *marks)
{
    if (figures->usage[0].server)
        return mark_hung_up(figures, habits, marks);
    if (!figures->connection && is_cache(figures, habits))
        return 0;
    if (habits->closed == 0)
        return mark_never_closed(figures, habits, marks);
    size_t count = mark_left_behind(figures, habits, marks);
    if (count + 1 >= USUALLY_CLOSED_MIN)
        count += mark_last(figures, marks);
    return count;
}

int usage_judge_open(const struct usage_figures *figures, struct usage_judgement *ret_judgement, bool *marks)
{
    struct usage_judgement judgement = {0};
    struct habits habits;
    int result = habits_find(figures, &habits);
    if (result < 0)
        return result;
    for (size_t i = 0; i < figures->count; i++)
        marks[i] = false;
    judgement.median_life_s = habits.median_life;
    bool early = false;
    size_t failed = mark_failed(figures, marks);
    judgement.count = failed;
    if (failed < FAILED_MIN)
        judgement.count = habits.open > 0 ? mark_leaked(figures, &habits, marks) : 0;
    measure(figures, marks, &judgement);
    if (failed < FAILED_MIN && judgement.count > 0)
        early = start_up(figures, &judgement, &habits, marks, judgement.count);
    bool leaks = !early && !too_late(figures, &judgement) && enough(&habits, judgement.count);
    if (failed >= FAILED_MIN || leaks)
        result = say_leaked(figures, &habits, marks, &judgement);
    else
        result = say_harmless(figures, &habits, early, marks, &judgement);
    if (result == 0)
        *ret_judgement = judgement;
    return result;
}

/* The only one there ever was, and hardly used. */
static bool is_alone(const struct usage_figures *figures)
{
    return figures->count == 1 && figures->gone.count == 0 && figures->usage[0].open && figures->usage[0].uses < POOL_USES;
}

static size_t mark_suspected(const struct usage_figures *figures, const struct habits *habits, struct usage_judgement *judgement, bool *marks)
{
    size_t count = habits->open > 0 ? mark_leaked(figures, habits, marks) : 0;
    judgement->count = count;
    measure(figures, marks, judgement);
    if (count > 0 && ((habits->closed > 0 && !usually_closes(habits)) || start_up(figures, judgement, habits, marks, count)))
        return 0;
    judgement->certain = habits->closed > 0 || count == 0 ? count : count - 1;
    if (count > 0 || !is_alone(figures))
        return count;
    marks[0] = true;
    return 1;
}

int usage_suspect(const struct usage_figures *figures, struct usage_judgement *ret_judgement, bool *marks)
{
    struct usage_judgement judgement = {0};
    struct habits habits;
    int result = figures->connection && !figures->usage[0].server ? habits_find(figures, &habits) : 0;
    *ret_judgement = judgement;
    if (result < 0 || !figures->connection || figures->usage[0].server)
        return result;
    for (size_t i = 0; i < figures->count; i++)
        marks[i] = false;
    judgement.median_life_s = habits.median_life;
    judgement.count = mark_suspected(figures, &habits, &judgement, marks);
    if (judgement.count == 0)
        return 0;
    measure(figures, marks, &judgement);
    result = say_leaked(figures, &habits, marks, &judgement);
    if (result == 0)
        *ret_judgement = judgement;
    return result;
}

bool usage_judge_finalizers(const struct usage_figures *figures, struct usage_judgement *ret_judgement)
{
    struct usage_judgement judgement = {.verdict = VERDICT_FINALIZER_CLOSED, .severity = SEVERITY_WARNING};
    uint64_t closed = figures->gone.count;
    if (figures->gone.finalized > 0) {
        judgement.count = figures->gone.finalized;
        judgement.first = figures->gone.first;
        judgement.last = figures->gone.last;
    }
    for (size_t i = 0; i < figures->count; i++) {
        const struct usage *usage = &figures->usage[i];
        closed += !usage->open;
        if (usage->open || !usage->finalizer || usage->failed)
            continue;
        if (judgement.count++ == 0)
            judgement.first = usage->birth;
        judgement.last = fmax(judgement.last, usage->birth);
    }
    if (judgement.count < FINALIZER_MIN || (double)judgement.count < FINALIZER_SHARE * (double)closed)
        return false;
    judgement.share = (double)judgement.count / (double)closed;
    judgement.confidence = CONFIDENCE_HIGH;
    if (figures->tc > 0)
        judgement.per_second = stats_rate(judgement.count, figures->tc);
    *ret_judgement = judgement;
    return true;
}

static double exchanges(const struct usage_figures *figures)
{
    double uses = 0;
    for (size_t i = 0; i < figures->count; i++)
        uses += figures->usage[i].uses;
    return uses / (double)figures->count;
}

bool usage_judge_churn(const struct usage_figures *figures, struct usage_judgement *ret_judgement)
{
    struct habits habits;
    if (!figures->connection || figures->count < CHURN_MIN || figures->usage[0].server ||
        figures->usage[0].copy || habits_find(figures, &habits) < 0)
        return false;
    double span = figures->tc - figures->usage[0].birth, work = figures->work - figures->usage[0].work;
    double count = (double)figures->count, connecting = 0;
    bool per_work = figures->work_is_load && work > 0 && count >= CHURN_PER_WORK * work;
    bool brief = habits.median_life < CHURN_LIFE_S && span > 0 && count >= span;
    if (2 * habits.closed < figures->count || (!per_work && !brief) || exchanges(figures) > CHURN_EXCHANGES)
        return false;
    for (size_t i = 0; i < figures->count; i++)
        connecting += figures->usage[i].connect_s;
    struct usage_judgement judgement = {.verdict = VERDICT_CHURN, .count = figures->count};
    judgement.share = figures->tc > 0 ? connecting / figures->tc : 0;
    judgement.severity = judgement.share > CHURN_COSTLY ? SEVERITY_WARNING : SEVERITY_NOTE;
    judgement.confidence = CONFIDENCE_MEDIUM;
    judgement.median_life_s = habits.median_life;
    judgement.first = figures->usage[0].birth;
    judgement.last = habits.last_birth;
    judgement.per_second = span > 0 ? stats_rate(figures->count, span) : (struct interval){0};
    *ret_judgement = judgement;
    return true;
}

/* Seen waiting again and again: nobody will notice any more. */
static bool waits_long(const struct usage_figures *figures, const struct usage *usage)
{
    return usage->close_wait >= CLOSE_WAIT_SAMPLES &&
           usage->close_wait_s >= fmin(CLOSE_WAIT_S, IDLE_SHARE * (figures->tc - usage->birth));
}

/* In a run too short for that: from the first sample that saw it to the end, and silent for longer than it was in
 * use. The end itself may come between the peer's close and ours, but hardly for several. */
static bool waits_to_the_end(const struct usage_figures *figures, const struct usage *usage)
{
    return usage->close_wait > 0 && usage->close_wait_s < CLOSE_WAIT_S &&
           idle_of(figures, usage) >= IDLE_SHARE * (figures->tc - usage->birth);
}

static uint64_t count_waiting(const struct usage_figures *figures, struct usage_judgement *judgement,
                              bool (*waits)(const struct usage_figures *, const struct usage *))
{
    uint64_t count = 0;
    for (size_t i = 0; i < figures->count; i++) {
        const struct usage *usage = &figures->usage[i];
        if (!usage->open || !waits(figures, usage))
            continue;
        if (count++ == 0)
            judgement->first = usage->birth;
        judgement->last = usage->birth;
    }
    return count;
}

static bool waits(const struct usage_figures *figures, const struct usage *usage)
{
    return waits_long(figures, usage) || waits_to_the_end(figures, usage);
}

bool usage_judge_close_wait(const struct usage_figures *figures, struct usage_judgement *ret_judgement)
{
    struct usage_judgement judgement = {.verdict = VERDICT_CLOSE_WAIT, .severity = SEVERITY_WARNING};
    uint64_t certain = count_waiting(figures, &judgement, waits_long);
    judgement.count = count_waiting(figures, &judgement, waits);
    if (judgement.count < CLOSE_WAIT_MIN)
        judgement.count = count_waiting(figures, &judgement, waits_long);
    judgement.confidence = 2 * certain >= judgement.count ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
    if (judgement.count > 0)
        *ret_judgement = judgement;
    return judgement.count > 0;
}
