/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray diff: before and after a change. */
#include <getopt.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/output.h"
#include "views/diff.h"
#include "views/html.h"

static const char usage[] =
    "usage: stray diff BASE NEW [options]\n"
    "\n"
    "Compares two traces of a service, before and after a change: what leaked per\n"
    "unit of work, and whether that is fixed, improved, unchanged, worse or new, or\n"
    "the runs were too short to tell.\n"
    "\n"
    "  --format text|json|html\n"
    "                         json: schema \"stray-diff/1\"; html: one page with a\n"
    "                         differential flame graph\n"
    "  -o, --output FILE      write there instead of to standard output (made with\n"
    "                         mode 0600)\n"
    "  --library, --mine GLOB whose code it is, as in stray report; may be repeated\n"
    "\n"
    "BASE and NEW: a trace file, a folder of them, or a packed file.\n"
    "Exit status: 0 done, whatever was found; 2 wrong usage or nothing that can be\n"
    "read.\n";

struct options {
    enum output_format format;
    struct common_options common;
};

enum { OPTION_FORMAT = 256 };

static const struct option long_options[] = {
    {"format", required_argument, NULL, OPTION_FORMAT},
    COMMON_OPTIONS,
};

static int set_option(void *data, int code)
{
    struct options *options = data;
    switch (code) {
    case OPTION_FORMAT:
        return option_format(optarg, &options->format);
    default:
        return common_option(&options->common, code);
    }
}

static int parse(int argc, char **argv, struct options *options)
{
    int status = options_parse(argc, argv, ":o:", long_options, set_option, options);
    if (status == STATUS_DONE && argc - optind != 2)
        return fail("diff: needs two traces, BASE and NEW, not %d", argc - optind);
    return status;
}

static int read_side(char *argument, const struct options *options, struct ledger **ret_ledger)
{
    struct report_options how = {.library = options->common.whose.library.items, .mine = options->common.whose.mine.items, .all = true};
    struct inputs inputs;
    struct error error = {.text = ""};
    int status = inputs_find(&argument, 1, &inputs);
    if (status != STATUS_DONE)
        return status;
    how.left_out = inputs.left_out;
    inputs_tell(&inputs);
    status = inputs_spare(&inputs, options->common.output);
    if (status == STATUS_DONE && ledger_build(inputs.paths, inputs.count, inputs.given, &how, ret_ledger, &error) < 0)
        status = fail("%s", error.text);
    inputs_free(&inputs);
    return status;
}

struct writing {
    const struct diff *diff;
    enum output_format format;
};

static int write_diff(void *data, FILE *out)
{
    const struct writing *writing = data;
    if (writing->format == OUTPUT_HTML)
        return html_write_diff(writing->diff, out);
    return writing->format == OUTPUT_JSON ? diff_write_json(writing->diff, out) : diff_write_text(writing->diff, out);
}

static int compare(const struct ledger *base, const struct ledger *fresh, const struct options *options)
{
    struct diff diff;
    if (diff_make(base, fresh, &diff) < 0)
        return fail("out of memory");
    struct writing writing = {&diff, options->format};
    int status = output_write(options->common.output, write_diff, &writing);
    diff_clear(&diff);
    return status;
}

int command_diff(int argc, char **argv)
{
    struct options options = {0};
    struct ledger *base = NULL, *fresh = NULL;
    int status = parse(argc, argv, &options);
    if (status == STATUS_HELP)
        return usage_print(usage);
    if (status == STATUS_DONE)
        status = read_side(argv[optind], &options, &base);
    if (status == STATUS_DONE)
        status = read_side(argv[optind + 1], &options, &fresh);
    if (status == STATUS_DONE)
        status = compare(base, fresh, &options);
    ledger_free(base);
    ledger_free(fresh);
    return status;
}
