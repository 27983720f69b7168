/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray sql: every statement that was sent. */
#include "commands/commands.h"
#include "commands/filtering.h"
#include "views/queries.h"

static const char usage[] =
    "usage: stray sql [TRACE...] [options]\n"
    "\n"
    "Lists what was sent to databases through libpq, a line for each fingerprint:\n"
    "statements that differ in nothing but their values and the way they are written.\n"
    "Prepared statements count where they are executed.\n"
    "\n"
    FILTER_USAGE
    "\n"
    "Columns: total_s, calls, errors, p50_s, p95_s, longest_s, rows, bytes,\n"
    "connections, sites, first_s, last_s, statement. Without --sort the list is by\n"
    "total time, and --min is about calls. Of several places the one that sends most\n"
    "is shown, and of the peers each sent to, the latest counts. All are of\n"
    "--resource pgconn.\n"
    "JSON: schema \"stray-sql/1\", with all places and peers.\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n"
    "Exit status: 0 done, 2 wrong usage or nothing that can be read.\n";

static int list(const struct listing_options *options)
{
    static const struct report_list statements = {.statements = true, .select = queries_select, .write_text = queries_write_text,
                                                  .write_json = queries_write_json};
    return listing_of_report(options, &statements);
}

int command_sql(int argc, char **argv)
{
    static const struct listing_verb verb = {"sql", usage, queries_columns, UINT64_C(1) << STRAY_PGCONN, list};
    return listing_run(argc, argv, &verb);
}
