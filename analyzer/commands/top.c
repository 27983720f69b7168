/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray top: what a running process holds, again and again. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/bar.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "commands/filtering.h"
#include "commands/follower.h"
#include "commands/options.h"
#include "commands/screen.h"
#include "commands/traced.h"
#include "hash.h"
#include "monotonic.h"
#include "views/sites.h"
#include "views/text.h"

#define SITES_SHOWN 10
#define PAUSE_S     1.0
#define LONG_S      0.25 /* what takes longer to read is followed */
#define BEHIND_S    5.0
#define BEHIND_GROWS 4.0
#define BEHIND_MAX_S 3600.0
#define WAIT        4u

static const char usage[] =
    "usage: stray top [PID | TRACE...] [options]\n"
    "\n"
    "Shows what a process holds while it runs: where its open connections, sockets\n"
    "and files come from, what grows, where memory went, what was found so far. On a\n"
    "terminal it is drawn again each second, or as often as a long trace can be read\n"
    "in half of the time; q or Ctrl-C ends that. Else it is written once.\n"
    "\n"
    "  --once                 write it once, on a terminal as well\n"
    CHOICE_USAGE
    "  --library, --mine GLOB whose code it is, as in stray report; may be repeated\n"
    "  --color[=WHEN]         always, never or auto; NO_COLOR is obeyed\n"
    "\n"
    "The places are chosen as by stray sites, whose columns they are: without options\n"
    "the ten with most open of connection, pgconn, socket and file.\n"
    "\n"
    "PID: a process that is traced now. TRACE: a trace file, a folder of them, or a\n"
    "packed file.\n"
    "Without: the newest folder stray.* here.\n"
    "Exit status: 0 done, 2 wrong usage or nothing that can be read.\n";

struct options {
    struct whose whose;
    struct listing_filter filter;
    bool once, color;
};

enum { OPTION_ONCE = 256, OPTION_COLOR };

static const struct option long_options[] = {
    {"once", no_argument, NULL, OPTION_ONCE},
    FILTERING_OPTIONS,
    WHOSE_OPTIONS,
    {"color", optional_argument, NULL, OPTION_COLOR},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int set_option(void *data, int code)
{
    struct options *options = data;
    if (filtering_has(code))
        return filtering_set(&options->filter, sites_columns, code);
    switch (code) {
    case OPTION_ONCE:
        options->once = true;
        return STATUS_DONE;
    case OPTION_COLOR:
        return option_color(optarg, &options->color);
    case OPTION_HELP:
        return STATUS_HELP;
    default:
        return whose_add(&options->whose, code);
    }
}

/* What is shown where the user chose nothing else. */
static void complete(struct listing_filter *filter)
{
    if (!filter->resources)
        filter->resources = 1u << STRAY_CONNECTION | 1u << STRAY_SOCKET | 1u << STRAY_PGCONN | 1u << STRAY_FILE;
    if (!filter->sort && !filter->min_given) {
        filter->min_given = true;
        filter->min = 1;
    }
    if (!filter->sort)
        filter->sort = "open";
    if (!filter->limit)
        filter->limit = SITES_SHOWN;
}

struct looking {
    const struct options *options;
    char *const *arguments; /* TRACEs: children may have been added since */
    size_t count;
    bool drawing;   /* on a screen that is not to be disturbed */
    bool over;      /* all that was read last has ended, */
    uint64_t files; /* and stood in these */
    bool again;     /* it is to be read again and again */
    struct follower *follower; /* of the only trace, if that is a long one; NULL: all is read each time */
    uint64_t followed_inputs;  /* ... which inputs it was begun with */
    double behind;  /* how many seconds of the trace it leaves out; it goes up when what is older has changed */
    unsigned wait;  /* readings before another one is tried */
    double took, followed; /* seconds that the last reading of all took; ... the last look of the follower */
};

#define STATUS_SAME (-1) /* nothing can have changed since */

static uint64_t hash_file(uint64_t hash, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return hash_text(hash, path);
    const uint64_t words[] = {info.st_dev,           info.st_ino,           (uint64_t)info.st_size,         (uint64_t)info.st_mtim.tv_sec,
                              (uint64_t)info.st_mtim.tv_nsec, (uint64_t)info.st_ctim.tv_sec, (uint64_t)info.st_ctim.tv_nsec};
    return hash_bytes(hash_text(hash, path), words, sizeof(words));
}

/* Which files there are, and in which state. That of a spool that is written to tells nothing. */
static uint64_t hash_files(const struct inputs *inputs)
{
    uint64_t hash = HASH_BEGIN;
    for (size_t i = 0; i < inputs->count; i++) {
        char *spool;
        hash = hash_file(hash, inputs->paths[i]);
        if (asprintf(&spool, "%s" STRAY_SPOOL_SUFFIX, inputs->paths[i]) < 0)
            continue;
        hash = hash_file(hash, spool);
        free(spool);
    }
    return hash;
}

static bool has_ended(const struct report *report)
{
    for (size_t i = 0; i < report->process_count; i++)
        if (strcmp(report->processes[i].end, "running") == 0)
            return false;
    return true;
}

static int write_report(void *data, struct report *report, FILE *out)
{
    const struct looking *looking = data;
    struct text_options text = {.color = looking->options->color};
    struct listing_filter filter = looking->options->filter;
    int result = sites_select(report, &filter);
    if (result == 0)
        result = report_write_top(report, &text, out);
    return result < 0 ? result : has_ended(report);
}

static struct report_options how_to(const struct looking *looking, const struct inputs *inputs)
{
    return (struct report_options){.library = looking->options->whose.library.items,
                                   .mine = looking->options->whose.mine.items,
                                   .left_out = inputs->left_out,
                                   .all = true};
}

/* ---- reading all of it ---- */

static int write_all(struct looking *looking, const struct inputs *inputs, uint64_t files, FILE *out)
{
    struct report_options how = how_to(looking, inputs);
    struct error error = {.text = ""};
    struct report *report;
    double begun = monotonic_s();
    if (report_build(inputs->paths, inputs->count, inputs->given, &how, &report, &error) < 0)
        return fail("%s", error.text);
    int status = option_resources_found(looking->options->filter.resources);
    if (status != STATUS_DONE) {
        report_free(report);
        return status;
    }
    int result = write_report(looking, report, out);
    looking->over = result > 0;
    looking->files = files;
    report_free(report);
    looking->took = monotonic_s() - begun;
    return result == -ENOMEM ? fail("%s", error_reason(-ENOMEM)) : STATUS_DONE;
}

/* ---- reading what is new ---- */

/* Which traces there are, and which were left out. */
static uint64_t hash_inputs(const struct inputs *inputs)
{
    uint64_t hash = hash_text(HASH_BEGIN, inputs->left_out);
    for (size_t i = 0; i < inputs->count; i++)
        hash = hash_text(hash, inputs->paths[i]);
    return hash_bytes(hash, &inputs->left_out_count, sizeof(inputs->left_out_count));
}

/* Only what takes long to read is worth another process. */
static void begin_to_follow(struct looking *looking, const struct inputs *inputs)
{
    struct report_options how = how_to(looking, inputs);
    if (looking->wait > 0) {
        looking->wait--;
        return;
    }
    if (looking->again && !looking->over && inputs->count == 1 && looking->took > LONG_S)
        looking->follower = follower_start(inputs->paths[0], looking->behind, inputs->given, &how, write_report, looking);
    looking->followed_inputs = hash_inputs(inputs);
}

static void end_to_follow(struct looking *looking)
{
    follower_stop(looking->follower);
    looking->follower = NULL;
}

/* Whether it could be told from what came since. */
static bool write_new(struct looking *looking, const struct inputs *inputs, uint64_t files, FILE *out)
{
    bool others = looking->follower && hash_inputs(inputs) != looking->followed_inputs; /* a child was traced since, for instance */
    if (others || looking->followed > looking->took / 2)
        end_to_follow(looking); /* ... or by now much has come since: the next one begins later */
    looking->followed = 0;
    const struct follower *before = looking->follower;
    if (!looking->follower)
        begin_to_follow(looking, inputs);
    if (!looking->follower)
        return false;
    double begun = monotonic_s();
    bool first = looking->follower != before;
    char *text = follower_look(looking->follower, &looking->over);
    if (first)
        looking->took = monotonic_s() - begun;
    else
        looking->followed = monotonic_s() - begun;
    if (text) {
        looking->files = files;
        fputs(text, out);
        free(text);
        return true;
    }
    end_to_follow(looking);
    looking->behind = fmin(BEHIND_GROWS * looking->behind, BEHIND_MAX_S);
    looking->wait = WAIT;
    return false;
}

static int write_to(struct looking *looking, FILE *out)
{
    struct inputs inputs;
    int status = inputs_find(looking->arguments, looking->count, &inputs);
    if (status != STATUS_DONE)
        return status;
    if (!looking->drawing)
        inputs_tell(&inputs);
    uint64_t files = hash_files(&inputs);
    if (looking->over && files == looking->files)
        status = STATUS_SAME;
    else if (!write_new(looking, &inputs, files, out))
        status = write_all(looking, &inputs, files, out);
    inputs_free(&inputs);
    return status;
}

/* What is to be shown next, to be freed; NULL: the same as before, or after saying what is wrong, on the screen that people look at
 * afterwards. */
static char *look(struct looking *looking)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int status = out ? write_to(looking, out) : fail("%s", error_reason(-ENOMEM));
    if (out && fclose(out) != 0 && status == STATUS_DONE)
        status = fail("%s", error_reason(-ENOMEM));
    if (status == STATUS_DONE)
        return text;
    free(text);
    return NULL;
}

/* A long trace takes seconds to read: the machine is the program's, and is left to it for as long at least. */
static int watch(struct looking *looking)
{
    enum screen_event event = SCREEN_NOTHING;
    double begun = monotonic_s();
    char *text = look(looking);
    double took = monotonic_s() - begun;
    if (!text)
        return STATUS_UNREADABLE;
    screen_begin();
    while (event != SCREEN_QUIT) {
        screen_show(text);
        event = screen_wait(took > PAUSE_S ? took : PAUSE_S);
        if (event != SCREEN_NOTHING)
            continue;
        begun = monotonic_s();
        char *next = look(looking);
        took = monotonic_s() - begun;
        if (next) { /* else what was seen last stays: a trace may be moved away for a moment */
            free(text);
            text = next;
        }
    }
    screen_end();
    end_to_follow(looking);
    free(text);
    return STATUS_DONE;
}

static int show(struct looking *looking)
{
    if (looking->drawing) {
        bar_yield();
        looking->again = true;
        return watch(looking);
    }
    int status = write_to(looking, stdout);
    return status == STATUS_DONE ? output_finish() : status;
}

static bool is_pid(const char *argument, uint64_t *ret_pid)
{
    const char *end;
    struct stat info;
    return digits_parse(argument, &end, ret_pid) && *end == '\0' && stat(argument, &info) != 0;
}

int command_top(int argc, char **argv)
{
    struct options options = {.color = terminal_has_colors()};
    uint64_t pid;
    int status = options_parse(argc, argv, ":", long_options, set_option, &options);
    if (status == STATUS_HELP)
        return usage_print(usage);
    if (status != STATUS_DONE)
        return status;
    complete(&options.filter);
    struct looking looking = {.options = &options, .arguments = argv + optind, .count = (size_t)(argc - optind), .behind = BEHIND_S,
                              .drawing = !options.once && isatty(STDOUT_FILENO)};
    if (looking.count != 1 || !is_pid(looking.arguments[0], &pid))
        return show(&looking);
    char *path = traced_path(pid);
    if (!path)
        return STATUS_UNREADABLE;
    looking.arguments = &path;
    status = show(&looking);
    free(path);
    return status;
}
