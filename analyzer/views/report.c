/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "views/kinship.h"
#include "views/places.h"
#include "views/report_steps.h"

const char *report_keep(struct report *report, const char *text)
{
    return text ? texts_keep(&report->texts, text) : NULL;
}

/* Room is made in powers of two. */
void *report_append(void *array, size_t *count, size_t size)
{
    void *items;
    memcpy(&items, array, sizeof(items));
    char *moved = items;
    if ((*count & (*count - 1)) == 0)
        moved = reallocarray(items, *count ? 2 * *count : 1, size);
    if (!moved)
        return NULL;
    memcpy(array, &moved, sizeof(moved));
    memset(moved + *count * size, 0, size);
    return moved + (*count)++ * size;
}

int report_add_number(struct report *report, uint32_t **numbers, size_t *count, uint32_t number)
{
    for (size_t i = *count; i-- > 0;) {
        if ((*numbers)[i] == number)
            return 0;
    }
    if ((*count & (*count - 1)) == 0) {
        uint32_t *more = arena_alloc(&report->arena, (*count ? 2 * *count : 1) * sizeof(*more));
        if (!more)
            return -ENOMEM;
        if (*count > 0)
            memcpy(more, *numbers, *count * sizeof(*more));
        *numbers = more;
    }
    (*numbers)[(*count)++] = number;
    return 0;
}

int report_begin(const char *given, struct report **ret_report)
{
    struct report *report = calloc(1, sizeof(*report));
    if (!report)
        return -ENOMEM;
    report->complete = true;
    report->axis = AXIS_TIME;
    report->path = report_keep(report, given);
    if (given && !report->path) {
        report_free(report);
        return -ENOMEM;
    }
    *ret_report = report;
    return 0;
}

int report_want_places(struct report *report)
{
    report->places = calloc(1, sizeof(*report->places));
    return report->places ? 0 : -ENOMEM;
}

int report_run(struct report *report, const char *path, uint32_t *ret_run)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    const char *name = folder ? report_keep(report, folder) : NULL;
    free(folder);
    if (!name)
        return -ENOMEM;
    for (size_t i = report->run_count; i-- > 0;) {
        if (report->run_names[i] == name) {
            *ret_run = (uint32_t)i;
            return 0;
        }
    }
    const char **added = report_append(&report->run_names, &report->run_count, sizeof(*added));
    if (!added)
        return -ENOMEM;
    *added = name;
    *ret_run = (uint32_t)(report->run_count - 1);
    return 0;
}

void report_free(struct report *report)
{
    if (!report)
        return;
    kinship_free(report->kinship);
    places_free(report->places);
    arena_free(&report->arena);
    arena_free(&report->scratch);
    texts_free(&report->texts);
    free(report->run_names);
    free(report->processes);
    for (size_t i = 0; i < report->finding_count; i++)
        free(report->findings[i].users);
    free(report->findings);
    free(report->claims);
    free(report->suspects);
    free(report->sites);
    free(report->peers);
    free(report->deaths);
    free(report->notes);
    free(report->forecasts);
    for (size_t i = 0; i < report->statement_count; i++)
        report_statement_clear(&report->statements[i]);
    free(report->statements);
    map_clear(&report->statement_rows);
    free(report);
}

/* A place with too few acquires is not judged, and "open at the exit" is said of one alone. */
static bool is_judgement(enum verdict verdict)
{
    return verdict != VERDICT_FEW && verdict != VERDICT_OPEN_AT_EXIT;
}

bool report_too_short(const struct report *report)
{
    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (is_judgement(verdict) && report->quiet[verdict] > 0)
            return false;
    for (size_t i = 0; i < report->finding_count; i++)
        if (is_judgement(report->findings[i].verdict))
            return false;
    return true;
}

double report_fact(const struct report_finding *finding, const char *name)
{
    for (size_t i = 0; i < finding->fact_count; i++)
        if (strcmp(finding->facts[i].name, name) == 0)
            return finding->facts[i].value;
    return 0;
}
