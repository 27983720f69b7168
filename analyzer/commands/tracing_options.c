/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/tracing_options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "commands/common.h"
#include "commands/nearest.h"
#include "commands/options.h"
#include "commands/pair_options.h"

#define INTERVAL_MIN 0.01      /* seconds */
#define INTERVAL_MAX 86400e3
#define DEPTH_MAX 200 /* the shim keeps no more */
#define SAMPLE_MAX (UINT64_C(1) << 30) /* ... and samples no less */
#define PREFIX (sizeof("STRAY_") - 1)
#define TAKEN '-' /* begins what the shim has put in place of a value that leaves out children */

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

/* Its twin of the other sense, which may have been there before, is not to speak against it. */
static int set_instead(const char *name, const char *value, const char *other)
{
    unsetenv(other);
    return set(name, value);
}

static int set_follow(bool follow)
{
    return set_instead("STRAY_FOLLOW", follow ? "1" : "0", "STRAY_NO_FOLLOW");
}

/* ---- values: `what` is the option or the variable that has `text`, for the message ---- */

static int set_depth(const char *what, const char *text)
{
    const char *end;
    uint64_t depth;
    if (!digits_parse(text, &end, &depth) || *end || depth < 1 || depth > DEPTH_MAX)
        return fail("%s%s: must be a number from 1 to %d", what, text, DEPTH_MAX);
    return set_number("STRAY_DEPTH", depth);
}

static int set_size(const char *what, const char *text)
{
    uint64_t size;
    if (!size_parse(text, &size) || size == 0)
        return fail("%s%s: must be a size like 500M", what, text);
    return set_number("STRAY_MAX_SIZE", size);
}

static int set_sample(const char *what, const char *text)
{
    uint64_t size;
    if (!size_parse(text, &size) || size == 0 || size > SAMPLE_MAX)
        return fail("%s%s: must be a size like 512K, from 1 to 1G", what, text);
    return set_number("STRAY_SAMPLE", size);
}

static int set_interval(const char *what, const char *text)
{
    double seconds;
    if (!seconds_parse(text, &seconds) || seconds < INTERVAL_MIN || seconds > INTERVAL_MAX)
        return fail("%s%s: must be a time from 10 ms to 1000 days, like 1s or 5m", what, text);
    return set("STRAY_INTERVAL", text);
}

static int set_sql(const char *what, const char *mode)
{
    if (strcmp(mode, "off") == 0 || strcmp(mode, "normalised") == 0 || strcmp(mode, "text") == 0)
        return set("STRAY_SQL", mode);
    return fail("%s%s: must be normalised, text or off", what, mode);
}

static int set_python_memory(const char *what, const char *mode)
{
    if (strcmp(mode, "off") == 0 || strcmp(mode, "sampled") == 0 || strcmp(mode, "exact") == 0)
        return set("STRAY_PYTHON_MEMORY", mode);
    return fail("%s%s: must be off, sampled or exact", what, mode);
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

/* What several options name adds up; what the variable held before does not. */
static int add_only(struct tracing_options *options, const char *list)
{
    const char *before = options->only ? getenv("STRAY_ONLY") : NULL;
    char *all;
    if (!*list)
        return fail("--only: no resource is named");
    if (asprintf(&all, "%s%s%s", before ? before : "", before ? "," : "", list) < 0)
        return fail("--only: %s", error_reason(-ENOMEM));
    int status = set("STRAY_ONLY", all);
    free(all);
    options->only = true;
    return status;
}

/* With the names of pairs, which options behind it may define. */
static int check_only(const struct tracing_options *options)
{
    const char *list = getenv("STRAY_ONLY");
    for (const char *word = list && *list ? list : NULL; word;) {
        size_t length = strcspn(word, ",");
        if (resource_parse(word, length) == STRAY_RESOURCE_NONE && !pair_options_define(word, length))
            return fail("%s%s: no resource \"%.*s\"", options->only ? "--only " : "STRAY_ONLY=", list, (int)length, word);
        word = word[length] ? word + length + 1 : NULL;
    }
    return STATUS_DONE;
}

static int set_tracing(struct tracing_options *options, int code)
{
    switch (code) {
    case TRACING_OPTION_FULL:
        return set("STRAY_FULL", "1");
    case TRACING_OPTION_DEPTH:
        return set_depth("--depth ", optarg);
    case TRACING_OPTION_NO_HEAP:
        return set_instead("STRAY_HEAP", "0", "STRAY_NO_HEAP");
    case TRACING_OPTION_ONLY:
        return add_only(options, optarg);
    case TRACING_OPTION_MAX_SIZE:
        return set_size("--max-size ", optarg);
    case TRACING_OPTION_INTERVAL:
        return set_interval("--interval ", optarg);
    case TRACING_OPTION_FOLLOW:
        return set_follow(true);
    case TRACING_OPTION_NO_FOLLOW:
        return set_follow(false);
    case TRACING_OPTION_SPOOL:
        return set_spool(optarg);
    case TRACING_OPTION_SQL:
        return set_sql("--sql ", optarg);
    case TRACING_OPTION_SAMPLE:
        return set_sample("--sample ", optarg);
    case TRACING_OPTION_PYTHON:
        return set_python_memory("--python-memory ", optarg);
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

/* ---- what the environment held before ---- */

/* Whether a word says yes or no, as the shim understands it. */
static bool switch_parse(const char *word, bool *ret_on)
{
    static const char *const words[] = {"0", "off", "no", "false", "n", "1", "on", "yes", "true", "y"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcasecmp(word, words[i]) == 0) {
            *ret_on = i >= 5;
            return true;
        }
    return false;
}

static int check_switch(const char *what, const char *text)
{
    bool on;
    return switch_parse(text, &on) ? STATUS_DONE : fail("%s%s: must be 1 or 0", what, text);
}

/* Where a program that is traced alone begins this one, the shim has left a mark there. */
static int check_follow(const char *what, const char *text)
{
    return *text == TAKEN ? STATUS_DONE : check_switch(what, text);
}

static int check_spool(const char *what, const char *text)
{
    (void)what;
    return set_spool(text);
}

#define TWIN(name, check, off) {name, name "=", check, off}
static const struct {
    const char *name, *what;
    int (*check)(const char *what, const char *text);
    bool off; /* "0" is none */
} twins[] = {
    TWIN("STRAY_DEPTH", set_depth, false),      TWIN("STRAY_MAX_SIZE", set_size, true),
    TWIN("STRAY_SAMPLE", set_sample, true),     TWIN("STRAY_PYTHON_MEMORY", set_python_memory, false),
    TWIN("STRAY_SQL", set_sql, false),          TWIN("STRAY_INTERVAL", set_interval, false),
    TWIN("STRAY_SPOOL", check_spool, false),    TWIN("STRAY_FULL", check_switch, false),
    TWIN("STRAY_HEAP", check_switch, false),    TWIN("STRAY_NO_HEAP", check_switch, false),
    TWIN("STRAY_FOLLOW", check_follow, false),  TWIN("STRAY_NO_FOLLOW", check_follow, false),
};
#undef TWIN

/* What options have set is looked at once more. Empty is as if it were not there. */
static int check_environment(void)
{
    int status = STATUS_DONE;
    for (size_t i = 0; status == STATUS_DONE && i < sizeof(twins) / sizeof(*twins); i++) {
        const char *text = getenv(twins[i].name);
        if (text && *text && !(twins[i].off && strcmp(text, "0") == 0))
            status = twins[i].check(twins[i].what, text);
        else if (text)
            unsetenv(twins[i].name);
    }
    return status;
}

/* Those that are not checked here. Past the third stand those that only the tracer sets. */
static const char *const others[] = {"STRAY_OUTPUT",     "STRAY_ONLY",   "STRAY_PAIR",       "STRAY_PREVIOUS",
                                     "STRAY_SILENT",     "STRAY_ROOT",   "STRAY_TRACE_PATH", "STRAY_SPOOL_PATH"};
enum { OTHERS = sizeof(others) / sizeof(*others), OTHERS_FOR_USERS = 3, TWINS = sizeof(twins) / sizeof(*twins) };

static bool is_setting(const char *name, size_t length)
{
    for (size_t i = 0; i < OTHERS + TWINS; i++) {
        const char *known = i < OTHERS ? others[i] : twins[i - OTHERS].name;
        if (strlen(known) == length && strncmp(known, name, length) == 0)
            return true;
    }
    return false;
}

/* A warning only, and only of what is near to a setting: other tools may have variables whose names begin so, too. */
static void note_mistyped(const char *name, size_t length)
{
    struct nearest nearest = {.word = name + PREFIX, .length = length - PREFIX};
    char hint[NEAREST_HINT];
    for (size_t i = 0; i < OTHERS_FOR_USERS + TWINS; i++)
        nearest_try(&nearest, (i < OTHERS_FOR_USERS ? others[i] : twins[i - OTHERS_FOR_USERS].name) + PREFIX);
    if (nearest.found)
        note("%.*s: no such setting%s", (int)length, name, nearest_hint(&nearest, "STRAY_", hint));
}

static void note_mistyped_settings(void)
{
    for (char **entry = environ; *entry; entry++) {
        size_t length = strcspn(*entry, "=");
        if (strncmp(*entry, "STRAY_", PREFIX) == 0 && !is_setting(*entry, length))
            note_mistyped(*entry, length);
    }
}

/* ---- all together ---- */

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
    bool on;
    if (!getenv("STRAY_SAMPLE"))
        return STATUS_DONE;
    if (heap && switch_parse(heap, &on) && !on)
        return fail("--sample: with --no-heap there is nothing to sample");
    if (only && *only && !lists_heap(only))
        return fail("--sample: --only %s leaves out the heap, and there is nothing else to sample", only);
    if (full && switch_parse(full, &on) && on)
        return fail("--sample: with --full every block is recorded");
    return STATUS_DONE;
}

/* Whether children are left out: by an option, by its twin, or because this program is one of those. */
static bool is_alone(void)
{
    const char *follow = getenv("STRAY_FOLLOW"), *no = getenv("STRAY_NO_FOLLOW");
    bool on;
    return (follow && (*follow == TAKEN || (switch_parse(follow, &on) && !on))) ||
           (no && (*no == TAKEN || (switch_parse(no, &on) && on)));
}

/* Programs that the root executes in other processes find that they are not the root. One that is asked for by name is one, whatever
 * traces the program that asks. */
static int set_root(pid_t root)
{
    if (!is_alone())
        return unsetenv("STRAY_ROOT") == 0 ? STATUS_DONE : fail("STRAY_ROOT: %s", error_reason(-errno));
    int status = set_follow(false);
    return status == STATUS_DONE ? set_number("STRAY_ROOT", (uint64_t)root) : status;
}

int tracing_options_finish(const struct tracing_options *options, pid_t root)
{
    int status = check_environment();
    if (status == STATUS_DONE)
        status = pair_options_finish();
    if (status == STATUS_DONE)
        status = check_only(options);
    if (status == STATUS_DONE)
        status = check_sample();
    if (status == STATUS_DONE)
        note_mistyped_settings();
    return status == STATUS_DONE ? set_root(root) : status;
}
