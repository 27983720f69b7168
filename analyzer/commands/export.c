/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray export: the trace in the formats of other tools. */
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/output.h"
#include "views/export.h"

static const char usage[] =
    "usage: stray export [TRACE...] --to FORMAT [options]\n"
    "\n"
    "Writes what a trace holds in the format of another tool.\n"
    "\n"
    "  --to pprof             places with their stacks, for pprof; gzipped\n"
    "  --to folded            ... as lines for FlameGraph\n"
    "  --to speedscope        ... for speedscope.app\n"
    "  --to perfetto          lifetimes and counters over time, for ui.perfetto.dev\n"
    "                         and chrome://tracing\n"
    "  --to sqlite            everything, as a database; needs -o FILE\n"
    "  --to tsv               the same tables as files to be loaded into PostgreSQL\n"
    "                         or ClickHouse; needs -o DIR\n"
    "  --to jsonl             the same tables, an object a line\n"
    "  --to openmetrics       the figures at the end, as Prometheus reads them\n"
    "  -o, --output FILE      write there instead of to standard output (made with\n"
    "                         mode 0600)\n"
    "  --resource KIND,...    these kinds only\n"
    "  --label TEXT           sqlite, tsv, jsonl: the last column of every table, to\n"
    "                         tell hosts apart in one database; at most 256\n"
    "                         bytes\n"
    "  --weight WHAT          what stacks count: opened, open (when the end began;\n"
    "                         the default), or bytes\n"
    "  --library, --mine GLOB whose code it is, as in stray report; may be repeated\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n"
    "Exit status: 0 done, 2 wrong usage or nothing that can be read.\n";

struct format {
    const char *name;
    export_stream *stream; /* NULL: a path is needed */
    int (*to_path)(const struct ledger *ledger, const struct export_options *options, const char *path,
                   struct error *error);
    bool binary, file; /* file: of to_path, one that is made before */
};

static const struct format formats[] = {
    {"pprof", export_pprof, NULL, true, false},
    {"folded", export_folded, NULL, false, false},
    {"speedscope", export_speedscope, NULL, false, false},
    {"perfetto", export_perfetto, NULL, false, false},
    {"sqlite", NULL, export_sqlite, true, true},
    {"tsv", NULL, export_tsv, false, false},
    {"jsonl", export_jsonl, NULL, false, false},
    {"openmetrics", export_openmetrics, NULL, false, false},
};

struct options {
    const struct format *format;
    struct export_options how;
    struct common_options common;
};

#define LABEL_MAX 256 /* bytes: each row of each table has it */

enum { OPTION_TO = 256, OPTION_RESOURCE, OPTION_WEIGHT, OPTION_LABEL };

static const struct option long_options[] = {
    {"to", required_argument, NULL, OPTION_TO},
    {"resource", required_argument, NULL, OPTION_RESOURCE},
    {"weight", required_argument, NULL, OPTION_WEIGHT},
    {"label", required_argument, NULL, OPTION_LABEL},
    COMMON_OPTIONS,
};

static int set_format(struct options *options, const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            options->format = &formats[i];
            return STATUS_DONE;
        }
    }
    return fail("--to %s: must be pprof, folded, speedscope, perfetto, sqlite, tsv, jsonl or openmetrics",
                name);
}

static int set_weight(struct options *options, const char *word)
{
    for (unsigned i = 0; i < WEIGHT_COUNT; i++) {
        if (strcmp(export_weight_word(i), word) == 0) {
            options->how.weight = i;
            return STATUS_DONE;
        }
    }
    return fail("--weight %s: must be opened, open or bytes", word);
}

static int set_label(struct options *options, const char *text)
{
    size_t length = strlen(text);
    if (length > LABEL_MAX)
        return fail("--label: must be at most %d bytes long, and not %zu", LABEL_MAX, length);
    options->how.label = text;
    return STATUS_DONE;
}

static int set_option(void *data, int code)
{
    struct options *options = data;
    switch (code) {
    case OPTION_TO:
        return set_format(options, optarg);
    case OPTION_RESOURCE:
        return option_resources(optarg, &options->how.resources);
    case OPTION_WEIGHT:
        return set_weight(options, optarg);
    case OPTION_LABEL:
        return set_label(options, optarg);
    default:
        return common_option(&options->common, code);
    }
}

static int check_options(const struct options *options)
{
    const struct format *format = options->format;
    if (!format)
        return fail("--to: is missing (see stray export --help)");
    if (!options->common.output && !format->stream)
        return fail("--to %s: needs -o and the name of a %s", format->name, format->file ? "file" : "folder");
    if (!options->common.output && format->binary && isatty(STDOUT_FILENO))
        return fail("--to %s: is not for a terminal: use -o FILE", format->name);
    return STATUS_DONE;
}

static int parse(int argc, char **argv, struct options *options)
{
    options->how.weight = WEIGHT_OPEN;
    int status = options_parse(argc, argv, ":o:", long_options, set_option, options);
    return status == STATUS_DONE ? check_options(options) : status;
}

struct writing {
    const struct ledger *ledger;
    const struct options *options;
};

static int write_stream(void *data, FILE *out)
{
    const struct writing *writing = data;
    return writing->options->format->stream(writing->ledger, &writing->options->how, out);
}

static int write_nothing(void *data, FILE *out)
{
    return 0;
}

static int write_export(const struct ledger *ledger, const struct options *options)
{
    struct writing writing = {ledger, options};
    struct error error = {.text = ""};
    if (options->format->stream)
        return output_write(options->common.output, write_stream, &writing);
    int status = options->format->file ? output_write(options->common.output, write_nothing, NULL) : STATUS_DONE;
    if (status != STATUS_DONE)
        return status;
    if (options->format->to_path(ledger, &options->how, options->common.output, &error) < 0)
        return fail("%s", error.text);
    return STATUS_DONE;
}

static int export_inputs(const struct inputs *inputs, void *data)
{
    const struct options *options = data;
    struct report_options how = {.library = options->common.whose.library.items, .mine = options->common.whose.mine.items, .all = true,
                                 .left_out = inputs->left_out};
    struct ledger *ledger;
    struct error error = {.text = ""};
    if (ledger_build(inputs->paths, inputs->count, inputs->given, &how, &ledger, &error) < 0)
        return fail("%s", error.text);
    int status = option_resources_found(options->how.resources);
    if (status == STATUS_DONE)
        status = write_export(ledger, options);
    ledger_free(ledger);
    return status;
}

int command_export(int argc, char **argv)
{
    struct options options = {0};
    int status = parse(argc, argv, &options);
    return inputs_use(status, argc, argv, usage, options.common.output, export_inputs, &options);
}
