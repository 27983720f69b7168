/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools of connections that one process keeps to one database, as findings of the report. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "verdicts/pools.h"
#include "views/likeness.h"
#include "views/report_steps.h"

#define POOLS_MOST 64u /* more are no pools: a program that keeps a connection for each of its things */

/* What is known of one pool besides the figures to be judged. */
struct told_pool {
    struct report_finding place;
    const char *database;
    uint32_t group;
};

struct gathering {
    struct report *report;
    const struct lives *lives;
    const struct report_stacks *stacks;
    struct map conn_rows; /* of lives->statements, by handle and birth */
    struct pool *pools;
    struct told_pool *told;
    size_t count;
};

static uint64_t key_of(uint64_t handle, uint64_t birth)
{
    uint64_t both[] = {handle, birth};
    return hash_bytes(HASH_BEGIN, both, sizeof(both));
}

static int index_conns(struct gathering *gathering)
{
    const struct statements *statements = &gathering->lives->statements;
    int result = 0;
    for (uint32_t i = 0; i < statements->conn_count && result == 0; i++)
        result = map_put(&gathering->conn_rows, key_of(statements->conns[i].handle, statements->conns[i].birth), i);
    return result;
}

static double seconds(const struct gathering *gathering, uint64_t time)
{
    return gathering->lives->source.seconds(gathering->lives->source.data, time);
}

static bool is_kept(const struct gathering *gathering, const struct life *life, uint32_t conn)
{
    const struct lives *lives = gathering->lives;
    double tc = seconds(gathering, lives->tc);
    struct pool_member member = {.birth = seconds(gathering, life->birth),
                                 .end = life_open_at_tc(life) ? tc : seconds(gathering, life->death),
                                 .statements = lives->statements.conns[conn].statements};
    return !life->failed && !life->born_late && pool_keeps(&member, tc);
}

/* Equal texts have equal numbers, and so do equal places: that of the first pool with either. */
static void number(struct gathering *gathering, size_t which)
{
    struct pool *pool = &gathering->pools[which];
    const struct told_pool *told = &gathering->told[which];
    pool->place = pool->database = (uint32_t)which;
    for (size_t i = which; i-- > 0;) {
        if (report_same_place(&gathering->told[i].place, &told->place))
            pool->place = gathering->pools[i].place;
        if (strcmp(gathering->told[i].database, told->database) == 0)
            pool->database = gathering->pools[i].database;
    }
}

static int begin_pool(struct gathering *gathering, const struct life *life, uint32_t group, const char *database)
{
    struct told_pool *told = &gathering->told[gathering->count];
    told->group = group;
    told->database = database;
    int result = report_place_at(gathering->report, gathering->lives, gathering->lives->sites[life->site].stack, STRAY_PGCONN,
                                 life->birth, life->last_use, gathering->stacks, &told->place);
    gathering->pools[gathering->count] = (struct pool){.from = seconds(gathering, life->birth)};
    number(gathering, gathering->count);
    gathering->count++;
    return result;
}

static int gather(struct gathering *gathering, const struct life *life)
{
    const struct lives_source *source = &gathering->lives->source;
    uint32_t conn;
    const char *database = life->definition ? source->endpoint(source->data, life->definition) : NULL;
    if (life->resource != STRAY_PGCONN || life->inherited || !database || life->site == LIVES_NONE ||
        !map_get(&gathering->conn_rows, key_of(life->handle, life->birth), &conn) || !is_kept(gathering, life, conn))
        return 0;
    uint32_t group = statements_group(&gathering->lives->statements, conn);
    size_t which = 0;
    while (which < gathering->count &&
           (gathering->told[which].group != group || strcmp(gathering->told[which].database, database) != 0))
        which++;
    if (which == POOLS_MOST)
        return 0;
    int result = which == gathering->count ? begin_pool(gathering, life, group, database) : 0;
    double last = seconds(gathering, life->last_use);
    gathering->pools[which].members++;
    if (last > gathering->pools[which].to)
        gathering->pools[which].to = last;
    return result;
}

static int say(struct gathering *gathering, size_t which, uint32_t pid)
{
    struct pool_judgement judgement;
    struct report_finding finding = gathering->told[which].place;
    size_t index;
    if (!pool_judge(gathering->pools, gathering->count, which, &judgement))
        return 0;
    finding.verdict = VERDICT_DUPLICATE_POOL;
    finding.severity = judgement.severity;
    finding.confidence = judgement.confidence;
    finding.peer = report_keep(gathering->report, gathering->told[which].database);
    finding.count = gathering->pools[which].members;
    finding.facts[finding.fact_count++] = (struct fact){"pools", judgement.pools, true, false};
    finding.facts[finding.fact_count++] = (struct fact){"pooled_connections", judgement.connections, true, false};
    return report_add_finding(gathering->report, &finding, &pid, 1, &index);
}

int report_add_pools(struct report *report, const struct lives *lives, const struct report_stacks *stacks, uint32_t pid)
{
    struct gathering gathering = {.report = report, .lives = lives, .stacks = stacks};
    gathering.pools = calloc(POOLS_MOST, sizeof(*gathering.pools));
    gathering.told = calloc(POOLS_MOST, sizeof(*gathering.told));
    int result = gathering.pools && gathering.told ? index_conns(&gathering) : -ENOMEM;
    for (size_t i = 0; i < lives->life_count && result == 0; i++)
        result = gather(&gathering, &lives->lives[i]);
    for (size_t i = 0; i < gathering.count && result == 0; i++)
        result = say(&gathering, i, pid);
    map_clear(&gathering.conn_rows);
    free(gathering.pools);
    free(gathering.told);
    return result;
}
