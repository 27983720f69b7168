/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray report: what was opened and never closed, and where. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/output.h"
#include "views/html.h"
#include "views/json.h"
#include "views/report.h"
#include "views/text.h"

#define LIMITS_MAX 64

static const char usage[] =
    "usage: stray report [TRACE...] [options]\n"
    "\n"
    "Says what was opened and never closed, and at which line; what only looks like a\n"
    "leak is counted at the end.\n"
    "\n"
    "  --format text|json|html\n"
    "                       json: schema \"stray-report/1\"; html: one page with\n"
    "                       charts, which needs no network\n"
    "  -o, --output FILE    write there instead of to standard output (made with mode\n"
    "                       0600)\n"
    "  --all                every place that acquired something, leak or not\n"
    "  -v, --verbose        whole stacks and all evidence\n"
    "  --limit NAME=N       what may be had: memory=2G, or connections to a peer, as\n"
    "                       db:5432=97, less those that the server reserves;\n"
    "                       forecasts count on it; may be repeated\n"
    "  --library GLOB       code in files that match is a library's, not yours; may\n"
    "                       be repeated\n"
    "  --mine GLOB          code in files that match is yours; may be repeated\n"
    "  --color[=WHEN]       always, never or auto; NO_COLOR is obeyed\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n"
    "Exit status: 0 done, 2 wrong usage or nothing that can be read.\n";

struct options {
    enum output_format format;
    bool all, verbose;
    bool color;
    struct common_options common;
    struct report_limit limits[LIMITS_MAX];
    size_t limit_count;
};

enum { OPTION_ALL = 256, OPTION_COLOR, OPTION_FORMAT, OPTION_LIMIT };

static const struct option long_options[] = {
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"all", no_argument, NULL, OPTION_ALL},
    {"verbose", no_argument, NULL, 'v'},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"color", optional_argument, NULL, OPTION_COLOR},
    COMMON_OPTIONS,
};

/* The name is the argument's. */
static int add_limit(struct options *options, char *limit)
{
    const char *value = option_value(limit);
    uint64_t number;
    if (!value)
        return fail("--limit %s: must be NAME=N, as memory=2G or db:5432=97", limit);
    if (options->limit_count == LIMITS_MAX)
        return fail("--limit %s: more than %d limits", limit, LIMITS_MAX);
    if (!size_parse(value, &number) || number == 0)
        return fail("--limit %s=%s: must be a number above 0, of bytes also like 2G", limit, value);
    options->limits[options->limit_count++] = (struct report_limit){limit, number};
    return STATUS_DONE;
}

static int set_option(void *data, int code)
{
    struct options *options = data;
    switch (code) {
    case OPTION_FORMAT:
        return option_format(optarg, &options->format);
    case OPTION_ALL:
        options->all = true;
        return STATUS_DONE;
    case 'v':
        options->verbose = true;
        return STATUS_DONE;
    case OPTION_LIMIT:
        return add_limit(options, optarg);
    case OPTION_COLOR:
        return option_color(optarg, &options->color);
    default:
        return common_option(&options->common, code);
    }
}

static int parse(int argc, char **argv, struct options *options)
{
    options->color = terminal_has_colors();
    return options_parse(argc, argv, ":o:v", long_options, set_option, options);
}

struct showing {
    const struct report *report;
    const struct options *options;
};

struct paging {
    struct ledger *ledger;
    const struct options *options;
};

static int show(void *data, FILE *out)
{
    const struct showing *showing = data;
    const struct options *options = showing->options;
    struct text_options text = {
        .verbose = options->verbose, .sites = options->all, .color = options->color && !options->common.output};
    return options->format == OUTPUT_JSON ? report_write_json(showing->report, options->all, out)
                         : report_write_text(showing->report, &text, out);
}

static int show_page(void *data, FILE *out)
{
    struct paging *paging = data;
    return html_write_report(paging->ledger, paging->options->all, out);
}

/* A page shows more than a report has: lives, and how things stood over time. */
static int page_inputs(const struct inputs *inputs, const struct report_options *how, const struct options *options)
{
    struct report_options with = *how;
    struct ledger *ledger;
    struct error error = {.text = ""};
    with.statements = with.places = true;
    if (ledger_build(inputs->paths, inputs->count, inputs->given, &with, &ledger, &error) < 0)
        return fail("%s", error.text);
    struct paging paging = {ledger, options};
    int status = output_write(options->common.output, show_page, &paging);
    ledger_free(ledger);
    return status;
}

static int report_inputs(const struct inputs *inputs, void *data)
{
    const struct options *options = data;
    struct report_options how = {
        .library = options->common.whose.library.items, .mine = options->common.whose.mine.items, .all = options->all, .left_out = inputs->left_out,
        .limits = options->limits, .limit_count = options->limit_count};
    struct report *report;
    struct error error = {.text = ""};
    if (options->format == OUTPUT_HTML)
        return page_inputs(inputs, &how, options);
    if (report_build(inputs->paths, inputs->count, inputs->given, &how, &report, &error) < 0)
        return fail("%s", error.text);
    struct showing showing = {report, options};
    int status = output_write(options->common.output, show, &showing);
    report_free(report);
    return status;
}

int command_report(int argc, char **argv)
{
    struct options options = {0};
    int status = parse(argc, argv, &options);
    return inputs_use(status, argc, argv, usage, options.common.output, report_inputs, &options);
}
