/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/common.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_memory.h"

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

bool terminal_has_colors(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}
