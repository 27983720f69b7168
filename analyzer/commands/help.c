/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray help: the overview, or what `stray VERB --help` says. Each verb's text stands in its own file. */
#include <string.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "commands/nearest.h"
#include "commands/verbs.h"

const struct verb verbs[] = {
    {"run", command_run, "[options] -- CMD [ARG...]", "trace a command from its start"},
    {"attach", command_attach, "PID [options]", "trace a process that runs already"},
    {"detach", command_detach, "PID", "end that"},
    {"report", command_report, "[TRACE...] [options]", "say what leaks, and where"},
    {"check", command_check, "[TRACE...] [options]", "say by the exit status what leaks"},
    {"diff", command_diff, "BASE NEW [options]", "compare two traces, before and after"},
    {"top", command_top, "[PID | TRACE...] [options]", "show what a running process holds"},
    {"sql", command_sql, "[TRACE...] [options]", "list the statements sent to databases"},
    {"sites", command_sites, "[TRACE...] [options]", "list the places that acquired something"},
    {"conns", command_conns, "[TRACE...] [options]", "list the connections there were"},
    {"export", command_export, "[TRACE...] --to FORMAT", "write it in the format of another tool"},
    {"pack", command_pack, "[TRACE...] -o FILE", "make one file, to carry elsewhere"},
    {"info", command_info, "[TRACE...]", "say what a trace holds"},
    {"verify", command_verify, "[TRACE...]", "check every frame of a trace"},
    {"dump", command_dump, "[TRACE...]", "write every event as a line"},
    {"hooks", command_hooks, "", "list the functions that are intercepted"},
    {"help", command_help, "[VERB]", "say this, or how a verb is used"},
    {0},
};

const struct verb *verb_find(const char *name)
{
    for (const struct verb *verb = verbs; verb->name; verb++) {
        if (strcmp(verb->name, name) == 0)
            return verb;
    }
    return NULL;
}

int verb_unknown(const char *name)
{
    struct nearest nearest = {.word = name, .length = strlen(name)};
    char hint[NEAREST_HINT];
    for (const struct verb *verb = verbs; verb->name; verb++)
        nearest_try(&nearest, verb->name);
    return fail("%s: no such verb%s (see stray help)", name, nearest_hint(&nearest, "", hint));
}

static int overview(void)
{
    puts("stray finds what a service opened and never closed.\n");
    for (const struct verb *verb = verbs; verb->name; verb++) {
        char call[80];
        snprintf(call, sizeof(call), "stray %s %s", verb->name, verb->arguments);
        printf("  %-37s %s\n", call, verb->summary);
    }
    puts("\nTRACE is a trace file, a folder of them or a packed file; without it, the newest\n"
         "folder stray.* here.\n"
         "stray VERB --help says more. stray --version says which version this is.");
    return output_finish();
}

int command_help(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return overview();
    const struct verb *verb = verb_find(argv[1]);
    if (!verb)
        return verb_unknown(argv[1]);
    if (verb->run == command_help)
        return overview();
    char option[] = "--help";
    char *arguments[] = {argv[1], option, NULL};
    return verb->run(2, arguments);
}
