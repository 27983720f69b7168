/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <string.h>

#include "commands/bar.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "commands/verbs.h"

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
        return fail("%s: %s (see stray help)", argv[1], argv[1][0] == '-' ? "unknown option" : "no such verb");
    bar_show();
    if (verb->run != command_run) /* which would hand it on */
        signal(SIGXFSZ, SIG_IGN); /* a file that may not be so large is told like a full disk */
    return verb->run(argc - 1, argv + 1);
}
