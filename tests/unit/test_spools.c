/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the reader takes from a spool, sound or damaged, beside its trace or without one. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "read/trace.h"
#include "sample.h"

static struct error error;

Test(spools, spooled_events_win_only_if_they_are_more)
{
    struct trace_writer *writer = writer_new();
    const struct stray_event event = {.time = 1, .handle = 1, .action = STRAY_OPEN, .resource = STRAY_HEAP};
    for (unsigned i = 0; i < 2; i++)
        writer_put(writer, 0, 10 + i, STRAY_OPEN, STRAY_HEAP, 1, 100 + i, 0, 0);
    writer_events_frame(writer, 0, 0, &event, 1);
    writer_save_spool(writer, sample_path("a.stray"));
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_eq(sample_events(trace), 2);
    cr_assert_eq(trace_damage(trace)->events_recovered, 2);
    trace_close(trace);
    const struct stray_event two[2] = {event, event};
    writer_events_frame(writer, 0, 0, two, 2);
    trace = sample_open(writer, "a.stray");
    cr_assert_eq(sample_events(trace), 2);
    cr_assert_eq(trace_damage(trace)->events_recovered, 0);
    trace_close(trace);
    writer_free(writer);
}

Test(spools, an_emptied_buffer_of_the_spool_tells_missing_frames)
{
    struct trace_writer *writer = writer_new();
    writer_put(writer, 0, 10, STRAY_OPEN, STRAY_HEAP, 1, 100, 0, 0);
    writer_flush(writer);
    writer_put(writer, 6, 10, STRAY_OPEN, STRAY_HEAP, 1, 100, 0, 0);
    writer->lanes[0].sequence = 4; /* 1, 2, 3 were flushed, it says */
    writer_save_spool(writer, sample_path("a.stray"));
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_eq(trace_damage(trace)->frames_missing, 3);
    trace_close(trace);
    writer->frames.size = 0; /* and nothing of lane 0 in the trace at all */
    trace = sample_open(writer, "a.stray");
    cr_assert_eq(trace_damage(trace)->frames_missing, 4);
    trace_close(trace);
    writer_free(writer);
}

Test(spools, a_foreign_spool_is_ignored)
{
    struct trace_writer *writer = sample_unfinished();
    writer_save_spool(writer, sample_path("a.stray"));
    writer->header.trace_id[0] ^= 1;
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_eq(trace_damage(trace)->events_recovered, 0);
    cr_assert_not(trace_damage(trace)->spool_damaged);
    cr_assert_not(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

/* Everything is in the spool when a process dies before its first flush. */
Test(spools, a_spool_alone_suffices)
{
    struct trace_writer *writer = sample_unfinished();
    writer->frames.size = 0;
    for (size_t i = 0; i < writer->lane_count; i++)
        writer->lanes[i].sequence = 0;
    writer_save_spool(writer, sample_path("a.stray"));
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_eq(sample_events(trace), 7);
    cr_assert_eq(trace_node_count(trace), 3);
    cr_assert_str_eq(trace_process(trace)->exe, "/usr/bin/app");
    cr_assert(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

Test(spools, steps_over_holes_in_the_spool)
{
    struct trace_writer *writer = writer_new();
    uint32_t first = writer_text(writer, STRAY_DEF_ENDPOINT, "unix:/first");
    uint32_t hole =
        writer_text(writer, STRAY_DEF_ENDPOINT, "unix:/a/hole/longer/than/one/unit/of/sixteen/bytes");
    uint32_t last = writer_text(writer, STRAY_DEF_ENDPOINT, "unix:/last");
    memset(writer->area.data + (hole - 1) * 16, 0, 4); /* magic and type are written last */
    writer_node(writer, STRAY_NODE_ROOT, 0, 0);
    writer_node(writer, 0, 1, 5);
    writer_node(writer, STRAY_NODE_NATIVE, 1, 6);
    writer_save_spool(writer, sample_path("a.stray"));
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_str_eq(trace_endpoint(trace, first), "unix:/first");
    cr_assert_null(trace_endpoint(trace, hole));
    cr_assert_str_eq(trace_endpoint(trace, last), "unix:/last");
    cr_assert_not_null(trace_node(trace, 1));
    cr_assert_null(trace_node(trace, 2));
    cr_assert_not_null(trace_node(trace, 3));
    trace_close(trace);
    writer_free(writer);
}

static void expect_spool_damaged(const char *what, const void *bytes, size_t size)
{
    struct trace *trace;
    writer_save_bytes(sample_path("a.stray.spool"), bytes, size);
    cr_assert_eq(trace_open(sample_path("a.stray"), &trace, &error), 0, "%s", what);
    cr_assert(trace_damage(trace)->spool_damaged, "%s", what);
    cr_assert_not(trace_damage(trace)->complete, "%s", what);
    cr_assert_geq(sample_events(trace), 8, "%s", what);
    trace_close(trace);
}

Test(spools, tells_a_damaged_spool)
{
    struct trace_writer *writer = sample_unfinished();
    writer_save(writer, sample_path("a.stray"));
    size_t size;
    uint8_t *bytes = writer_spool_bytes(writer, &size);
    struct stray_spool_header *header = (void *)bytes, saved = *header;
    expect_spool_damaged("empty", "", 0);
    expect_spool_damaged("shorter than its header", bytes, 100);
    expect_spool_damaged("cut", bytes, size - 4096);
    expect_spool_damaged("cut in the nodes", bytes, 4096 + 20);
    header->magic[0] = 'X';
    expect_spool_damaged("magic", bytes, size);
    *header = saved;
    header->nodes_offset = UINT64_MAX;
    expect_spool_damaged("offset", bytes, size);
    *header = saved;
    header->lanes_capacity = header->lane_count = UINT64_MAX;
    expect_spool_damaged("capacity", bytes, size);
    *header = saved;
    header->defs_capacity = header->defs_used = UINT64_MAX / 2;
    expect_spool_damaged("definitions", bytes, size);
    *header = saved;
    struct stray_lane *lane = (void *)(bytes + header->lanes_offset);
    lane->active = 7;
    expect_spool_damaged("active buffer", bytes, size);
    free(bytes);
    writer_free(writer);
}

/* Far more is claimed and reserved than is used; only the used part may cost anything. */
Test(spools, reads_a_huge_sparse_spool)
{
    struct trace_writer *writer = sample_unfinished();
    writer_save(writer, sample_path("a.stray"));
    size_t size;
    uint8_t *bytes = writer_spool_bytes(writer, &size);
    struct stray_spool_header *header = (void *)bytes;
    header->lanes_capacity = 1 << 20;
    header->node_count = 1 << 20; /* beyond its capacity: ids are handed out before that is seen */
    writer_save_bytes(sample_path("a.stray.spool"), bytes, size);
    cr_assert_eq(truncate(sample_path("a.stray.spool"), INT64_C(80) << 30), 0);
    struct trace *trace;
    cr_assert_eq(trace_open(sample_path("a.stray"), &trace, &error), 0);
    cr_assert_eq(sample_events(trace), 15);
    cr_assert(trace_damage(trace)->complete);
    trace_close(trace);
    free(bytes);
    writer_free(writer);
}
