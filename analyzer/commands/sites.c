/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray sites: every place that acquired something. */
#include "commands/commands.h"
#include "commands/filtering.h"
#include "views/json.h"
#include "views/sites.h"

static const char usage[] =
    "usage: stray sites [TRACE...] [options]\n"
    "\n"
    "Lists every place that acquired something, leak or not, a line each.\n"
    "\n"
    FILTER_USAGE
    "\n"
    "Columns: resource, opened, closed, open, bytes_open, verdict, first_s, last_s,\n"
    "peer, site. Without --sort --min is about opened. A place is in the time asked\n"
    "for if that overlaps the time from its first acquire to its last.\n"
    "JSON: schema \"stray-report/1\", with these sites.\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n"
    "Exit status: 0 done, 2 wrong usage or nothing that can be read.\n";

static int write_json(const struct report *report, FILE *out)
{
    return report_write_json(report, true, out);
}

static int list(const struct listing_options *options)
{
    static const struct report_list sites = {.sites = true, .select = sites_select, .write_text = sites_write_text,
                                             .write_json = write_json};
    return listing_of_report(options, &sites);
}

int command_sites(int argc, char **argv)
{
    static const struct listing_verb verb = {"sites", usage, sites_columns, UINT64_MAX, list};
    return listing_run(argc, argv, &verb);
}
