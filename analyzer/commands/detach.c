/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray detach: ends what stray attach began, whether that still runs or not. */
#include <errno.h>
#include <getopt.h>

#include "attach/delivery.h"
#include "attach/process.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/target.h"

static const char usage[] =
    "usage: stray detach PID\n"
    "\n"
    "Ends the tracing of a process that stray attach began, also if that command is gone. The process runs on.\n"
    "Exit status: 0; 125 not traced, or refused; 2 wrong usage.\n";

static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};

static int set_option(void *data, int code, char **argv)
{
    return code == 'h' ? STATUS_HELP : option_wrong(code, argv);
}

int command_detach(int argc, char **argv)
{
    struct error error = {.text = ""};
    char name[PROCESS_NAME_SIZE];
    double stall = 0;
    pid_t pid;
    int status = options_parse(argc, argv, ":h", long_options, set_option, NULL);
    if (status == STATUS_HELP)
        return usage_print(usage);
    if (status == STATUS_DONE)
        status = target_process(argc, argv, &pid);
    if (status != STATUS_DONE)
        return status;
    process_name(pid, name);
    if (delivery_end(pid, &stall, &error) < 0) {
        fail("%s", error.text);
        return STATUS_REFUSED;
    }
    note("%d (%s): no longer traced; one thread stood still for %.2f ms", (int)pid, name, stall * 1e3);
    return STATUS_DONE;
}
