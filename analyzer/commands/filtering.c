/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/filtering.h"

#include <getopt.h>
#include <string.h>
#include <time.h>

#include "commands/output.h"
#include "read/words.h"

enum { OPTION_FORMAT = 256 };

static const struct option long_options[] = {
    FILTERING_OPTIONS,
    {"format", required_argument, NULL, OPTION_FORMAT},
    COMMON_OPTIONS,
};

/* "+02:00", "Z": seconds east of Greenwich. */
static bool parse_zone(const char *text, long *ret_seconds)
{
    unsigned hours, minutes;
    char sign;
    int used = 0;
    *ret_seconds = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if (sscanf(text, "%c%2u:%2u%n", &sign, &hours, &minutes, &used) != 3 || used != 6 || text[6] ||
        (sign != '+' && sign != '-') || hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (sign == '-' ? -1 : 1) * (long)(hours * 3600 + minutes * 60);
    return true;
}

/* RFC 3339. */
static bool parse_calendar(const char *text, uint64_t *ret_ns)
{
    struct tm parts = {0};
    char separator;
    int used = 0;
    if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &separator,
               &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &used) != 7 ||
        used != 19 || !strchr("Tt ", separator) || strspn(text, "0123456789") != 4)
        return false;
    struct tm wanted = parts;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    time_t seconds = timegm(&parts);
    if (seconds < 0 || parts.tm_mon + 1 != wanted.tm_mon || parts.tm_mday != wanted.tm_mday ||
        wanted.tm_hour > 23 || wanted.tm_min > 59 || wanted.tm_sec > 60)
        return false;
    uint64_t ns = 0, unit = 100000000;
    text += used;
    if (*text == '.') {
        if (text[1] < '0' || text[1] > '9')
            return false;
        for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
            ns += (uint64_t)(*text - '0') * unit;
    }
    long zone;
    if (!parse_zone(text, &zone) || seconds < zone)
        return false;
    *ret_ns = (uint64_t)(seconds - zone) * 1000000000u + ns;
    return true;
}

static int set_time(const char *option, const char *text, struct listing_time *time)
{
    time->given = true;
    time->calendar = parse_calendar(text, &time->realtime_ns);
    if (time->calendar)
        return STATUS_DONE;
    if (strchr(text, '-') || strchr(text, ':'))
        return fail("%s %s: must be a time like 90, 10m, or 2026-01-31T08:00:00Z", option, text);
    const char *point = strchr(text, '.');
    time->fine = point && strspn(point + 1, "0123456789") > 3;
    return option_seconds(option, text, &time->seconds);
}

static int set_sort(const char *name, const char *const *columns, const char **ret_sort)
{
    char list[256] = "";
    for (const char *const *column = columns; *column; column++) {
        if (strcmp(*column, name) == 0) {
            *ret_sort = name;
            return STATUS_DONE;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", *column);
    }
    return fail("--sort %s: must be one of %s", name, list);
}

static int set_number(struct listing_filter *filter, int code)
{
    uint64_t number = 0;
    int status = option_count(code == FILTERING_MIN ? "--min" : "--limit", optarg, &number);
    if (status != STATUS_DONE)
        return status;
    if (code == FILTERING_LIMIT && number == 0)
        return fail("--limit 0: must be at least 1");
    if (code == FILTERING_LIMIT) {
        filter->limit = number;
    } else {
        filter->min_given = true;
        filter->min = (double)number;
    }
    return STATUS_DONE;
}

int filtering_set(struct listing_filter *filter, const char *const *columns, int code)
{
    switch (code) {
    case FILTERING_RESOURCE:
        return option_resources(optarg, &filter->resources);
    case FILTERING_SITE:
        filter->site = optarg;
        return STATUS_DONE;
    case FILTERING_PEER:
        filter->peer = optarg;
        return STATUS_DONE;
    case FILTERING_SINCE:
        return set_time("--since", optarg, &filter->since);
    case FILTERING_UNTIL:
        return set_time("--until", optarg, &filter->until);
    case FILTERING_SORT:
        return set_sort(optarg, columns, &filter->sort);
    case FILTERING_REVERSE:
        filter->reverse = true;
        return STATUS_DONE;
    default:
        return set_number(filter, code);
    }
}

bool filtering_has(int code)
{
    return code >= FILTERING_RESOURCE && code <= FILTERING_LIMIT;
}

static int set_option(void *data, int code)
{
    struct listing_options *options = data;
    if (filtering_has(code))
        return filtering_set(&options->filter, options->verb->columns, code);
    switch (code) {
    case OPTION_FORMAT:
        return option_json(optarg, &options->json);
    default:
        return common_option(&options->common, code);
    }
}

static bool listing_begin(int argc, char **argv, const struct listing_verb *verb, struct listing_options *ret_options, int *ret_status)
{
    struct listing_options options = {.verb = verb};
    int status = options_parse(argc, argv, ":o:", long_options, set_option, &options);
    if (status == STATUS_DONE)
        status = inputs_find(argv + optind, (size_t)(argc - optind), &options.inputs);
    if (status == STATUS_DONE && (status = inputs_spare(&options.inputs, options.common.output)) != STATUS_DONE)
        inputs_free(&options.inputs);
    if (status == STATUS_DONE) {
        inputs_tell(&options.inputs);
        *ret_options = options;
    }
    *ret_status = status == STATUS_HELP ? usage_print(verb->usage) : status;
    return status == STATUS_DONE;
}

static void listing_end(struct listing_options *options)
{
    inputs_free(&options->inputs);
}

int listing_run(int argc, char **argv, const struct listing_verb *verb)
{
    struct listing_options options;
    int status;
    if (!listing_begin(argc, argv, verb, &options, &status))
        return status;
    status = verb->list(&options);
    listing_end(&options);
    return status;
}

int listing_check(const struct listing_options *options)
{
    uint64_t wanted = options->filter.resources;
    int status = option_resources_found(wanted);
    for (unsigned i = 0; status == STATUS_DONE && i < 64; i++)
        if (wanted >> i & ~options->verb->resources >> i & 1)
            status = fail("--resource %s: stray %s does not list it (see stray sites)", resource_label(i), options->verb->name);
    return status;
}

struct writing {
    const struct report *report;
    int (*write)(const struct report *report, FILE *out);
};

static int write_listing(void *data, FILE *out)
{
    const struct writing *writing = data;
    return writing->write(writing->report, out);
}

int listing_of_report(const struct listing_options *options, const struct report_list *list)
{
    struct report_options how = {.library = options->common.whose.library.items, .mine = options->common.whose.mine.items, .all = list->sites,
                                 .statements = list->statements, .left_out = options->inputs.left_out};
    struct report *report;
    struct error error = {.text = ""};
    if (report_build(options->inputs.paths, options->inputs.count, options->inputs.given, &how, &report, &error) < 0)
        return fail("%s", error.text);
    struct writing writing = {report, options->json ? list->write_json : list->write_text};
    int status = listing_check(options);
    if (status == STATUS_DONE)
        status = list->select(report, &options->filter) < 0 ? fail("out of memory")
                                                            : output_write(options->common.output, write_listing, &writing);
    report_free(report);
    return status;
}
