/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/check.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "views/numbers.h"

#define LOST_SHARE 0.001

const char *check_result_word(enum check_result result)
{
    return result == CHECK_CLEAN ? "clean" : result == CHECK_FAILED ? "failed" : "inconclusive";
}

const char *check_fate_word(enum check_fate fate)
{
    static const char *const words[] = {"fails", "passes", "suppressed"};
    return words[fate];
}

const char *check_meaning(enum verdict verdict)
{
    static const char *const meanings[VERDICT_COUNT] = {
        [VERDICT_LEAKED] = "never released, as the work goes on",
        [VERDICT_CREEP] = "still growing, but slowing, or too young to call",
        [VERDICT_FINALIZER_CLOSED] = "left to a destructor or the garbage collector to close",
        [VERDICT_CHURN] = "a connection for each use",
        [VERDICT_OPEN_AT_EXIT] = "open at the end, and no leak",
        [VERDICT_CLOSE_WAIT] = "the peer hung up, this side never closed",
        [VERDICT_UNREAPED] = "ended, and never joined or waited for",
        [VERDICT_FORK_SHARED] = "made in one process, and used in another",
        [VERDICT_RETENTION] = "freed, and kept by the allocator",
        [VERDICT_DUPLICATE_POOL] = "one more pool to the same database",
        [VERDICT_HELD_RESULT] = "kept long after it was of use",
        [VERDICT_POOL_SATURATED] = "waited for: a pool too small for those who use it",
    };
    return meanings[verdict] ? meanings[verdict] : verdict_name(verdict);
}

static uint64_t end_of(const struct report *report)
{
    uint64_t end = 0;
    for (size_t i = 0; i < report->process_count; i++) {
        const struct report_process *process = &report->processes[i];
        uint64_t one = process->start_realtime_ns + (uint64_t)(process->duration_s * 1e9);
        if (process->start_realtime_ns && one > end)
            end = one;
    }
    return end;
}

/* ---- findings ---- */

static bool counts(const struct check_rules *rules, const struct report_finding *finding)
{
    return rules->verdicts[finding->verdict] ||
           (finding->severity < SEVERITY_NONE && rules->severities[finding->severity]);
}

/* What is part of a suppressed finding is suppressed with it. */
static struct suppression *suppressor(const struct check *check, const struct report_finding *finding)
{
    const struct suppressions *list = check->rules->suppressions;
    struct suppression *found = NULL;
    for (size_t steps = 0; list && !found && steps <= check->report->finding_count; steps++) {
        found = suppressions_find(list, finding, check->now_ns);
        const struct report_finding *cause = finding->cause == REPORT_NONE ? NULL : &check->report->findings[finding->cause];
        if (!cause || !report_belongs(finding, cause))
            break;
        finding = cause;
    }
    return found;
}

static void judge_finding(struct check *check, size_t index)
{
    struct check_item *item = &check->items[index];
    item->finding = &check->report->findings[index];
    struct suppression *by = suppressor(check, item->finding);
    if (by) {
        by->used++;
        item->by = by;
        item->fate = FATE_SUPPRESSED;
        check->suppressed++;
    } else if (counts(check->rules, item->finding)) {
        item->fate = FATE_FAILS;
        check->fails++;
    } else {
        item->fate = FATE_PASSES;
        check->passes++;
    }
}

/* ---- limits ---- */

static struct check_breach *breach(struct check *check, const char *rule)
{
    struct check_breach *added = &check->breaches[check->breach_count++];
    added->rule = rule;
    return added;
}

static bool limit_is_about(const struct check_limit *limit, const struct report_peer *peer)
{
    return fnmatch(limit->peer, peer->text, 0) == 0;
}

bool check_limit_used(const struct check *check, const struct check_limit *limit)
{
    for (size_t i = 0; i < check->report->peer_count; i++)
        if (limit_is_about(limit, &check->report->peers[i]))
            return true;
    return false;
}

static void check_limit(struct check *check, const struct check_limit *limit)
{
    for (size_t i = 0; i < check->report->peer_count; i++) {
        const struct report_peer *peer = &check->report->peers[i];
        if (peer->peak <= limit->most || !limit_is_about(limit, peer))
            continue;
        struct check_breach *added = breach(check, "max-open");
        snprintf(added->message, sizeof(added->message),
                 "%" PRIu64 " connections %s %.200s were open at once, more than %" PRIu64, peer->peak,
                 peer->server ? "at" : "to", peer->text, limit->most);
    }
}

static void check_growth(struct check *check)
{
    const struct report_memory *memory = &check->report->memory;
    if (!check->rules->growth_given || !memory->known || memory->span_s <= 0)
        return;
    double grown = (double)memory->rss_end - (double)memory->rss_start - (double)memory->parts.tracer;
    double hourly = grown / memory->span_s * 3600;
    struct words got, most;
    if (hourly <= check->rules->growth)
        return;
    struct check_breach *added = breach(check, "max-growth");
    snprintf(added->message, sizeof(added->message), "resident memory grew by %s an hour, more than %s",
             words_bytes(&got, hourly), words_bytes(&most, check->rules->growth));
}

/* ---- enough to say? ---- */

static bool losses_matter(const struct report *report)
{
    return (double)report->lost_events > LOST_SHARE * (double)(report->events + report->lost_events);
}

static void say_doubts(struct check *check)
{
    const struct report *report = check->report;
    struct words duration, wanted;
    if (report->duration_s < check->rules->min_duration_s)
        snprintf(check->why, sizeof(check->why), "too short: %s, less than %s",
                 words_duration(&duration, report->duration_s),
                 words_duration(&wanted, check->rules->min_duration_s));
    else if (report_too_short(report))
        snprintf(check->why, sizeof(check->why), "too short: no place acquired often enough to be judged");
    else if (!report->complete)
        snprintf(check->why, sizeof(check->why), "the trace is not complete (see stray verify)");
    else if (check->rules->growth_given && (!report->memory.known || report->memory.span_s <= 0))
        snprintf(check->why, sizeof(check->why), "resident memory was not sampled");
}

/* What was lost may have been releases as well as acquires: then a finding is doubtful, too. */
static void conclude(struct check *check)
{
    const struct report *report = check->report;
    if (losses_matter(report)) {
        snprintf(check->why, sizeof(check->why),
                 "%" PRIu64 " of %" PRIu64 " events were lost, more than 0.1 %%", report->lost_events,
                 report->events + report->lost_events);
        check->result = CHECK_INCONCLUSIVE;
    } else if (check->fails > 0 || check->breach_count > 0) {
        check->result = CHECK_FAILED;
    } else {
        say_doubts(check);
        check->result = check->why[0] ? CHECK_INCONCLUSIVE : CHECK_CLEAN;
    }
}

int check_make(const struct report *report, const struct check_rules *rules, struct check *ret_check)
{
    struct check check = {.report = report, .rules = rules, .now_ns = end_of(report)};
    check.items = calloc(report->finding_count + 1, sizeof(*check.items));
    check.breaches = calloc(rules->limit_count * report->peer_count + 1, sizeof(*check.breaches));
    if (!check.items || !check.breaches) {
        check_clear(&check);
        return -ENOMEM;
    }
    for (size_t i = 0; i < report->finding_count; i++)
        judge_finding(&check, i);
    for (size_t i = 0; i < rules->limit_count; i++)
        check_limit(&check, &rules->limits[i]);
    check_growth(&check);
    conclude(&check);
    *ret_check = check;
    return 0;
}

void check_clear(struct check *check)
{
    free(check->items);
    free(check->breaches);
    *check = (struct check){0};
}
