/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray attach: traces a process that runs already, until it is told to stop. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "attach/delivery.h"
#include "attach/process.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/output_folder.h"
#include "commands/shim.h"
#include "commands/target.h"
#include "commands/trace_files.h"
#include "commands/tracing_options.h"
#include "monotonic.h"

#define GLANCE_MS 200
#define CHILDREN_TOLD 8

static const char usage[] =
    "usage: stray attach PID [-o DIR] [--for TIME] [options]\n"
    "\n"
    "Traces a process that runs already, without a debugger, and leaves it as it was.\n"
    "Ends after --for, on Ctrl-C or SIGTERM, by stray detach PID from elsewhere, and\n"
    "with the process. Children that run already are named, and not traced.\n"
    "\n"
    "  -o, --output DIR     folder for the traces, made if missing; default\n"
    "                       stray.<command>.<pid>\n"
    "  --for TIME           for so long: s, m, h, d; default: until told otherwise\n"
    "  --force              also into a folder that holds traces\n"
    TRACING_USAGE
    "\n"
    "Needs the rights of a debugger: the same user where kernel.yama.ptrace_scope is\n"
    "0, else root or CAP_SYS_PTRACE.\n"
    "Exit status: 0 also if the process ends first; 125 refused, 2 wrong usage.\n";

enum { OPTION_FOR = TRACING_OPTION_END };

static const struct option long_options[] = {TRACING_OPTIONS, {"for", required_argument, NULL, OPTION_FOR}, {NULL, 0, NULL, 0}};

struct options {
    struct tracing_options tracing;
    double seconds; /* 0: no end is set */
};

static int set_option(void *data, int code)
{
    struct options *options = data;
    if (code != OPTION_FOR)
        return tracing_options_set(&options->tracing, code);
    int status = option_seconds("--for", optarg, &options->seconds);
    return status == STATUS_DONE && options->seconds <= 0 ? fail("--for %s: must be longer than that", optarg) : status;
}

/* ---- what the process is told ---- */

static int set(const char *name, const char *value)
{
    return setenv(name, value, 1) == 0 ? STATUS_DONE : refuse(name, error_reason(-errno));
}

static int set_paths(const char *folder, const struct trace_files *files)
{
    int status = set("STRAY_OUTPUT", folder);
    if (status == STATUS_DONE)
        status = set("STRAY_TRACE_PATH", files->trace_path);
    return status == STATUS_DONE ? set("STRAY_SPOOL_PATH", files->spool_path) : status;
}

static bool is_for_tracing(const char *variable)
{
    return strncmp(variable, "STRAY_", 6) == 0 && strncmp(variable, "STRAY_PREVIOUS=", 15) != 0 &&
           strncmp(variable, "STRAY_SILENT=", 13) != 0;
}

/* The strings are the environment's; the list is freed by the caller. */
static char **tracing_variables(void)
{
    size_t count = 0;
    for (char **entry = environ; *entry; entry++)
        count += is_for_tracing(*entry);
    char **list = calloc(count + 1, sizeof(*list));
    count = 0;
    for (char **entry = environ; list && *entry; entry++)
        if (is_for_tracing(*entry))
            list[count++] = *entry;
    return list;
}

/* ---- one session ---- */

struct session {
    pid_t pid;
    char name[PROCESS_NAME_SIZE];
    int process, signals; /* pidfd, signalfd */
    struct trace_files files;
};

/* Of a service with workers one is given the number of the process that does no work. */
static void tell_children(pid_t pid, const pid_t *children, size_t count)
{
    char text[16 * CHILDREN_TOLD] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && i < CHILDREN_TOLD; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%d", i > 0 ? ", " : "", (int)children[i]);
    if (count > 0)
        note("%d: its children that run already are not traced; stray attach each of them that matters: %s%s", (int)pid, text,
             count > CHILDREN_TOLD ? ", ..." : "");
}

static int begin(struct session *session)
{
    struct error error = {.text = ""};
    pid_t children[CHILDREN_TOLD + 1];
    size_t count = process_children(session->pid, children, CHILDREN_TOLD + 1);
    char *shim = shim_find(), **variables = tracing_variables();
    struct delivery delivery = {.shim = shim, .trace = session->files.trace, .spool = session->files.spool, .variables = variables};
    int result = -ENOMEM;
    if (!shim)
        error_set(&error, result, SHIM_NAME ": not found beside this program");
    else if (variables)
        result = delivery_begin(session->pid, &delivery, &error);
    free(shim);
    free(variables);
    if (result < 0) {
        fail("%s", error.text);
        return STATUS_REFUSED;
    }
    note("%d (%s): tracing to %s; one thread stood still for %.2f ms", (int)session->pid, session->name, session->files.trace_path,
         delivery.stall_s * 1e3);
    tell_children(session->pid, children, count);
    if (process_is_go(session->pid))
        note("%d: a Go program: what Go code opens and allocates goes by no library, and is not seen; what C code does is",
             (int)session->pid);
    return STATUS_DONE;
}

static int end(struct session *session)
{
    struct error error = {.text = ""};
    double stall = 0;
    int result = delivery_end(session->pid, &stall, &error);
    if (result == -ESRCH) /* it was faster */
        return STATUS_DONE;
    if (result < 0) {
        fail("%s; tracing goes on (stray detach %d ends it)", error.text, (int)session->pid);
        return STATUS_REFUSED;
    }
    if (result == 0)
        trace_files_remove_spool(session->files.trace_path);
    note("%d (%s): no longer traced; one thread stood still for %.2f ms", (int)session->pid, session->name, stall * 1e3);
    return STATUS_DONE;
}

enum why { BY_TIME, BY_SIGNAL, BY_ITSELF, BY_ANOTHER };

/* Until there is a reason to end. */
static enum why wait_for_end(const struct session *session, double seconds)
{
    struct pollfd events[2] = {{.fd = session->process, .events = POLLIN}, {.fd = session->signals, .events = POLLIN}};
    double until = seconds > 0 ? monotonic_s() + seconds : HUGE_VAL;
    for (;;) {
        double left = (until - monotonic_s()) * 1e3;
        if (left <= 0)
            return BY_TIME;
        poll(events, 2, left < GLANCE_MS ? (int)left + 1 : GLANCE_MS);
        if (events[0].revents)
            return BY_ITSELF;
        if (events[1].revents)
            return BY_SIGNAL;
        if (trace_files_ended(&session->files))
            return BY_ANOTHER;
    }
}

/* It ends its trace when it exits, too: which of the two it was is known a little later. */
static enum why settle(const struct session *session, enum why why)
{
    struct pollfd event = {.fd = session->process, .events = POLLIN};
    return why == BY_ANOTHER && poll(&event, 1, GLANCE_MS) > 0 ? BY_ITSELF : why;
}

static int follow(struct session *session, double seconds)
{
    switch (settle(session, wait_for_end(session, seconds))) {
    case BY_ITSELF:
        note("%d (%s): has ended", (int)session->pid, session->name);
        return STATUS_DONE;
    case BY_ANOTHER:
        note("%d (%s): no longer traced", (int)session->pid, session->name);
        return STATUS_DONE;
    default:
        return end(session);
    }
}

/* ---- before it ---- */

/* Only between two steps: half of it is never left undone. */
static int catch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Where the spool goes, if it was said; absolute, and freed by the caller. */
static int spool_folder(char **ret_path)
{
    const char *given = getenv("STRAY_SPOOL");
    *ret_path = given && *given ? realpath(given, NULL) : NULL;
    return given && *given && !*ret_path ? refuse(given, error_reason(-errno)) : STATUS_DONE;
}

static int make_files_in(const char *folder, struct session *session)
{
    char *elsewhere;
    int status = spool_folder(&elsewhere);
    if (status == STATUS_DONE)
        status = trace_files_make(folder, elsewhere, session->name, session->pid, &session->files);
    free(elsewhere);
    return status;
}

static int make_files(const struct options *options, struct session *session)
{
    char *folder = NULL;
    unsigned made;
    int status = output_folder_prepare(options->tracing.output, options->tracing.force, session->name, session->pid, &folder, &made);
    if (status != STATUS_DONE)
        return status;
    status = make_files_in(folder, session);
    if (status == STATUS_DONE) {
        status = set_paths(folder, &session->files);
        if (status != STATUS_DONE)
            trace_files_remove(&session->files);
    }
    free(folder);
    return status;
}

/* Nothing was traced. Without its files a folder that was named after the process is not to be taken for its trace. */
static void undo(const struct options *options, struct session *session)
{
    char *folder = strdup(session->files.trace_path);
    trace_files_remove(&session->files);
    if (folder && !options->tracing.output) {
        *strrchr(folder, '/') = '\0';
        rmdir(folder);
    }
    free(folder);
}

static int attach(const struct options *options, pid_t pid)
{
    struct session session = {.pid = pid, .process = pidfd_open(pid, 0), .signals = catch_signals()};
    process_name(pid, session.name);
    if (session.process < 0 || session.signals < 0)
        return refuse(session.name, error_reason(-errno));
    int status = make_files(options, &session);
    if (status != STATUS_DONE)
        return status;
    status = begin(&session);
    if (status != STATUS_DONE) {
        undo(options, &session);
        return status;
    }
    status = follow(&session, options->seconds);
    trace_files_close(&session.files);
    return status;
}

int command_attach(int argc, char **argv)
{
    struct options options = {0};
    pid_t pid;
    int status = options_parse(argc, argv, ":o:", long_options, set_option, &options);
    if (status == STATUS_HELP)
        return usage_print(usage);
    if (status == STATUS_DONE)
        status = target_pid(argc, argv, &pid);
    if (status == STATUS_DONE)
        status = tracing_options_finish(&options.tracing, pid);
    if (status == STATUS_DONE)
        status = target_check_process(pid);
    options.tracing.output = output_folder_chosen(options.tracing.output);
    return status == STATUS_DONE ? attach(&options, pid) : status;
}
