/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `run` and `attach` both understand: how a process is traced. Each option becomes its environment twin, in the environment
 * of this very process. */
#ifndef STRAY_COMMANDS_TRACING_OPTIONS_H
#define STRAY_COMMANDS_TRACING_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <sys/types.h>

struct tracing_options {
    const char *output; /* -o; NULL: none was given */
    bool force;
    bool only;  /* --only was given */
};

/* Codes of the options; a verb's own begin at TRACING_OPTION_END. */
enum {
    TRACING_OPTION_FORCE = 256,
    TRACING_OPTION_FULL,
    TRACING_OPTION_DEPTH,
    TRACING_OPTION_NO_HEAP,
    TRACING_OPTION_ONLY,
    TRACING_OPTION_MAX_SIZE,
    TRACING_OPTION_INTERVAL,
    TRACING_OPTION_FOLLOW,
    TRACING_OPTION_NO_FOLLOW,
    TRACING_OPTION_SPOOL,
    TRACING_OPTION_SQL,
    TRACING_OPTION_SAMPLE,
    TRACING_OPTION_PYTHON,
    TRACING_OPTION_PAIR,
    TRACING_OPTION_PAIRS,
    TRACING_OPTION_HELP,
    TRACING_OPTION_END
};

/* Rows of a verb's table for getopt_long(), and their lines in its usage. */
// clang-format off
#define TRACING_OPTIONS                                                                                       \
    {"output", required_argument, NULL, 'o'},                                                                 \
    {"force", no_argument, NULL, TRACING_OPTION_FORCE},                                                       \
    {"full", no_argument, NULL, TRACING_OPTION_FULL},                                                         \
    {"depth", required_argument, NULL, TRACING_OPTION_DEPTH},                                                 \
    {"no-heap", no_argument, NULL, TRACING_OPTION_NO_HEAP},                                                   \
    {"only", required_argument, NULL, TRACING_OPTION_ONLY},                                                   \
    {"max-size", required_argument, NULL, TRACING_OPTION_MAX_SIZE},                                           \
    {"interval", required_argument, NULL, TRACING_OPTION_INTERVAL},                                           \
    {"follow", no_argument, NULL, TRACING_OPTION_FOLLOW},                                                     \
    {"no-follow", no_argument, NULL, TRACING_OPTION_NO_FOLLOW},                                               \
    {"spool", required_argument, NULL, TRACING_OPTION_SPOOL},                                                 \
    {"sql", required_argument, NULL, TRACING_OPTION_SQL},                                                     \
    {"sample", required_argument, NULL, TRACING_OPTION_SAMPLE},                                               \
    {"python-memory", required_argument, NULL, TRACING_OPTION_PYTHON},                                        \
    {"pair", required_argument, NULL, TRACING_OPTION_PAIR},                                                   \
    {"pairs", required_argument, NULL, TRACING_OPTION_PAIRS},                                                 \
    {"help", no_argument, NULL, TRACING_OPTION_HELP}
// clang-format on

#define TRACING_USAGE                                                                                        \
    "  --full               record every block, however short its life\n"                                    \
    "  --depth N            frames of a stack that are kept, 1 to 200\n"                                     \
    "  --sample SIZE        record samples of the heap only, one about every SIZE\n"                         \
    "                       bytes asked for (K, M; at most 1G); 512K makes tracing\n"                        \
    "                       cheap enough to leave on. Everything else stays exact\n"                         \
    "  --no-heap            leave memory out\n"                                                              \
    "  --python-memory MODE Python's small objects: sampled (the default), exact or\n"                       \
    "                       off\n"                                                                           \
    "  --only RESOURCE,...  these resources only: heap, socket, connection, file,\n"                         \
    "                       pgconn, pgresult ...; may be repeated\n"                                         \
    "  --max-size SIZE      largest size of a trace: K, M, G\n"                                              \
    "  --interval TIME      time between two samples: s, m, h; default 1s\n"                                 \
    "  --no-follow          leave child processes out (--follow: trace them, the\n"                          \
    "                       default)\n"                                                                      \
    "  --spool DIR          folder for what is not yet in the trace\n"                                       \
    "  --sql MODE           what is stored of SQL statements: normalised (without\n"                         \
    "                       literals, the default), text (an example as it was sent,\n"                      \
    "                       with its literals) or off (hashes only)\n"                                       \
    "  --pair PAIR          functions of your own choice: 'SSL_new=ret!0:SSL_free=a0'\n"                     \
    "                       (docs/PAIRS.md), or the name of a list: openssl, sqlite,\n"                      \
    "                       curl, hiredis, libxml2, zlib or mysql. May be repeated\n"                        \
    "  --pairs FILE         the same, one a line (also --pair @FILE)\n"

/* Takes one option in, whose value is `optarg`: STATUS_DONE, STATUS_HELP, or what is wrong with it, which was said. */
int tracing_options_set(struct tracing_options *options, int code);

/* Once all are in: `root` is the process that --no-follow does not leave out. STATUS_DONE, or options that contradict each other
 * were named. */
int tracing_options_finish(const struct tracing_options *options, pid_t root);

#endif
