/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections, descriptors and PGconns, whose lifetimes are all kept: from lives to figures, from judgements to findings. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "verdicts/connections.h"
#include "verdicts/court.h"

#define SAMPLE_ERROR_S 0.01 /* the kernel's clock ticks may be 10 ms */

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

/* Statements, else pieces of data that were sent, else half the calls: one there, one back. */
static uint32_t exchanges_of(const struct life *life)
{
    return life->uses ? life->uses : life->sent ? life->sent : life->moved / 2 + life->moved % 2;
}

/* Whether the thread that acquired it had ended by Tc, and nobody is known to have used it since. */
static bool is_deserted(const struct court *court, const struct life *life)
{
    uint64_t end = life_thread_end(court->lives, life);
    return end != UINT64_MAX && seconds(court, end) <= court->tc && (!life->used_known || life->last_use <= end);
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
        .close_wait = life_waits(lives, life),
        .next_s = next_birth(court, life),
        .quiet_s = span(court, life->quiet),
        .error_s = life->sampled ? SAMPLE_ERROR_S : 0,
        .uses = exchanges_of(life),
        .thread = life->thread,
        .open = life_open_at_tc(life),
        .used_known = life->used_known,
        .by_ender = lives->tc_thread != 0 && life->thread == lives->tc_thread,
        .deserted = is_deserted(court, life),
        .orphan = life->closer == CLOSER_EXIT,
        .finalizer = is_finalizer(life->closer) && !life->pipe,
        .server = life->server,
        .failed = failed(lives, life),
        .copy = life->copy,
        .handed_on = life->handed_on,
        .overlaps = life->overlaps,
    };
}

/* The lives of a fold as the rules want them; *ret_indexes says which is which. */
static int usages_of(const struct court *court, const struct fold *fold, struct usage **ret_usages,
                     uint32_t **ret_indexes, size_t *ret_count)
{
    struct usage *usages = calloc(fold->life_count + 1, sizeof(*usages));
    uint32_t *indexes = calloc(fold->life_count + 1, sizeof(*indexes));
    size_t count = 0;
    bool at_end = hung_up_at_end(court, fold);
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
        usages[count] = usage_of(court, life);
        if (at_end)
            usages[count].close_wait = 0;
        count++;
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
        count += life_open_at_tc(life) && life_waits(court->lives, life) > 0;
    }
    return count;
}

static void life_facts(const struct court *court, struct finding *finding,
                       const struct usage_judgement *judgement, const struct fold *fold)
{
    counts_add(finding, fold);
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
    struct finding *finding = finding_add(court, fold, judgement->verdict, judgement->severity, judgement->confidence);
    if (!finding)
        return -ENOMEM;
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

/* Puts aside what only other processes can confirm. */
static int suspect(struct court *court, uint32_t which, const struct usage_figures *figures, bool *marks)
{
    struct judged *judged = &court->judged;
    struct usage_judgement judgement;
    int result = usage_suspect(figures, &judgement, marks);
    if (result < 0 || judgement.count == 0)
        return result;
    struct finding *moved = reallocarray(judged->suspects, judged->suspect_count + 1, sizeof(*moved));
    if (!moved)
        return -ENOMEM;
    judged->suspects = moved;
    if ((result = say(court, which, &judgement)) < 0)
        return result;
    judged->suspects[judged->suspect_count] = judged->findings[--judged->count];
    judged->suspects[judged->suspect_count++].certain = judgement.certain;
    return 0;
}

static bool is_closed_by_hand(const struct lives *lives, unsigned resource)
{
    for (size_t i = 0; i < lives->site_count; i++)
        if (lives->sites[i].resource == resource && lives->sites[i].gone.count > lives->sites[i].gone.finalized)
            return true;
    for (size_t i = 0; i < lives->life_count; i++) {
        const struct life *life = &lives->lives[i];
        bool left = is_finalizer(life->closer) || life->closer == CLOSER_EXIT;
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

/* Says it, and where what is open was nothing to speak of, it is the word for the place. */
static int say_of_place(struct court *court, uint32_t which, const struct usage_judgement *judgement)
{
    enum verdict *verdict = &court->judged.verdicts[which];
    if (*verdict >= VERDICT_PLATEAU)
        *verdict = judgement->verdict;
    return say(court, which, judgement);
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
        court->judged.leaked[indexes[i]] = marks[i];
    bool leaked = judgement.verdict == VERDICT_LEAKED;
    bool waits = !leaked && usage_judge_close_wait(figures, &waiting);
    if (!leaked && (result = suspect(court, which, figures, marks)) < 0)
        return result;
    bool said_by_waiting = waits && waiting.count >= judgement.count;
    if (judgement.severity != SEVERITY_NONE && !said_by_waiting)
        result = say(court, which, &judgement);
    if (result == 0 && waits)
        result = say_of_place(court, which, &waiting);
    if (result == 0 && judge_finalizers(court, which, figures, &judgement))
        result = say_of_place(court, which, &judgement);
    else if (result == 0 && !leaked && usage_judge_churn(figures, &judgement))
        result = say_of_place(court, which, &judgement);
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

int judge_lives(struct court *court, uint32_t which)
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

int find_next(struct court *court)
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
