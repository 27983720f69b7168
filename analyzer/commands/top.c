/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray top: what a running process holds, again and again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "commands/bar.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "commands/filtering.h"
#include "commands/options.h"
#include "commands/screen.h"
#include "commands/traced.h"
#include "hash.h"
#include "views/sites.h"
#include "views/text.h"

#define SITES_SHOWN 10
#define PAUSE_S     1.0

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

static int build(struct looking *looking, struct report **ret_report)
{
    struct report_options how = {.library = looking->options->whose.library.items, .mine = looking->options->whose.mine.items, .all = true};
    struct listing_filter filter = looking->options->filter;
    struct inputs inputs;
    struct error error = {.text = ""};
    int status = inputs_find(looking->arguments, looking->count, &inputs);
    if (status != STATUS_DONE)
        return status;
    uint64_t files = hash_files(&inputs);
    if (looking->over && files == looking->files) {
        inputs_free(&inputs);
        return STATUS_SAME;
    }
    how.left_out = inputs.left_out;
    if (!looking->drawing)
        inputs_tell(&inputs);
    if (report_build(inputs.paths, inputs.count, inputs.given, &how, ret_report, &error) < 0)
        status = fail("%s", error.text);
    else if ((status = option_resources_found(filter.resources)) != STATUS_DONE)
        report_free(*ret_report);
    else if (sites_select(*ret_report, &filter) < 0) {
        report_free(*ret_report);
        status = fail("%s", error_reason(-ENOMEM));
    } else {
        looking->over = has_ended(*ret_report);
        looking->files = files;
    }
    inputs_free(&inputs);
    return status;
}

static int write_to(struct looking *looking, FILE *out)
{
    struct text_options text = {.color = looking->options->color};
    struct report *report;
    int status = build(looking, &report);
    if (status != STATUS_DONE)
        return status;
    int result = report_write_top(report, &text, out);
    report_free(report);
    return result == -ENOMEM ? fail("%s", error_reason(-ENOMEM)) : STATUS_DONE;
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

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A long trace takes seconds to read: the machine is the program's, and is left to it for as long at least. */
static int watch(struct looking *looking)
{
    enum screen_event event = SCREEN_NOTHING;
    double begun = now();
    char *text = look(looking);
    double took = now() - begun;
    if (!text)
        return STATUS_UNREADABLE;
    screen_begin();
    while (event != SCREEN_QUIT) {
        screen_show(text);
        event = screen_wait(took > PAUSE_S ? took : PAUSE_S);
        if (event != SCREEN_NOTHING)
            continue;
        begun = now();
        char *next = look(looking);
        took = now() - begun;
        if (next) { /* else what was seen last stays: a trace may be moved away for a moment */
            free(text);
            text = next;
        }
    }
    screen_end();
    free(text);
    return STATUS_DONE;
}

static int show(struct looking *looking)
{
    if (looking->drawing) {
        bar_yield();
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
    struct looking looking = {.options = &options, .arguments = argv + optind, .count = (size_t)(argc - optind),
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
