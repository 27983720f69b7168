/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FORMAT.md and format.h say the same: byte tables, constants, numbers of enumerations, and the annotated
 * dump. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"
#include "stray/format.h"

#define DOCUMENT SOURCE_ROOT "/include/stray/FORMAT.md"
#define HEADER   SOURCE_ROOT "/include/stray/format.h"

struct field {
    const char *type, *name;
    size_t offset, size;
};

#define FIELD(type, name)                                                                                    \
    {                                                                                                        \
#        type, #        name, offsetof(struct type, name), sizeof(((struct type *)0)->name)                  \
    }
static const struct field fields[] = {
    FIELD(stray_file_header, magic),
    FIELD(stray_file_header, header_size),
    FIELD(stray_file_header, compat_flags),
    FIELD(stray_file_header, incompat_flags),
    FIELD(stray_file_header, pid),
    FIELD(stray_file_header, trace_id),
    FIELD(stray_file_header, parent_id),
    FIELD(stray_file_header, parent_pid),
    FIELD(stray_file_header, origin),
    FIELD(stray_file_header, reserved),
    FIELD(stray_file_header, clock_kind),
    FIELD(stray_file_header, crc),
    FIELD(stray_frame_header, magic),
    FIELD(stray_frame_header, type),
    FIELD(stray_frame_header, codec),
    FIELD(stray_frame_header, flags),
    FIELD(stray_frame_header, stored_size),
    FIELD(stray_frame_header, plain_size),
    FIELD(stray_frame_header, lane),
    FIELD(stray_frame_header, count),
    FIELD(stray_frame_header, first),
    FIELD(stray_frame_header, first_time),
    FIELD(stray_frame_header, last_time),
    FIELD(stray_frame_header, reserved),
    FIELD(stray_frame_header, crc),
    FIELD(stray_event, time),
    FIELD(stray_event, handle),
    FIELD(stray_event, value),
    FIELD(stray_event, stack),
    FIELD(stray_event, hook),
    FIELD(stray_event, action),
    FIELD(stray_event, resource),
    FIELD(stray_node, value),
    FIELD(stray_node, parent),
    FIELD(stray_node, kind),
    FIELD(stray_node, flags),
    FIELD(stray_def_header, magic),
    FIELD(stray_def_header, type),
    FIELD(stray_def_header, size),
    FIELD(stray_def_header, crc),
    FIELD(stray_def_header, epoch),
    FIELD(stray_def_process, start_realtime_ns),
    FIELD(stray_def_process, start_monotonic_ns),
    FIELD(stray_def_process, start_time),
    FIELD(stray_def_process, starttime_ticks),
    FIELD(stray_def_process, boot_id),
    FIELD(stray_def_process, pid),
    FIELD(stray_def_process, parent_pid),
    FIELD(stray_def_process, words),
    FIELD(stray_def_process, reserved),
    FIELD(stray_def_module, start),
    FIELD(stray_def_module, end),
    FIELD(stray_def_module, file_offset),
    FIELD(stray_def_module, bias),
    FIELD(stray_def_module, build_id_size),
    FIELD(stray_def_module, gone),
    FIELD(stray_def_code, first_line),
    FIELD(stray_def_code, minor),
    FIELD(stray_def_code, reserved),
    FIELD(stray_def_code, table_size),
    FIELD(stray_def_code, name_size),
    FIELD(stray_def_statement, hash),
    FIELD(stray_def_statement, flags),
    FIELD(stray_def_statement, reserved),
    FIELD(stray_def_pair, id),
    FIELD(stray_def_pair, resource),
    FIELD(stray_def_pair, flags),
    FIELD(stray_spool_header, magic),
    FIELD(stray_spool_header, header_size),
    FIELD(stray_spool_header, state),
    FIELD(stray_spool_header, trace_id),
    FIELD(stray_spool_header, nodes_offset),
    FIELD(stray_spool_header, nodes_capacity),
    FIELD(stray_spool_header, defs_offset),
    FIELD(stray_spool_header, defs_capacity),
    FIELD(stray_spool_header, lanes_offset),
    FIELD(stray_spool_header, lanes_capacity),
    FIELD(stray_spool_header, node_count),
    FIELD(stray_spool_header, defs_used),
    FIELD(stray_spool_header, lane_count),
    FIELD(stray_spool_header, lost_events),
    FIELD(stray_spool_header, moves),
    FIELD(stray_spool_header, reserved),
    FIELD(stray_buffer, sequence),
    FIELD(stray_buffer, used),
    FIELD(stray_lane, number),
    FIELD(stray_lane, owner),
    FIELD(stray_lane, active),
    FIELD(stray_lane, reserved),
    FIELD(stray_lane, buffer),
    FIELD(stray_lane, padding),
    FIELD(stray_lane, events),
};
#define FIELDS (sizeof(fields) / sizeof(*fields))

struct whole {
    const char *type;
    size_t size;
};

#define WHOLE(type)                                                                                          \
    {                                                                                                        \
#        type, sizeof(struct type)                                                                           \
    }
static const struct whole wholes[] = {
    WHOLE(stray_file_header),  WHOLE(stray_frame_header), WHOLE(stray_event),      WHOLE(stray_node),
    WHOLE(stray_def_header),   WHOLE(stray_def_process),  WHOLE(stray_def_module), WHOLE(stray_def_code),
    WHOLE(stray_def_statement),
    WHOLE(stray_def_pair),
    WHOLE(stray_spool_header), WHOLE(stray_buffer),       WHOLE(stray_lane),
};
#define WHOLES (sizeof(wholes) / sizeof(*wholes))

static char *need_text(const char *path)
{
    char *text = sample_read(path, NULL);
    cr_assert_not_null(text, "%s", path);
    return text;
}

/* Size of a structure by its name; 0: there is none of that name. */
static size_t size_of(const char *type)
{
    for (size_t i = 0; i < WHOLES; i++)
        if (strcmp(wholes[i].type, type) == 0)
            return wholes[i].size;
    return 0;
}

/* The sum of the sizes of a structure's fields: equal to its own size, there is no hidden padding. */
static size_t sum_of_fields(const char *type)
{
    size_t sum = 0;
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(fields[i].type, type) == 0)
            sum += fields[i].size;
    return sum;
}

Test(format, no_structure_hides_padding)
{
    for (size_t i = 0; i < WHOLES; i++)
        cr_assert_eq(sum_of_fields(wholes[i].type), wholes[i].size, "%s", wholes[i].type);
}

Test(format, byte_tables_are_the_structures)
{
    char *text = need_text(DOCUMENT), type[64] = "", name[64];
    size_t next = 0, offset, size, headings = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "## ", 3) == 0)
            type[0] = '\0';
        if (sscanf(line, "### struct %63s (%zu bytes)", type, &size) == 2) {
            cr_assert_eq(size_of(type), size, "%s", type);
            headings++;
        } else if (type[0] && sscanf(line, "| %zu | %zu | %63s |", &offset, &size, name) == 3) {
            cr_assert_lt(next, FIELDS);
            cr_assert_str_eq(type, fields[next].type);
            cr_assert_str_eq(name, fields[next].name);
            cr_assert_eq(offset, fields[next].offset, "%s.%s", type, name);
            cr_assert_eq(size, fields[next].size, "%s.%s", type, name);
            next++;
        }
    }
    cr_assert_eq(next, FIELDS);
    cr_assert_eq(headings, WHOLES);
    free(text);
}

/* Every enumerator of the header has its row: "| number | NAME |". */
Test(format, enumerations_are_complete)
{
    char *document = need_text(DOCUMENT), *header = need_text(HEADER), name[64], row[96];
    unsigned long value;
    unsigned count = 0;
    for (char *at = header; (at = strstr(at, "STRAY_")); at++) {
        if (sscanf(at, "STRAY_%63[A-Z_] = %lu", name, &value) != 2)
            continue;
        snprintf(row, sizeof(row), "\n| %lu | %s |", value, name);
        cr_assert(strstr(document, row), "FORMAT.md lacks:%s", row);
        count++;
    }
    cr_assert_gt(count, 50);
    free(header);
    free(document);
}

static void expect_constant(const char *document, const char *name, const char *value)
{
    char row[128];
    snprintf(row, sizeof(row), "\n| %s | %s |", name, value);
    cr_assert(strstr(document, row), "FORMAT.md lacks:%s", row);
}

static void expect_number(const char *document, const char *name, const char *format, unsigned value)
{
    char text[32];
    snprintf(text, sizeof(text), format, value);
    expect_constant(document, name, text);
}

Test(format, constants_are_the_same)
{
    char *document = need_text(DOCUMENT);
    expect_constant(document, "STRAY_TRACE_MAGIC", "\"" STRAY_TRACE_MAGIC "\"");
    expect_constant(document, "STRAY_SPOOL_MAGIC", "\"" STRAY_SPOOL_MAGIC "\"");
    expect_number(document, "STRAY_FRAME_MAGIC", "0x%x", STRAY_FRAME_MAGIC);
    expect_number(document, "STRAY_DEF_MAGIC", "0x%x", STRAY_DEF_MAGIC);
    expect_number(document, "STRAY_PAGE", "%u", STRAY_PAGE);
    expect_number(document, "STRAY_LANE_EVENTS", "%u", STRAY_LANE_EVENTS);
    expect_number(document, "STRAY_FRAME_PLAIN", "%u", STRAY_FRAME_PLAIN);
    expect_number(document, "STRAY_FRAME_EVENTS_MAX", "%u", STRAY_FRAME_EVENTS_MAX);
    expect_number(document, "STRAY_LANE_LATE", "%u", STRAY_LANE_LATE);
    free(document);
}

/* The bytes of one line of the dump, appended at bytes[*used]. */
static void take_line(const char *line, uint8_t *bytes, size_t *used, size_t room)
{
    unsigned offset, byte;
    int length;
    cr_assert_eq(sscanf(line, "%4x  %n", &offset, &length), 1);
    cr_assert_eq(offset, *used, "%s", line);
    for (line += length; sscanf(line, "%2x%n", &byte, &length) == 1; line += length) {
        cr_assert_lt(*used, room);
        bytes[(*used)++] = (uint8_t)byte;
    }
}

Test(format, the_dump_is_a_trace)
{
    struct trace_writer *writer = sample_tiny();
    size_t size, used = 0;
    uint8_t *bytes = writer_bytes(writer, &size), *dumped = malloc(size);
    char *document = need_text(DOCUMENT), *block = strstr(document, "```\n0000"),
         *end = strstr(block + 4, "```");
    *end = '\0';
    for (char *line = strtok(block + 4, "\n"); line; line = strtok(NULL, "\n"))
        take_line(line, dumped, &used, size);
    cr_assert_eq(used, size);
    for (size_t i = 0; i < size; i++)
        cr_assert_eq(dumped[i], bytes[i], "offset %zx", i);
    free(document);
    free(dumped);
    free(bytes);
    writer_free(writer);
}
