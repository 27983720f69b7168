/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray sql: every statement that was sent. */
#include "commands/commands.h"
#include "commands/filtering.h"
#include "commands/output.h"
#include "views/queries.h"

static const char usage[] =
    "usage: stray sql [TRACE...] [options]\n"
    "\n"
    "Lists what was sent to databases through libpq, a line for each fingerprint: statements that differ in\n"
    "nothing but their values and the way they are written. Prepared statements count where they are executed.\n"
    "\n" SENT_USAGE "\n"
    "Columns: total_s, calls, errors, p50_s, p95_s, longest_s, rows, bytes, connections, sites, first_s, last_s,\n"
    "statement. Without --sort the list is by total time, and --min is about calls. Of several places the one\n"
    "that sends most is shown. JSON: schema \"stray-sql/1\", with all places.\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n"
    "Exit status: 0 done, 2 wrong usage or nothing that can be read.\n";

struct listing {
    const struct report *report;
    bool json;
};

static int write_statements(void *data, FILE *out)
{
    const struct listing *listing = data;
    return listing->json ? queries_write_json(listing->report, out) : queries_write_text(listing->report, out);
}

static int list(const struct listing_options *options)
{
    struct report_options how = {.library = options->library.items, .mine = options->mine.items, .statements = true};
    struct report *report;
    struct error error = {.text = ""};
    if (options->filter.resources || options->filter.peer)
        return fail("sql: statements have no --resource and no --peer");
    if (report_build(options->inputs.paths, options->inputs.count, options->inputs.given, &how, &report, &error) < 0)
        return fail("%s", error.text);
    struct listing listing = {report, options->json};
    int status = queries_select(report, &options->filter) < 0 ? fail("out of memory")
                                                              : output_write(options->output, write_statements, &listing);
    report_free(report);
    return status;
}

int command_sql(int argc, char **argv)
{
    return listing_run(argc, argv, usage, queries_columns, list);
}
