/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands above the findings. */
#include <inttypes.h>
#include <string.h>

#include "read/words.h"
#include "views/numbers.h"
#include "views/text_parts.h"

#define DAMAGED_SHOWN 3

static void heading(const struct page *page, const char *verb)
{
    static const char *const axes[] = {"request", "statement", "allocation", ""};
    const struct report *report = page->report;
    struct words duration, work, events, lost;
    char who[256], part[32];
    const char *name = report->process_count == 1 ? text_base_name(report->processes[0].exe) : "";
    if (report->process_count == 1) /* without /proc, as in a bare chroot, nobody knows its name */
        snprintf(who, sizeof(who), "%.80s (pid %u)", name[0] ? name : "process", report->processes[0].pid);
    else
        snprintf(who, sizeof(who), "%zu processes", report->process_count);
    size_t length = strlen(who);
    if (report->run_count > 1)
        snprintf(who + length, sizeof(who) - length, " of %zu folders", report->run_count);
    struct row row;
    snprintf(part, sizeof(part), "stray %s  ", verb);
    row_begin(&row, page, "", part);
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
    snprintf(part, sizeof(part), "! not complete (%.40s, pid %u): ", text_base_name(process->exe), process->pid);
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
        text_line(page, NULL, "  ! not complete: %zu more (-v)", count - DAMAGED_SHOWN);
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
        text_line(page, NULL, "            %s of unknown origin", words_things(&words, unknown, "release"));
    row_begin(&row, page, "            ", "not known: ");
    row_words(&row, "", report_came_late);
    row_end(&row);
}

void text_before(const struct page *page)
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
        text_put(page, BOLD, "Too short to tell: no place acquired often enough to be judged");
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
    text_put(page, kinds.leaks + kinds.errors > 0 ? BOLD_RED : BOLD, row.text);
}

static void outlook(const struct page *page)
{
    for (size_t i = 0; i < page->report->forecast_count; i++)
        text_line(page, BOLD_RED, "  ! %s", page->report->forecasts[i].message);
}

void text_heading(const struct page *page, const char *verb)
{
    heading(page, verb);
    incompleteness(page);
}

void text_answer(const struct page *page)
{
    answer(page);
    outlook(page);
}
