/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/kinship.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verdicts/sharing.h"
#include "views/likeness.h"
#include "views/report_steps.h"

#define GENERATIONS 64 /* a longer line of parents is damage */

/* One process's copy of a connection, or a PGconn. */
struct copy {
    uint64_t handle;
    uint64_t birth, death; /* event times; death UINT64_MAX: open to the end */
    uint64_t last_use;     /* counts if `used` */
    uint8_t resource;
    bool used;
    bool inherited;
    uint32_t place; /* of one opened here; index */
};

struct kin {
    uint8_t id[16], parent_id[16];
    bool forked;
    uint32_t pid, run;
    uint64_t start, end;
    struct forked *forks;
    size_t fork_count;
    struct copy *copies;
    size_t copy_count;
    struct report_finding *places; /* one a fold that a copy belongs to */
    size_t place_count;
};

struct kinship {
    struct kin *kin;
    size_t count;
};

void kinship_free(struct kinship *kinship)
{
    if (!kinship)
        return;
    for (size_t i = 0; i < kinship->count; i++) {
        free(kinship->kin[i].forks);
        free(kinship->kin[i].copies);
        free(kinship->kin[i].places);
    }
    free(kinship->kin);
    free(kinship);
}

/* ---- one process ---- */

/* A server's side is meant for whoever serves it, and datagrams are whole, whoever sends them: what they are is known of
 * the one that was opened. */
static bool may_be_shared(const struct life *life)
{
    if (life->server || life->failed)
        return false;
    return life->resource == STRAY_PGCONN || (life->resource == STRAY_CONNECTION && (life->inherited || life->stream));
}

static bool open_at(const struct copy *copy, uint64_t time)
{
    return copy->birth <= time && time < copy->death;
}

/* Whether any child may have got it. */
static bool handed_on(const struct lives *lives, const struct copy *copy)
{
    for (size_t i = 0; i < lives->fork_count; i++) {
        if (open_at(copy, lives->forks[i].time))
            return true;
    }
    return false;
}

static struct copy copy_of(const struct life *life)
{
    return (struct copy){
        .handle = life->handle,
        .birth = life->inherited ? 0 : life->birth,
        .death = life->end == LIFE_OPEN ? UINT64_MAX : life->death,
        .last_use = life->moved_last,
        .resource = life->resource,
        .used = life->moved > 0,
        .inherited = life->inherited,
        .place = LIVES_NONE,
    };
}

static int keep_copies(struct kin *kin, const struct lives *lives, const uint32_t *place_of)
{
    for (size_t i = 0; i < lives->life_count; i++) {
        const struct life *life = &lives->lives[i];
        struct copy copy = copy_of(life);
        if (!may_be_shared(life) || !(handed_on(lives, &copy) || (copy.inherited && copy.used)))
            continue;
        struct copy *moved = reallocarray(kin->copies, kin->copy_count + 1, sizeof(*moved));
        if (!moved)
            return -ENOMEM;
        kin->copies = moved;
        copy.place = place_of[i];
        kin->copies[kin->copy_count++] = copy;
    }
    return 0;
}

static bool holds_any(const struct lives *lives, const struct fold *fold)
{
    for (size_t i = 0; i < fold->life_count; i++) {
        const struct life *life = &lives->lives[fold->lives[i]];
        struct copy copy = copy_of(life);
        if (may_be_shared(life) && handed_on(lives, &copy))
            return true;
    }
    return false;
}

static int keep_places(struct report *report, struct kin *kin, const struct lives *lives, const struct folds *folds,
                       const struct report_stacks *stacks, uint32_t *place_of)
{
    for (size_t i = 0; i < folds->count; i++) {
        const struct fold *fold = &folds->items[i];
        if (!holds_any(lives, fold))
            continue;
        struct report_finding *moved = reallocarray(kin->places, kin->place_count + 1, sizeof(*moved));
        if (!moved)
            return -ENOMEM;
        kin->places = moved;
        int result = report_place(report, lives, fold, stacks, &kin->places[kin->place_count]);
        if (result == 0)
            result = report_keep_stack(report, &kin->places[kin->place_count]);
        if (result < 0)
            return result;
        for (size_t k = 0; k < fold->life_count; k++)
            place_of[fold->lives[k]] = (uint32_t)kin->place_count;
        kin->place_count++;
    }
    return 0;
}

static int keep_forks(struct kin *kin, const struct lives *lives)
{
    kin->forks = calloc(lives->fork_count + 1, sizeof(*kin->forks));
    if (!kin->forks)
        return -ENOMEM;
    if (lives->fork_count > 0)
        memcpy(kin->forks, lives->forks, lives->fork_count * sizeof(*kin->forks));
    kin->fork_count = lives->fork_count;
    return 0;
}

static struct kin *kin_add(struct report *report, const struct report_process *process)
{
    if (!report->kinship)
        report->kinship = calloc(1, sizeof(*report->kinship));
    struct kinship *kinship = report->kinship;
    struct kin *moved = kinship ? reallocarray(kinship->kin, kinship->count + 1, sizeof(*moved)) : NULL;
    if (!moved)
        return NULL;
    kinship->kin = moved;
    struct kin *kin = &kinship->kin[kinship->count++];
    *kin = (struct kin){
        .forked = process->forked, .pid = process->pid, .run = process->run, .start = process->start_time, .end = process->end_time};
    memcpy(kin->id, process->trace_id, sizeof(kin->id));
    memcpy(kin->parent_id, process->parent_id, sizeof(kin->parent_id));
    return kin;
}

int kinship_add(struct report *report, const struct report_process *process, const struct lives *lives,
                const struct folds *folds, const struct report_stacks *stacks)
{
    uint32_t *place_of = malloc((lives->life_count + 1) * sizeof(*place_of));
    struct kin *kin = place_of ? kin_add(report, process) : NULL;
    int result = kin ? keep_forks(kin, lives) : -ENOMEM;
    for (size_t i = 0; result == 0 && i < lives->life_count; i++)
        place_of[i] = LIVES_NONE;
    if (result == 0)
        result = keep_places(report, kin, lives, folds, stacks, place_of);
    if (result == 0)
        result = keep_copies(kin, lives, place_of);
    free(place_of);
    return result;
}

/* ---- all of them ---- */

static const struct kin *parent_of(const struct kinship *kinship, const struct kin *child)
{
    static const uint8_t none[16];
    if (!child->forked || memcmp(child->parent_id, none, sizeof(none)) == 0)
        return NULL;
    for (size_t i = 0; i < kinship->count; i++) {
        if (memcmp(kinship->kin[i].id, child->parent_id, sizeof(none)) == 0)
            return &kinship->kin[i];
    }
    return NULL;
}

/* By the parent's clock: what it did before it had the child, and what after. */
static uint64_t fork_time(const struct kin *parent, const struct kin *child)
{
    uint64_t time = child->start;
    for (size_t i = 0; i < parent->fork_count; i++) {
        if (parent->forks[i].pid == child->pid && parent->forks[i].time <= child->start)
            time = parent->forks[i].time;
    }
    return time;
}

static const struct copy *copy_at(const struct kin *kin, const struct copy *like, uint64_t time)
{
    for (size_t i = 0; i < kin->copy_count; i++) {
        const struct copy *copy = &kin->copies[i];
        if (copy->handle == like->handle && copy->resource == like->resource && open_at(copy, time))
            return copy;
    }
    return NULL;
}

/* One process's use of a connection that another opened. */
struct use {
    const struct kin *opener, *user;
    const struct copy *opened;
    uint64_t handed; /* when the opener forked */
    bool held;       /* the user's parent had its copy open when it was last used */
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* From the child's copy back to where it was opened. False: nowhere that was seen. */
static bool trace_back(const struct kinship *kinship, const struct kin *child, const struct copy *copy,
                       struct use *ret_use)
{
    const struct copy *held = NULL; /* by the user's parent */
    *ret_use = (struct use){.user = child};
    for (unsigned generation = 0; generation < GENERATIONS; generation++) {
        const struct kin *parent = parent_of(kinship, child);
        if (!parent)
            return false;
        uint64_t time = fork_time(parent, child);
        const struct copy *before = copy_at(parent, copy, time);
        if (!before && copy->resource != STRAY_PGCONN)
            return false;
        child = parent;
        if (!before) /* a PGconn that this generation did not use */
            continue;
        if (!held)
            ret_use->held = earlier(before->death, parent->end) > copy->last_use;
        held = before;
        if (!before->inherited) {
            ret_use->opener = parent;
            ret_use->opened = before;
            ret_use->handed = time;
            return before->place != LIVES_NONE;
        }
        copy = before;
    }
    return false;
}

struct uses {
    struct use *items;
    size_t count;
};

static int find_uses(const struct kinship *kinship, struct uses *uses)
{
    for (size_t i = 0; i < kinship->count; i++) {
        const struct kin *child = &kinship->kin[i];
        for (size_t k = 0; k < child->copy_count; k++) {
            struct use use;
            const struct copy *copy = &child->copies[k];
            if (!copy->inherited || !copy->used || !trace_back(kinship, child, copy, &use))
                continue;
            struct use *moved = reallocarray(uses->items, uses->count + 1, sizeof(*moved));
            if (!moved)
                return -ENOMEM;
            uses->items = moved;
            uses->items[uses->count++] = use;
        }
    }
    return 0;
}

/* By opener, place and connection. */
static int use_order(const void *left, const void *right)
{
    const struct use *a = left, *b = right;
    if (a->opener != b->opener)
        return a->opener < b->opener ? -1 : 1;
    if (a->opened->place != b->opened->place)
        return a->opened->place < b->opened->place ? -1 : 1;
    if (a->opened != b->opened)
        return a->opened < b->opened ? -1 : 1;
    return (a->user->pid > b->user->pid) - (a->user->pid < b->user->pid);
}

/* What is said of one place. */
struct told {
    struct report_finding finding;
    uint32_t *pids; /* room for every use and the opener */
    size_t pid_count;
    bool by_opener;
};

static void add_user(struct told *told, uint32_t pid)
{
    for (size_t i = 0; i < told->pid_count; i++) {
        if (told->pids[i] == pid)
            return;
    }
    told->pids[told->pid_count++] = pid;
}

/* Judges the uses of one connection; returns their number. */
static size_t judge_one(const struct use *uses, size_t count, struct told *told)
{
    struct sharing sharing = {0};
    uint64_t handed = UINT64_MAX;
    size_t n = 0;
    for (; n < count && uses[n].opened == uses[0].opened; n++) {
        sharing.users++;
        sharing.held |= uses[n].held;
        handed = uses[n].handed < handed ? uses[n].handed : handed;
    }
    sharing.by_opener = uses[0].opened->used && uses[0].opened->last_use > handed;
    sharing.users += sharing.by_opener;
    enum severity severity = sharing_judge(&sharing);
    if (severity == SEVERITY_NONE)
        return n;
    told->finding.count++;
    told->by_opener |= sharing.by_opener;
    if (severity < told->finding.severity)
        told->finding.severity = severity;
    for (size_t i = 0; i < n; i++)
        add_user(told, uses[i].user->pid);
    return n;
}

static int say(struct report *report, const struct kin *opener, struct told *told)
{
    struct report_finding *finding = &told->finding;
    size_t index, children = told->pid_count;
    if (finding->count == 0)
        return 0;
    add_user(told, opener->pid);
    finding->verdict = VERDICT_FORK_SHARED;
    finding->confidence = finding->severity == SEVERITY_ERROR ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
    finding->facts[finding->fact_count++] = (struct fact){"used_by_children", (double)children, true, true};
    finding->facts[finding->fact_count++] = (struct fact){"used_by_opener", told->by_opener, true, true};
    return report_add_finding(report, finding, told->pids, told->pid_count, &index);
}

/* The uses of one place of one process; *ret_count: their number. */
static int judge_place(struct report *report, const struct use *uses, size_t count, size_t *ret_count)
{
    const struct kin *opener = uses[0].opener;
    uint32_t place = uses[0].opened->place;
    struct told told = {.finding = opener->places[place], .pids = calloc(count + 1, sizeof(*told.pids))};
    size_t n = 0;
    if (!told.pids)
        return -ENOMEM;
    told.finding.severity = SEVERITY_NONE;
    while (n < count && uses[n].opener == opener && uses[n].opened->place == place)
        n += judge_one(uses + n, count - n, &told);
    report->run = opener->run;
    int result = say(report, opener, &told);
    free(told.pids);
    *ret_count = n;
    return result;
}

/* What is said of a PGconn follows from its connection: the first of the same function will be it. */
static void find_causes(struct report *report)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        struct report_finding *finding = &report->findings[i];
        if (finding->verdict != VERDICT_FORK_SHARED || finding->resource != STRAY_PGCONN)
            continue;
        for (size_t k = 0; k < report->finding_count && finding->cause == REPORT_NONE; k++) {
            const struct report_finding *other = &report->findings[k];
            if (other->verdict == VERDICT_FORK_SHARED && other->resource == STRAY_CONNECTION &&
                report_same_place(other, finding))
                finding->cause = k;
        }
    }
}

int kinship_judge(struct report *report)
{
    struct uses uses = {0};
    int result = report->kinship ? find_uses(report->kinship, &uses) : 0;
    if (uses.count > 1)
        qsort(uses.items, uses.count, sizeof(*uses.items), use_order);
    for (size_t i = 0, n = 0; result == 0 && i < uses.count; i += n)
        result = judge_place(report, uses.items + i, uses.count - i, &n);
    free(uses.items);
    find_causes(report);
    return result;
}
