/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray run: sets the environment that traces a command, and becomes it. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/beside.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/pair_options.h"
#include "commands/target.h"

#define SHIM "libstray.so"
#define DEPTH_MAX 200 /* the shim keeps no more */
#define SAMPLE_MAX (UINT64_C(1) << 30) /* ... and samples no less */

enum { STATUS_REFUSED = 125, STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

static const char usage[] =
    "usage: stray run [-o DIR] [options] -- CMD [ARG...]\n"
    "\n"
    "Puts tracing in front of a command and becomes it: same pid, signals and exit status.\n"
    "\n"
    "  -o, --output DIR     folder for the traces, made if missing; default stray.<command>.<pid>\n"
    "  --force              also into a folder that holds traces, and for commands that cannot be traced\n"
    "  --full               record every block, however short its life\n"
    "  --depth N            frames of a stack that are kept, 1 to 200\n"
    "  --sample SIZE        record samples of the heap only, one about every SIZE bytes asked for (K, M; at most 1G);\n"
    "                       512K makes tracing cheap enough to leave on. Everything else stays exact\n"
    "  --no-heap            leave memory out\n"
    "  --python-memory MODE Python's small objects: sampled (the default), exact or off\n"
    "  --only RESOURCE,...  these resources only: heap, socket, connection, file, pgconn, pgresult, a pair's ...\n"
    "  --max-size SIZE      largest size of a trace: K, M, G\n"
    "  --interval TIME      time between two samples: s, m, h; default 1s\n"
    "  --no-follow          leave child processes out (--follow: trace them, the default)\n"
    "  --spool DIR          folder for what is not yet in the trace\n"
    "  --sql MODE           what is stored of SQL statements: normalised (without literals, the default),\n"
    "                       text (an example as it was sent, with its literals) or off (hashes only)\n"
    "  --pair PAIR          trace functions of your own choice: 'SSL_new=ret!0:SSL_free=a0' (docs/PAIRS.md), or the name of\n"
    "                       a list that comes with stray: openssl, sqlite, curl, hiredis, libxml2, zlib, mysql. May be repeated\n"
    "  --pairs FILE         the same, one a line (also --pair @FILE)\n"
    "\n"
    "Each option has an environment twin: LD_PRELOAD=libstray.so STRAY_OUTPUT=DIR CMD works alone.\n"
    "Exit status: the command's own; 125 refused, 126 not executable, 127 not found, 2 wrong usage.\n";

enum {
    OPTION_FORCE = 256,
    OPTION_FULL,
    OPTION_DEPTH,
    OPTION_NO_HEAP,
    OPTION_ONLY,
    OPTION_MAX_SIZE,
    OPTION_INTERVAL,
    OPTION_FOLLOW,
    OPTION_NO_FOLLOW,
    OPTION_SPOOL,
    OPTION_SQL,
    OPTION_SAMPLE,
    OPTION_PYTHON,
    OPTION_PAIR,
    OPTION_PAIRS,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"full", no_argument, NULL, OPTION_FULL},
    {"depth", required_argument, NULL, OPTION_DEPTH},
    {"no-heap", no_argument, NULL, OPTION_NO_HEAP},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"max-size", required_argument, NULL, OPTION_MAX_SIZE},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"follow", no_argument, NULL, OPTION_FOLLOW},
    {"no-follow", no_argument, NULL, OPTION_NO_FOLLOW},
    {"spool", required_argument, NULL, OPTION_SPOOL},
    {"sql", required_argument, NULL, OPTION_SQL},
    {"sample", required_argument, NULL, OPTION_SAMPLE},
    {"python-memory", required_argument, NULL, OPTION_PYTHON},
    {"pair", required_argument, NULL, OPTION_PAIR},
    {"pairs", required_argument, NULL, OPTION_PAIRS},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

struct options {
    const char *output;
    bool force;
};

/* ---- options: each becomes its environment twin ---- */

static int set(const char *name, const char *value)
{
    return setenv(name, value, 1) == 0 ? STATUS_DONE : fail("%s: %s", name, error_reason(-errno));
}

static int set_number(const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    return set(name, text);
}

/* The traced process is this very one: programs it executes in other processes find that they are not the root. */
static int set_no_follow(void)
{
    int status = set("STRAY_FOLLOW", "0");
    return status == STATUS_DONE ? set_number("STRAY_ROOT", (uint64_t)getpid()) : status;
}

static int set_depth(const char *text)
{
    const char *end;
    uint64_t depth;
    if (!digits_parse(text, &end, &depth) || *end || depth < 1 || depth > DEPTH_MAX)
        return fail("--depth %s: must be a number from 1 to %d", text, DEPTH_MAX);
    return set_number("STRAY_DEPTH", depth);
}

static int set_size(const char *text)
{
    uint64_t size;
    if (!size_parse(text, &size) || size == 0)
        return fail("--max-size %s: must be a size like 500M", text);
    return set_number("STRAY_MAX_SIZE", size);
}

static int set_sample(const char *text)
{
    uint64_t size;
    if (!size_parse(text, &size) || size == 0 || size > SAMPLE_MAX)
        return fail("--sample %s: must be a size like 512K, from 1 to 1G", text);
    return set_number("STRAY_SAMPLE", size);
}

static int set_interval(const char *text)
{
    const char *end, *unit;
    static const char units[] = "smhd";
    static const unsigned seconds[] = {1, 60, 3600, 86400};
    uint64_t time, factor = 1;
    bool valid = digits_parse(text, &end, &time) && time > 0 && time <= UINT32_MAX;
    if (valid && *end && (unit = strchr(units, *end)) != NULL) {
        factor = seconds[unit - units];
        end++;
    }
    if (!valid || *end)
        return fail("--interval %s: must be a time like 1s or 5m", text);
    return set_number("STRAY_INTERVAL", time * factor);
}

/* With the names of pairs, which other options may define. */
static int check_only(void)
{
    const char *list = getenv("STRAY_ONLY");
    for (const char *word = list; word;) {
        size_t length = strcspn(word, ",");
        if (resource_parse(word, length) == STRAY_RESOURCE_NONE && !pair_options_define(word, length))
            return fail("--only %s: no resource \"%.*s\"", list, (int)length, word);
        word = word[length] ? word + length + 1 : NULL;
    }
    return STATUS_DONE;
}

static int set_sql(const char *mode)
{
    if (strcmp(mode, "off") == 0 || strcmp(mode, "normalised") == 0 || strcmp(mode, "text") == 0)
        return set("STRAY_SQL", mode);
    return fail("--sql %s: must be normalised, text or off", mode);
}

static int set_python_memory(const char *mode)
{
    if (strcmp(mode, "off") == 0 || strcmp(mode, "sampled") == 0 || strcmp(mode, "exact") == 0)
        return set("STRAY_PYTHON_MEMORY", mode);
    return fail("--python-memory %s: must be off, sampled or exact", mode);
}

static int set_spool(const char *folder)
{
    char *path = realpath(folder, NULL);
    if (!path) {
        fail("%s: %s", folder, error_reason(-errno));
        return STATUS_REFUSED;
    }
    int status = set("STRAY_SPOOL", path);
    free(path);
    return status;
}

static int set_tracing(int code)
{
    switch (code) {
    case OPTION_FULL:
        return set("STRAY_FULL", "1");
    case OPTION_DEPTH:
        return set_depth(optarg);
    case OPTION_NO_HEAP:
        return set("STRAY_HEAP", "0");
    case OPTION_ONLY:
        return set("STRAY_ONLY", optarg);
    case OPTION_MAX_SIZE:
        return set_size(optarg);
    case OPTION_INTERVAL:
        return set_interval(optarg);
    case OPTION_FOLLOW:
        return set("STRAY_FOLLOW", "1");
    case OPTION_NO_FOLLOW:
        return set_no_follow();
    case OPTION_SPOOL:
        return set_spool(optarg);
    case OPTION_SQL:
        return set_sql(optarg);
    case OPTION_SAMPLE:
        return set_sample(optarg);
    case OPTION_PYTHON:
        return set_python_memory(optarg);
    case OPTION_PAIR:
        return pair_options_add(optarg);
    default:
        return pair_options_add_file(optarg);
    }
}

static int set_option(void *data, int code, char **argv)
{
    struct options *options = data;
    switch (code) {
    case 'o':
        options->output = optarg;
        return STATUS_DONE;
    case OPTION_FORCE:
        options->force = true;
        return STATUS_DONE;
    case OPTION_HELP:
        return STATUS_HELP;
    case ':':
        return fail("%s: needs a value", argv[optind - 1]);
    case '?':
        return fail("%s: unknown option (see stray run --help)", argv[optind - 1]);
    default:
        return set_tracing(code);
    }
}

static bool lists_heap(const char *list)
{
    for (const char *word = list; word;) {
        size_t length = strcspn(word, ",");
        if (resource_parse(word, length) == STRAY_HEAP)
            return true;
        word = word[length] ? word + length + 1 : NULL;
    }
    return false;
}

/* What says that the heap is sampled, and how it is not. */
static int check_sample(void)
{
    const char *heap = getenv("STRAY_HEAP"), *only = getenv("STRAY_ONLY"), *full = getenv("STRAY_FULL");
    if (!getenv("STRAY_SAMPLE"))
        return STATUS_DONE;
    if (heap && *heap == '0')
        return fail("--sample: with --no-heap there is nothing to sample");
    if (only && !lists_heap(only))
        return fail("--sample: --only %s leaves out the heap, and there is nothing else to sample", only);
    if (full && *full && *full != '0')
        return fail("--sample: with --full every block is recorded");
    return STATUS_DONE;
}

/* ---- the folder ---- */

static int refuse(const char *what, const char *why)
{
    fail("%s: %s", what, why);
    return STATUS_REFUSED;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Makes `path` and what is missing above it. -errno. */
static int make_folder(char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    char *slash = strrchr(path, '/');
    if (errno != ENOENT || !slash || slash == path)
        return -errno;
    *slash = '\0';
    int result = make_folder(path);
    *slash = '/';
    if (result < 0)
        return result;
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

/* 1: it holds traces or spools; 0: it does not; negative errno. */
static int holds_traces(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return -errno;
    int found = 0;
    for (const struct dirent *entry; !found && (entry = readdir(folder)) != NULL;)
        found = ends_with(entry->d_name, STRAY_TRACE_SUFFIX) || ends_with(entry->d_name, STRAY_SPOOL_SUFFIX);
    closedir(folder);
    return found;
}

/* Makes the folder and says where it is: *ret_path is freed by the caller. An exit status. */
static int prepare_folder(const struct options *options, const char *command, char **ret_path)
{
    char *folder;
    if (options->output ? (folder = strdup(options->output)) == NULL
                        : asprintf(&folder, "stray.%s.%d", base_name(command), (int)getpid()) < 0)
        return refuse(command, error_reason(-ENOMEM));
    int result = make_folder(folder);
    int holds = result == 0 ? holds_traces(folder) : result;
    char *path = holds >= 0 ? realpath(folder, NULL) : NULL;
    int status = STATUS_DONE;
    if (holds < 0 || !path)
        status = refuse(folder, error_reason(holds < 0 ? holds : -errno));
    else if (access(path, W_OK | X_OK) < 0)
        status = refuse(folder, error_reason(-errno));
    else if (holds > 0 && !options->force)
        status = refuse(folder, "already holds traces (--force: use it all the same)");
    free(folder);
    if (status != STATUS_DONE)
        free(path);
    else
        *ret_path = path;
    return status;
}

/* ---- the shim ---- */

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
    return status == STATUS_DONE ? status : STATUS_REFUSED;
}

static int preload_shim(void)
{
    static const char *const places[] = {SHIM, "preload/" SHIM, "../lib/stray/" SHIM,
                                         "../" STRAY_LIBDIR "/stray/" SHIM};
    char *shim = beside_find(places, sizeof(places) / sizeof(*places));
    if (!shim)
        return refuse(SHIM, "not found beside this program");
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

static int prepare_environment(const struct options *options, const char *command, bool preload)
{
    char *folder = NULL;
    int status = preload ? preload_shim() : STATUS_DONE;
    if (status == STATUS_DONE)
        status = prepare_folder(options, command, &folder);
    if (status != STATUS_DONE)
        return status;
    status = set("STRAY_OUTPUT", folder);
    if (status == STATUS_DONE && preload)
        status = leave_room(folder);
    free(folder);
    return status == STATUS_DONE ? status : STATUS_REFUSED;
}

/* ---- becoming it ---- */

/* Whether to preload into the program at `path`: forced, a program that would ignore the shim may still have
 * children that do not, but one whose loader would choke on it goes without. */
static int decide(const struct options *options, const char *path, bool *ret_preload)
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

static int become(const struct options *options, char **argv)
{
    struct error error = {.text = ""};
    char *path = NULL;
    bool preload = true;
    int result = target_find(argv[0], &path, &error);
    if (result < 0) {
        fail("%s", error.text);
        return result == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
    }
    int status = decide(options, path, &preload);
    if (status == STATUS_DONE)
        status = prepare_environment(options, argv[0], preload);
    if (status == STATUS_DONE) {
        execvpe(path, argv,
                environ); /* has a slash: nothing is searched, and a script without #! gets its shell */
        status = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
        fail("%s: %s", argv[0], error_reason(-errno));
    }
    free(path);
    return status;
}

int command_run(int argc, char **argv)
{
    struct options options = {0};
    /* "+": the command's own options are not ours. */
    int status = options_parse(argc, argv, "+:o:", long_options, set_option, &options);
    if (status == STATUS_HELP)
        return usage_print(usage);
    if (status == STATUS_DONE)
        status = pair_options_finish();
    if (status == STATUS_DONE)
        status = check_only();
    if (status == STATUS_DONE)
        status = check_sample();
    if (status != STATUS_DONE)
        return status;
    if (optind >= argc)
        return fail("run: no command (see stray run --help)");
    return become(&options, argv + optind);
}
