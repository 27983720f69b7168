/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening traces: what is read of sound ones, what is told of damaged ones, and that none does harm. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read/merge.h"
#include "read/trace.h"
#include "sample.h"

static struct error error;

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
    struct trace *trace = sample_open(writer, "a.stray");
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
    cr_assert_eq(sample_events(trace), 18);
    cr_assert(trace_damage(trace)->complete);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, reads_definitions)
{
    struct trace_writer *writer = sample_trace();
    struct trace *trace = sample_open(writer, "a.stray");
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
    trace = sample_open(writer, "a.stray");
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
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_eq(sample_events(trace), 2);
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
    struct trace *trace = sample_open(writer, "a.stray");
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
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_eq(trace_node_count(trace), 9);
    cr_assert_eq(trace_node(trace, 2)->value, 2);
    cr_assert_eq(trace_node(trace, 3)->value, 3);
    cr_assert_null(trace_node(trace, 4));
    cr_assert_not_null(trace_node(trace, 9));
    trace_close(trace);
    writer_free(writer);
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
    struct trace *trace = sample_open(writer, "a.stray");
    struct merge *merge;
    struct stray_event first;
    uint32_t lane, thread;
    cr_assert_eq(sample_events(trace), 4);
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
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_eq(trace_damage(trace)->frames_missing, 3);
    cr_assert_eq(trace_damage(trace)->frames_damaged, 0);
    cr_assert_not(trace_damage(trace)->complete);
    cr_assert_eq(sample_events(trace), 5);
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
    cr_assert_eq(sample_events(trace), 18);
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
    cr_assert_eq(sample_events(trace), 18);
    trace_close(trace);
    cr_assert_eq(open_bytes(bytes, sizeof(struct stray_file_header)), -EBADMSG, "nothing of it can be read");
    free(bytes);
    writer_free(writer);
}

Test(reader, wants_an_end_or_a_spool)
{
    struct trace_writer *writer = sample_unfinished();
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_not(trace_damage(trace)->complete);
    cr_assert_eq(trace_damage(trace)->frames_damaged, 0);
    trace_close(trace);
    writer_save_spool(writer, sample_path("a.stray"));
    trace = sample_open(writer, "a.stray");
    cr_assert(trace_damage(trace)->complete);
    cr_assert_eq(trace_damage(trace)->events_recovered, 7);
    cr_assert_eq(sample_events(trace), 15);
    trace_close(trace);
    writer_free(writer);
}

Test(reader, an_exec_that_failed_is_no_end)
{
    struct trace_writer *writer = writer_new();
    writer_put(writer, 0, 5, STRAY_END, 0, 0, 0, STRAY_ENDING_EXEC, 0);
    writer_put(writer, 0, 6, STRAY_EXEC_FAILED, 0, 0, 0, 0, 0);
    writer_flush(writer);
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_not(trace_damage(trace)->complete);
    trace_close(trace);
    writer_end(writer, 0, 9);
    trace = sample_open(writer, "a.stray");
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
    struct trace *trace = sample_open(writer, "a.stray");
    cr_assert_geq(trace_damage(trace)->lost_events, 20);
    sample_events(trace);
    cr_assert_eq(trace_damage(trace)->lost_events, 33);
    sample_events(trace);
    cr_assert_eq(trace_damage(trace)->lost_events, 33, "a second pass adds nothing");
    cr_assert_not(trace_damage(trace)->complete);
    trace_close(trace);
    writer->spool_lost = 50;
    writer_save_spool(writer, sample_path("a.stray"));
    trace = sample_open(writer, "a.stray");
    sample_events(trace);
    cr_assert_eq(trace_damage(trace)->lost_events, 50);
    trace_close(trace);
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
    struct trace *trace = sample_open(writer, "a.stray");
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
    struct trace *trace = sample_open(writer, "a.stray");
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
    struct trace *trace = sample_open(writer, "a.stray");
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
    struct trace *trace = sample_open(writer, "a.stray");
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
