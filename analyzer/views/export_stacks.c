/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stacks with a weight: folded lines (FlameGraph) and speedscope's file format. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json_memory.h"
#include "read/words.h"
#include "safe.h"
#include "views/export.h"
#include "views/json.h"

/* ---- folded ---- */

struct folded {
    char *stack;
    uint64_t value;
};

/* A semicolon separates frames. */
static void put_byte(FILE *out, char byte)
{
    fputc(byte == ';' ? ':' : byte, out);
}

static char *fold(const struct ledger *ledger, const struct ledger_place *place)
{
    const struct ledger_stack *stack = &ledger->stacks[place->stack];
    char *text, name[1024];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs(resource_label(place->resource), out);
    for (uint32_t i = stack->count; i-- > 0;) {
        export_frame_name(&ledger->frames[stack->frames[i]], name, sizeof(name));
        fputc(';', out);
        print_clean(out, name, put_byte);
    }
    return memory_stream_end(out, &text);
}

static int folded_order(const void *left, const void *right)
{
    return strcmp(((const struct folded *)left)->stack, ((const struct folded *)right)->stack);
}

static void print_folded(const struct folded *lines, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = lines[i].value;
        while (i + 1 < count && strcmp(lines[i].stack, lines[i + 1].stack) == 0)
            value += lines[++i].value;
        fprintf(out, "%s %" PRIu64 "\n", lines[i].stack, value);
    }
}

static int collect_folded(const struct ledger *ledger, const struct export_options *options,
                          struct folded *lines, size_t *count)
{
    for (size_t i = 0; i < ledger->place_count; i++) {
        const struct ledger_place *place = &ledger->places[i];
        uint64_t value = export_value(place, options->weight);
        if (value == 0 || !export_wants(options, place->resource))
            continue;
        lines[*count] = (struct folded){fold(ledger, place), value};
        if (!lines[*count].stack)
            return -ENOMEM;
        (*count)++;
    }
    return 0;
}

int export_folded(const struct ledger *ledger, const struct export_options *options, FILE *out)
{
    struct folded *lines = calloc(ledger->place_count + 1, sizeof(*lines));
    size_t count = 0;
    int result = lines ? collect_folded(ledger, options, lines, &count) : -ENOMEM;
    if (result == 0 && count > 1)
        qsort(lines, count, sizeof(*lines), folded_order);
    if (result == 0)
        print_folded(lines, count, out);
    for (size_t i = 0; i < count; i++)
        free(lines[i].stack);
    free(lines);
    return result < 0 ? result : ferror(out) ? -EIO : 0;
}

/* ---- speedscope ---- */

static json_t *frames(const struct ledger *ledger)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ledger->frame_count; i++) {
        const struct report_frame *frame = &ledger->frames[i];
        char name[1024];
        export_frame_name(frame, name, sizeof(name));
        json_t *object =
            json_pack("{s:o}", "name", json_safe(frame->function ? frame->function : name));
        if (frame->file || frame->module)
            json_object_set_new(object, "file", json_safe(frame->file ? frame->file : frame->module));
        if (frame->line)
            json_object_set_new(object, "line", json_integer(frame->line));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *sample(const struct ledger_stack *stack)
{
    json_t *list = json_array();
    for (uint32_t i = stack->count; i-- > 0;)
        json_array_append_new(list, json_integer(stack->frames[i]));
    return list;
}

/* NULL: it would be empty. */
static json_t *profile(const struct ledger *ledger, unsigned resource, enum export_weight weight)
{
    json_t *samples = json_array(), *weights = json_array();
    uint64_t total = 0;
    bool estimated = false;
    for (size_t i = 0; i < ledger->place_count; i++) {
        const struct ledger_place *place = &ledger->places[i];
        uint64_t value = export_value(place, weight);
        if (place->resource != resource || value == 0)
            continue;
        total += value;
        estimated |= place->estimated;
        json_array_append_new(samples, sample(&ledger->stacks[place->stack]));
        json_array_append_new(weights, json_whole(value));
    }
    if (total == 0) {
        json_decref(samples);
        json_decref(weights);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:s, s:i, s:o, s:o, s:o}", "type", "sampled", "name",
                     json_sprintf("%s: %s%s", resource_label(resource), export_weight_word(weight),
                                  estimated ? " (estimated)" : ""),
                     "unit",
                     weight == WEIGHT_BYTES ? "bytes" : "none", "startValue", 0, "endValue",
                     json_whole(total), "samples", samples, "weights", weights);
}

/* The weight asked for comes first: it is what is shown first. */
static json_t *profiles(const struct ledger *ledger, const struct export_options *options)
{
    json_t *list = json_array();
    for (unsigned k = 0; k < WEIGHT_COUNT; k++) {
        enum export_weight weight = (options->weight + k) % WEIGHT_COUNT;
        for (unsigned i = STRAY_RESOURCE_NONE + 1; i < STRAY_USER_END; i++) {
            json_t *one = export_wants(options, i) ? profile(ledger, i, weight) : NULL;
            if (one)
                json_array_append_new(list, one);
        }
    }
    return list;
}

int export_speedscope(const struct ledger *ledger, const struct export_options *options, FILE *out)
{
    json_memory_watch();
    return report_json_write(json_pack("{s:s, s:s, s:o, s:i, s:{s:o}, s:o}", "$schema",
                                       "https://www.speedscope.app/file-format-schema.json", "exporter",
                                       "stray", "name", json_safe(ledger->report->path),
                                       "activeProfileIndex", 0, "shared", "frames", frames(ledger),
                                       "profiles", profiles(ledger, options)),
                             out);
}
