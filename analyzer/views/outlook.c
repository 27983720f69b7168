/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What runs out, and when: of what leaks or creeps only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stray/hooks.h"
#include "verdicts/forecast.h"
#include "views/numbers.h"
#include "views/report_steps.h"

#define STANDARD_DESCRIPTORS 3 /* nobody was seen to open them */
#define MEMORY_NAME          "memory"

uint64_t report_limit(const struct report *report, const char *name)
{
    for (size_t i = 0; i < report->limit_count; i++) {
        if (strcmp(report->limits[i].name, name) == 0)
            return report->limits[i].value;
    }
    return 0;
}

static bool grows(enum verdict verdict)
{
    return verdict == VERDICT_LEAKED || verdict == VERDICT_CREEP;
}

static bool is_descriptor_kind(unsigned resource)
{
    return resource == STRAY_CONNECTION || resource == STRAY_SOCKET || resource == STRAY_FILE;
}

static double fact_of(const struct finding *finding, const char *name)
{
    for (size_t i = 0; i < finding->fact_count; i++) {
        if (strcmp(finding->facts[i].name, name) == 0)
            return finding->facts[i].value;
    }
    return 0;
}

static struct interval descriptors_per_hour(const struct judged *judged, const struct folds *folds)
{
    struct interval rate = {0};
    for (size_t i = 0; i < judged->count; i++) {
        const struct finding *finding = &judged->findings[i];
        if (finding->rated && grows(finding->verdict) && is_descriptor_kind(folds->items[finding->fold].resource))
            rate = forecast_sum(&rate, &finding->rate_per_hour);
    }
    return rate;
}

static struct interval bytes_per_hour(const struct judged *judged, const struct folds *folds)
{
    struct interval rate = {0};
    for (size_t i = 0; i < judged->count; i++) {
        const struct finding *finding = &judged->findings[i];
        if (!grows(finding->verdict) || folds->items[finding->fold].resource != STRAY_HEAP)
            continue;
        struct interval own = {fact_of(finding, "bytes_per_hour"), fact_of(finding, "bytes_per_hour_low"),
                               fact_of(finding, "bytes_per_hour_high")};
        rate = forecast_sum(&rate, &own);
    }
    return rate;
}

/* When the end began. */
static double descriptors_open(const struct lives *lives, const struct folds *folds)
{
    double open = STANDARD_DESCRIPTORS;
    for (size_t i = 0; i < folds->count; i++)
        open += is_descriptor_kind(folds->items[i].resource) ? (double)folds->items[i].alive : 0;
    for (unsigned i = 0; i < STRAY_USER_END; i++)
        open += is_descriptor_kind(i) ? (double)lives->books[i].inherited : 0;
    return open;
}

/* A limit of 0 is not known. */
static int foretell(struct report *report, struct report_forecast *wanted, double observed)
{
    if (wanted->limit == 0 || wanted->limit == UINT64_MAX ||
        !forecast((double)wanted->limit, wanted->now, &wanted->per_hour, observed, &wanted->seconds))
        return 0;
    struct report_forecast *more =
        reallocarray(report->forecasts, report->forecast_count + 1, sizeof(*report->forecasts));
    if (!more)
        return -ENOMEM;
    report->forecasts = more;
    report->forecasts[report->forecast_count++] = *wanted;
    return 0;
}

int report_add_outlook(struct report *report, const struct lives *lives, const struct folds *folds,
                       const struct judged *judged, uint32_t pid)
{
    double observed = lives->source.seconds(lives->source.data, lives->tc);
    uint64_t given = report_limit(report, MEMORY_NAME);
    struct report_forecast descriptors = {
        .kind = FORECAST_DESCRIPTORS,
        .pid = pid,
        .limit = lives->descriptor_limit,
        .now = descriptors_open(lives, folds),
        .per_hour = descriptors_per_hour(judged, folds),
    };
    struct report_forecast memory = {
        .kind = FORECAST_MEMORY,
        .pid = pid,
        .limit = given ? given : lives->memory_limit,
        .now = (double)lives->memory.last_rss,
        .per_hour = bytes_per_hour(judged, folds),
    };
    int result = foretell(report, &descriptors, observed);
    return result == 0 && lives->memory.samples > 0 ? foretell(report, &memory, observed) : result;
}

/* ---- connections, of all processes ---- */

static int foretell_peer(struct report *report, const struct report_peer *peer)
{
    struct report_forecast wanted = {.kind = FORECAST_CONNECTIONS, .peer = peer->text, .limit = peer->limit};
    uint64_t counted = 0;
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct report_finding *finding = &report->findings[i];
        if (!finding->rated || !grows(finding->verdict) || finding->resource != STRAY_CONNECTION || finding->server ||
            !finding->peer || strcmp(finding->peer, peer->text) != 0)
            continue;
        wanted.per_hour = forecast_sum(&wanted.per_hour, &finding->rate_per_hour);
        counted += finding->count;
    }
    wanted.now = (double)(counted > peer->open ? counted : peer->open);
    return foretell(report, &wanted, report->duration_s);
}

/* ---- words ---- */

/* In the unit that gives numbers a person can imagine, all three in the same. */
static void say_when(const struct interval *seconds, char *text, size_t size)
{
    static const struct {
        double from, unit;
        const char *name;
    } units[] = {{2 * 86400, 86400, "days"}, {2 * 3600, 3600, "h"}, {120, 60, "min"}, {0, 1, "s"}};
    size_t i = 0;
    while (seconds->estimate < units[i].from)
        i++;
    struct words estimate, low, high;
    double unit = units[i].unit;
    snprintf(text, size, "about %s %s (%s-%s)", words_number(&estimate, seconds->estimate / unit), units[i].name,
             words_number(&low, seconds->low / unit), words_number(&high, seconds->high / unit));
}

static const char *say(struct report *report, const struct report_forecast *of)
{
    char when[160], who[240] = "", text[600];
    struct words now, limit;
    say_when(&of->seconds, when, sizeof(when));
    if (of->kind == FORECAST_CONNECTIONS)
        snprintf(who, sizeof(who), " to %.200s", of->peer);
    else if (report->process_count > 1)
        snprintf(who, sizeof(who), " of pid %u", of->pid);
    bool memory = of->kind == FORECAST_MEMORY;
    const char *things = memory ? "memory" : of->kind == FORECAST_CONNECTIONS ? "connections" : "file descriptors";
    if (memory) {
        words_bytes(&now, of->now);
        words_bytes(&limit, (double)of->limit);
    } else {
        words_count(&now, (uint64_t)of->now);
        words_count(&limit, of->limit);
    }
    if (of->seconds.estimate > 0)
        snprintf(text, sizeof(text), "%s%s %s out in %s: %s of %s %s", things, who, memory ? "runs" : "run", when, now.text,
                 limit.text, memory ? "is resident" : "are open");
    else
        snprintf(text, sizeof(text), "%s%s %s run out: the limit is %s", things, who, memory ? "has" : "have", limit.text);
    return report_keep(report, text);
}

static int forecast_order(const void *left, const void *right)
{
    const struct report_forecast *a = left, *b = right;
    if (a->seconds.estimate != b->seconds.estimate)
        return a->seconds.estimate < b->seconds.estimate ? -1 : 1;
    if (a->kind != b->kind)
        return (int)a->kind - (int)b->kind;
    return (a->pid > b->pid) - (a->pid < b->pid);
}

int report_end_outlook(struct report *report)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < report->peer_count; i++) {
        struct report_peer *peer = &report->peers[i];
        peer->limit = peer->server ? 0 : report_limit(report, peer->text);
        result = foretell_peer(report, peer);
    }
    if (report->forecast_count > 1)
        qsort(report->forecasts, report->forecast_count, sizeof(*report->forecasts), forecast_order);
    for (size_t i = 0; result == 0 && i < report->forecast_count; i++) {
        report->forecasts[i].message = say(report, &report->forecasts[i]);
        result = report->forecasts[i].message ? 0 : -ENOMEM;
    }
    return result;
}
