/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <string.h>

#include "commands/bar.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "commands/nearest.h"
#include "commands/verbs.h"

/* Of the two that need no verb. */
static int unknown_option(const char *word)
{
    struct nearest nearest = {.word = word, .length = strlen(word)};
    char hint[NEAREST_HINT];
    nearest_try(&nearest, "--help");
    nearest_try(&nearest, "--version");
    return fail("%s: unknown option%s (see stray help)", word, nearest_hint(&nearest, "", hint));
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return fail("no verb (see stray help)");
    if (strcmp(argv[1], "--version") == 0) {
        puts("stray " STRAY_VERSION);
        return output_finish();
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return command_help(1, argv);
    const struct verb *verb = verb_find(argv[1]);
    if (!verb)
        return argv[1][0] == '-' ? unknown_option(argv[1]) : verb_unknown(argv[1]);
    bar_show();
    if (verb->run != command_run) /* which would hand it on */
        signal(SIGXFSZ, SIG_IGN); /* a file that may not be so large is told like a full disk */
    return verb->run(argc - 1, argv + 1);
}
