/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The OpenMetrics text format 1.0.0: what stood at the end of the trace. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "read/words.h"
#include "safe.h"
#include "views/export.h"

/* One set of labels and what is told with it. Labels must differ within a family: equal ones are added up. */
struct sample {
    char *labels;
    uint64_t values[4];
};

struct family {
    const char *name, *type, *unit, *help; /* unit NULL: none */
    unsigned value;
};

static int sample_order(const void *left, const void *right)
{
    return strcmp(((const struct sample *)left)->labels, ((const struct sample *)right)->labels);
}

/* Sorts, and adds up what has the same labels. Returns how many are left. */
static size_t unite(struct sample *samples, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(samples, count, sizeof(*samples), sample_order);
    for (size_t i = 0; i < count; i++) {
        struct sample *last = kept ? &samples[kept - 1] : NULL;
        if (!last || strcmp(last->labels, samples[i].labels) != 0) {
            samples[kept++] = samples[i];
            continue;
        }
        for (size_t k = 0; k < 4; k++)
            last->values[k] += samples[i].values[k];
        free(samples[i].labels);
    }
    return kept;
}

static void print_family(const struct family *family, const struct sample *samples, size_t count, FILE *out)
{
    const char *suffix = strcmp(family->type, "counter") == 0 ? "_total" : "";
    fprintf(out, "# TYPE %s %s\n", family->name, family->type);
    if (family->unit)
        fprintf(out, "# UNIT %s %s\n", family->name, family->unit);
    fprintf(out, "# HELP %s %s\n", family->name, family->help);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%s%s %" PRIu64 "\n", family->name, suffix, samples[i].labels,
                samples[i].values[family->value]);
}

/* Prints the families and frees the labels. */
static int finish(struct sample *samples, size_t count, const struct family *families, size_t family_count,
                  int result, FILE *out)
{
    if (result == 0)
        count = unite(samples, count);
    for (size_t i = 0; result == 0 && i < family_count; i++)
        print_family(&families[i], samples, count, out);
    for (size_t i = 0; i < count; i++)
        free(samples[i].labels);
    free(samples);
    return result;
}

/* ---- labels ---- */

struct label {
    const char *name, *value;
};

static void escape(FILE *out, char byte)
{
    if (byte == '\\' || byte == '"')
        fputc('\\', out);
    fputc(byte, out);
}

static void put_label(FILE *out, const struct label *label)
{
    fprintf(out, "%s=\"", label->name);
    print_clean(out, label->value ? label->value : "", escape);
    fputc('"', out);
}

/* "{a="b",c="d"}", to be freed; NULL without memory. */
static char *labels_of(const struct label *labels, size_t count)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        fputc(i ? ',' : '{', out);
        put_label(out, &labels[i]);
    }
    fputs(count ? "}" : "", out);
    return memory_stream_end(out, &text);
}

#define LABELS(...)                                                                                          \
    labels_of((const struct label[]){__VA_ARGS__},                                                           \
              sizeof((const struct label[]){__VA_ARGS__}) / sizeof(struct label))

/* ---- families ---- */

static char *site_labels(const struct report_site *site)
{
    const struct report_frame *frame = &site->site;
    char line[16] = "", name[1024] = "";
    if (frame->line)
        snprintf(line, sizeof(line), "%" PRIu32, frame->line);
    if (site->known)
        export_frame_name(frame, name, sizeof(name));
    return LABELS({"resource", resource_label(site->resource)},
                  {"function", frame->function ? frame->function : name}, {"file", frame->file},
                  {"line", line}, {"module", frame->module}, {"peer", site->peer},
                  {"verdict", verdict_name(site->verdict)}, {"estimated", site->estimated ? "true" : "false"});
}

static int put_sites(const struct ledger *ledger, const struct export_options *options, FILE *out)
{
    static const struct family families[] = {
        {"stray_opened", "counter", NULL, "Resources acquired at a place.", 0},
        {"stray_closed", "counter", NULL, "Resources acquired at a place and released.", 1},
        {"stray_open", "gauge", NULL, "Resources acquired at a place and open at the end.", 2},
        {"stray_open_bytes", "gauge", "bytes", "Bytes acquired at a place and open at the end.", 3}};
    const struct report *report = ledger->report;
    struct sample *samples = calloc(report->site_count + 1, sizeof(*samples));
    size_t count = 0;
    int result = samples ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < report->site_count; i++) {
        const struct report_site *site = &report->sites[i];
        if (!export_wants(options, site->resource))
            continue;
        samples[count] =
            (struct sample){site_labels(site), {site->opened, site->closed, site->open, site->bytes_open}};
        result = samples[count].labels ? 0 : -ENOMEM;
        count += result == 0;
    }
    return finish(samples, count, families, sizeof(families) / sizeof(*families), result, out);
}

static int put_peers(const struct ledger *ledger, FILE *out)
{
    static const struct family families[] = {
        {"stray_peer_opened", "counter", NULL, "Connections to a peer.", 0},
        {"stray_peer_closed", "counter", NULL, "Connections to a peer that were closed.", 1},
        {"stray_peer_open", "gauge", NULL, "Connections to a peer that were open at the end.", 2},
        {"stray_peer_peak", "gauge", NULL, "Most connections to a peer that were open at once.", 3}};
    const struct report *report = ledger->report;
    struct sample *samples = calloc(report->peer_count + 1, sizeof(*samples));
    size_t count = 0;
    int result = samples ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < report->peer_count; i++) {
        const struct report_peer *peer = &report->peers[i];
        samples[count] =
            (struct sample){LABELS({"peer", peer->text}, {"kind", peer->server ? "server" : "client"}),
                            {peer->opened, peer->closed, peer->open, peer->peak}};
        result = samples[count].labels ? 0 : -ENOMEM;
        count += result == 0;
    }
    return finish(samples, count, families, sizeof(families) / sizeof(*families), result, out);
}

static int put_findings(const struct ledger *ledger, const struct export_options *options, FILE *out)
{
    static const struct family families[] = {
        {"stray_findings", "gauge", NULL, "Findings by verdict, resource and severity.", 0}};
    const struct report *report = ledger->report;
    struct sample *samples = calloc(report->finding_count + 1, sizeof(*samples));
    size_t count = 0;
    int result = samples ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < report->finding_count; i++) {
        const struct report_finding *finding = &report->findings[i];
        if (!export_wants(options, finding->resource))
            continue;
        samples[count] = (struct sample){LABELS({"verdict", verdict_name(finding->verdict)},
                                                {"resource", resource_label(finding->resource)},
                                                {"severity", severity_name(finding->severity)}),
                                         {1}};
        result = samples[count].labels ? 0 : -ENOMEM;
        count += result == 0;
    }
    return finish(samples, count, families, 1, result, out);
}

static int put_number(const struct family *family, uint64_t value, FILE *out)
{
    struct sample *sample = calloc(1, sizeof(*sample));
    int result = sample ? 0 : -ENOMEM;
    if (result == 0) {
        *sample = (struct sample){strdup(""), {value}};
        result = sample->labels ? 0 : -ENOMEM;
    }
    return finish(sample, result == 0, family, 1, result, out);
}

static int put_totals(const struct ledger *ledger, FILE *out)
{
    const struct report *report = ledger->report;
    int result = put_number(&(struct family){"stray_events", "counter", NULL, "Events recorded.", 0},
                            report->events, out);
    if (result == 0)
        result = put_number(
            &(struct family){"stray_lost_events", "counter", NULL, "Events that could not be recorded.", 0},
            report->lost_events, out);
    if (result == 0 && report->memory.known)
        result = put_number(&(struct family){"stray_resident_memory_bytes", "gauge", "bytes",
                                             "Resident memory of the largest process at its end.", 0},
                            report->memory.rss_end, out);
    return result;
}

int export_openmetrics(const struct ledger *ledger, const struct export_options *options, FILE *out)
{
    int result = put_totals(ledger, out);
    if (result == 0)
        result = put_findings(ledger, options, out);
    if (result == 0)
        result = put_peers(ledger, out);
    if (result == 0)
        result = put_sites(ledger, options, out);
    if (result == 0)
        fputs("# EOF\n", out);
    return result < 0 ? result : ferror(out) ? -EIO : 0;
}
