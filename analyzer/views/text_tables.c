/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands below the findings. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "read/words.h"
#include "views/numbers.h"
#include "views/sites.h"
#include "views/text_parts.h"

#define PEER_COLUMNS      26
#define PROCESSES_SHOWN   8
#define PART_SHOWN        (100 << 10) /* bytes of a part of resident memory */
#define UNEXPLAINED_SHARE 0.1
#define UNEXPLAINED_FLOOR (1 << 20)

static void show_process(const struct page *page, const struct report_process *process)
{
    const struct book *connections = &process->books[STRAY_CONNECTION], *heap = &process->books[STRAY_HEAP];
    struct words events, bytes;
    char open[80];
    snprintf(open, sizeof(open), "%s%s", text_mark(heap->estimated), words_bytes(&bytes, (double)heap->bytes_open));
    text_line(page, NULL, "          %8u %8u  %-8s %11s %17" PRIu64 " %11s  %s", process->pid, process->parent_pid,
         process->end, words_count(&events, process->events), connections->open, open, text_base_name(process->exe));
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

void text_processes(const struct page *page)
{
    const struct report *report = page->report;
    bool all = page->options->verbose || page->options->sites;
    if (report->process_count < 2)
        return;
    text_line(page, NULL,
         "PROCESSES      pid   parent  end           events  connections open   heap open  command");
    for (size_t i = 0; i < report->process_count; i++) {
        if (all || busier(report, i) < PROCESSES_SHOWN)
            show_process(page, &report->processes[i]);
    }
    if (!all && report->process_count > PROCESSES_SHOWN)
        text_line(page, NULL, "          and %zu more (-v)", report->process_count - PROCESSES_SHOWN);
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

void text_memory(const struct page *page)
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

void text_connections(const struct page *page)
{
    if (page->report->peer_count == 0)
        return;
    text_line(page, NULL, "CONNECTIONS %-*s %5s %5s %5s %6s %6s %9s %10s", PEER_COLUMNS, "peer", "open", "peak", "limit", "opened",
         "closed", "finalizer", "CLOSE_WAIT");
    for (size_t i = 0; i < page->report->peer_count; i++) {
        const struct report_peer *peer = &page->report->peers[i];
        const char *accepted = peer->server ? " (accepted)" : "";
        char word[64], name[4 * PEER_COLUMNS + 16], limit[24] = "";
        if (peer->limit > 0)
            snprintf(limit, sizeof(limit), "%" PRIu64, peer->limit);
        peer_word(page, peer, word, sizeof(word));
        snprintf(name, sizeof(name), "%s%s", text_tail(peer->text, PEER_COLUMNS - strlen(accepted)),
                 accepted);
        text_line(page, NULL,
             "            %s%*s %5" PRIu64 " %5" PRIu64 " %5s %6" PRIu64 " %6" PRIu64 " %9" PRIu64 " %10" PRIu64
             "%s",
             name, text_blank(name, PEER_COLUMNS), "", peer->open, peer->peak, limit, peer->opened, peer->closed, peer->closed_by_finalizer,
             peer->close_wait, word);
    }
}

void text_sites(const struct page *page)
{
    text_line(page, NULL, "SITES  %-10s %-12s %9s %9s %7s %10s  %s", "resource", "verdict", "opened", "closed",
         "open", "bytes open", "place");
    for (size_t i = 0; i < page->report->site_count; i++) {
        const struct report_site *site = &page->report->sites[i];
        char place[400] = "(no stack)";
        struct site_words words;
        site_words(&words, site);
        if (site->known)
            text_frame(&site->site, place, sizeof(place));
        text_line(page, NULL, "       %-10s %-12s %9s %9s %7s %10s  %s%s%s", resource_label(site->resource),
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
void text_quiet(const struct page *page)
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
