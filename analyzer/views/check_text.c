/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The outcome of a check for people, and as a file of suppressions. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "read/words.h"
#include "safe.h"
#include "views/check.h"
#include "views/listing.h"

static void headline(const struct check *check, FILE *out)
{
    fprintf(out, "check %s", check_result_word(check->result));
    if (check->why[0])
        fprintf(out, ": %s", check->why);
    fprintf(out, "  (%zu fail, %zu suppressed, %zu other findings", check->fails + check->breach_count,
            check->suppressed, check->passes);
    fputs(")\n", out);
}

static void show_item(const struct check_item *item, FILE *out)
{
    static const char *const marks[] = {"FAIL", "ok  ", "supp"};
    const struct report_finding *finding = item->finding;
    char place[1024];
    listing_frame(finding->site, place, sizeof(place));
    fprintf(out, "%s  %-7s  %s %s: ", marks[item->fate], severity_name(finding->severity),
            verdict_name(finding->verdict), resource_label(finding->resource));
    print_safe(out, finding->message);
    fputs("\n      ", out);
    print_safe(out, place);
    if (item->by) {
        fputs("   suppressed by ", out);
        print_safe(out, item->by->text);
    }
    fputc('\n', out);
}

static void show_suppressions(const struct check *check, FILE *out)
{
    const struct suppressions *list = check->rules->suppressions;
    for (size_t i = 0; list && i < list->count; i++) {
        const struct suppression *suppression = &list->items[i];
        bool expired = suppression_expired(suppression, check->now_ns);
        if (!expired && suppression->used)
            continue;
        fprintf(out, "note  suppression %s (", expired ? "ended" : "not used");
        if (list->file_count > 1) {
            print_safe(out, suppression->file);
            fputs(", ", out);
        }
        fprintf(out, "line %u): ", suppression->line);
        print_safe(out, suppression->text);
        if (expired)
            fprintf(out, "   until %s", suppression->until);
        fputc('\n', out);
    }
}

static void show_idle_limits(const struct check *check, FILE *out)
{
    for (size_t i = 0; i < check->rules->limit_count; i++) {
        const struct check_limit *limit = &check->rules->limits[i];
        if (check_limit_used(check, limit))
            continue;
        fputs("note  no connections to a peer for --max-open ", out);
        print_safe(out, limit->peer);
        fprintf(out, "=%" PRIu64 "\n", limit->most);
    }
}

int check_write_text(const struct check *check, FILE *out)
{
    headline(check, out);
    for (size_t i = 0; i < check->breach_count; i++) {
        fprintf(out, "FAIL  error    %s: ", check->breaches[i].rule);
        print_safe(out, check->breaches[i].message);
        fputc('\n', out);
    }
    for (int fate = FATE_FAILS; fate <= FATE_SUPPRESSED; fate++)
        for (size_t i = 0; i < check->report->finding_count; i++)
            if (check->items[i].fate == (enum check_fate)fate)
                show_item(&check->items[i], out);
    show_suppressions(check, out);
    show_idle_limits(check, out);
    return ferror(out) ? -EIO : 0;
}

int check_write_suppressions(const struct check *check, FILE *out)
{
    for (size_t i = 0; i < check->report->finding_count; i++) {
        if (check->items[i].fate != FATE_FAILS)
            continue;
        const struct report_finding *finding = check->items[i].finding;
        char *line = suppression_for(finding);
        if (!line)
            return -ENOMEM;
        fprintf(out, "# %s: ", verdict_name(finding->verdict));
        print_safe(out, finding->message);
        fputc('\n', out);
        print_safe(out, line);
        fputc('\n', out);
        free(line);
    }
    return ferror(out) ? -EIO : 0;
}
