/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/tracing_options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands/common.h"
#include "commands/options.h"
#include "commands/pair_options.h"

#define INTERVAL_MIN 0.01      /* seconds */
#define INTERVAL_MAX 86400e3
#define DEPTH_MAX 200 /* the shim keeps no more */
#define SAMPLE_MAX (UINT64_C(1) << 30) /* ... and samples no less */

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

static int set_follow(struct tracing_options *options, bool follow)
{
    options->alone = !follow;
    return set("STRAY_FOLLOW", follow ? "1" : "0");
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
    double seconds;
    int status = option_seconds("--interval", text, &seconds);
    if (status != STATUS_DONE)
        return status;
    if (seconds < INTERVAL_MIN || seconds > INTERVAL_MAX)
        return fail("--interval %s: must be a time from 10 ms to 1000 days, like 1s or 5m", text);
    return set("STRAY_INTERVAL", text);
}

/* What several options name adds up; what the variable held before does not. */
static int add_only(struct tracing_options *options, const char *list)
{
    const char *before = options->only ? getenv("STRAY_ONLY") : NULL;
    char *all;
    if (asprintf(&all, "%s%s%s", before ? before : "", before ? "," : "", list) < 0)
        return fail("--only: %s", error_reason(-ENOMEM));
    int status = set("STRAY_ONLY", all);
    free(all);
    options->only = true;
    return status;
}

/* With the names of pairs, which options behind it may define. */
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
    if (!path)
        return refuse(folder, error_reason(-errno));
    int status = set("STRAY_SPOOL", path);
    free(path);
    return status;
}

static int set_tracing(struct tracing_options *options, int code)
{
    switch (code) {
    case TRACING_OPTION_FULL:
        return set("STRAY_FULL", "1");
    case TRACING_OPTION_DEPTH:
        return set_depth(optarg);
    case TRACING_OPTION_NO_HEAP:
        return set("STRAY_HEAP", "0");
    case TRACING_OPTION_ONLY:
        return add_only(options, optarg);
    case TRACING_OPTION_MAX_SIZE:
        return set_size(optarg);
    case TRACING_OPTION_INTERVAL:
        return set_interval(optarg);
    case TRACING_OPTION_FOLLOW:
        return set_follow(options, true);
    case TRACING_OPTION_NO_FOLLOW:
        return set_follow(options, false);
    case TRACING_OPTION_SPOOL:
        return set_spool(optarg);
    case TRACING_OPTION_SQL:
        return set_sql(optarg);
    case TRACING_OPTION_SAMPLE:
        return set_sample(optarg);
    case TRACING_OPTION_PYTHON:
        return set_python_memory(optarg);
    case TRACING_OPTION_PAIR:
        return pair_options_add(optarg);
    default:
        return pair_options_add_file(optarg);
    }
}

int tracing_options_set(struct tracing_options *options, int code)
{
    switch (code) {
    case 'o':
        options->output = optarg;
        return STATUS_DONE;
    case TRACING_OPTION_FORCE:
        options->force = true;
        return STATUS_DONE;
    case TRACING_OPTION_HELP:
        return STATUS_HELP;
    default:
        return set_tracing(options, code);
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

int tracing_options_finish(const struct tracing_options *options, pid_t root)
{
    int status = pair_options_finish();
    if (status == STATUS_DONE)
        status = check_only();
    if (status == STATUS_DONE)
        status = check_sample();
    /* Programs that the root executes in other processes find that they are not the root. */
    return status == STATUS_DONE && options->alone ? set_number("STRAY_ROOT", (uint64_t)root) : status;
}
