/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray conns: every connection there was. */
#include <stdlib.h>

#include "commands/commands.h"
#include "commands/filtering.h"
#include "commands/output.h"
#include "views/conns.h"

static const char usage[] =
    "usage: stray conns [TRACE...] [options]\n"
    "\n"
    "Lists every connection there was, a line each: when it was opened, how long it\n"
    "lived, who closed it, to or at which peer, how often and how long it was used,\n"
    "how long it was idle since, the state of TCP when last seen, and the place that\n"
    "opened it.\n"
    "\n"
    FILTER_USAGE
    "\n"
    "--resource pgconn,socket,file lists these instead, or a user-defined resource;\n"
    "of files and plain sockets those that are open, and the last 32 that ended at\n"
    "each place. Columns:\n"
    "opened_s, duration_s, idle_s, busy_share, uses, statements, transactions (txs:\n"
    "those of more than one call), in_transaction_s, transaction, last_statement,\n"
    "peer, kind, state, closed, resource, pid, thread, site.\n"
    "Without --sort the list is in the order of opening, process by process, and\n"
    "--min is about uses. --since and --until are about the opening.\n"
    "closed: closed, finalizer (a destructor or the garbage collector), exit, exec,\n"
    "implicit (its number was used again), reconciled (found gone), open. JSON:\n"
    "schema \"stray-conns/1\".\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n"
    "Exit status: 0 done, 2 wrong usage or nothing that can be read.\n";

struct listing {
    const struct ledger *ledger;
    const size_t *rows;
    size_t count;
    bool json;
};

static int write_conns(void *data, FILE *out)
{
    const struct listing *listing = data;
    return listing->json ? conns_write_json(listing->ledger, listing->rows, listing->count, out)
                         : conns_write_text(listing->ledger, listing->rows, listing->count, out);
}

static int list(const struct listing_options *options)
{
    struct report_options how = {.library = options->common.whose.library.items, .mine = options->common.whose.mine.items,
                                 .left_out = options->inputs.left_out};
    struct ledger *ledger;
    struct error error = {.text = ""};
    size_t *rows = NULL, count = 0;
    if (ledger_build(options->inputs.paths, options->inputs.count, options->inputs.given, &how, &ledger, &error) < 0)
        return fail("%s", error.text);
    int status = listing_check(options);
    int result = status == STATUS_DONE ? conns_select(ledger, &options->filter, &rows, &count) : 0;
    struct listing listing = {ledger, rows, count, options->json};
    if (status == STATUS_DONE)
        status = result < 0 ? fail("out of memory") : output_write(options->common.output, write_conns, &listing);
    free(rows);
    ledger_free(ledger);
    return status;
}

int command_conns(int argc, char **argv)
{
    static const struct listing_verb verb = {"conns", usage, conns_columns, CONNS_RESOURCES, list};
    return listing_run(argc, argv, &verb);
}
