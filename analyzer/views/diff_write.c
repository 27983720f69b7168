/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two traces compared, for people and as JSON, schema "stray-diff/1". */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "json_memory.h"
#include "read/words.h"
#include "safe.h"
#include "views/diff.h"
#include "views/json.h"
#include "views/listing.h"
#include "views/numbers.h"

static const char *const axes[] = {"requests", "statements", "allocations", "time"};
static const char *const units[] = {"request", "statement", "allocation", "second"};

/* ---- text ---- */

static void show_run(const struct diff *diff, const char *title, const struct ledger *ledger, double work,
                     FILE *out)
{
    struct words amount, duration;
    fprintf(out, "%-5s ", title);
    print_safe(out, ledger->report->path);
    fprintf(out, "   %s", words_duration(&duration, ledger->report->duration_s));
    if (diff->axis != AXIS_TIME)
        fprintf(out, ", %s", words_things(&amount, (uint64_t)work, units[diff->axis]));
    fputc('\n', out);
}

static void show_samples(const char *title, const struct report *report, FILE *out)
{
    struct words size;
    if (report->heap_sampled)
        fprintf(out, "  ! the heap of the %s trace was sampled every %s: its figures are estimates (~)\n", title,
                words_bytes(&size, (double)report->heap_sampled));
}

static void show_warnings(const struct diff *diff, FILE *out)
{
    struct words base, fresh;
    if (diff->load_differs)
        fprintf(out, "  ! the load differs: %s %s a second, then %s; rates may not be comparable\n",
                words_number(&base, diff->base_load), axes[diff->axis],
                words_number(&fresh, diff->fresh_load));
    show_samples("base", diff->base->report, out);
    show_samples("new", diff->fresh->report, out);
    if (diff->base->report->lost_events || !diff->base->report->complete)
        fputs("  ! the base trace is not complete\n", out);
    if (diff->fresh->report->lost_events || !diff->fresh->report->complete)
        fputs("  ! the new trace is not complete\n", out);
}

static void tally(const struct diff *diff, FILE *out)
{
    size_t counts[DIFF_WORDS] = {0}, shown = 0;
    for (size_t i = 0; i < diff->count; i++)
        counts[diff->rows[i].word]++;
    for (unsigned i = 0; i < DIFF_WORDS; i++)
        if (counts[i])
            fprintf(out, "%s%zu %s", shown++ ? ", " : "", counts[i], diff_word((enum diff_word)i));
    fputs(shown ? "\n" : "Neither trace has findings that count\n", out);
}

/* "3.75 per 1 000 requests": in a unit that gives a number a person can imagine. */
static void rate_words(const struct diff *diff, double rate, char *text, size_t size)
{
    struct words number;
    unsigned long scale = 1;
    while (rate > 0 && rate * (double)scale < 0.1 && scale < 1000000000)
        scale *= 1000;
    if (scale == 1)
        snprintf(text, size, "%s per %s", words_number(&number, rate), units[diff->axis]);
    else
        snprintf(text, size, "%s per %lu %ss", words_number(&number, rate * (double)scale), scale,
                 units[diff->axis]);
}

static void show_side(const struct diff *diff, const char *title, const struct diff_side *side, FILE *out)
{
    struct words count, opened, bytes;
    char rate[128];
    fprintf(out, "      %-5s ", title);
    if (!side->there) {
        fputs("nothing acquired here\n", out);
        return;
    }
    rate_words(diff, side->rate, rate, sizeof(rate));
    const char *mark = side->estimated ? "~" : "";
    fprintf(out, "%s%s of %s%s", mark, words_count(&count, side->count), mark, words_count(&opened, side->opened));
    if (side->bytes)
        fprintf(out, ", %s%s", mark, words_bytes(&bytes, (double)side->bytes));
    fprintf(out, ", %s%s%s\n", side->count ? rate : "none", side->accused ? "   " : "",
            side->accused ? verdict_name(side->verdict) : "");
}

static void show_ratio(const struct diff *diff, const struct diff_row *row, FILE *out)
{
    struct words needed, fresh, base, estimate, low, high;
    double other = row->base.count ? diff->fresh_work : diff->base_work;
    if (row->word == DIFF_TOO_SHORT && row->needed > 0) {
        fprintf(out, "      %s trace has %s %ss; to tell takes %s\n",
                row->base.count ? "the new" : "the base", words_number(&fresh, other), units[diff->axis],
                words_number(&needed, ceil(row->needed)));
    } else if (row->base.count && row->fresh.count) {
        fprintf(out, "      rate times %s (%s-%s)\n", words_number(&estimate, row->ratio.estimate),
                words_number(&low, row->ratio.low), words_number(&high, row->ratio.high));
    } else if (row->base.count) {
        fprintf(out, "      none in %s %ss, where %s were due: at most %s times the rate before\n",
                words_count(&fresh, (uint64_t)diff->fresh_work), units[diff->axis],
                words_number(&base, row->base.rate * diff->fresh_work), words_number(&high, row->ratio.high));
    }
}

static void show_row(const struct diff *diff, const struct diff_row *row, FILE *out)
{
    char place[1024];
    listing_frame(row->site, place, sizeof(place));
    fprintf(out, "%-17s  %s %s  ", diff_word(row->word), verdict_name(row->kind),
            resource_label(row->resource));
    print_safe(out, place);
    fputs(row->by_callers ? "   (another name, the same callers)\n" : "\n", out);
    show_side(diff, "base", &row->base, out);
    show_side(diff, "new", &row->fresh, out);
    show_ratio(diff, row, out);
}

int diff_write_text(const struct diff *diff, FILE *out)
{
    show_run(diff, "base", diff->base, diff->base_work, out);
    show_run(diff, "new", diff->fresh, diff->fresh_work, out);
    show_warnings(diff, out);
    tally(diff, out);
    for (size_t i = 0; i < diff->count; i++)
        show_row(diff, &diff->rows[i], out);
    return ferror(out) ? -EIO : 0;
}

/* ---- JSON ---- */

static json_t *run_json(const struct ledger *ledger, double work, double load)
{
    json_t *object = report_json_trace(ledger->report);
    json_object_set_new(object, "work", report_json_real(work));
    json_object_set_new(object, "work_per_s", load > 0 ? report_json_real(load) : json_null());
    return object;
}

/* Rates may be small: all their digits count. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *side_json(const struct diff_side *side)
{
    json_t *object = json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "there", side->there, "verdict",
                     side->accused ? json_string(verdict_name(side->verdict)) : json_null(), "count",
                     json_whole(side->count), "bytes", json_whole(side->bytes), "opened",
                     json_whole(side->opened), "rate", number(side->rate));
    if (object && side->estimated)
        json_object_set_new(object, "estimated", json_true());
    return object;
}

static json_t *row_json(const struct diff_row *row)
{
    json_t *ratio = row->base.count
                        ? json_pack("{s:o, s:o, s:o}", "estimate", number(row->ratio.estimate), "low",
                                    number(row->ratio.low), "high", number(row->ratio.high))
                        : json_null();
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "word", diff_word(row->word), "verdict",
                     verdict_name(row->kind), "resource", resource_label(row->resource), "site",
                     report_json_frame(row->site), "matched_by", row->by_callers ? "callers" : "place",
                     "base", side_json(&row->base), "new", side_json(&row->fresh), "ratio", ratio,
                     "work_needed", row->needed > 0 ? number(ceil(row->needed)) : json_null());
}

json_t *diff_json(const struct diff *diff)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < diff->count; i++)
        json_array_append_new(rows, row_json(&diff->rows[i]));
    return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o}", "schema", "stray-diff/1", "work_axis", axes[diff->axis], "base",
                     run_json(diff->base, diff->base_work, diff->base_load), "new",
                     run_json(diff->fresh, diff->fresh_work, diff->fresh_load), "load_differs", diff->load_differs, "sites", rows);
}

int diff_write_json(const struct diff *diff, FILE *out)
{
    json_memory_watch();
    return report_json_write(diff_json(diff), out);
}
