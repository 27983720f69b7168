/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray pack: one file to carry to another machine. */
#include <getopt.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/output.h"
#include "views/packing.h"

static const char usage[] =
    "usage: stray pack [TRACE...] -o FILE\n"
    "\n"
    "Writes traces, what their spools hold, and the symbols they need into one file.\n"
    "Every verb takes it in the place of a trace, also where the traced program is\n"
    "not. It is a tar archive: docs/PACK.md.\n"
    "\n"
    "  -o, --output FILE      the file to make, with mode 0600; - is standard output\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n"
    "Of a process that still runs, the pack has what was recorded until then.\n"
    "Exit status: 0 done, 2 wrong usage or nothing that can be read.\n";

struct options {
    const char *output;
};

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int set_option(void *data, int code)
{
    struct options *options = data;
    if (code == OPTION_HELP)
        return STATUS_HELP;
    options->output = optarg;
    return STATUS_DONE;
}

static int parse(int argc, char **argv, struct options *options)
{
    int status = options_parse(argc, argv, ":o:", long_options, set_option, options);
    if (status != STATUS_DONE)
        return status;
    if (!options->output)
        return fail("pack: needs -o and the name of a file");
    if (options->output[0] == '-' && !options->output[1] && isatty(STDOUT_FILENO))
        return fail("pack: is not for a terminal: use -o FILE");
    return STATUS_DONE;
}

static int write_packing(void *data, FILE *out)
{
    return packing_write(data, out);
}

static int pack_inputs(const struct inputs *inputs, void *data)
{
    const struct options *options = data;
    struct packing *packing;
    struct error error = {.text = ""};
    if (packing_make(inputs->paths, inputs->count, &packing, &error) < 0)
        return fail("%s", error.text);
    int status = output_write(options->output, write_packing, packing);
    packing_free(packing);
    return status;
}

int command_pack(int argc, char **argv)
{
    struct options options = {0};
    int status = parse(argc, argv, &options);
    return inputs_use(status, argc, argv, usage, options.output, pack_inputs, &options);
}
