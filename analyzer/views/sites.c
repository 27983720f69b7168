/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/sites.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "read/words.h"
#include "views/numbers.h"

const char *const sites_columns[] = {"resource", "opened", "closed", "open", "bytes_open", "verdict",
                                     "first_s",  "last_s", "peer",   "site", NULL};

static struct listing_key number(uint64_t value)
{
    return (struct listing_key){.number = true, .value = (double)value};
}

static struct listing_key moment(double value)
{
    return (struct listing_key){.number = true, .ascending = true, .value = value};
}

static struct listing_key key_of(const void *rows, size_t row, const char *name)
{
    const struct report_site *site = &((const struct report_site *)rows)[row];
    struct listing_key text = {0};
    if (strcmp(name, "opened") == 0)
        return number(site->opened);
    if (strcmp(name, "closed") == 0)
        return number(site->closed);
    if (strcmp(name, "open") == 0)
        return number(site->open);
    if (strcmp(name, "bytes_open") == 0)
        return number(site->bytes_open);
    if (strcmp(name, "first_s") == 0)
        return moment(site->first_s);
    if (strcmp(name, "last_s") == 0)
        return moment(site->last_s);
    if (strcmp(name, "resource") == 0)
        text.text = resource_label(site->resource);
    else if (strcmp(name, "verdict") == 0)
        text.text = verdict_name(site->verdict);
    else if (strcmp(name, "peer") == 0)
        text.text = site->peer;
    else
        text.text = site->known ? site->site.function : NULL;
    return text;
}

static bool wanted(const struct listing_filter *filter, const struct report_site *site)
{
    return listing_wants_resource(filter, site->resource) &&
           listing_wants_site(filter, site->known ? &site->site : NULL) &&
           (!filter->peer || listing_matches(filter->peer, site->peer)) &&
           listing_wants_time(filter, site->first_s, site->last_s, site->first_realtime_ns,
                              site->last_realtime_ns);
}

int sites_select(struct report *report, const struct listing_filter *filter)
{
    size_t *rows = calloc(report->site_count + 1, sizeof(*rows)), count = 0;
    struct report_site *kept = calloc(report->site_count + 1, sizeof(*kept));
    if (!rows || !kept) {
        free(rows);
        free(kept);
        return -ENOMEM;
    }
    for (size_t i = 0; i < report->site_count; i++)
        if (wanted(filter, &report->sites[i]))
            rows[count++] = i;
    count = listing_arrange(filter, report->sites, key_of, "opened", rows, count);
    for (size_t i = 0; i < count; i++)
        kept[i] = report->sites[rows[i]];
    free(rows);
    free(report->sites);
    report->sites = kept;
    report->site_count = count;
    return 0;
}

void site_words(struct site_words *words, const struct report_site *site)
{
    const char *mark = site->estimated ? "~" : "";
    struct words bytes;
    snprintf(words->opened, sizeof(words->opened), "%s%" PRIu64, mark, site->opened);
    snprintf(words->closed, sizeof(words->closed), "%s%" PRIu64, mark, site->closed);
    snprintf(words->open, sizeof(words->open), "%s%" PRIu64, mark, site->open);
    snprintf(words->bytes, sizeof(words->bytes), "%s%s", mark, words_bytes(&bytes, (double)site->bytes_open));
}

int sites_write_text(const struct report *report, FILE *out)
{
    static const struct grid_column columns[] = {
        {"resource", false},  {"opened", true},   {"closed", true}, {"open", true},
        {"bytes open", true}, {"verdict", false}, {"peer", false},  {"place", false}};
    struct grid grid = {.columns = columns, .column_count = sizeof(columns) / sizeof(*columns)};
    for (size_t i = 0; i < report->site_count; i++) {
        const struct report_site *site = &report->sites[i];
        struct site_words words;
        char place[1024];
        site_words(&words, site);
        listing_frame(site->known ? &site->site : NULL, place, sizeof(place));
        grid_add(&grid, "%s", resource_label(site->resource));
        grid_add(&grid, "%s", words.opened);
        grid_add(&grid, "%s", words.closed);
        grid_add(&grid, "%s", words.open);
        grid_add(&grid, "%s", site->bytes_open ? words.bytes : "-");
        grid_add(&grid, "%s", verdict_name(site->verdict));
        grid_add(&grid, "%s", site->peer ? site->peer : "-");
        grid_add(&grid, "%s", place);
    }
    return grid_finish(&grid, out);
}
