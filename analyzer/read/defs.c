/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/defs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "read/array.h"
#include "read/pairs.h"
#include "stray/format.h"
#include "stray/wire.h"

#define ALIGNMENT   16u
#define SAMPLED_MAX (UINT64_C(1) << 40)

/* One whole record. */
struct record {
    uint64_t id;
    uint32_t epoch, size;
    const uint8_t *payload;
};

/* The NUL-ended string at *offset of the payload, or NULL; *offset moves behind it. */
static const char *take_string(const struct record *record, size_t *offset)
{
    const uint8_t *text = record->payload + *offset;
    const uint8_t *end = *offset < record->size ? memchr(text, '\0', record->size - *offset) : NULL;
    if (!end)
        return NULL;
    *offset += (size_t)(end - text) + 1;
    return (const char *)text;
}

static int add_text(struct texts *texts, const char *text)
{
    const char **grown = array_grow(texts->list, &texts->room, texts->count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    texts->list = grown;
    grown[texts->count++] = text;
    return 0;
}

static int parse_text(struct texts *texts, const struct record *record)
{
    size_t offset = 0;
    const char *text = take_string(record, &offset);
    return text ? add_text(texts, text) : 0;
}

static int parse_process(struct defs *defs, const struct record *record)
{
    size_t offset = sizeof(struct stray_def_process);
    const char *exe = record->size > offset ? take_string(record, &offset) : NULL;
    if (defs->identity || !exe)
        return 0;
    defs->identity = (const void *)record->payload;
    defs->exe = exe;
    for (uint32_t i = 0; i < defs->identity->words; i++) {
        const char *word = take_string(record, &offset);
        if (!word)
            break;
        int result = add_text(&defs->command, word);
        if (result < 0)
            return result;
    }
    return add_text(&defs->command, NULL);
}

static int parse_module(struct defs *defs, const struct record *record)
{
    const struct stray_def_module *fixed = (const void *)record->payload;
    if (record->size < sizeof(*fixed) || fixed->build_id_size > record->size - sizeof(*fixed) ||
        fixed->start > fixed->end)
        return 0;
    size_t offset = sizeof(*fixed) + fixed->build_id_size;
    const char *path = take_string(record, &offset);
    if (!path)
        return 0;
    struct module *grown = array_grow(defs->modules, &defs->module_room, defs->module_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    defs->modules = grown;
    grown[defs->module_count++] = (struct module){
        .start = fixed->start,
        .end = fixed->end,
        .file_offset = fixed->file_offset,
        .bias = fixed->bias,
        .epoch = record->epoch,
        .gone = fixed->gone != 0,
        .build_id = fixed->build_id_size ? record->payload + sizeof(*fixed) : NULL,
        .build_id_size = fixed->build_id_size,
        .path = path,
    };
    return 0;
}

static int parse_code(struct defs *defs, const struct record *record)
{
    const struct stray_def_code *fixed = (const void *)record->payload;
    size_t offset = sizeof(*fixed);
    const char *filename = record->size > offset ? take_string(record, &offset) : NULL;
    const char *name = filename ? take_string(record, &offset) : NULL;
    if (!name || fixed->table_size > record->size - offset || record->id > UINT32_MAX)
        return 0;
    struct code *grown = array_grow(defs->codes, &defs->code_room, defs->code_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    defs->codes = grown;
    grown[defs->code_count++] = (struct code){
        .id = (uint32_t)record->id,
        .first_line = fixed->first_line,
        .minor = fixed->minor,
        .filename = filename,
        .name = name,
        .table = record->payload + offset,
        .table_size = fixed->table_size,
    };
    return 0;
}

static int parse_endpoint(struct defs *defs, const struct record *record)
{
    size_t offset = 0;
    const char *text = take_string(record, &offset);
    if (!text)
        return 0;
    struct endpoint *grown =
        array_grow(defs->endpoints, &defs->endpoint_room, defs->endpoint_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    defs->endpoints = grown;
    grown[defs->endpoint_count++] = (struct endpoint){record->id, text};
    return 0;
}

static void parse_sampled(struct defs *defs, const struct record *record)
{
    size_t offset = 0;
    const char *text = take_string(record, &offset);
    char *end;
    uint64_t mean = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    if (mean > 0 && mean <= SAMPLED_MAX && *end == '\0')
        defs->sampled = mean;
}

static int parse_statement(struct defs *defs, const struct record *record)
{
    const struct stray_def_statement *fixed = (const void *)record->payload;
    size_t offset = sizeof(*fixed);
    const char *text = record->size > offset ? take_string(record, &offset) : NULL;
    if (!text)
        return 0;
    struct statement_text *grown =
        array_grow(defs->statements, &defs->statement_room, defs->statement_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    defs->statements = grown;
    grown[defs->statement_count++] = (struct statement_text){record->id, fixed->hash, fixed->flags, text};
    return 0;
}

static void parse_resource(struct defs *defs, const struct record *record)
{
    const struct stray_def_pair *fixed = (const void *)record->payload;
    size_t offset = sizeof(*fixed);
    const char *label = record->size > offset ? take_string(record, &offset) : NULL;
    if (!label || fixed->id < STRAY_USER_FIRST || fixed->id >= STRAY_USER_END)
        return;
    unsigned resource = pairs_resource(label, strlen(label));
    pairs_resource_found(resource);
    defs->resources[fixed->id - STRAY_USER_FIRST] = (uint8_t)resource;
}

static void parse_function(struct defs *defs, const struct record *record)
{
    const struct stray_def_pair *fixed = (const void *)record->payload;
    size_t offset = sizeof(*fixed);
    const char *name = record->size > offset ? take_string(record, &offset) : NULL;
    if (name && fixed->id >= STRAY_HOOK_USER && fixed->id - STRAY_HOOK_USER < STRAY_PAIR_FUNCTIONS)
        defs->functions[fixed->id - STRAY_HOOK_USER] = (uint16_t)pairs_function(name);
}

static int parse_record(struct defs *defs, uint16_t type, const struct record *record)
{
    switch (type) {
    case STRAY_DEF_PROCESS:
        return parse_process(defs, record);
    case STRAY_DEF_MODULE:
        return parse_module(defs, record);
    case STRAY_DEF_CODE:
        return parse_code(defs, record);
    case STRAY_DEF_ENDPOINT:
    case STRAY_DEF_DATABASE:
    case STRAY_DEF_PATH:
        return parse_endpoint(defs, record);
    case STRAY_DEF_STATEMENT:
        return parse_statement(defs, record);
    case STRAY_DEF_NOTE:
        return parse_text(&defs->notes, record);
    case STRAY_DEF_OPTION:
        return parse_text(&defs->options, record);
    case STRAY_DEF_SAMPLED:
        parse_sampled(defs, record);
        return 0;
    case STRAY_DEF_RESOURCE:
        parse_resource(defs, record);
        return 0;
    case STRAY_DEF_FUNCTION:
        parse_function(defs, record);
        return 0;
    default:
        return 0;
    }
}

/* True if a whole record begins at `bytes`. Checksums that fail are paid from `budget`, which keeps crafted
 * areas from costing quadratic time. */
static bool record_whole(const uint8_t *bytes, uint64_t left, uint64_t *budget)
{
    const struct stray_def_header *header = (const void *)bytes;
    if (left < sizeof(*header) || header->magic != STRAY_DEF_MAGIC || header->size > left - sizeof(*header) ||
        header->size > *budget)
        return false;
    uint32_t crc = stray_crc32c(0, &header->type, sizeof(header->type));
    crc = stray_crc32c(crc, &header->size, sizeof(header->size));
    if (stray_crc32c(crc, bytes + sizeof(*header), header->size) == header->crc)
        return true;
    *budget -= header->size;
    return false;
}

static int parse_extent(struct defs *defs, const struct extent *extent, uint64_t *budget)
{
    uint64_t at = (ALIGNMENT - extent->first % ALIGNMENT) % ALIGNMENT;
    while (at < extent->count) {
        const struct stray_def_header *header = (const void *)(extent->data + at);
        if (!record_whole(extent->data + at, extent->count - at, budget)) {
            at += ALIGNMENT;
            continue;
        }
        struct record record = {
            .id = (extent->first + at) / ALIGNMENT + 1,
            .epoch = header->epoch,
            .size = header->size,
            .payload = extent->data + at + sizeof(*header),
        };
        int result = parse_record(defs, header->type, &record);
        if (result < 0)
            return result;
        at += sizeof(*header) + ((uint64_t)header->size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return 0;
}

int defs_parse(const struct extents *area, struct defs *defs)
{
    *defs = (struct defs){0};
    uint64_t budget = (UINT64_C(64) << 20) + 4 * area->bytes;
    int result = 0;
    for (size_t i = 0; i < area->count && result == 0; i++)
        result = parse_extent(defs, &area->list[i], &budget);
    return result;
}

#define UNKNOWN 0xff /* no resource's number */

void defs_rename(const struct defs *defs, struct stray_event *event)
{
    unsigned number = event->resource - STRAY_USER_FIRST, function = event->hook - STRAY_HOOK_USER;
    if (event->resource < STRAY_USER_END)
        event->resource = number < sizeof(defs->resources) && defs->resources[number] ? defs->resources[number] : UNKNOWN;
    if (event->hook >= STRAY_HOOK_USER)
        event->hook = function < STRAY_PAIR_FUNCTIONS ? defs->functions[function] : STRAY_HOOK_NONE;
}

void defs_free(struct defs *defs)
{
    free(defs->codes);
    free(defs->endpoints);
    free(defs->statements);
    free(defs->modules);
    free(defs->notes.list);
    free(defs->options.list);
    free(defs->command.list);
    *defs = (struct defs){0};
}
