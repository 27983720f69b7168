/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pprof's profile.proto (github.com/google/pprof, proto/profile.proto), gzipped. A sample is a place; its
 * values are what was opened there, what of it was open when the end began, and the bytes of that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "hash.h"
#include "read/array.h"
#include "read/words.h"
#include "safe.h"
#include "views/export.h"

/* Field numbers of profile.proto. */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE,
    PROFILE_MAPPING,
    PROFILE_LOCATION,
    PROFILE_FUNCTION,
    PROFILE_STRING,
    PROFILE_TIME = 9,
    PROFILE_DURATION,
    PROFILE_COMMENT = 13,
    PROFILE_DEFAULT_TYPE = 14
};
enum { VALUE_TYPE = 1, VALUE_UNIT };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_STRING, LABEL_NUMBER };
enum { MAPPING_ID = 1, MAPPING_FILE = 5, MAPPING_HAS_FUNCTIONS = 7 };
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum { LINE_FUNCTION = 1, LINE_NUMBER };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILE };

/* ---- protobuf's wire format ---- */

struct message {
    uint8_t *data;
    size_t size, room;
    bool failed; /* without memory */
};

static void put_byte(struct message *message, uint8_t byte)
{
    uint8_t *grown = array_grow(message->data, &message->room, message->size, 1);
    if (!grown) {
        message->failed = true;
        return;
    }
    message->data = grown;
    grown[message->size++] = byte;
}

static void put_varint(struct message *message, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_byte(message, (uint8_t)(value | 0x80));
    put_byte(message, (uint8_t)value);
}

/* 0 is the default, and is not written. */
static void put_number(struct message *message, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    put_varint(message, field << 3);
    put_varint(message, value);
}

static void put_bytes(struct message *message, unsigned field, const void *data, size_t size)
{
    put_varint(message, field << 3 | 2);
    put_varint(message, size);
    for (size_t i = 0; i < size; i++)
        put_byte(message, ((const uint8_t *)data)[i]);
}

/* A message within a message; `part` is emptied for the next. */
static void put_message(struct message *message, unsigned field, struct message *part)
{
    put_bytes(message, field, part->data, part->size);
    message->failed |= part->failed;
    part->size = 0;
}

/* ---- tables: strings and mappings by number ---- */

struct profile {
    const struct ledger *ledger;
    struct message out, part, inner;
    struct message strings; /* their messages, in order */
    struct map string_map, mapping_map;
    uint32_t string_count, mapping_count;
    struct message mappings;
};

static uint32_t clean_index(struct profile *profile, const char *text)
{
    uint64_t hash = hash_text(HASH_BEGIN, text);
    uint32_t index;
    if (map_get(&profile->string_map, hash, &index))
        return index;
    index = profile->string_count++;
    profile->strings.failed |= map_put(&profile->string_map, hash, index) < 0;
    put_bytes(&profile->strings, PROFILE_STRING, text, strlen(text));
    return index;
}

/* Texts may be the trace's own, of any bytes. */
static uint32_t string_index(struct profile *profile, const char *text)
{
    char *clean = safe_text(text);
    uint32_t index = clean ? clean_index(profile, clean) : 0;
    profile->strings.failed |= !clean;
    free(clean);
    return index;
}

/* 0: none. */
static uint32_t mapping_index(struct profile *profile, const char *module)
{
    uint32_t index;
    if (!module)
        return 0;
    uint64_t hash = hash_text(HASH_BEGIN, module);
    if (map_get(&profile->mapping_map, hash, &index))
        return index;
    index = ++profile->mapping_count;
    profile->mappings.failed |= map_put(&profile->mapping_map, hash, index) < 0;
    put_number(&profile->part, MAPPING_ID, index);
    put_number(&profile->part, MAPPING_FILE, string_index(profile, module));
    put_number(&profile->part, MAPPING_HAS_FUNCTIONS, 1);
    put_message(&profile->mappings, PROFILE_MAPPING, &profile->part);
    return index;
}

/* ---- the profile ---- */

static void put_sample_types(struct profile *profile)
{
    for (unsigned i = 0; i < WEIGHT_COUNT; i++) {
        put_number(&profile->part, VALUE_TYPE, string_index(profile, export_weight_word(i)));
        put_number(&profile->part, VALUE_UNIT, string_index(profile, i == WEIGHT_BYTES ? "bytes" : "count"));
        put_message(&profile->out, PROFILE_SAMPLE_TYPE, &profile->part);
    }
}

static void put_label(struct profile *profile, const char *key, const char *text, uint64_t number)
{
    put_number(&profile->inner, LABEL_KEY, string_index(profile, key));
    if (text)
        put_number(&profile->inner, LABEL_STRING, string_index(profile, text));
    put_number(&profile->inner, LABEL_NUMBER, number);
    put_message(&profile->part, SAMPLE_LABEL, &profile->inner);
}

/* Locations are frames, numbered from 1, the innermost first. */
static void put_sample(struct profile *profile, const struct ledger_place *place)
{
    const struct ledger_stack *stack = &profile->ledger->stacks[place->stack];
    for (uint32_t i = 0; i < stack->count; i++)
        put_varint(&profile->inner, stack->frames[i] + 1);
    put_message(&profile->part, SAMPLE_LOCATION, &profile->inner);
    for (unsigned i = 0; i < WEIGHT_COUNT; i++)
        put_varint(&profile->inner, export_value(place, i));
    put_message(&profile->part, SAMPLE_VALUE, &profile->inner);
    put_label(profile, "resource", resource_label(place->resource), 0);
    if (place->peer)
        put_label(profile, "peer", place->peer, 0);
    put_label(profile, "pid", NULL, profile->ledger->processes[place->process].pid);
    put_message(&profile->out, PROFILE_SAMPLE, &profile->part);
}

static void put_samples(struct profile *profile, const struct export_options *options)
{
    for (size_t i = 0; i < profile->ledger->place_count; i++) {
        const struct ledger_place *place = &profile->ledger->places[i];
        if (place->opened && export_wants(options, place->resource))
            put_sample(profile, place);
    }
}

/* A frame is a location with one line, and a function of its own. */
static void put_frame(struct profile *profile, uint32_t id, const struct report_frame *frame)
{
    char name[1024];
    export_frame_name(frame, name, sizeof(name));
    uint32_t mapping = frame->python ? 0 : mapping_index(profile, frame->module);
    put_number(&profile->part, LOCATION_ID, id);
    put_number(&profile->part, LOCATION_MAPPING, mapping);
    put_number(&profile->part, LOCATION_ADDRESS, frame->offset);
    put_number(&profile->inner, LINE_FUNCTION, id);
    put_number(&profile->inner, LINE_NUMBER, frame->line);
    put_message(&profile->part, LOCATION_LINE, &profile->inner);
    put_message(&profile->out, PROFILE_LOCATION, &profile->part);
    uint32_t string = string_index(profile, frame->function ? frame->function : name);
    put_number(&profile->part, FUNCTION_ID, id);
    put_number(&profile->part, FUNCTION_NAME, string);
    put_number(&profile->part, FUNCTION_SYSTEM_NAME, string);
    put_number(&profile->part, FUNCTION_FILE,
               string_index(profile, frame->file     ? frame->file
                                     : frame->module ? frame->module
                                                     : ""));
    put_message(&profile->out, PROFILE_FUNCTION, &profile->part);
}

static void append(struct message *message, const struct message *part)
{
    message->failed |= part->failed;
    for (size_t i = 0; i < part->size; i++)
        put_byte(message, part->data[i]);
}

static void put_profile(struct profile *profile, const struct export_options *options)
{
    const struct ledger *ledger = profile->ledger;
    string_index(profile, ""); /* the first must be empty */
    put_sample_types(profile);
    put_samples(profile, options);
    for (size_t i = 0; i < ledger->frame_count; i++)
        put_frame(profile, (uint32_t)i + 1, &ledger->frames[i]);
    put_number(&profile->out, PROFILE_TIME,
               ledger->process_count ? ledger->processes[0].start_realtime_ns : 0);
    put_number(&profile->out, PROFILE_DURATION, (uint64_t)(ledger->report->duration_s * 1e9));
    for (size_t i = 0; i < ledger->report->note_count; i++)
        put_number(&profile->out, PROFILE_COMMENT, string_index(profile, ledger->report->notes[i]));
    put_number(&profile->out, PROFILE_DEFAULT_TYPE,
               string_index(profile, export_weight_word(options->weight)));
    append(&profile->out, &profile->mappings);
    append(&profile->out, &profile->strings);
}

/* A gzip header of zlib's holds no time and no name: the same profile gives the same bytes. */
static int write_gzip(const struct message *message, FILE *out)
{
    z_stream stream = {.next_in = message->data, .avail_in = (uInt)message->size};
    uint8_t block[65536];
    int code = Z_OK;
    if (message->size > UINT32_MAX)
        return -EFBIG;
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    while (code == Z_OK) {
        stream.next_out = block;
        stream.avail_out = sizeof(block);
        code = deflate(&stream, Z_FINISH);
        fwrite(block, 1, sizeof(block) - stream.avail_out, out);
    }
    deflateEnd(&stream);
    return code != Z_STREAM_END ? -EIO : ferror(out) ? -EIO : 0;
}

int export_pprof(const struct ledger *ledger, const struct export_options *options, FILE *out)
{
    struct profile profile = {.ledger = ledger};
    put_profile(&profile, options);
    int result = profile.out.failed ? -ENOMEM : write_gzip(&profile.out, out);
    free(profile.out.data);
    free(profile.part.data);
    free(profile.inner.data);
    free(profile.strings.data);
    free(profile.mappings.data);
    map_clear(&profile.string_map);
    map_clear(&profile.mapping_map);
    return result;
}
