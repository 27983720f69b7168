/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traces that are cut, flipped, scrambled, or lie about themselves: the damage is told, and none does harm. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "read/trace.h"
#include "sample.h"
#include "stray/wire.h"

/* A frame that lies about itself in spite of a right checksum. */
static void expect_damaged(struct stray_frame_header header, const void *plain, size_t size)
{
    struct trace_writer *writer = writer_new();
    writer_frame(writer, header, plain, size);
    writer_end(writer, 1, 100);
    struct trace *trace = sample_open(writer, "liar.stray");
    cr_assert_eq(sample_events(trace), 1);
    cr_assert_eq(sample_events(trace), 1);
    cr_assert_eq(trace_damage(trace)->frames_damaged, 1);
    cr_assert_not(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

Test(damage, counts_frames_that_lie)
{
    const struct stray_event event = {
        .time = 50, .handle = 1, .value = 1, .action = STRAY_OPEN, .resource = STRAY_HEAP};
    struct stray_frame_header header = {
        .type = STRAY_FRAME_EVENTS, .count = 1, .first_time = 50, .last_time = 50};
    size_t size;
    uint8_t *plain = writer_encode(&event, 1, 50, &size);
    uint8_t longer[64] = {0};
    memcpy(longer, plain, size);
    expect_damaged(header, longer, size + 1); /* bytes left over */
    header.count = 2;
    expect_damaged(header, longer, 14);  /* columns out of step: values missing or left over */
    expect_damaged(header, plain, size); /* too short for its count */
    header.count = STRAY_FRAME_EVENTS_MAX + 1;
    expect_damaged(header, plain, size);
    header.count = 1;
    header.last_time = 41;
    expect_damaged(header, plain, size); /* first after last */
    header.first_time = header.last_time = 50;
    header.codec = 9;
    expect_damaged(header, plain, size);
    header.codec = STRAY_CODEC_RAW;
    header.type = STRAY_FRAME_NODES;
    expect_damaged(header, longer, 32);
    header.type = STRAY_FRAME_DEFS;
    header.first = 8;
    expect_damaged(header, longer, 32);
    header.first = UINT64_MAX - 15;
    expect_damaged(header, longer, 32);
    free(plain);
}

static char *describe_bytes(const void *bytes, size_t size)
{
    writer_save_bytes(sample_path("d.stray"), bytes, size);
    return sample_describe(sample_path("d.stray"));
}

/* Nothing that is not complete may pass as complete, and a cut file never holds more than the whole one. */
Test(damage, truncation_at_every_length, .timeout = 120)
{
    struct trace_writer *writer = sample_trace();
    size_t size;
    uint8_t *bytes = writer_bytes(writer, &size);
    /* The last frame is a late event, and nothing tells that one such is missing. */
    size_t late = 0;
    for (size_t at = sizeof(struct stray_file_header); at < size;) {
        struct stray_frame_header header;
        memcpy(&header, bytes + at, sizeof(header));
        late = at;
        at += sizeof(header) + header.stored_size;
    }
    for (size_t cut = 0; cut < size; cut++) {
        char *text = describe_bytes(bytes, cut);
        cr_assert_eq(strstr(text, " complete\n") != NULL, cut == late, "cut at %zu of %zu: %s", cut, size,
                     text);
        free(text);
    }
    free(bytes);
    writer_free(writer);
}

/* Every bit of a trace is guarded: either the text is the same as before, or the damage is told. */
Test(damage, a_flip_of_any_bit, .timeout = 300)
{
    struct trace_writer *writer = sample_trace();
    size_t size;
    uint8_t *bytes = writer_bytes(writer, &size);
    char *sound = describe_bytes(bytes, size);
    cr_assert(strstr(sound, " complete\n"));
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        char *text = describe_bytes(bytes, size);
        cr_assert(strcmp(text, sound) == 0 || !strstr(text, " complete\n"), "byte %zu bit %zu: %s", bit / 8,
                  bit % 8, text);
        free(text);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(sound);
    free(bytes);
    writer_free(writer);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static void scramble(uint8_t *bytes, size_t size)
{
    for (unsigned changes = 1 + random_next() % 8; changes > 0; changes--) {
        size_t at = random_next() % size, length = 1 + random_next() % 16, from = random_next() % size;
        for (size_t i = 0; i < length && at + i < size; i++)
            bytes[at + i] = random_next() % 2 ? (uint8_t)random_next() : bytes[(from + i) % size];
    }
}

/* Makes the checksum of the first frame at or after `at` right again, so that what lies behind it is tried as
 * well. */
static void repair(uint8_t *bytes, size_t size)
{
    for (size_t at = sizeof(struct stray_file_header); at + sizeof(struct stray_frame_header) <= size;) {
        struct stray_frame_header header;
        memcpy(&header, bytes + at, sizeof(header));
        header.magic = STRAY_FRAME_MAGIC;
        if (header.stored_size > size - at - sizeof(header))
            header.stored_size = (uint32_t)(size - at - sizeof(header));
        header.crc = stray_crc32c(0, &header, offsetof(struct stray_frame_header, crc));
        header.crc = stray_crc32c(header.crc, bytes + at + sizeof(header), header.stored_size);
        memcpy(bytes + at, &header, sizeof(header));
        at += sizeof(header) + header.stored_size;
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Bounded in time. Traces and spools of random damage, with and without right checksums: nothing may crash or
 * hang. */
Test(damage, random_damage, .timeout = 120)
{
    struct trace_writer *writer = sample_unfinished();
    size_t size, spool_size;
    writer->raw = true;
    writer_text(writer, STRAY_DEF_NOTE, "another");
    writer_flush_areas(writer);
    uint8_t *bytes = writer_bytes(writer, &size), *copy = malloc(size);
    uint8_t *spool = writer_spool_bytes(writer, &spool_size), *spool_copy = malloc(spool_size);
    for (double end = seconds() + 3; seconds() < end;) {
        memcpy(copy, bytes, size);
        scramble(copy + sizeof(struct stray_file_header), size - sizeof(struct stray_file_header));
        if (random_next() % 4)
            repair(copy, size);
        memcpy(spool_copy, spool, spool_size);
        scramble(spool_copy, random_next() % 2 ? sizeof(struct stray_spool_header) : spool_size);
        writer_save_bytes(sample_path("d.stray.spool"), spool_copy, spool_size);
        free(describe_bytes(copy, size));
    }
    free(spool_copy);
    free(spool);
    free(copy);
    free(bytes);
    writer_free(writer);
}
