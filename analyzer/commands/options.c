/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands/common.h"
#include "commands/nearest.h"
#include "read/pairs.h"
#include "read/words.h"

static int globs_add(struct globs *globs, const char *glob)
{
    if (globs->count == GLOBS_MAX)
        return fail("%s: more than %d patterns", glob, GLOBS_MAX);
    globs->items[globs->count++] = glob;
    return STATUS_DONE;
}

int whose_add(struct whose *whose, int code)
{
    return globs_add(code == OPTION_MINE ? &whose->mine : &whose->library, optarg);
}

int common_option(struct common_options *options, int code)
{
    if (code == OPTION_HELP)
        return STATUS_HELP;
    if (code != 'o')
        return whose_add(&options->whose, code);
    options->output = strcmp(optarg, "-") == 0 ? NULL : optarg;
    return STATUS_DONE;
}

bool digits_parse(const char *text, const char **ret_end, uint64_t *ret_number)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    *ret_end = end;
    return errno == 0;
}

/* Digits, and a point and more digits or not. *ret_part: what stands behind the point, below 1. */
static bool decimal_parse(const char *text, const char **ret_end, uint64_t *ret_whole, double *ret_part)
{
    uint64_t digits;
    *ret_part = 0;
    if (!digits_parse(text, ret_end, ret_whole))
        return false;
    if (**ret_end != '.')
        return true;
    const char *from = *ret_end + 1;
    if (!digits_parse(from, ret_end, &digits))
        return false;
    *ret_part = (double)digits / pow(10, (double)(*ret_end - from));
    return true;
}

bool size_parse(const char *text, uint64_t *ret_size)
{
    static const char units[] = "KMGkmg";
    const char *end;
    uint64_t size;
    double part;
    if (!decimal_parse(text, &end, &size, &part))
        return false;
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)((unit - units) % 3 + 1) : 0;
    if ((*end && (!unit || end[1])) || size > UINT64_MAX >> shift)
        return false;
    *ret_size = (size << shift) + (uint64_t)(part * (double)(UINT64_C(1) << shift));
    return true;
}

unsigned resource_parse(const char *word, size_t length)
{
    for (unsigned i = STRAY_RESOURCE_NONE + 1; i < STRAY_RESOURCE_END; i++) {
        const char *label = resource_label(i);
        if (strlen(label) == length && strncmp(label, word, length) == 0)
            return i;
    }
    return STRAY_RESOURCE_NONE;
}

char *option_value(char *text)
{
    char *equals = strrchr(text, '=');
    if (!equals || equals == text)
        return NULL;
    *equals = '\0';
    return equals + 1;
}

int option_count(const char *option, const char *text, uint64_t *ret_count)
{
    const char *end;
    uint64_t count;
    if (!digits_parse(text, &end, &count) || *end)
        return fail("%s %s: must be a whole number", option, text);
    *ret_count = count;
    return STATUS_DONE;
}

int option_size(const char *option, const char *text, uint64_t *ret_size)
{
    return size_parse(text, ret_size) ? STATUS_DONE : fail("%s %s: must be a size like 10M", option, text);
}

bool seconds_parse(const char *text, double *ret_seconds)
{
    static const char units[] = "smhd";
    static const double seconds[] = {1, 60, 3600, 86400};
    uint64_t whole;
    const char *end;
    double part;
    bool valid = decimal_parse(text, &end, &whole, &part);
    const char *unit = valid && *end ? strchr(units, *end) : NULL;
    if (!valid || (*end && (!unit || end[1])))
        return false;
    *ret_seconds = ((double)whole + part) * (unit ? seconds[unit - units] : 1);
    return true;
}

int option_seconds(const char *option, const char *text, double *ret_seconds)
{
    return seconds_parse(text, ret_seconds) ? STATUS_DONE : fail("%s %s: must be a time like 90, 1.5s, 10m or 2h", option, text);
}

int option_resources(const char *list, uint64_t *ret_resources)
{
    uint64_t resources = 0;
    for (const char *word = list;; word++) {
        size_t length = strcspn(word, ",");
        unsigned built_in = resource_parse(word, length), found = built_in ? built_in : pairs_resource(word, length);
        if (found == STRAY_RESOURCE_NONE)
            return fail("--resource %.*s: no such resource", (int)length, word);
        resources |= UINT64_C(1) << found;
        word += length;
        if (!*word)
            break;
    }
    *ret_resources |= resources;
    return STATUS_DONE;
}

int option_resources_found(uint64_t resources)
{
    for (unsigned i = STRAY_USER_FIRST; i < STRAY_USER_END; i++)
        if (resources >> i & 1 && !pairs_resource_is_found(i))
            return fail("--resource %s: no such resource", resource_label(i));
    return STATUS_DONE;
}

static bool color_parse(const char *when, bool *ret_color)
{
    bool automatic = strcmp(when, "auto") == 0, always = strcmp(when, "always") == 0;
    *ret_color = automatic ? terminal_has_colors() : always;
    return automatic || always || strcmp(when, "never") == 0;
}

int option_color(const char *when, bool *color)
{
    return color_parse(when ? when : "always", color) ? STATUS_DONE
                                                      : fail("--color=%s: must be always, never or auto", when);
}

/* The one option whose value may be left out is --color, and people write "--color never", too. */
static void take_color(int argc, char **argv, const struct option *option)
{
    bool color;
    if (option->has_arg == optional_argument && !optarg && optind < argc && color_parse(argv[optind], &color))
        optarg = argv[optind++];
}

int option_json(const char *format, bool *ret_json)
{
    *ret_json = strcmp(format, "json") == 0;
    if (!*ret_json && strcmp(format, "text") != 0)
        return fail("--format %s: must be text or json", format);
    return STATUS_DONE;
}

int option_format(const char *format, enum output_format *ret_format)
{
    static const char *const names[] = {[OUTPUT_TEXT] = "text", [OUTPUT_JSON] = "json", [OUTPUT_HTML] = "html"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(format, names[i]) == 0) {
            *ret_format = i;
            return STATUS_DONE;
        }
    }
    return fail("--format %s: must be text, json or html", format);
}

/* Whether a long option that was cut short may be one of several. */
static bool is_ambiguous(const char *word, const struct option *long_options)
{
    size_t length = strcspn(word, "="), count = 0;
    for (const struct option *option = long_options; option->name; option++)
        count += strncmp(option->name, word, length) == 0;
    return count > 1;
}

/* The last of letters in one word has no value, or a word has none. */
static int option_bare(int letter, const char *word)
{
    if (strncmp(word, "--", 2) == 0)
        return fail("%s: needs a value", word);
    return fail("-%c: needs a value", letter);
}

/* `word` begins with two dashes, and is none of the long options or the beginning of several. */
static int long_option_unknown(const char *word, const char *verb, const struct option *long_options)
{
    struct nearest nearest = {.word = word + 2, .length = strcspn(word + 2, "=")};
    char hint[NEAREST_HINT];
    if (is_ambiguous(word + 2, long_options))
        return fail("%s: may be one of several options (see stray %s --help)", word, verb);
    for (const struct option *option = long_options; option->name; option++)
        nearest_try(&nearest, option->name);
    return fail("%s: unknown option%s (see stray %s --help)", word, nearest_hint(&nearest, "--", hint), verb);
}

/* What getopt_long() did not take; `wrong` is its optopt. */
static int option_unknown(int wrong, char **argv, const struct option *long_options)
{
    const char *word = argv[optind - 1];
    if (wrong == 0)
        return long_option_unknown(word, argv[0], long_options);
    for (const struct option *option = long_options; option->name; option++)
        if (option->val == wrong)
            return fail("--%s: takes no value", option->name);
    return fail("-%c: unknown option (see stray %s --help)", wrong, argv[0]);
}

int options_parse(int argc, char **argv, const char *letters, const struct option *long_options,
                  option_setter *set, void *options)
{
    int code, status = STATUS_DONE, index = -1;
    opterr = 0;
    optind = 0; /* start anew: another parser may have run before */
    while (status == STATUS_DONE && (code = getopt_long(argc, argv, letters, long_options, &index)) != -1) {
        if (index >= 0)
            take_color(argc, argv, &long_options[index]);
        index = -1;
        if (code == ':')
            status = option_bare(optopt, argv[optind - 1]);
        else if (code == '?' && optopt == 'h')
            status = STATUS_HELP;
        else if (code == '?')
            status = option_unknown(optopt, argv, long_options);
        else
            status = set(options, code);
    }
    return status;
}
