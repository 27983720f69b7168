/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray verify: checks every byte of a trace, and says what is wrong. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "json_memory.h"
#include "read/loader.h"

#define STACKS_KNOWN (UINT32_C(1) << 22) /* as many as a spool holds */

static const char usage[] =
    "usage: stray verify [TRACE...] [--format text|json]\n"
    "\n"
    "Reads traces through and writes a line for each: sound, damaged (and how), or\n"
    "unreadable.\n"
    "Exit status: 0 all are sound, 1 some are damaged but can be read, 2 some cannot\n"
    "be read.\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n";

struct finding {
    const char *path;
    const struct damage *damage;
    uint64_t events, unknown_stacks;
    char wrong[640]; /* empty: sound */
};

/* Which stacks are known to be there, by id: to look each up for every event would take as long as reading them. */
struct reading {
    const struct trace *trace;
    struct finding *finding;
    uint8_t *known;
    uint32_t known_end;
};

/* An event that names a stack the trace does not have: a frame of the stack table is gone. */
static bool stack_unknown(struct reading *reading, uint32_t stack)
{
    if (stack == 0 || (stack < reading->known_end && reading->known[stack]))
        return false;
    bool known = trace_node(reading->trace, stack);
    if (stack < reading->known_end)
        reading->known[stack] = known;
    return !known;
}

static void read_events(void *data, const struct stray_event *events, uint32_t count)
{
    struct reading *reading = data;
    uint64_t exist = 0, unknown = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].action == 0)
            continue;
        exist++;
        unknown += stack_unknown(reading, events[i].stack);
    }
    reading->finding->events += exist;
    reading->finding->unknown_stacks += unknown;
}

/* In the trace of a live process the newest stacks may simply not have been copied yet. */
static int read_through(struct trace *trace, struct finding *finding)
{
    struct reading reading = {.trace = trace, .finding = finding, .known_end = STACKS_KNOWN};
    if (trace_node_count(trace) < STACKS_KNOWN)
        reading.known_end = trace_node_count(trace) + 1;
    reading.known = calloc(reading.known_end, 1);
    int result = reading.known ? loader_each(trace, read_events, &reading) : -ENOMEM;
    free(reading.known);
    if (trace_process(trace)->running)
        finding->unknown_stacks = 0;
    return result;
}

static void describe(struct finding *finding)
{
    damage_describe(finding->damage, finding->wrong, sizeof(finding->wrong) - 64);
    if (finding->unknown_stacks == 0)
        return;
    size_t used = 0;
    while (finding->wrong[used])
        used++;
    snprintf(finding->wrong + used, sizeof(finding->wrong) - used, "%s%" PRIu64 " events with missing stacks",
             used ? ", " : "", finding->unknown_stacks);
}

static void print_text(const struct finding *finding)
{
    const struct damage *damage = finding->damage;
    print_safe(stdout, finding->path);
    printf(": %s%s: %" PRIu64 " frames, %" PRIu64 " events", finding->wrong[0] ? "damaged: " : "sound",
           finding->wrong, damage->frames_read, finding->events);
    if (damage->events_recovered)
        printf(", %" PRIu64 " of them from the spool", damage->events_recovered);
    if (damage->lost_events)
        printf(", %" PRIu64 " lost while recording", damage->lost_events);
    putchar('\n');
}

static bool print_json(const struct finding *finding)
{
    const struct damage *damage = finding->damage;
    json_t *object =
        json_pack("{s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "path",
                  json_text(finding->path), "state", finding->wrong[0] ? "damaged" : "sound", "complete",
                  damage->complete, "events", json_number(finding->events), "frames",
                  json_number(damage->frames_read), "frames_damaged", json_number(damage->frames_damaged),
                  "frames_missing", json_number(damage->frames_missing), "bytes_skipped",
                  json_number(damage->bytes_skipped), "truncated", damage->truncated, "recovered_events",
                  json_number(damage->events_recovered), "lost_events", json_number(damage->lost_events),
                  "damage", finding->wrong[0] ? json_text(finding->wrong) : json_null(), "offset",
                  damage->offset ? json_number(damage->offset) : json_null());
    return json_print(object, JSON_COMPACT);
}

static int unreadable(const char *path, const struct error *error, bool json)
{
    fail("%s", error->text);
    if (json)
        json_print(json_pack("{s:o, s:s}", "path", json_text(path), "state", "unreadable"), JSON_COMPACT);
    return STATUS_UNREADABLE;
}

static int verify_file(const char *path, bool json)
{
    struct trace *trace;
    struct error error;
    if (trace_open(path, &trace, &error) < 0)
        return unreadable(path, &error, json);
    struct finding finding = {.path = path, .damage = trace_damage(trace)};
    bool printed = read_through(trace, &finding) == 0;
    if (printed)
        describe(&finding);
    if (printed && json)
        printed = print_json(&finding);
    else if (printed)
        print_text(&finding);
    trace_close(trace);
    if (!printed)
        return fail("%s: out of memory", path);
    return finding.wrong[0] ? STATUS_DAMAGED : STATUS_DONE;
}

int command_verify(int argc, char **argv)
{
    struct simple_options options;
    struct inputs inputs;
    int worst;
    if (!simple_verb_begin(argc, argv, usage, inputs_find_all, &options, &inputs, &worst))
        return worst;
    for (size_t i = 0; i < inputs.count; i++) {
        int status = verify_file(inputs.paths[i], options.json);
        worst = status > worst ? status : worst;
    }
    inputs_free(&inputs);
    int finished = output_finish();
    return finished > worst ? finished : worst;
}
