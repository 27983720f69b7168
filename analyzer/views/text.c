/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "read/words.h"
#include "verdicts/heap.h"
#include "views/numbers.h"
#include "views/sites.h"
#include "views/text_parts.h"

#define FRAMES_SHOWN  4
#define PLACE_COLUMNS 46

/* ---- findings ---- */

static void upper(char *text)
{
    for (; *text; text++) {
        if (*text >= 'a' && *text <= 'z')
            *text = (char)(*text - 'a' + 'A');
    }
}

static const char *color_of(enum severity severity)
{
    return severity == SEVERITY_ERROR ? BOLD_RED : severity == SEVERITY_WARNING ? BOLD_YELLOW : BOLD;
}

static const char *blocks_word(const struct report_finding *finding)
{
    if (finding->resource == STRAY_MMAP)
        return "mappings";
    if (finding->resource != STRAY_PYOBJECT)
        return finding->estimated ? "blocks (estimated)" : "blocks";
    return finding->estimated ? "objects (estimated)" : "objects";
}

static bool is_about_calls(const struct report_finding *finding)
{
    return finding->resource == RESOURCE_PREPARED ||
           (finding->verdict >= VERDICT_POOL_SATURATED && finding->verdict <= VERDICT_READ_MODIFY_WRITE);
}

static void title(const struct page *page, size_t index)
{
    const struct report_finding *finding = &page->report->findings[index];
    char verdict[32], number[24], bytes[80] = "", rest[160] = "";
    struct words words, size;
    snprintf(verdict, sizeof(verdict), "%s", verdict_name(finding->verdict));
    upper(verdict);
    snprintf(number, sizeof(number), "[%zu]", index + 1);
    words_count(&words, finding->count);
    if (finding->verdict == VERDICT_RETENTION)
        words_bytes(&words, (double)finding->bytes);
    else if (finding->bytes > 0 && !is_about_calls(finding))
        snprintf(bytes, sizeof(bytes), " %s, %s%s", blocks_word(finding), text_mark(finding->estimated),
                 words_bytes(&size, (double)finding->bytes));
    if (finding->cause != REPORT_NONE)
        snprintf(rest, sizeof(rest),
                 finding->severity == SEVERITY_NOTE ? "   goes with [%zu]"
                                                    : "   caused by [%zu]: fix that first",
                 finding->cause + 1);
    else
        snprintf(rest, sizeof(rest), "   confidence %s", confidence_name(finding->confidence));
    text_line(page, color_of(finding->severity), "%s %s  %s  %s%s%s%s%.60s%s", number, verdict,
         resource_label(finding->resource), text_mark(finding->estimated), words.text, bytes,
         finding->peer ? finding->server ? "  accepted at  " : "  ->  " : "", finding->peer ? finding->peer : "", rest);
}

static void where(const struct page *page, const struct report_finding *finding)
{
    char name[256];
    if (!finding->site) {
        text_line(page, NULL, finding->verdict == VERDICT_RETENTION ? "    (no single place)" : "    (no stack)");
        return;
    }
    text_name_frame(finding->site, name, sizeof(name));
    if (finding->site->file)
        text_line(page, BOLD, "    %s  %s:%u", name, text_tail(finding->site->file, 60), finding->site->line);
    else
        text_line(page, BOLD, "    %s  %s", name, finding->site->module ? text_tail(finding->site->module, 60) : "");
}

static void share_part(const struct report_finding *finding, char *text, size_t size)
{
    struct words observed;
    snprintf(text, size, "never released in %s: %.0f %% (%.0f-%.0f)",
             words_duration(&observed, report_fact(finding, "observed_s")),
             100 * report_fact(finding, "never_released"), 100 * report_fact(finding, "never_released_low"),
             100 * report_fact(finding, "never_released_high"));
}

/* In the unit that gives a number a person can imagine. */
static void rate_part(const struct report_finding *finding, char *text, size_t size)
{
    const struct interval *rate = &finding->rate_per_hour;
    struct words estimate, low, high;
    double unit = rate->estimate > 7200 ? 3600 : rate->estimate > 1200 ? 60 : 1;
    snprintf(text, size, "%s/%s (%s-%s)", words_number(&estimate, rate->estimate / unit),
             unit > 60  ? "s"
             : unit > 1 ? "min"
                        : "h",
             words_number(&low, rate->low / unit), words_number(&high, rate->high / unit));
}

/* So much longer, and growth that goes on will not have begun late. */
static double wanted_s(const struct report_finding *finding)
{
    double onset = report_fact(finding, "onset_s"), observed = report_fact(finding, "observed_s");
    return fmax(onset / HEAP_LATE_ONSET - observed, observed / 10);
}

/* What is known of growth that is no certain leak. */
static void creep_part(const struct report_finding *finding, char *text, size_t size)
{
    struct words words;
    double grown = report_fact(finding, "grown_by_realloc_bytes");
    if (grown > 0)
        snprintf(text, size, "not more of them, but ever bigger: %s added by realloc",
                 words_bytes(&words, grown));
    else if (report_fact(finding, "too_early_to_tell") > 0)
        snprintf(text, size, "growing for too short a time to tell: record %s more",
                 words_duration(&words, wanted_s(finding)));
    else
        snprintf(text, size, "growing ever more slowly (order %.2f)", report_fact(finding, "growth_order"));
}

static void bytes_part(const struct report_finding *finding, char *text, size_t size)
{
    struct words estimate, low, high;
    snprintf(text, size, "%s/h (%s-%s)", words_bytes(&estimate, report_fact(finding, "bytes_per_hour")),
             words_bytes(&low, report_fact(finding, "bytes_per_hour_low")),
             words_bytes(&high, report_fact(finding, "bytes_per_hour_high")));
}

static void estimate_part(const struct report_finding *finding, char *text, size_t size)
{
    struct interval count = stats_weighted(finding->tally.count, finding->tally.variance);
    struct interval bytes = stats_weighted((double)finding->bytes, finding->tally.bytes_variance);
    struct words low, high, least, most;
    snprintf(text, size, "about %s-%s of them, %s-%s (95 %%)", words_count(&low, (uint64_t)count.low),
             words_count(&high, (uint64_t)ceil(count.high)), words_bytes(&least, bytes.low), words_bytes(&most, bytes.high));
}

/* Of what is not judged by how many were opened. */
static void others_part(const struct report_finding *finding, char *text, size_t size)
{
    bool opener = report_fact(finding, "used_by_opener") > 0;
    double children = report_fact(finding, "used_by_children");
    if (finding->verdict == VERDICT_DUPLICATE_POOL)
        snprintf(text, size, "one of %.0f pools to this database, which have %.0f connections in all", report_fact(finding, "pools"),
                 report_fact(finding, "pooled_connections"));
    else
        snprintf(text, size, "used by %.0f %s%s", children, children == 1 ? "child" : "children",
                 opener ? ", and by the process that opened it" : "");
}

/* How many there were, and what became of them while the process had not begun to end. */
static void counts_part(const struct report_finding *finding, char *text, size_t size)
{
    if (finding->verdict == VERDICT_DUPLICATE_POOL || finding->verdict == VERDICT_FORK_SHARED) {
        others_part(finding, text, size);
        return;
    }
    struct words opened, closed, left;
    double made = report_fact(finding, "opened"), gone = report_fact(finding, "closed");
    double in_time = fmax(made - report_fact(finding, "open_at_end"), 0);
    const char *when = gone > in_time ? " before the process ended" : "";
    words_count(&opened, (uint64_t)made);
    words_count(&closed, (uint64_t)in_time);
    if (finding->resource == STRAY_TEMPFILE)
        snprintf(text, size, "made %s, removed %s%s%.100s", opened.text, words_count(&closed, (uint64_t)gone),
                 finding->example ? ", for example " : "", finding->example ? finding->example : "");
    else if (report_fact(finding, "ended") > 0)
        snprintf(text, size, "started %s, %s %s%s, have ended %s", opened.text,
                 finding->resource == STRAY_CHILD ? "waited for" : "joined", closed.text, when,
                 words_count(&left, finding->count));
    else
        snprintf(text, size, "opened %s%s, closed %s%s%s", text_mark(finding->estimated), opened.text, text_mark(finding->estimated),
                 closed.text, when);
}

static void figures(const struct page *page, const struct report_finding *finding)
{
    char part[320];
    struct words idle;
    struct row row;
    row_begin(&row, page, "    ", "");
    counts_part(finding, part, sizeof(part));
    row_add(&row, "", part);
    if (page->report->run_count > 1) {
        snprintf(part, sizeof(part), "in %zu of %zu folders", finding->run_count, page->report->run_count);
        row_add(&row, ", ", part);
    }
    if (finding->estimated) {
        estimate_part(finding, part, sizeof(part));
        row_add(&row, "   ", part);
    }
    if (report_fact(finding, "median_idle_s") > 0) {
        snprintf(part, sizeof(part), "idle since last use (median %s)",
                 words_duration(&idle, report_fact(finding, "median_idle_s")));
        row_add(&row, ", ", part);
    }
    if (report_fact(finding, "never_released_high") > 0 &&
        (finding->verdict == VERDICT_LEAKED ||
         (finding->verdict == VERDICT_CREEP && report_fact(finding, "grown_by_realloc_bytes") <= 0))) {
        share_part(finding, part, sizeof(part));
        row_add(&row, "   ", part);
    }
    if (finding->verdict == VERDICT_CREEP) {
        creep_part(finding, part, sizeof(part));
        row_add(&row, "   ", part);
    }
    if (finding->verdict == VERDICT_FINALIZER_CLOSED)
        row_add(&row, "   ", "closed by a destructor or the garbage collector");
    if (finding->verdict == VERDICT_CLOSE_WAIT)
        row_add(&row, "   ", "closed by the peer, and not here");
    if (finding->verdict == VERDICT_CHURN) {
        snprintf(part, sizeof(part), "connecting takes %.1f %% of one thread's time",
                 100 * report_fact(finding, "share_of_time_connecting"));
        row_add(&row, "   ", part);
    }
    if (finding->rated) {
        rate_part(finding, part, sizeof(part));
        row_add(&row, "   ", part);
    }
    if (report_fact(finding, "bytes_per_hour") > 0) {
        bytes_part(finding, part, sizeof(part));
        row_add(&row, "   ", part);
    }
    row_end(&row);
}

/* Of memory that the allocator keeps: no resource is to be released, so there is something else to do. */
static void advice(const struct page *page, const struct report_finding *finding)
{
    struct words live, growth;
    text_line(page, NULL, "    freed, and kept by the allocator; live heap grew by %s, resident memory by %s",
         words_bytes(&live, report_fact(finding, "live_heap_bytes")),
         words_bytes(&growth, report_fact(finding, "rss_growth_bytes")));
    text_line(page, NULL, "    try malloc_trim(0) after such work, MALLOC_ARENA_MAX=2 with many threads, or another allocator");
}

/* The user's own frames, from the blamed one outwards. */
static void short_stack(const struct page *page, const struct report_finding *finding)
{
    const struct report_stack *stack = &finding->stack;
    struct row row;
    char part[400];
    size_t shown = 0;
    row_begin(&row, page, "      ", "");
    for (size_t i = stack->blame; i < stack->count; i++) {
        if (!stack->frames[i].user && i != stack->blame)
            continue;
        if (shown == FRAMES_SHOWN)
            continue;
        text_frame(&stack->frames[i], part, sizeof(part));
        row_add(&row, shown++ ? "  <-  " : "", part);
    }
    size_t hidden = stack->count - shown;
    if (hidden > 0) {
        snprintf(part, sizeof(part), "[%zu more frames: -v]", hidden);
        row_add(&row, "  ", part);
    }
    if (shown > 1)
        row_end(&row);
}

/* Who took them and did not give them back, where that is not who opened them. */
static void last_use(const struct page *page, const struct report_finding *finding)
{
    char part[400];
    struct words users, count;
    if (finding->last_users == 0)
        return;
    text_frame(&finding->last_user, part, sizeof(part));
    text_line(page, NULL, "    last used at %.80s (%s of %s)", part, words_count(&users, finding->last_users),
         words_count(&count, finding->count));
}

static void whole_stack(const struct page *page, const struct report_finding *finding)
{
    for (size_t i = 0; i < finding->stack.count; i++) {
        const struct report_frame *frame = &finding->stack.frames[i];
        char name[256];
        text_name_frame(frame, name, sizeof(name));
        const char *file = frame->file ? frame->file : frame->module ? frame->module : "";
        char line[16] = "";
        if (frame->line > 0)
            snprintf(line, sizeof(line), ":%u", frame->line);
        text_line(page, i == finding->stack.blame ? BOLD : NULL, "      %c %.50s  %s%s",
             i == finding->stack.blame ? '>' : ' ', name, text_tail(file, 50), line);
    }
    if (finding->stack.truncated)
        text_line(page, NULL, "        (cut here: --depth)");
}

static void all_facts(const struct page *page, const struct report_finding *finding)
{
    struct row row;
    row_begin(&row, page, "      ", "evidence: ");
    for (size_t i = 0; i < finding->fact_count; i++) {
        const struct fact *fact = &finding->facts[i];
        char part[120];
        snprintf(part, sizeof(part), fact->count ? "%s %.0f" : "%s %.4g", fact->name, fact->value);
        row_add(&row, i ? ", " : "", part);
    }
    row_end(&row);
    text_line(page, NULL, "      id: %s", finding->id);
}

/* What follows from this finding. */
static void symptoms(const struct page *page, size_t index)
{
    struct row row;
    size_t count = 0;
    row_begin(&row, page, "    ", "also holds ");
    for (size_t i = 0; i < page->report->finding_count; i++) {
        const struct report_finding *finding = &page->report->findings[i];
        char part[160];
        struct words words;
        if (finding->cause != index)
            continue;
        if (is_about_calls(finding))
            snprintf(part, sizeof(part), "%s %s [%zu]", words_count(&words, finding->count), verdict_name(finding->verdict), i + 1);
        else if (finding->bytes > 0)
            snprintf(part, sizeof(part), "%s of %s [%zu]", words_bytes(&words, (double)finding->bytes),
                     resource_label(finding->resource), i + 1);
        else
            snprintf(part, sizeof(part), "%s %s [%zu]", words_count(&words, finding->count),
                     resource_label(finding->resource), i + 1);
        row_add(&row, count++ ? ", " : "", part);
    }
    if (count > 0)
        row_end(&row);
}

/* What was sent, and how: nothing was opened that could be counted. */
static void calls(const struct page *page, const struct report_finding *finding)
{
    struct row row;
    row_begin(&row, page, "    ", "");
    row_words(&row, "", finding->message);
    row_end(&row);
    if (finding->statement)
        text_line(page, NULL, "    %s %.300s", finding->verdict == VERDICT_IDLE_IN_TRANSACTION ? "last statement before:" : "statement:",
             finding->statement);
}

static void show_finding(const struct page *page, size_t index)
{
    const struct report_finding *finding = &page->report->findings[index];
    title(page, index);
    where(page, finding);
    if (finding->cause == REPORT_NONE)
        text_loop(page, finding);
    if (finding->verdict == VERDICT_RETENTION)
        advice(page, finding);
    else if (finding->cause == REPORT_NONE || page->options->verbose) {
        if (is_about_calls(finding))
            calls(page, finding);
        else
            figures(page, finding);
        last_use(page, finding);
        if (page->options->verbose)
            whole_stack(page, finding);
        else
            short_stack(page, finding);
    }
    if (page->options->verbose)
        all_facts(page, finding);
    symptoms(page, index);
}

int report_write_text(const struct report *report, const struct text_options *options, FILE *out)
{
    struct page page = {report, options, out};
    text_heading(&page, "report");
    text_before(&page);
    text_answer(&page);
    for (size_t i = 0; i < report->finding_count; i++)
        show_finding(&page, i);
    text_processes(&page);
    text_memory(&page);
    text_connections(&page);
    if (options->sites)
        text_sites(&page);
    text_quiet(&page);
    return ferror(out) ? -EIO : 0;
}

/* ---- while it runs ---- */

static void open_sites(const struct page *page)
{
    if (page->report->site_count == 0)
        return;
    text_line(page, NULL, "OPEN     now  opened  closed  %-10s  %-*s  %s", "resource", PLACE_COLUMNS, "place", "peer");
    for (size_t i = 0; i < page->report->site_count; i++) {
        const struct report_site *site = &page->report->sites[i];
        char place[400];
        struct site_words words;
        site_words(&words, site);
        listing_frame(site->known ? &site->site : NULL, place, sizeof(place));
        const char *shown = text_tail(place, PLACE_COLUMNS);
        text_line(page, NULL, "    %8s%8s%8s  %-10s  %s%*s  %s", words.open, words.opened, words.closed, resource_label(site->resource),
             shown, text_blank(shown, PLACE_COLUMNS), "", site->peer ? site->peer : "");
    }
}

static void growth(const struct page *page, const struct report_finding *finding)
{
    char rate[160] = "", bytes[200] = "";
    if (finding->rated)
        rate_part(finding, rate, sizeof(rate));
    if (report_fact(finding, "bytes_per_hour") > 0)
        bytes_part(finding, bytes, sizeof(bytes));
    if (rate[0] || bytes[0])
        text_line(page, NULL, "    growing by %s%s%s", rate, rate[0] && bytes[0] ? ", " : "", bytes);
}

int report_write_top(const struct report *report, const struct text_options *options, FILE *out)
{
    struct page page = {report, options, out};
    text_heading(&page, "top");
    text_answer(&page);
    text_memory(&page);
    open_sites(&page);
    for (size_t i = 0; i < report->finding_count; i++) {
        if (report->findings[i].cause != REPORT_NONE)
            continue;
        title(&page, i);
        where(&page, &report->findings[i]);
        growth(&page, &report->findings[i]);
    }
    return ferror(out) ? -EIO : 0;
}
