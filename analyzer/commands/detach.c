/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray detach: ends what stray attach began, whether that still runs or not, or stray run. */
#include <getopt.h>
#include <stdlib.h>

#include "attach/delivery.h"
#include "attach/process.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/target.h"
#include "commands/trace_files.h"

static const char usage[] =
    "usage: stray detach PID\n"
    "\n"
    "Ends the tracing of a process: what stray attach began, also if that command is\n"
    "gone, and what stray run began. The process runs on.\n"
    "Exit status: 0; 125 not traced, or refused; 2 wrong usage.\n";

static const struct option long_options[] = {{"help", no_argument, NULL, OPTION_HELP}, {NULL, 0, NULL, 0}};

static int set_option(void *data, int code)
{
    return STATUS_HELP; /* the only one */
}

static int detach(pid_t pid)
{
    struct error error = {.text = ""};
    char name[PROCESS_NAME_SIZE], *trace = trace_files_find(pid);
    double stall = 0;
    int result = delivery_end(pid, &stall, &error);
    if (result == 0 && trace)
        trace_files_remove_spool(trace);
    free(trace);
    if (result < 0) {
        fail("%s", error.text);
        return STATUS_REFUSED;
    }
    process_name(pid, name);
    note("%d (%s): no longer traced; one thread stood still for %.2f ms", (int)pid, name, stall * 1e3);
    return STATUS_DONE;
}

int command_detach(int argc, char **argv)
{
    pid_t pid;
    int status = options_parse(argc, argv, ":", long_options, set_option, NULL);
    if (status == STATUS_HELP)
        return usage_print(usage);
    if (status == STATUS_DONE)
        status = target_pid(argc, argv, &pid);
    if (status == STATUS_DONE)
        status = target_check_process(pid);
    return status == STATUS_DONE ? detach(pid) : status;
}
