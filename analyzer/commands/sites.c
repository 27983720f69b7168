/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray sites: every place that acquired something. */
#include "commands/commands.h"
#include "commands/filtering.h"
#include "commands/output.h"
#include "views/json.h"
#include "views/sites.h"

static const char usage[] =
    "usage: stray sites [TRACE...] [options]\n"
    "\n"
    "Lists every place that acquired something, leak or not, a line each.\n"
    "\n" FILTER_USAGE "\n"
    "Columns: resource, opened, closed, open, bytes_open, verdict, first_s, last_s, peer, site. Without --sort\n"
    "--min is about opened. A place is in the time asked for if that overlaps the time from its first acquire to\n"
    "its last.\n"
    "JSON: schema \"stray-report/1\", with these sites.\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n"
    "Exit status: 0 done, 2 wrong usage or nothing that can be read.\n";

struct listing {
    const struct report *report;
    bool json;
};

static int write_sites(void *data, FILE *out)
{
    const struct listing *listing = data;
    return listing->json ? report_write_json(listing->report, true, out)
                         : sites_write_text(listing->report, out);
}

static int list(const struct listing_options *options)
{
    struct report_options how = {.library = options->library.items, .mine = options->mine.items, .all = true};
    struct report *report;
    struct error error = {.text = ""};
    if (report_build(options->inputs.paths, options->inputs.count, options->inputs.given, &how, &report, &error) < 0)
        return fail("%s", error.text);
    struct listing listing = {report, options->json};
    int status = option_resources_found(options->filter.resources);
    if (status == STATUS_DONE)
        status = sites_select(report, &options->filter) < 0
                     ? fail("out of memory")
                     : output_write(options->output, write_sites, &listing);
    report_free(report);
    return status;
}

int command_sites(int argc, char **argv)
{
    return listing_run(argc, argv, usage, sites_columns, list);
}
