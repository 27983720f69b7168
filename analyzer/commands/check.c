/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray check: the report as an exit status, for CI. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/output.h"
#include "views/check.h"

#define LIMITS_MAX            64
#define SUPPRESSIONS_MAX_SIZE (16u << 20)

static const char usage[] =
    "usage: stray check [TRACE...] [options]\n"
    "\n"
    "Says by its exit status whether a trace has findings that must not be.\n"
    "\n"
    "  --fail-on WORD,...     verdicts (leaked, creep, churn, ...) and severities\n"
    "                         (error, warning, note) that fail; without it:\n"
    "                         error,warning; may be repeated\n"
    "  --max-open PEER=N      fail if more than N connections to a peer were open at\n"
    "                         once; PEER may be a glob; may be repeated\n"
    "  --max-growth SIZE/h    fail if resident memory grew faster, the tracer's own\n"
    "                         left out\n"
    "  --min-duration TIME    a shorter run is inconclusive\n"
    "  --suppressions FILE    findings not to be told: lines like leak:PATTERN, as\n"
    "                         for LeakSanitizer, or connection:PATTERN  # until\n"
    "                         2026-12-31; may be repeated\n"
    "  --gen-suppressions     write such a file for all that fails, instead of the\n"
    "                         result\n"
    "  --format text|json|sarif|junit\n"
    "  --source-root DIR      SARIF: paths below DIR are told relative to it\n"
    "  --library, --mine GLOB whose code it is, as in stray report; may be repeated\n"
    "  -o, --output FILE      write there instead of to standard output (made with\n"
    "                         mode 0600)\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n"
    "Exit status: 0 clean; 1 findings that fail, or a limit was not kept; 2 wrong\n"
    "usage or nothing that can be read; 3 inconclusive: too short, not complete, or\n"
    "more than 0.1 % of the events lost.\n";

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SARIF, FORMAT_JUNIT };

struct options {
    struct check_rules rules;
    struct check_limit limits[LIMITS_MAX];
    struct suppressions suppressions;
    enum format format;
    bool fail_on_given, generate;
    const char *source_root;
    struct common_options common;
};

enum {
    OPTION_FAIL_ON = 256,
    OPTION_MAX_OPEN,
    OPTION_MAX_GROWTH,
    OPTION_MIN_DURATION,
    OPTION_SUPPRESSIONS,
    OPTION_GENERATE,
    OPTION_FORMAT,
    OPTION_SOURCE_ROOT
};

static const struct option long_options[] = {
    {"fail-on", required_argument, NULL, OPTION_FAIL_ON},
    {"max-open", required_argument, NULL, OPTION_MAX_OPEN},
    {"max-growth", required_argument, NULL, OPTION_MAX_GROWTH},
    {"min-duration", required_argument, NULL, OPTION_MIN_DURATION},
    {"suppressions", required_argument, NULL, OPTION_SUPPRESSIONS},
    {"gen-suppressions", no_argument, NULL, OPTION_GENERATE},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"source-root", required_argument, NULL, OPTION_SOURCE_ROOT},
    COMMON_OPTIONS,
};

static bool is_word(const char *name, const char *word, size_t length)
{
    return strlen(name) == length && strncmp(name, word, length) == 0;
}

static bool fail_on_word(struct check_rules *rules, const char *word, size_t length)
{
    for (unsigned i = 0; i < VERDICT_COUNT; i++)
        if (is_word(verdict_name((enum verdict)i), word, length))
            return rules->verdicts[i] = true;
    for (unsigned i = 0; i < SEVERITY_NONE; i++)
        if (is_word(severity_name((enum severity)i), word, length))
            return rules->severities[i] = true;
    return false;
}

static int add_fail_on(struct options *options, const char *list)
{
    struct check_rules *rules = &options->rules;
    if (!options->fail_on_given) {
        memset(rules->verdicts, 0, sizeof(rules->verdicts));
        memset(rules->severities, 0, sizeof(rules->severities));
        options->fail_on_given = true;
    }
    for (const char *word = list;; word++) {
        size_t length = strcspn(word, ",");
        if (!fail_on_word(rules, word, length))
            return fail("--fail-on %.*s: no such verdict or severity", (int)length, word);
        word += length;
        if (!*word)
            return STATUS_DONE;
    }
}

/* The peer is the argument's. */
static int add_limit(struct options *options, char *text)
{
    const char *value = option_value(text);
    if (!value)
        return fail("--max-open %s: must be like db:5432=20", text);
    if (options->rules.limit_count == LIMITS_MAX)
        return fail("--max-open %s: more than %d", text, LIMITS_MAX);
    options->limits[options->rules.limit_count++] = (struct check_limit){.peer = text};
    return option_count("--max-open", value, &options->limits[options->rules.limit_count - 1].most);
}

static int set_growth(struct check_rules *rules, const char *text)
{
    char size_text[64];
    uint64_t size;
    size_t length = strlen(text);
    if (length < 3 || length > sizeof(size_text) || strcmp(text + length - 2, "/h") != 0)
        return fail("--max-growth %s: must be like 10M/h", text);
    snprintf(size_text, sizeof(size_text), "%.*s", (int)length - 2, text);
    int status = option_size("--max-growth", size_text, &size);
    rules->growth_given = true;
    rules->growth = (double)size;
    return status;
}

/* The content of the file, or of standard input for "-", with a NUL behind it; NULL with errno set. */
static char *read_file(const char *path)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    char *content = in ? malloc(SUPPRESSIONS_MAX_SIZE + 1) : NULL;
    size_t size = content ? fread(content, 1, SUPPRESSIONS_MAX_SIZE + 1, in) : 0;
    int error = !in || !content || ferror(in) ? errno : size > SUPPRESSIONS_MAX_SIZE ? EFBIG : 0;
    if (in)
        fclose(in);
    else if (fd >= 0)
        close(fd);
    if (error) {
        free(content);
        errno = error;
        return NULL;
    }
    content[size] = '\0';
    return content;
}

static int set_suppressions(struct options *options, const char *path)
{
    struct error error;
    char *content = read_file(path);
    if (!content)
        return fail("%s: %s", path, error_reason(-errno));
    int result = suppressions_add(path, content, &options->suppressions, &error);
    free(content);
    if (result < 0)
        return fail("%s", error.text);
    options->rules.suppressions = &options->suppressions;
    return STATUS_DONE;
}

static int set_format(struct options *options, const char *format)
{
    static const char *const words[] = {"text", "json", "sarif", "junit"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcmp(words[i], format) == 0) {
            options->format = (enum format)i;
            return STATUS_DONE;
        }
    }
    return fail("--format %s: must be text, json, sarif or junit", format);
}

static int set_option(void *data, int code)
{
    struct options *options = data;
    switch (code) {
    case OPTION_FAIL_ON:
        return add_fail_on(options, optarg);
    case OPTION_MAX_OPEN:
        return add_limit(options, optarg);
    case OPTION_MAX_GROWTH:
        return set_growth(&options->rules, optarg);
    case OPTION_MIN_DURATION:
        return option_seconds("--min-duration", optarg, &options->rules.min_duration_s);
    case OPTION_SUPPRESSIONS:
        return set_suppressions(options, optarg);
    case OPTION_GENERATE:
        options->generate = true;
        return STATUS_DONE;
    case OPTION_FORMAT:
        return set_format(options, optarg);
    case OPTION_SOURCE_ROOT:
        if (optarg[0] != '/')
            return fail("--source-root %s: must be an absolute path", optarg);
        options->source_root = optarg;
        return STATUS_DONE;
    default:
        return common_option(&options->common, code);
    }
}

static int parse(int argc, char **argv, struct options *options)
{
    options->rules.limits = options->limits;
    options->rules.severities[SEVERITY_ERROR] = options->rules.severities[SEVERITY_WARNING] = true;
    return options_parse(argc, argv, ":o:", long_options, set_option, options);
}

struct outcome {
    const struct check *check;
    const struct options *options;
};

static int write_outcome(void *data, FILE *out)
{
    const struct outcome *outcome = data;
    const struct options *options = outcome->options;
    if (options->generate)
        return check_write_suppressions(outcome->check, out);
    switch (options->format) {
    case FORMAT_JSON:
        return check_write_json(outcome->check, out);
    case FORMAT_SARIF:
        return check_write_sarif(outcome->check, options->source_root, out);
    case FORMAT_JUNIT:
        return check_write_junit(outcome->check, out);
    default:
        return check_write_text(outcome->check, out);
    }
}

static int judge_report(const struct report *report, const struct options *options)
{
    struct check check;
    if (check_make(report, &options->rules, &check) < 0)
        return fail("%s", error_reason(-ENOMEM));
    struct outcome outcome = {&check, options};
    int status = output_write(options->common.output, write_outcome, &outcome);
    if (status == STATUS_DONE)
        status = (int)check.result;
    check_clear(&check);
    return status;
}

static int check_inputs(const struct inputs *inputs, void *data)
{
    const struct options *options = data;
    struct report_options how = {.library = options->common.whose.library.items, .mine = options->common.whose.mine.items, .all = true,
                                 .left_out = inputs->left_out};
    struct report *report;
    struct error error = {.text = ""};
    if (report_build(inputs->paths, inputs->count, inputs->given, &how, &report, &error) < 0)
        return fail("%s", error.text);
    int status = judge_report(report, options);
    report_free(report);
    return status;
}

int command_check(int argc, char **argv)
{
    struct options options = {0};
    int status = parse(argc, argv, &options);
    status = inputs_use(status, argc, argv, usage, options.common.output, check_inputs, &options);
    suppressions_clear(&options.suppressions);
    return status;
}
