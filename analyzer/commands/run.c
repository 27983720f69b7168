/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray run: sets the environment that traces a command, and becomes it. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/output_folder.h"
#include "commands/shim.h"
#include "commands/target.h"
#include "commands/tracing_options.h"

enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

static const char usage[] =
    "usage: stray run [-o DIR] [options] -- CMD [ARG...]\n"
    "\n"
    "Puts tracing in front of a command and becomes it: same pid, signals and exit\n"
    "status.\n"
    "\n"
    "  -o, --output DIR     folder for the traces, made if missing; default\n"
    "                       stray.<command>.<pid>\n"
    "  --force              also into a folder that holds traces; where there is no\n"
    "                       usable folder, or the command cannot be traced, it runs\n"
    "                       untraced\n"
    TRACING_USAGE
    "\n"
    "Each option has an environment twin: LD_PRELOAD=libstray.so STRAY_OUTPUT=DIR CMD\n"
    "works alone.\n"
    "Exit status: the command's own; 125 refused, 126 not executable, 127 not found,\n"
    "2 wrong usage.\n";

enum { OPTION_FOR = TRACING_OPTION_END };

/* --for is known to be refused: else it would be short for --force, and its time the command. */
static const struct option long_options[] = {TRACING_OPTIONS, {"for", required_argument, NULL, OPTION_FOR}, {NULL, 0, NULL, 0}};

static int set_option(void *data, int code)
{
    if (code == OPTION_FOR)
        return fail("--for: is an option of stray attach: what is run is traced to its end");
    return tracing_options_set(data, code);
}

/* ---- the environment ---- */

static int set(const char *name, const char *value)
{
    return setenv(name, value, 1) == 0 ? STATUS_DONE : refuse(name, error_reason(-errno));
}

/* First in LD_PRELOAD, before what is there already: our malloc must be the one that is called. */
static int set_preload(const char *shim)
{
    const char *others = getenv("LD_PRELOAD");
    char *list;
    if (strpbrk(shim, " :"))
        return refuse(shim, "LD_PRELOAD cannot hold a path with a blank or a colon");
    if (asprintf(&list, "%s%s%s", shim, others && *others ? ":" : "", others ? others : "") < 0)
        return refuse("LD_PRELOAD", error_reason(-ENOMEM));
    int status = set("LD_PRELOAD", list);
    free(list);
    return status;
}

static int preload_shim(void)
{
    char *shim = shim_find();
    if (!shim)
        return refuse(SHIM_NAME, "not found beside this program");
    int status = set_preload(shim);
    free(shim);
    return status;
}

/* The shim writes over it what a program begun by libc itself must know, so it has room for a spool's path. */
static int leave_room(const char *folder)
{
    const char *spool = getenv("STRAY_SPOOL");
    size_t size = strlen(folder) + (spool ? strlen(spool) : 0) + NAME_MAX;
    char *zeros = malloc(size + 1);
    if (!zeros)
        return refuse("STRAY_PREVIOUS", error_reason(-ENOMEM));
    memset(zeros, '0', size);
    zeros[size] = 0;
    int status = set("STRAY_PREVIOUS", zeros);
    free(zeros);
    return status;
}

static int prepare_environment(const char *folder, bool preload)
{
    int status = preload ? preload_shim() : STATUS_DONE;
    if (status == STATUS_DONE)
        status = set("STRAY_OUTPUT", folder);
    if (status == STATUS_DONE && preload)
        status = leave_room(folder);
    return status;
}

static int untraced(const char *command)
{
    fail("%s: it runs untraced", command);
    return STATUS_DONE;
}

/* The folder for the traces; its path is NULL where there is none. */
struct folder {
    char *path;
    unsigned made; /* levels of it that are new */
};

/* Forced, a command runs untraced where its traces could not be kept. */
static int prepare(const struct tracing_options *options, const char *command, bool preload, struct folder *folder)
{
    const char *given = output_folder_chosen(options->output);
    int status = output_folder_prepare(given, options->force, command, getpid(), &folder->path, &folder->made);
    if (status == STATUS_DONE)
        status = prepare_environment(folder->path, preload);
    else if (options->force)
        status = untraced(command);
    return status;
}

/* The command did not begin: a new folder is not to be taken for that of a trace. */
static void undo(struct folder *folder)
{
    if (folder->path)
        output_folder_undo(folder->path, folder->made);
    free(folder->path);
}

/* ---- becoming it ---- */

/* Whether to preload into the program at `path`: forced, a program that would ignore the shim may still have
 * children that do not, but one whose loader would choke on it goes without. */
static int decide(const struct tracing_options *options, const char *path, bool *ret_preload)
{
    struct error error = {.text = ""};
    int result = target_check(path, &error);
    *ret_preload = result != -ELIBBAD;
    if (result == 0)
        return STATUS_DONE;
    if (!options->force) {
        fail("%s (--force: run it untraced)", error.text);
        return STATUS_REFUSED;
    }
    fail("%s: it runs untraced", error.text);
    return STATUS_DONE;
}

static int become(const struct tracing_options *options, char **argv)
{
    struct error error = {.text = ""};
    char *path = NULL;
    bool preload = true;
    struct folder folder = {0};
    int result = target_find(argv[0], &path, &error);
    if (result < 0) {
        fail("%s", error.text);
        return result == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
    }
    int status = decide(options, path, &preload);
    if (status == STATUS_DONE)
        status = prepare(options, argv[0], preload, &folder);
    if (status == STATUS_DONE) {
        execvpe(path, argv,
                environ); /* has a slash: nothing is searched, and a script without #! gets its shell */
        status = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
        fail("%s: %s", argv[0], error_reason(-errno));
    }
    undo(&folder);
    free(path);
    return status;
}

int command_run(int argc, char **argv)
{
    struct tracing_options options = {0};
    /* "+": the command's own options are not ours. */
    int status = options_parse(argc, argv, "+:o:", long_options, set_option, &options);
    if (status == STATUS_HELP)
        return usage_print(usage);
    if (status == STATUS_DONE)
        status = tracing_options_finish(&options, getpid());
    if (status != STATUS_DONE)
        return status;
    if (optind >= argc)
        return fail("run: no command (see stray run --help)");
    return become(&options, argv + optind);
}
