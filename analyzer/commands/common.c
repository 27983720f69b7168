/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/common.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/options.h"
#include "json_memory.h"

enum { OPTION_FORMAT = 256 };

__attribute__((format(printf, 1, 0))) static void print_line(const char *format, va_list arguments)
{
    char text[2048];
    vsnprintf(text, sizeof(text), format, arguments);
    fflush(stdout);
    fputs("stray: ", stderr);
    print_safe(stderr, text);
    fputc('\n', stderr);
}

int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
    return STATUS_UNREADABLE;
}

void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
}

int refuse(const char *what, const char *why)
{
    fail("%s: %s", what, why);
    return STATUS_REFUSED;
}

static int set_simple_option(void *data, int code)
{
    struct simple_options *options = data;
    return code == OPTION_FORMAT ? option_json(optarg, &options->json) : STATUS_HELP;
}

int simple_options_parse(int argc, char **argv, const char *usage, struct simple_options *ret_options)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, OPTION_FORMAT}, {"help", no_argument, NULL, OPTION_HELP}, {NULL, 0, NULL, 0}};
    struct simple_options parsed = {0};
    int status = options_parse(argc, argv, ":", options, set_simple_option, &parsed);
    if (status == STATUS_HELP)
        fputs(usage, stdout);
    if (status != STATUS_DONE)
        return status == STATUS_HELP ? 0 : -1;
    if (parsed.json)
        json_memory_watch();
    parsed.first = optind;
    *ret_options = parsed;
    return 1;
}

int usage_print(const char *usage)
{
    fputs(usage, stdout);
    return output_finish();
}

int output_finish(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return STATUS_DONE;
    return fail("standard output: %s", errno ? error_reason(-errno) : "could not be written");
}

json_t *json_number(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_sprintf("0x%" PRIx64, value);
}

bool json_print(json_t *value, size_t flags)
{
    char *text = value ? json_dumps(value, flags | JSON_ENSURE_ASCII) : NULL;
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

/* Where what was said so far begins. */
static void add_offset(struct phrase *phrase, uint64_t offset)
{
    char text[48];
    snprintf(text, sizeof(text), "from offset %" PRIu64 " on", offset);
    add_fact(phrase, true, text);
}

void damage_describe(const struct damage *damage, char *text, size_t size)
{
    struct phrase phrase = {.text = text, .size = size};
    text[0] = '\0';
    add_fact(&phrase, damage->header_damaged, "header damaged at offset 0");
    add_phrase(&phrase, damage->frames_damaged, "damaged frame", "damaged frames");
    add_phrase(&phrase, damage->bytes_skipped, "byte skipped", "bytes skipped");
    add_phrase(&phrase, damage->frames_missing, "frame missing", "frames missing");
    add_fact(&phrase, damage->truncated, "cut short inside a frame");
    if (damage->offset > 0 && (damage->frames_damaged > 0 || damage->truncated))
        add_offset(&phrase, damage->offset);
    add_fact(&phrase, damage->spool_damaged, "spool damaged");
    if (phrase.used == 0)
        add_fact(&phrase, !damage->complete && damage->lost_events == 0,
                 "no end and no spool: the last events are missing");
}

bool simple_verb_begin(int argc, char **argv, const char *usage, inputs_finder *find, struct simple_options *ret_options,
                       struct inputs *ret_inputs, int *ret_status)
{
    int go = simple_options_parse(argc, argv, usage, ret_options);
    *ret_status = go < 0 ? STATUS_UNREADABLE : STATUS_DONE;
    if (go == 0)
        *ret_status = output_finish();
    if (go <= 0)
        return false;
    *ret_status = find(argv + ret_options->first, (size_t)(argc - ret_options->first), ret_inputs);
    if (*ret_status == STATUS_DONE)
        inputs_tell(ret_inputs);
    return *ret_status == STATUS_DONE;
}

bool terminal_has_colors(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}
