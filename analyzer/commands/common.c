/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/common.h"

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json_memory.h"

int fail(const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fflush(stdout);
    fputs("stray: ", stderr);
    print_safe(stderr, text);
    fputc('\n', stderr);
    return STATUS_UNREADABLE;
}

static int wrong_option(int code, char **argv)
{
    char letter[3] = {'-', (char)optopt, '\0'};
    const char *option = optopt && !strchr("fh", optopt) ? letter : argv[optind - 1];
    if (code == ':')
        fail("%s: needs a value", argv[optind - 1]);
    else
        fail("%s: unknown option (see stray %s --help)", option, argv[0]);
    return -1;
}

int simple_options_parse(int argc, char **argv, const char *usage, struct simple_options *ret_options)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct simple_options parsed = {0};
    int code;
    opterr = 0;
    optind = 0; /* start anew: another parser may have run before */
    while ((code = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (code == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (code != 'f')
            return wrong_option(code, argv);
        parsed.json = strcmp(optarg, "json") == 0;
        if (!parsed.json && strcmp(optarg, "text") != 0) {
            fail("--format %s: must be text or json", optarg);
            return -1;
        }
    }
    if (parsed.json)
        json_memory_watch();
    parsed.first = optind;
    *ret_options = parsed;
    return 1;
}

void inputs_free(struct inputs *inputs)
{
    paths_free(inputs->paths, inputs->count);
    *inputs = (struct inputs){0};
}

static int add_inputs(struct inputs *inputs, char **paths, size_t count)
{
    char **grown = realloc(inputs->paths, (inputs->count + count) * sizeof(*grown));
    if (!grown) {
        paths_free(paths, count);
        return fail("out of memory");
    }
    memcpy(grown + inputs->count, paths, count * sizeof(*paths));
    inputs->paths = grown;
    inputs->count += count;
    free(paths);
    return STATUS_DONE;
}

/* A trace is read at many places, so standard input is kept in memory first. */
static int copy_stdin(int fd)
{
    char block[65536];
    ssize_t got;
    while ((got = read(STDIN_FILENO, block, sizeof(block))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        for (ssize_t done = 0, part; done < got; done += part)
            if ((part = write(fd, block + done, (size_t)(got - done))) < 0)
                return -errno;
    }
    return 0;
}

static int add_path(struct inputs *inputs, const char *path)
{
    struct error error;
    char **paths;
    size_t count;
    if (trace_find(path, &paths, &count, &error) < 0)
        return fail("%s", error.text);
    return add_inputs(inputs, paths, count);
}

/* The copy stays open until the process ends: its name is its descriptor. */
static int add_stdin(struct inputs *inputs)
{
    char path[64];
    int fd = memfd_create("stdin", MFD_CLOEXEC), result = fd < 0 ? -errno : copy_stdin(fd);
    if (result < 0)
        return fail("standard input: %s", error_reason(result));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return add_path(inputs, path);
}

static int add_argument(struct inputs *inputs, const char *argument)
{
    return strcmp(argument, "-") == 0 ? add_stdin(inputs) : add_path(inputs, argument);
}

static bool newer(const struct stat *a, const struct stat *b)
{
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
        return a->st_mtim.tv_sec > b->st_mtim.tv_sec;
    return a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

/* The newest of the folders that `stray run` and `stray attach` make where no name is given. */
static int add_newest(struct inputs *inputs)
{
    glob_t found;
    struct stat info, best_info;
    const char *best = NULL;
    if (glob("stray.*", 0, NULL, &found) != 0)
        return fail("no trace given, and there is no folder stray.* here");
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (stat(found.gl_pathv[i], &info) == 0 && S_ISDIR(info.st_mode) &&
            (!best || newer(&info, &best_info))) {
            best = found.gl_pathv[i];
            best_info = info;
        }
    int status =
        best ? add_argument(inputs, best) : fail("no trace given, and there is no folder stray.* here");
    globfree(&found);
    return status;
}

int inputs_find(char *const *arguments, size_t count, struct inputs *ret_inputs)
{
    struct inputs inputs = {0};
    int status = count == 0 ? add_newest(&inputs) : STATUS_DONE;
    for (size_t i = 0; i < count && status == STATUS_DONE; i++)
        status = add_argument(&inputs, arguments[i]);
    if (status != STATUS_DONE) {
        inputs_free(&inputs);
        return status;
    }
    *ret_inputs = inputs;
    return STATUS_DONE;
}

int output_finish(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return STATUS_DONE;
    return fail("standard output: %s", errno ? error_reason(-errno) : "could not be written");
}

json_t *json_safe(const char *text)
{
    if (!text)
        return json_null();
    json_t *plain = json_string(text);
    if (plain)
        return plain;
    char *clean = json_memory_malloc(UTF8_ROOM(text));
    if (!clean)
        return NULL;
    utf8_copy(clean, text);
    json_t *made = json_string(clean);
    free(clean);
    return made;
}

json_t *json_number(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_sprintf("0x%" PRIx64, value);
}

bool json_print(json_t *value, size_t flags)
{
    char *text = value ? json_dumps(value, flags) : NULL;
    json_decref(value);
    bool whole = text && !json_memory_failed();
    if (whole)
        puts(text);
    free(text);
    return whole;
}

struct phrase {
    char *text;
    size_t size, used;
};

static void add_phrase(struct phrase *phrase, uint64_t number, const char *one, const char *many)
{
    if (number == 0 || phrase->used >= phrase->size)
        return;
    const char *comma = phrase->used ? ", " : "";
    int length = snprintf(phrase->text + phrase->used, phrase->size - phrase->used, "%s%" PRIu64 " %s", comma,
                          number, number == 1 ? one : many);
    phrase->used += length > 0 ? (size_t)length : 0;
}

static void add_fact(struct phrase *phrase, bool true_here, const char *fact)
{
    if (!true_here || phrase->used >= phrase->size)
        return;
    int length = snprintf(phrase->text + phrase->used, phrase->size - phrase->used, "%s%s",
                          phrase->used ? ", " : "", fact);
    phrase->used += length > 0 ? (size_t)length : 0;
}

void damage_describe(const struct damage *damage, char *text, size_t size)
{
    struct phrase phrase = {.text = text, .size = size};
    text[0] = '\0';
    add_fact(&phrase, damage->header_damaged, "header damaged");
    add_phrase(&phrase, damage->frames_damaged, "damaged frame", "damaged frames");
    add_phrase(&phrase, damage->bytes_skipped, "byte skipped", "bytes skipped");
    add_phrase(&phrase, damage->frames_missing, "frame missing", "frames missing");
    add_fact(&phrase, damage->truncated, "cut short inside a frame");
    add_fact(&phrase, damage->spool_damaged, "spool damaged");
    if (phrase.used == 0)
        add_fact(&phrase, !damage->complete && damage->lost_events == 0,
                 "no end and no spool: the last events are missing");
}

bool simple_verb_begin(int argc, char **argv, const char *usage, struct simple_options *ret_options,
                       struct inputs *ret_inputs, int *ret_status)
{
    int go = simple_options_parse(argc, argv, usage, ret_options);
    *ret_status = go < 0 ? STATUS_UNREADABLE : STATUS_DONE;
    if (go == 0)
        *ret_status = output_finish();
    if (go <= 0)
        return false;
    *ret_status = inputs_find(argv + ret_options->first, (size_t)(argc - ret_options->first), ret_inputs);
    return *ret_status == STATUS_DONE;
}
