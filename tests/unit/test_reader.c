/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening traces: what is read of sound ones, what is told of damaged ones, and that none does harm. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "read/merge.h"
#include "read/trace.h"
#include "sample.h"
#include "stray/wire.h"

static struct error error;

static struct trace *open_saved(const struct trace_writer *writer, const char *name)
{
    struct trace *trace = NULL;
    writer_save(writer, sample_path(name));
    cr_assert_eq(trace_open(sample_path(name), &trace, &error), 0, "%s", error.text);
    return trace;
}

static uint64_t count_events(struct trace *trace)
{
    struct merge *merge;
    struct stray_event event;
    uint32_t lane, thread;
    uint64_t count = 0;
    cr_assert_eq(merge_open(trace, &merge, &error), 0);
    while (merge_next(merge, &event, &lane, &thread) == 1)
        count++;
    merge_close(merge);
    return count;
}

static int open_bytes(const void *bytes, size_t size)
{
    struct trace *trace = NULL;
    writer_save_bytes(sample_path("bytes.stray"), bytes, size);
    int result = trace_open(sample_path("bytes.stray"), &trace, &error);
    trace_close(trace);
    return result;
}

Test(reader, reads_what_was_written)
{
    struct trace_writer *writer = sample_trace();
    struct trace *trace = open_saved(writer, "a.stray");
    const struct process *process = trace_process(trace);
    cr_assert_eq(process->pid, 4121);
    cr_assert_eq(process->parent_pid, 4000);
    cr_assert_str_eq(process->exe, "/usr/bin/app");
    cr_assert_str_eq(process->command[0], "app");
    cr_assert_str_eq(process->command[1], "--serve");
    cr_assert_null(process->command[2]);
    cr_assert_not(process->running);
    cr_assert_eq(trace_node_count(trace), 3);
    cr_assert_eq(trace_node(trace, 2)->value, 0x401234);
    cr_assert_null(trace_node(trace, 0));
    cr_assert_null(trace_node(trace, 4));
    cr_assert_eq(count_events(trace), 18);
    cr_assert(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, reads_definitions)
{
    struct trace_writer *writer = sample_trace();
    struct trace *trace = open_saved(writer, "a.stray");
    const struct module *modules;
    const char *const *texts;
    cr_assert_eq(trace_modules(trace, &modules), 2);
    cr_assert_str_eq(modules[0].path, "/usr/bin/app");
    cr_assert_eq(modules[0].build_id_size, 4);
    cr_assert_eq(modules[0].build_id[0], 0xde);
    cr_assert_eq(modules[1].epoch, 1);
    cr_assert_null(modules[1].build_id);
    cr_assert_eq(trace_notes(trace, &texts), 1);
    cr_assert_str_eq(texts[0], "one thing could not be seen");
    cr_assert_eq(trace_options(trace, &texts), 1);
    cr_assert_str_eq(texts[0], "STRAY_DEPTH=64");
    const struct code *code = trace_code(trace, (uint32_t)(trace_node(trace, 3)->value >> 32));
    cr_assert_str_eq(code->name, "Service.handle");
    cr_assert_str_eq(code->filename, "/srv/app.py");
    cr_assert_eq(code->first_line, 17);
    cr_assert_eq(code->minor, 11);
    cr_assert_eq(code->table_size, 2);
    cr_assert_null(trace_code(trace, 1));
    cr_assert_null(trace_endpoint(trace, 0));
    trace_close(trace);
    writer_free(writer);
}

Test(reader, refuses_what_is_no_trace)
{
    cr_assert_eq(open_bytes("", 0), -EBADMSG);
    cr_assert_eq(open_bytes("short", 5), -EBADMSG);
    char text[200];
    memset(text, 'x', sizeof(text));
    cr_assert_eq(open_bytes(text, sizeof(text)), -EBADMSG);
    struct trace *trace;
    cr_assert_eq(trace_open(sample_path("missing"), &trace, &error), -ENOENT);
    cr_assert(strstr(error.text, "missing: No such file"));
    cr_assert_eq(trace_open(sample_folder(), &trace, &error), -EISDIR);
    mkfifo(sample_path("fifo"), 0600);
    cr_assert_eq(trace_open(sample_path("fifo"), &trace, &error), -EBADMSG);
    cr_assert_eq(trace_open("/dev/zero", &trace, NULL), -EBADMSG);
}

Test(reader, refuses_newer_formats)
{
    struct trace_writer *writer = sample_trace();
    struct trace *trace;
    writer->header.incompat_flags = 4;
    writer_save(writer, sample_path("a.stray"));
    cr_assert_eq(trace_open(sample_path("a.stray"), &trace, &error), -ENOTSUP);
    writer->header.incompat_flags = 0;
    writer->header.compat_flags = 0xff;
    trace = open_saved(writer, "a.stray");
    cr_assert(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, passes_over_unknown_frames_and_records)
{
    struct trace_writer *writer = writer_new();
    writer_frame(writer, (struct stray_frame_header){.type = 77, .count = 5}, "from the future", 15);
    writer_def(writer, 99, "new", 3);
    uint32_t peer = writer_text(writer, STRAY_DEF_ENDPOINT, "[::1]:80");
    uint32_t root = writer_node(writer, STRAY_NODE_ROOT, 0, 0);
    uint32_t node = writer_node(writer, 9, root, 1234);
    writer_put(writer, 0, 5, 200, 201, 60000, 1, 2, node);
    writer_end(writer, 0, 10);
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_eq(count_events(trace), 2);
    cr_assert_str_eq(trace_endpoint(trace, peer), "[::1]:80");
    cr_assert_eq(trace_node(trace, node)->kind, STRAY_NODE_NATIVE);
    cr_assert_eq(trace_node(trace, node)->value, 0);
    cr_assert_eq(trace_node(trace, node)->parent, root);
    cr_assert(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, forgets_nodes_that_cannot_be)
{
    struct trace_writer *writer = writer_new();
    writer_node(writer, STRAY_NODE_NATIVE, 1, 0x10);
    writer_node(writer, STRAY_NODE_NATIVE, 1, 0x20);
    writer_end(writer, 0, 10);
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_null(trace_node(trace, 1));
    cr_assert_not_null(trace_node(trace, 2));
    trace_close(trace);
    writer_free(writer);
}

Test(reader, joins_areas_from_pieces)
{
    static const struct stray_node nodes[] = {
        {.kind = STRAY_NODE_ROOT}, {0}, {.kind = STRAY_NODE_NATIVE, .parent = 1, .value = 3}};
    static const struct stray_node second = {.kind = STRAY_NODE_NATIVE, .parent = 1, .value = 2};
    struct stray_frame_header header = {.type = STRAY_FRAME_NODES};
    struct trace_writer *writer = writer_new();
    header.first = 9;
    header.count = 1;
    writer_frame(writer, header, &second, sizeof(second));
    header.first = 1;
    header.count = 3;
    writer_frame(writer, header, nodes, sizeof(nodes));
    header.first = 2;
    header.count = 1;
    writer_frame(writer, header, &second, sizeof(second));
    writer_end(writer, 0, 10);
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_eq(trace_node_count(trace), 9);
    cr_assert_eq(trace_node(trace, 2)->value, 2);
    cr_assert_eq(trace_node(trace, 3)->value, 3);
    cr_assert_null(trace_node(trace, 4));
    cr_assert_not_null(trace_node(trace, 9));
    trace_close(trace);
    writer_free(writer);
}

/* A frame that lies about itself in spite of a right checksum. */
static void expect_damaged(struct stray_frame_header header, const void *plain, size_t size)
{
    struct trace_writer *writer = writer_new();
    writer_frame(writer, header, plain, size);
    writer_end(writer, 1, 100);
    struct trace *trace = open_saved(writer, "liar.stray");
    cr_assert_eq(count_events(trace), 1);
    cr_assert_eq(count_events(trace), 1);
    cr_assert_eq(trace_damage(trace)->frames_damaged, 1);
    cr_assert_not(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, counts_frames_that_lie)
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

Test(reader, takes_the_fuller_of_two_frames)
{
    struct trace_writer *writer = writer_new();
    struct stray_event events[3] = {{.time = 1, .handle = 1, .action = STRAY_OPEN, .resource = STRAY_HEAP},
                                    {.time = 2, .handle = 2, .action = STRAY_OPEN, .resource = STRAY_HEAP},
                                    {.time = 3, .handle = 3, .action = STRAY_OPEN, .resource = STRAY_HEAP}};
    writer_events_frame(writer, 0, 0, events, 1);
    writer_events_frame(writer, 0, 0, events, 3);
    events[0].handle = 77;
    writer_events_frame(writer, 0, 0, events, 3);
    writer_events_frame(writer, 0, 0, events, 2);
    writer_end(writer, 1, 100);
    struct trace *trace = open_saved(writer, "a.stray");
    struct merge *merge;
    struct stray_event first;
    uint32_t lane, thread;
    cr_assert_eq(count_events(trace), 4);
    merge_open(trace, &merge, NULL);
    cr_assert_eq(merge_next(merge, &first, &lane, &thread), 1);
    cr_assert_eq(first.handle, 77, "of two equally full ones the later counts");
    cr_assert(trace_damage(trace)->complete);
    merge_close(merge);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, counts_missing_frames)
{
    struct trace_writer *writer = writer_new();
    const struct stray_event event = {.time = 1, .handle = 1, .action = STRAY_OPEN, .resource = STRAY_HEAP};
    writer_events_frame(writer, 3, 1, &event, 1);
    writer_events_frame(writer, 3, 4, &event, 1);
    writer_events_frame(writer, 5, 0, NULL, 0);
    writer_events_frame(writer, 5, 1, &event, 1);
    writer_events_frame(writer, STRAY_LANE_LATE, 99, &event, 1);
    writer_end(writer, 1, 100);
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_eq(trace_damage(trace)->frames_missing, 3);
    cr_assert_eq(trace_damage(trace)->frames_damaged, 0);
    cr_assert_not(trace_damage(trace)->complete);
    cr_assert_eq(count_events(trace), 5);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, finds_the_next_frame_after_damage)
{
    struct trace_writer *writer = sample_trace();
    static const char rubbish[] = "SFRM SFRM rubbish SFR";
    size_t size, at = sizeof(struct stray_file_header);
    uint8_t *bytes = writer_bytes(writer, &size);
    uint8_t *longer = malloc(size + sizeof(rubbish));
    memcpy(longer, bytes, at);
    memcpy(longer + at, rubbish, sizeof(rubbish));
    memcpy(longer + at + sizeof(rubbish), bytes + at, size - at);
    writer_save_bytes(sample_path("a.stray"), longer, size + sizeof(rubbish));
    struct trace *trace;
    cr_assert_eq(trace_open(sample_path("a.stray"), &trace, &error), 0);
    cr_assert_eq(count_events(trace), 18);
    cr_assert_eq(trace_damage(trace)->bytes_skipped, sizeof(rubbish));
    cr_assert_eq(trace_damage(trace)->frames_damaged, 1);
    cr_assert_not(trace_damage(trace)->complete);
    trace_close(trace);
    free(longer);
    free(bytes);
    writer_free(writer);
}

Test(reader, reads_frames_under_a_damaged_header)
{
    struct trace_writer *writer = sample_trace();
    size_t size;
    uint8_t *bytes = writer_bytes(writer, &size);
    bytes[20] ^= 1;
    writer_save_bytes(sample_path("a.stray"), bytes, size);
    struct trace *trace;
    cr_assert_eq(trace_open(sample_path("a.stray"), &trace, &error), 0);
    cr_assert(trace_damage(trace)->header_damaged);
    cr_assert_not(trace_damage(trace)->complete);
    cr_assert_eq(trace_process(trace)->pid, 4121, "the process record knows it as well");
    cr_assert_eq(count_events(trace), 18);
    trace_close(trace);
    cr_assert_eq(open_bytes(bytes, sizeof(struct stray_file_header)), -EBADMSG, "nothing of it can be read");
    free(bytes);
    writer_free(writer);
}

Test(reader, wants_an_end_or_a_spool)
{
    struct trace_writer *writer = sample_unfinished();
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_not(trace_damage(trace)->complete);
    cr_assert_eq(trace_damage(trace)->frames_damaged, 0);
    trace_close(trace);
    writer_save_spool(writer, sample_path("a.stray"));
    trace = open_saved(writer, "a.stray");
    cr_assert(trace_damage(trace)->complete);
    cr_assert_eq(trace_damage(trace)->events_recovered, 7);
    cr_assert_eq(count_events(trace), 15);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, an_exec_that_failed_is_no_end)
{
    struct trace_writer *writer = writer_new();
    writer_put(writer, 0, 5, STRAY_END, 0, 0, 0, STRAY_ENDING_EXEC, 0);
    writer_put(writer, 0, 6, STRAY_EXEC_FAILED, 0, 0, 0, 0, 0);
    writer_flush(writer);
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_not(trace_damage(trace)->complete);
    trace_close(trace);
    writer_end(writer, 0, 9);
    trace = open_saved(writer, "a.stray");
    cr_assert(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, adds_up_losses)
{
    struct trace_writer *writer = writer_new();
    for (unsigned i = 0; i < 3; i++) {
        writer_put(writer, 0, 5 + i, STRAY_LOST, 0, 0, 0, 10 + i, 0);
        writer_flush(writer);
    }
    writer->spool_lost = 20;
    writer_save_spool(writer, sample_path("a.stray"));
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_geq(trace_damage(trace)->lost_events, 20);
    count_events(trace);
    cr_assert_eq(trace_damage(trace)->lost_events, 33);
    count_events(trace);
    cr_assert_eq(trace_damage(trace)->lost_events, 33, "a second pass adds nothing");
    cr_assert_not(trace_damage(trace)->complete);
    trace_close(trace);
    writer->spool_lost = 50;
    writer_save_spool(writer, sample_path("a.stray"));
    trace = open_saved(writer, "a.stray");
    count_events(trace);
    cr_assert_eq(trace_damage(trace)->lost_events, 50);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, spooled_events_win_only_if_they_are_more)
{
    struct trace_writer *writer = writer_new();
    const struct stray_event event = {.time = 1, .handle = 1, .action = STRAY_OPEN, .resource = STRAY_HEAP};
    for (unsigned i = 0; i < 2; i++)
        writer_put(writer, 0, 10 + i, STRAY_OPEN, STRAY_HEAP, 1, 100 + i, 0, 0);
    writer_events_frame(writer, 0, 0, &event, 1);
    writer_save_spool(writer, sample_path("a.stray"));
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_eq(count_events(trace), 2);
    cr_assert_eq(trace_damage(trace)->events_recovered, 2);
    trace_close(trace);
    const struct stray_event two[2] = {event, event};
    writer_events_frame(writer, 0, 0, two, 2);
    trace = open_saved(writer, "a.stray");
    cr_assert_eq(count_events(trace), 2);
    cr_assert_eq(trace_damage(trace)->events_recovered, 0);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, an_emptied_buffer_of_the_spool_tells_missing_frames)
{
    struct trace_writer *writer = writer_new();
    writer_put(writer, 0, 10, STRAY_OPEN, STRAY_HEAP, 1, 100, 0, 0);
    writer_flush(writer);
    writer_put(writer, 6, 10, STRAY_OPEN, STRAY_HEAP, 1, 100, 0, 0);
    writer->lanes[0].sequence = 4; /* 1, 2, 3 were flushed, it says */
    writer_save_spool(writer, sample_path("a.stray"));
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_eq(trace_damage(trace)->frames_missing, 3);
    trace_close(trace);
    writer->frames.size = 0; /* and nothing of lane 0 in the trace at all */
    trace = open_saved(writer, "a.stray");
    cr_assert_eq(trace_damage(trace)->frames_missing, 4);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, a_foreign_spool_is_ignored)
{
    struct trace_writer *writer = sample_unfinished();
    writer_save_spool(writer, sample_path("a.stray"));
    writer->header.trace_id[0] ^= 1;
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_eq(trace_damage(trace)->events_recovered, 0);
    cr_assert_not(trace_damage(trace)->spool_damaged);
    cr_assert_not(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

/* Everything is in the spool when a process dies before its first flush. */
Test(reader, a_spool_alone_suffices)
{
    struct trace_writer *writer = sample_unfinished();
    writer->frames.size = 0;
    for (size_t i = 0; i < writer->lane_count; i++)
        writer->lanes[i].sequence = 0;
    writer_save_spool(writer, sample_path("a.stray"));
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_eq(count_events(trace), 7);
    cr_assert_eq(trace_node_count(trace), 3);
    cr_assert_str_eq(trace_process(trace)->exe, "/usr/bin/app");
    cr_assert(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, steps_over_holes_in_the_spool)
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
    struct trace *trace = open_saved(writer, "a.stray");
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
    cr_assert_geq(count_events(trace), 8, "%s", what);
    trace_close(trace);
}

Test(reader, tells_a_damaged_spool)
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
Test(reader, reads_a_huge_sparse_spool)
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
    cr_assert_eq(count_events(trace), 15);
    cr_assert(trace_damage(trace)->complete);
    trace_close(trace);
    free(bytes);
    writer_free(writer);
}

/* This very process, as a PROCESS record describes it. */
static struct stray_def_process describe_self(void)
{
    struct stray_def_process self = {.pid = (uint32_t)getpid(), .start_time = 1, .start_monotonic_ns = 1};
    char text[1024] = "", *field;
    FILE *file = fopen("/proc/self/stat", "r");
    cr_assert(fgets(text, sizeof(text), file));
    fclose(file);
    field = strrchr(text, ')');
    for (unsigned i = 2; i < 22; i++)
        field = strchr(field + 1, ' ');
    self.starttime_ticks = strtoull(field, NULL, 10);
    file = fopen("/proc/sys/kernel/random/boot_id", "r");
    cr_assert(fgets(text, sizeof(text), file));
    fclose(file);
    unsigned digits = 0, value;
    for (char *p = text; digits < 16; p += 2) {
        p += *p == '-';
        sscanf(p, "%2x", &value);
        self.boot_id[digits++] = (uint8_t)value;
    }
    return self;
}

static bool is_running(const struct stray_def_process *fixed, bool *ret_complete)
{
    struct trace_writer *writer = writer_new();
    writer_process_def(writer, fixed, "/bin/self", (const char *const[]){NULL});
    writer_put(writer, 0, 5, STRAY_OPEN, STRAY_HEAP, 1, 1, 1, 0);
    writer_flush(writer);
    struct trace *trace = open_saved(writer, "a.stray");
    bool running = trace_process(trace)->running;
    *ret_complete = trace_damage(trace)->complete;
    trace_close(trace);
    writer_free(writer);
    return running;
}

Test(reader, knows_a_running_process)
{
    struct stray_def_process self = describe_self(), other = self;
    bool complete;
    cr_assert(is_running(&self, &complete));
    cr_assert(complete);
    other.starttime_ticks++;
    cr_assert_not(is_running(&other, &complete), "the number was given to another process");
    cr_assert_not(complete);
    other = self;
    other.boot_id[3] ^= 1;
    cr_assert_not(is_running(&other, &complete), "another boot, or another host");
}

Test(reader, calibrates_ticks)
{
    struct trace_writer *writer = writer_new();
    writer->header.clock_kind = STRAY_CLOCK_TSC;
    writer_put(writer, 0, 3000, STRAY_CLOCK_PAIR, 0, 0, 1000, 5, 0);
    writer_flush(writer);
    writer_put(writer, 0, 4000, STRAY_OPEN, STRAY_HEAP, 1, 1, 1, 0);
    writer_flush(writer);
    writer_put(writer, 0, 9000, STRAY_CLOCK_PAIR, 0, 0, 3000, 5, 0);
    writer_flush(writer);
    writer_end(writer, 0, 9500);
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_float_eq(trace_span_seconds(trace, 3000000000), 1.0, 1e-9);
    cr_assert_float_eq(trace_seconds(trace, 3000), 0.0, 1e-12);
    cr_assert_float_eq(trace_seconds(trace, 0), -1e-6, 1e-12);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, calibrates_from_the_process_record)
{
    struct trace_writer *writer = writer_new();
    writer->header.clock_kind = STRAY_CLOCK_TSC;
    writer_process(writer, 2000, "/bin/x", (const char *const[]){NULL});
    writer_put(writer, 0, 6000, STRAY_CLOCK_PAIR, 0, 0, 5000001000, 5, 0);
    writer_end(writer, 0, 9500);
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_float_eq(trace_span_seconds(trace, 4000000000), 1.0, 1e-9);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, one_tick_is_a_nanosecond_where_nothing_is_known)
{
    struct trace_writer *writer = writer_new();
    writer->header.clock_kind = STRAY_CLOCK_TSC;
    writer_put(writer, 0, 6000, STRAY_CLOCK_PAIR, 0, 0, 5000, 5, 0);
    writer_end(writer, 0, 9500);
    struct trace *trace = open_saved(writer, "a.stray");
    cr_assert_float_eq(trace_span_seconds(trace, 1000000000), 1.0, 1e-9);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, finds_traces)
{
    char **paths;
    size_t count;
    cr_assert_eq(trace_find(sample_folder(), &paths, &count, &error), -ENOENT);
    cr_assert_eq(trace_find(sample_path("nothing"), &paths, &count, &error), -ENOENT);
    writer_save_bytes(sample_path("begun.stray"), "", 0);
    cr_assert_eq(trace_find(sample_folder(), &paths, &count, &error), -ENOENT, "an empty file is no trace yet");
    writer_save_bytes(sample_path("b.stray"), "b", 1);
    writer_save_bytes(sample_path("a.stray"), "a", 1);
    writer_save_bytes(sample_path("a.stray.spool"), "", 0);
    writer_save_bytes(sample_path(".stray"), "", 0);
    cr_assert_eq(trace_find(sample_folder(), &paths, &count, &error), 0);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(paths[0], sample_path("a.stray"));
    cr_assert_str_eq(paths[1], sample_path("b.stray"));
    paths_free(paths, count);
    cr_assert_eq(trace_find(sample_path("a.stray.spool"), &paths, &count, &error), 0);
    cr_assert_eq(count, 1, "a file is taken as it is");
    paths_free(paths, count);
}

static char *describe_bytes(const void *bytes, size_t size)
{
    writer_save_bytes(sample_path("d.stray"), bytes, size);
    return sample_describe(sample_path("d.stray"));
}

/* Nothing that is not complete may pass as complete, and a cut file never holds more than the whole one. */
Test(reader, truncation_at_every_length, .timeout = 120)
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
Test(reader, a_flip_of_any_bit, .timeout = 300)
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
Test(reader, random_damage, .timeout = 120)
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
