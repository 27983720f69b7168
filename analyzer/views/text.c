/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "read/words.h"
#include "safe.h"
#include "verdicts/heap.h"
#include "views/numbers.h"
#include "views/sites.h"

#define FRAMES_SHOWN    4
#define DAMAGED_SHOWN   3
#define PROCESSES_SHOWN 8
#define PART_SHOWN      (100 << 10) /* bytes of a part of resident memory */
#define UNEXPLAINED_SHARE 0.1
#define UNEXPLAINED_FLOOR (1 << 20)
#define BOLD_RED        "\033[1;31m"
#define BOLD_YELLOW     "\033[1;33m"
#define BOLD            "\033[1m"
#define PLAIN           "\033[0m"

struct page {
    const struct report *report;
    const struct text_options *options;
    FILE *out;
};

/* ---- lines ---- */

/* Bytes of `line` that fill at most `columns`; a UTF-8 character counts as one, and is not cut. */
static size_t fitting(const char *line, size_t columns)
{
    size_t bytes = 0, used = 0;
    while (line[bytes]) {
        bool continued = ((unsigned char)line[bytes] & 0xc0) == 0x80;
        if (!continued && used == columns)
            return bytes;
        used += !continued;
        bytes++;
    }
    return bytes;
}

static void put(const struct page *page, const char *style, const char *line)
{
    size_t bytes = fitting(line, TEXT_WIDTH);
    bool cut = line[bytes] != '\0';
    if (cut)
        bytes = fitting(line, TEXT_WIDTH - 3);
    if (page->options->color && style)
        fputs(style, page->out);
    /* A name in a trace may hold anything; a terminal shall not obey it. */
    for (size_t i = 0, length; i < bytes; i += length) {
        bool harmless;
        length = character_length(line + i, &harmless);
        if (harmless)
            fwrite(line + i, length, 1, page->out);
        else
            fputc('?', page->out);
    }
    fputs(cut ? "..." : "", page->out);
    if (page->options->color && style)
        fputs(PLAIN, page->out);
    fputc('\n', page->out);
}

__attribute__((format(printf, 3, 4))) static void line(const struct page *page, const char *style,
                                                       const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    put(page, style, text);
}

/* Text that grows part by part and is put as one line; a part that would not fit goes to the next one. */
struct row {
    const struct page *page;
    const char *indent;
    char text[1024];
};

static void row_begin(struct row *row, const struct page *page, const char *indent, const char *start)
{
    row->page = page;
    row->indent = indent;
    snprintf(row->text, sizeof(row->text), "%s%s", indent, start);
}

static size_t columns_of(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

static void row_add(struct row *row, const char *separator, const char *part)
{
    size_t length = strlen(row->text);
    bool empty = length == strlen(row->indent);
    if (!empty && columns_of(row->text) + strlen(separator) + columns_of(part) > TEXT_WIDTH) {
        put(row->page, NULL, row->text);
        snprintf(row->text, sizeof(row->text), "%s%s", row->indent, part);
        return;
    }
    snprintf(row->text + length, sizeof(row->text) - length, "%s%s", empty ? "" : separator, part);
}

static void row_end(struct row *row)
{
    if (strlen(row->text) > strlen(row->indent))
        put(row->page, NULL, row->text);
}

/* ---- heading ---- */

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "?";
}

static void heading(const struct page *page)
{
    static const char *const axes[] = {"request", "statement", "allocation", ""};
    const struct report *report = page->report;
    struct words duration, work, events, lost;
    char who[256];
    if (report->process_count == 1)
        snprintf(who, sizeof(who), "%.80s (pid %u)", base_name(report->processes[0].exe),
                 report->processes[0].pid);
    else
        snprintf(who, sizeof(who), "%zu processes", report->process_count);
    size_t length = strlen(who);
    if (report->run_count > 1)
        snprintf(who + length, sizeof(who) - length, " of %zu folders", report->run_count);
    struct row row;
    row_begin(&row, page, "", "stray report  ");
    row_add(&row, "", who);
    row_add(&row, "   ", words_duration(&duration, report->duration_s));
    if (report->axis != AXIS_TIME)
        row_add(&row, ", ", words_things(&work, report->work, axes[report->axis]));
    row_add(&row, ", ", words_things(&events, report->events, "event"));
    char losses[80];
    snprintf(losses, sizeof(losses), "%s lost", words_count(&lost, report->lost_events));
    row_add(&row, ", ", losses);
    row_end(&row);
}

static void say_damage(const struct page *page, const struct report_process *process)
{
    const struct damage *damage = &process->damage;
    struct words words;
    char part[100];
    struct row row;
    snprintf(part, sizeof(part), "! not complete (%.40s, pid %u): ", base_name(process->exe), process->pid);
    row_begin(&row, page, "  ", part);
    size_t bare = strlen(row.text);
    const struct {
        uint64_t count;
        const char *thing, *what;
    } parts[] = {{damage->frames_damaged, "frame", "damaged"},
                 {damage->frames_missing, "frame", "missing"},
                 {damage->bytes_skipped, "byte", "skipped"},
                 {process->lost_events, "event", "lost"}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (parts[i].count == 0)
            continue;
        snprintf(part, sizeof(part), "%s %s", words_things(&words, parts[i].count, parts[i].thing),
                 parts[i].what);
        row_add(&row, strlen(row.text) == bare ? "" : ", ", part);
    }
    if (damage->truncated)
        row_add(&row, strlen(row.text) == bare ? "" : ", ", "cut short");
    if (strlen(row.text) == bare)
        row_add(&row, "", "its end is missing");
    row_end(&row);
}

/* A note is a sentence, and may take more than one line. */
static void row_words(struct row *row, const char *separator, const char *sentence)
{
    for (size_t length; *sentence; sentence += length + (sentence[length] == ' ')) {
        char word[256];
        length = strcspn(sentence, " ");
        snprintf(word, sizeof(word), "%.*s", (int)length, sentence);
        row_add(row, separator, word);
        separator = " ";
    }
}

static void say_note(const struct page *page, const char *note)
{
    struct row row;
    row_begin(&row, page, "    ", "");
    snprintf(row.text, sizeof(row.text), "  ! ");
    row_words(&row, "", note);
    row_end(&row);
}

static void incompleteness(const struct page *page)
{
    size_t count = 0;
    for (size_t i = 0; i < page->report->process_count; i++) {
        const struct report_process *process = &page->report->processes[i];
        if (process->complete && process->lost_events == 0)
            continue;
        if (count++ < DAMAGED_SHOWN || page->options->verbose)
            say_damage(page, process);
    }
    if (count > DAMAGED_SHOWN && !page->options->verbose)
        line(page, NULL, "  ! not complete: %zu more (-v)", count - DAMAGED_SHOWN);
    for (size_t i = 0; i < page->report->note_count; i++)
        say_note(page, page->report->notes[i]);
}

/* ---- what was there before ---- */

static void before_kind(struct row *row, const char **separator, const struct report_process *process, unsigned resource, const char *word)
{
    uint64_t open = process->before.open[resource], closed = process->before.closed[resource];
    struct words words, gone;
    char part[160];
    if (open == 0)
        return;
    size_t used = (size_t)snprintf(part, sizeof(part), "%s", words_things(&words, open, word));
    if (closed > 0)
        snprintf(part + used, sizeof(part) - used, " (%s closed since)", words_count(&gone, closed));
    row_add(row, *separator, part);
    *separator = ", ";
}

static void before_peers(const struct page *page, const struct report_process *process)
{
    struct row row;
    row_begin(&row, page, "            ", "");
    for (size_t i = 0; i < process->before_peer_count; i++) {
        const struct report_before_peer *peer = &process->before_peers[i];
        char part[160];
        snprintf(part, sizeof(part), "%.100s %" PRIu64 "%s", peer->text, peer->open, peer->server ? " (accepted)" : "");
        row_add(&row, i ? ", " : "", part);
    }
    if (process->before_peer_count > 0)
        row_end(&row);
}

static void before(const struct page *page, const struct report_process *process)
{
    static const struct {
        unsigned resource;
        const char *word;
    } kinds[] = {{STRAY_CONNECTION, "connection"}, {STRAY_SOCKET, "socket"}, {STRAY_FILE, "file"}, {STRAY_PGCONN, "PGconn"}};
    const struct before *from = &process->before;
    uint64_t unknown = 0;
    const char *separator = ""; /* the heading is in the row already */
    struct words words;
    char part[160];
    struct row row;
    row_begin(&row, page, "            ", "");
    snprintf(row.text, sizeof(row.text), "ATTACHED    to pid %u; open before, and not counted: ", process->pid);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        before_kind(&row, &separator, process, kinds[i].resource, kinds[i].word);
    row_add(&row, separator, words_things(&words, from->threads, "thread"));
    if (from->heap != UINT64_MAX) {
        snprintf(part, sizeof(part), "%s of heap", words_bytes(&words, (double)from->heap));
        row_add(&row, ", ", part);
    }
    row_end(&row);
    before_peers(page, process);
    for (unsigned i = STRAY_RESOURCE_NONE + 1; i < STRAY_RESOURCE_END; i++)
        unknown += process->books[i].unknown;
    if (unknown > 0)
        line(page, NULL, "            %s of unknown origin", words_things(&words, unknown, "release"));
    row_begin(&row, page, "            ", "not known: ");
    row_words(&row, "", report_came_late);
    row_end(&row);
}

static void attached(const struct page *page)
{
    for (size_t i = 0; i < page->report->process_count; i++)
        if (page->report->processes[i].before.attached)
            before(page, &page->report->processes[i]);
}

struct kinds {
    size_t leaks, symptoms, creeps, errors, warnings, notes; /* errors: other ones */
};

static struct kinds count_kinds(const struct report *report)
{
    struct kinds kinds = {0};
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct report_finding *finding = &report->findings[i];
        if (finding->cause != REPORT_NONE)
            kinds.symptoms += report->findings[finding->cause].verdict == VERDICT_LEAKED;
        else if (finding->verdict == VERDICT_LEAKED)
            kinds.leaks++;
        else if (finding->verdict == VERDICT_CREEP)
            kinds.creeps++;
        else if (finding->severity == SEVERITY_NOTE)
            kinds.notes++;
        else if (finding->severity == SEVERITY_ERROR)
            kinds.errors++;
        else
            kinds.warnings++;
    }
    return kinds;
}

static void add_kind(struct row *row, size_t count, const char *thing)
{
    struct words words;
    if (count > 0)
        row_add(row, ", ", words_things(&words, count, thing));
}

static void answer(const struct page *page)
{
    struct kinds kinds = count_kinds(page->report);
    char text[256];
    struct words words;
    struct row row;
    row_begin(&row, page, "", "");
    if (report_too_short(page->report)) {
        put(page, BOLD, "Too short to tell: no place acquired often enough to be judged");
        return;
    }
    if (kinds.leaks > 0 && kinds.symptoms > 0)
        snprintf(text, sizeof(text), "%s (%zu symptom%s)", words_things(&words, kinds.leaks, "leak"), kinds.symptoms,
                 kinds.symptoms == 1 ? "" : "s");
    else
        snprintf(text, sizeof(text), "%s", kinds.leaks > 0 ? words_things(&words, kinds.leaks, "leak") : "No leak found");
    row_add(&row, "", text);
    add_kind(&row, kinds.creeps, "creep");
    add_kind(&row, kinds.errors, "error");
    add_kind(&row, kinds.warnings, "warning");
    add_kind(&row, kinds.notes, "note");
    put(page, kinds.leaks + kinds.errors > 0 ? BOLD_RED : BOLD, row.text);
}

static void outlook(const struct page *page)
{
    for (size_t i = 0; i < page->report->forecast_count; i++)
        line(page, BOLD_RED, "  ! %s", page->report->forecasts[i].message);
}

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

/* Before a figure that was made of samples. */
static const char *mark_of(bool estimated)
{
    return estimated ? "~" : "";
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
    return finding->verdict >= VERDICT_POOL_SATURATED && finding->verdict <= VERDICT_READ_MODIFY_WRITE;
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
        snprintf(bytes, sizeof(bytes), " %s, %s%s", blocks_word(finding), mark_of(finding->estimated),
                 words_bytes(&size, (double)finding->bytes));
    if (finding->cause != REPORT_NONE)
        snprintf(rest, sizeof(rest),
                 finding->severity == SEVERITY_NOTE ? "   goes with [%zu]"
                                                    : "   caused by [%zu]: fix that first",
                 finding->cause + 1);
    else
        snprintf(rest, sizeof(rest), "   confidence %s", confidence_name(finding->confidence));
    line(page, color_of(finding->severity), "%s %s  %s  %s%s%s%s%.60s%s", number, verdict,
         resource_label(finding->resource), mark_of(finding->estimated), words.text, bytes,
         finding->peer ? finding->server ? "  accepted at  " : "  ->  " : "", finding->peer ? finding->peer : "", rest);
}

/* The end of a path says more than its beginning. */
static const char *tail(const char *path, size_t columns)
{
    size_t length = strlen(path);
    if (length <= columns)
        return path;
    const char *from = path + length - columns;
    const char *slash = strchr(from, '/');
    return slash && slash[1] ? slash + 1 : from;
}

static void name_frame(const struct report_frame *frame, char *text, size_t size)
{
    if (frame->function && frame->python)
        snprintf(text, size, "%.160s()", frame->function);
    else if (frame->function)
        snprintf(text, size, "%.160s", frame->function);
    else
        snprintf(text, size, "%.120s+0x%" PRIx64, base_name(frame->module), frame->offset);
}

static void where(const struct page *page, const struct report_finding *finding)
{
    char name[256];
    if (!finding->site) {
        line(page, NULL, finding->verdict == VERDICT_RETENTION ? "    (no single place)" : "    (no stack)");
        return;
    }
    name_frame(finding->site, name, sizeof(name));
    if (finding->site->file)
        line(page, BOLD, "    %s  %s:%u", name, tail(finding->site->file, 60), finding->site->line);
    else
        line(page, BOLD, "    %s  %s", name, finding->site->module ? tail(finding->site->module, 60) : "");
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
        snprintf(text, size, "opened %s%s, closed %s%s%s", mark_of(finding->estimated), opened.text, mark_of(finding->estimated),
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
    if (finding->verdict == VERDICT_CHURN) {
        snprintf(part, sizeof(part), "%.1f %% of the time goes into connecting",
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
    line(page, NULL, "    freed, and kept by the allocator; live heap grew by %s, resident memory by %s",
         words_bytes(&live, report_fact(finding, "live_heap_bytes")),
         words_bytes(&growth, report_fact(finding, "rss_growth_bytes")));
    line(page, NULL, "    try malloc_trim(0) after such work, MALLOC_ARENA_MAX=2 with many threads, or another allocator");
}

static void frame_part(const struct report_frame *frame, char *text, size_t size)
{
    char name[256];
    name_frame(frame, name, sizeof(name));
    if (frame->file && frame->line)
        snprintf(text, size, "%.60s:%u %s", base_name(frame->file), frame->line, name);
    else
        snprintf(text, size, "%s", name);
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
        frame_part(&stack->frames[i], part, sizeof(part));
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

static void whole_stack(const struct page *page, const struct report_finding *finding)
{
    for (size_t i = 0; i < finding->stack.count; i++) {
        const struct report_frame *frame = &finding->stack.frames[i];
        char name[256];
        name_frame(frame, name, sizeof(name));
        const char *file = frame->file ? frame->file : frame->module ? frame->module : "";
        line(page, i == finding->stack.blame ? BOLD : NULL, "      %c %.50s  %s:%u",
             i == finding->stack.blame ? '>' : ' ', name, tail(file, 50), frame->line);
    }
    if (finding->stack.truncated)
        line(page, NULL, "        (cut here: --depth)");
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
    line(page, NULL, "      id: %s", finding->id);
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
    for (const char *word = finding->message; *word; word += strspn(word, " ")) {
        char part[320];
        size_t size = strcspn(word, " ");
        snprintf(part, sizeof(part), "%.*s", (int)size, word);
        row_add(&row, word == finding->message ? "" : " ", part);
        word += size;
    }
    row_end(&row);
    if (finding->statement)
        line(page, NULL, "    %s %.300s", finding->verdict == VERDICT_IDLE_IN_TRANSACTION ? "last statement before:" : "statement:",
             finding->statement);
}

static void show_finding(const struct page *page, size_t index)
{
    const struct report_finding *finding = &page->report->findings[index];
    title(page, index);
    where(page, finding);
    if (finding->verdict == VERDICT_RETENTION)
        advice(page, finding);
    else if (finding->cause == REPORT_NONE || page->options->verbose) {
        if (is_about_calls(finding))
            calls(page, finding);
        else
            figures(page, finding);
        if (page->options->verbose)
            whole_stack(page, finding);
        else
            short_stack(page, finding);
    }
    if (page->options->verbose)
        all_facts(page, finding);
    symptoms(page, index);
}

/* ---- tables ---- */

static void show_process(const struct page *page, const struct report_process *process)
{
    const struct book *connections = &process->books[STRAY_CONNECTION], *heap = &process->books[STRAY_HEAP];
    struct words events, bytes;
    char open[80];
    snprintf(open, sizeof(open), "%s%s", mark_of(heap->estimated), words_bytes(&bytes, (double)heap->bytes_open));
    line(page, NULL, "          %8u %8u  %-8s %11s %17" PRIu64 " %11s  %s", process->pid, process->parent_pid,
         process->end, words_count(&events, process->events), connections->open, open, base_name(process->exe));
}

/* How many processes recorded more events than this one: the busiest are shown. */
static size_t busier(const struct report *report, size_t index)
{
    size_t count = 0;
    for (size_t i = 0; i < report->process_count; i++) {
        uint64_t other = report->processes[i].events, own = report->processes[index].events;
        count += other > own || (other == own && i < index);
    }
    return count;
}

static void processes(const struct page *page)
{
    const struct report *report = page->report;
    bool all = page->options->verbose || page->options->sites;
    if (report->process_count < 2)
        return;
    line(page, NULL,
         "PROCESSES      pid   parent  end           events  connections open   heap open  command");
    for (size_t i = 0; i < report->process_count; i++) {
        if (all || busier(report, i) < PROCESSES_SHOWN)
            show_process(page, &report->processes[i]);
    }
    if (!all && report->process_count > PROCESSES_SHOWN)
        line(page, NULL, "          and %zu more (-v)", report->process_count - PROCESSES_SHOWN);
}

static void signed_bytes(struct words *words, int64_t bytes)
{
    struct words size;
    snprintf(words->text, sizeof(words->text), "%s%s", bytes < 0 ? "-" : "+",
             words_bytes(&size, bytes < 0 ? -(double)bytes : (double)bytes));
}

/* What is too small to matter is left out; the first and the last are always there. */
static void memory_part(struct row *row, const char *separator, const char *name, int64_t bytes)
{
    struct words words;
    char part[120];
    signed_bytes(&words, bytes);
    snprintf(part, sizeof(part), "%s %s", name, words.text);
    row_add(row, separator, part);
}

/* More than a tenth of the growth: then the report does not know where it went. */
static void unexplained(struct row *row, const struct report_memory *memory)
{
    double growth = (double)memory->rss_end - (double)memory->rss_start, rest = fabs((double)memory->parts.unexplained);
    char part[80];
    if (growth < UNEXPLAINED_FLOOR || rest <= UNEXPLAINED_SHARE * growth)
        return;
    snprintf(part, sizeof(part), "(%.0f %% of the growth is not explained)", 100 * rest / growth);
    row_add(row, " ", part);
}

static void memory(const struct page *page)
{
    const struct report_memory *memory = &page->report->memory;
    const struct parts *of = &memory->parts;
    const struct {
        const char *name;
        int64_t bytes;
    } parts[] = {
        {"allocator overhead", of->overhead}, {"allocator holds free", of->retained}, {"Python arenas", of->arenas},
        {"mmaps", of->mapped},                {"stacks", of->stacks},                 {"files", of->files},
    };
    struct words start, end;
    char rss[160];
    struct row row;
    if (!memory->known)
        return;
    snprintf(rss, sizeof(rss), "%s -> %s: ", words_bytes(&start, (double)memory->rss_start),
             words_bytes(&end, (double)memory->rss_end));
    row_begin(&row, page, "                ", "");
    snprintf(row.text, sizeof(row.text), "WHERE RSS WENT  %s", rss);
    memory_part(&row, "", page->report->heap_sampled ? "live heap about" : "live heap", of->live_heap);
    for (size_t i = 0; memory->told_apart && i < sizeof(parts) / sizeof(*parts); i++) {
        if (llabs(parts[i].bytes) >= PART_SHOWN)
            memory_part(&row, " | ", parts[i].name, parts[i].bytes);
    }
    memory_part(&row, " | ", "tracer", of->tracer);
    memory_part(&row, " | ", "unexplained", of->unexplained);
    unexplained(&row, memory);
    row_end(&row);
}

static void peer_word(const struct page *page, const struct report_peer *peer, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; i < page->report->finding_count; i++) {
        const struct report_finding *finding = &page->report->findings[i];
        if (finding->resource == STRAY_CONNECTION && finding->peer && finding->server == peer->server &&
            strcmp(finding->peer, peer->text) == 0) {
            snprintf(text, size, "  %s [%zu]", verdict_name(finding->verdict), i + 1);
            return;
        }
    }
}

static void connections(const struct page *page)
{
    if (page->report->peer_count == 0)
        return;
    line(page, NULL, "CONNECTIONS %-26s %5s %5s %5s %6s %6s %9s %10s", "peer", "open", "peak", "limit", "opened",
         "closed", "finalizer", "CLOSE_WAIT");
    for (size_t i = 0; i < page->report->peer_count; i++) {
        const struct report_peer *peer = &page->report->peers[i];
        char word[64], name[64], limit[24] = "";
        if (peer->limit > 0)
            snprintf(limit, sizeof(limit), "%" PRIu64, peer->limit);
        peer_word(page, peer, word, sizeof(word));
        snprintf(name, sizeof(name), "%s%s", tail(peer->text, peer->server ? 15 : 26),
                 peer->server ? " (accepted)" : "");
        line(page, NULL,
             "            %-26s %5" PRIu64 " %5" PRIu64 " %5s %6" PRIu64 " %6" PRIu64 " %9" PRIu64 " %10" PRIu64
             "%s",
             name, peer->open, peer->peak, limit, peer->opened, peer->closed, peer->closed_by_finalizer,
             peer->close_wait, word);
    }
}

static void sites(const struct page *page)
{
    line(page, NULL, "SITES  %-10s %-12s %9s %9s %7s %10s  %s", "resource", "verdict", "opened", "closed",
         "open", "bytes open", "place");
    for (size_t i = 0; i < page->report->site_count; i++) {
        const struct report_site *site = &page->report->sites[i];
        char place[400] = "(no stack)";
        struct site_words words;
        site_words(&words, site);
        if (site->known)
            frame_part(&site->site, place, sizeof(place));
        line(page, NULL, "       %-10s %-12s %9s %9s %7s %10s  %s%s%s", resource_label(site->resource),
             verdict_name(site->verdict), words.opened, words.closed, words.open, words.bytes, place,
             site->peer ? " -> " : "", site->peer ? site->peer : "");
    }
}

static void quiet_part(struct row *row, const char *separator, uint64_t count, const char *word)
{
    char part[64];
    struct words words;
    snprintf(part, sizeof(part), "%s %s", words_count(&words, count), word);
    row_add(row, separator, part);
}

/* What was not judged is no leak that was ruled out. */
static void not_leaks(const struct page *page)
{
    const uint64_t *quiet = page->report->quiet;
    struct row row;
    size_t count = 0;
    row_begin(&row, page, report_too_short(page->report) ? "NOT JUDGED  " : "NOT LEAKS  ", "");
    for (enum verdict verdict = VERDICT_PLATEAU; verdict < VERDICT_COUNT; verdict++)
        if (quiet[verdict] > 0 && verdict != VERDICT_FEW)
            quiet_part(&row, count++ ? ", " : "", quiet[verdict], verdict_name(verdict));
    if (quiet[VERDICT_FEW] > 0)
        quiet_part(&row, count++ ? "; " : "", quiet[VERDICT_FEW], "too few to tell");
    if (count > 0 && !page->options->sites)
        row_add(&row, " ", "(--all)");
    row_end(&row);
}

int report_write_text(const struct report *report, const struct text_options *options, FILE *out)
{
    struct page page = {report, options, out};
    heading(&page);
    incompleteness(&page);
    attached(&page);
    answer(&page);
    outlook(&page);
    for (size_t i = 0; i < report->finding_count; i++)
        show_finding(&page, i);
    processes(&page);
    memory(&page);
    connections(&page);
    if (options->sites)
        sites(&page);
    not_leaks(&page);
    return ferror(out) ? -EIO : 0;
}

/* ---- while it runs ---- */

static void open_sites(const struct page *page)
{
    if (page->report->site_count == 0)
        return;
    line(page, NULL, "OPEN     now  opened  closed  %-10s  %-46s  %s", "resource", "place", "peer");
    for (size_t i = 0; i < page->report->site_count; i++) {
        const struct report_site *site = &page->report->sites[i];
        char place[400];
        struct site_words words;
        site_words(&words, site);
        listing_frame(site->known ? &site->site : NULL, place, sizeof(place));
        line(page, NULL, "    %8s%8s%8s  %-10s  %-46s  %s", words.open, words.opened, words.closed, resource_label(site->resource),
             tail(place, 46), site->peer ? site->peer : "");
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
        line(page, NULL, "    growing by %s%s%s", rate, rate[0] && bytes[0] ? ", " : "", bytes);
}

int report_write_top(const struct report *report, const struct text_options *options, FILE *out)
{
    struct page page = {report, options, out};
    heading(&page);
    incompleteness(&page);
    answer(&page);
    outlook(&page);
    memory(&page);
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
