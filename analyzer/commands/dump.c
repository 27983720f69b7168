/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray dump: every event as a line. */
#include <inttypes.h>
#include <string.h>

#include "commands/bar.h"
#include "commands/commands.h"
#include "commands/common.h"
#include "json_memory.h"
#include "read/merge.h"
#include "read/words.h"

static const char usage[] =
    "usage: stray dump [TRACE...] [--format text|json]\n"
    "\n"
    "Writes every event as a line, in the order of time. The columns of text are:\n"
    "seconds since the process started, thread, action, resource, hook, handle,\n"
    "value, stack (0: none taken), and where the value is a definition, its text: an\n"
    "endpoint or a statement. Several traces each begin with a line '# PATH'.\n"
    "JSON: one object a line.\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n";

struct event_line {
    const struct trace *trace;
    const struct stray_event *event;
    uint32_t thread, lane;
};

/* A word for each number, also for those this version does not know. */
struct words {
    char action[32], resource[32], hook[64];
};

static void word_or_number(char *to, size_t size, const char *word, const char *kind, unsigned number)
{
    if (word)
        snprintf(to, size, "%s", word);
    else if (number == 0)
        snprintf(to, size, "-");
    else
        snprintf(to, size, "%s-%u", kind, number);
}

static struct words words_of(const struct stray_event *event)
{
    struct words words;
    word_or_number(words.action, sizeof(words.action), action_word(event->action), "action", event->action);
    word_or_number(words.resource, sizeof(words.resource), resource_label(event->resource), "resource",
                   event->resource);
    word_or_number(words.hook, sizeof(words.hook), hook_name(event->hook), "hook", event->hook);
    return words;
}

static bool handle_is_address(const struct stray_event *event)
{
    enum stray_key key;
    return event->resource != STRAY_RESOURCE_NONE &&
           (!resource_key(event->resource, &key) || key == STRAY_KEY_ADDRESS || key == STRAY_KEY_NAME);
}

static const char *endpoint_of(const struct event_line *line)
{
    uint64_t id = endpoint_in(line->event);
    return id ? trace_endpoint(line->trace, id) : NULL;
}

/* NULL: none. */
static const struct statement_text *statement_of(const struct event_line *line)
{
    bool has_one = line->event->action == STRAY_STATEMENT;
    return has_one ? trace_statement(line->trace, (uint32_t)line->event->value) : NULL;
}

static void print_text(const struct event_line *line)
{
    const struct stray_event *event = line->event;
    struct words words = words_of(event);
    printf("%.9f %" PRIu32 " %s %s %s ", trace_seconds(line->trace, event->time), line->thread, words.action,
           words.resource, words.hook);
    printf(handle_is_address(event) ? "0x%" PRIx64 : "%" PRIu64, event->handle);
    printf(" %" PRIu64 " %" PRIu32, event->value, event->stack);
    const struct statement_text *statement = statement_of(line);
    const char *text = statement ? statement->text : endpoint_of(line);
    if (text) {
        putchar(' ');
        print_safe(stdout, text);
    }
    putchar('\n');
}

static json_t *known(const char *word)
{
    return strcmp(word, "-") == 0 ? json_null() : json_string(word);
}

static bool print_json(const struct event_line *line)
{
    const struct stray_event *event = line->event;
    struct words words = words_of(event);
    const char *endpoint = endpoint_of(line);
    const struct statement_text *statement = statement_of(line);
    json_t *handle =
        handle_is_address(event) ? json_sprintf("0x%" PRIx64, event->handle) : json_number(event->handle);
    json_t *object = json_pack("{s:I, s:f, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:I}", "pid",
                               (json_int_t)trace_process(line->trace)->pid, "seconds",
                               trace_seconds(line->trace, event->time), "thread", (json_int_t)line->thread,
                               "lane", (json_int_t)line->lane, "action", known(words.action), "resource",
                               known(words.resource), "hook", known(words.hook), "handle", handle, "value",
                               json_number(event->value), "stack", (json_int_t)event->stack);
    if (object && endpoint)
        json_object_set_new(object, "endpoint", json_text(endpoint));
    if (object && statement)
        json_object_set_new(object, "statement", json_text(statement->text));
    return json_print(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
}

static int dump_events(struct trace *trace, bool json)
{
    struct merge *merge;
    struct error error;
    struct stray_event event;
    struct event_line line = {.trace = trace, .event = &event};
    if (merge_open(trace, &merge, &error) < 0)
        return fail("%s", error.text);
    int result;
    while ((result = merge_next(merge, &event, &line.lane, &line.thread)) > 0) {
        if (ferror(stdout))
            break;
        if (!json)
            print_text(&line);
        else if (!print_json(&line) && (result = -1) < 0)
            break;
    }
    merge_close(merge);
    return result < 0 ? fail("%s: out of memory", trace_path(trace)) : STATUS_DONE;
}

static int dump_file(const char *path, bool json, bool name)
{
    struct trace *trace;
    struct error error;
    char damage[512];
    if (trace_open(path, &trace, &error) < 0)
        return fail("%s", error.text);
    if (name) {
        fputs("# ", stdout);
        print_safe(stdout, path);
        putchar('\n');
    }
    int status = dump_events(trace, json);
    damage_describe(trace_damage(trace), damage, sizeof(damage));
    if (status == STATUS_DONE && damage[0])
        fail("%s: incomplete: %s", path,
             damage); /* for people to know; something was read, so the status is 0 */
    trace_close(trace);
    return status;
}

int command_dump(int argc, char **argv)
{
    struct simple_options options;
    struct inputs inputs;
    int status;
    if (!simple_verb_begin(argc, argv, usage, inputs_find, &options, &inputs, &status))
        return status;
    bar_yield();
    for (size_t i = 0; i < inputs.count && !ferror(stdout); i++)
        if (dump_file(inputs.paths[i], options.json, inputs.count > 1 && !options.json) != STATUS_DONE)
            status = STATUS_UNREADABLE;
    inputs_free(&inputs);
    int finished = output_finish();
    return status != STATUS_DONE ? status : finished;
}
