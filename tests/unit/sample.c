/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sample.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "read/merge.h"
#include "read/trace.h"

#define T UINT64_C(1000000000) /* when the process started */

struct ids {
    uint32_t database, peer, file, root, native, python;
};

static struct ids sample_definitions(struct trace_writer *writer)
{
    static const uint8_t build_id[] = {0xde, 0xad, 0xbe, 0xef};
    static const struct stray_def_module app = {.start = 0x400000, .end = 0x500000, .build_id_size = 4};
    static const struct stray_def_module plugin = {
        .start = 0x7f0000000000, .end = 0x7f0000010000, .bias = 0x7f0000000000};
    struct ids ids;
    writer_process(writer, T, "/usr/bin/app", (const char *const[]){"app", "--serve", NULL});
    writer_text(writer, STRAY_DEF_OPTION, "STRAY_DEPTH=64");
    writer_module(writer, &app, build_id, "/usr/bin/app");
    writer->epoch = 1;
    writer_module(writer, &plugin, NULL, "/usr/lib/plugin.so");
    uint32_t code = writer_code(writer, "/srv/app.py", "Service.handle", 17, 11, "\x80\x01", 2);
    ids.database = writer_text(writer, STRAY_DEF_DATABASE, "db.example:5432/shop web");
    ids.peer = writer_text(writer, STRAY_DEF_ENDPOINT, "127.0.0.1:6379");
    writer_text(writer, STRAY_DEF_NOTE, "one thing could not be seen");
    ids.root = writer_node(writer, STRAY_NODE_ROOT, 0, 1);
    ids.native = writer_node(writer, STRAY_NODE_NATIVE, ids.root, 0x401234);
    ids.python = writer_node(writer, STRAY_NODE_PYTHON, ids.native, (uint64_t)code << 32 | 6);
    return ids;
}

static void sample_first_half(struct trace_writer *writer, const struct ids *ids)
{
    writer_put(writer, 0, T, STRAY_OWNER, 0, 0, 4121, 0, 0);
    writer_put(writer, 0, T, STRAY_CLOCK_PAIR, 0, 0, T, T + 7, 0);
    writer_put(writer, 0, T + 1000, STRAY_OPEN, STRAY_HEAP, STRAY_HOOK_malloc, 0x5000, 64, ids->native);
    writer_put(writer, 1, T + 1500, STRAY_OWNER, 0, 0, 4122, 0, 0);
    writer_put(writer, 1, T + 1600, STRAY_OPEN, STRAY_SOCKET, STRAY_HOOK_socket, 7, 0, ids->python);
    writer_put(writer, 1, T + 1700, STRAY_CONNECTED, STRAY_CONNECTION, STRAY_HOOK_connect, 7, ids->peer,
               ids->python);
    writer_put(writer, 0, T + 1650, STRAY_MOVE_FROM, STRAY_HEAP, STRAY_HOOK_realloc, 0x5000, 0, 0);
    writer_put(writer, 0, T + 1655, STRAY_MOVE_TO, STRAY_HEAP, STRAY_HOOK_realloc, 0x6000, 128, ids->native);
}

static void sample_second_half(struct trace_writer *writer, const struct ids *ids)
{
    writer_put(writer, 1, T + 2000, STRAY_OPEN, STRAY_PGCONN, STRAY_HOOK_PQconnectdb, 0x9000, 0, ids->python);
    writer_put(writer, 1, T + 2001, STRAY_ENDPOINT, STRAY_PGCONN, STRAY_HOOK_PQconnectdb, 0x9000,
               ids->database, 0);
    writer_put(writer, 1, T + 2002, STRAY_LINK, STRAY_PGCONN, STRAY_HOOK_PQconnectdb, 0x9000, UINT64_MAX, 0);
    writer_put(writer, 1, T + 2100, STRAY_OWNER, 0, 0, 4123, 0, 0);
    writer_put(writer, 0, T + 2100, STRAY_MEMORY, 0, 0, 1 << 20, 4096, 0);
    writer_put(writer, 1, T + 2200, STRAY_CLOSE, STRAY_CONNECTION, STRAY_HOOK_close, 7, 0, ids->native);
    writer_put(writer, 0, T + 2300, STRAY_CLOSE, STRAY_HEAP, STRAY_HOOK_free, 0x6000, 0, 0);
}

static struct trace_writer *begin_sample(bool grouped)
{
    struct trace_writer *writer = writer_new();
    writer->grouped = grouped;
    struct ids ids = sample_definitions(writer);
    sample_first_half(writer, &ids);
    writer_flush(writer);
    sample_second_half(writer, &ids);
    return writer;
}

struct trace_writer *sample_unfinished(void)
{
    return begin_sample(false);
}

static struct trace_writer *end_sample(struct trace_writer *writer)
{
    writer_put(writer, 0, T + 2400, STRAY_END_BEGINS, 0, STRAY_HOOK_exit, 0, STRAY_ENDING_EXIT, 0);
    writer_end(writer, 0, T + 2500);
    writer_put(writer, STRAY_LANE_LATE, T + 2600, STRAY_CLOSE, STRAY_PGCONN, STRAY_HOOK_PQfinish, 0x9000, 0,
               0);
    writer_flush(writer);
    return writer;
}

struct trace_writer *sample_trace(void)
{
    return end_sample(begin_sample(false));
}

struct trace_writer *sample_grouped(void)
{
    return end_sample(begin_sample(true));
}

struct trace_writer *sample_tiny(void)
{
    struct trace_writer *writer = writer_new();
    writer->raw = writer->grouped = true;
    writer_text(writer, STRAY_DEF_NOTE, "Hello, reader.");
    uint32_t root = writer_node(writer, STRAY_NODE_ROOT, 0, 0);
    writer_put(writer, 0, 1000, STRAY_OPEN, STRAY_HEAP, STRAY_HOOK_malloc, 0x5000, 300, root);
    writer_put(writer, 0, 1064, STRAY_CLOSE, STRAY_HEAP, STRAY_HOOK_free, 0x5000, 0, 0);
    writer_put(writer, 0, 1100, STRAY_END, 0, 0, 0, STRAY_ENDING_EXIT, 0);
    writer_flush(writer);
    return writer;
}

static char folder[] = "/tmp/stray-test-XXXXXX";
static pid_t folder_owner;

static void folder_remove(void)
{
    if (folder_owner != getpid())
        return;
    DIR *stream = opendir(folder);
    struct dirent *entry;
    while (stream && (entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(stream), entry->d_name, 0);
    if (stream)
        closedir(stream);
    rmdir(folder);
}

const char *sample_folder(void)
{
    if (!folder_owner) {
        if (!mkdtemp(folder))
            abort();
        folder_owner = getpid();
        atexit(folder_remove);
    }
    return folder;
}

const char *sample_path(const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", sample_folder(), name);
    return path;
}

static void describe_damage(FILE *out, const struct damage *damage)
{
    fprintf(out, "read %" PRIu64 " damaged %" PRIu64 " skipped %" PRIu64 " missing %" PRIu64,
            damage->frames_read, damage->frames_damaged, damage->bytes_skipped, damage->frames_missing);
    fprintf(out, " recovered %" PRIu64 " lost %" PRIu64 "%s%s%s%s\n", damage->events_recovered,
            damage->lost_events, damage->truncated ? " truncated" : "",
            damage->header_damaged ? " header" : "", damage->spool_damaged ? " spool" : "",
            damage->complete ? " complete" : "");
}

static void describe_tables(FILE *out, const struct trace *trace)
{
    const struct process *process = trace_process(trace);
    const struct module *modules;
    const char *const *texts;
    fprintf(out, "pid %u of %u exe %s", process->pid, process->parent_pid, process->exe ? process->exe : "?");
    for (const char *const *word = process->command; word && *word; word++)
        fprintf(out, " [%s]", *word);
    fprintf(out, "\n");
    for (uint32_t id = 1; id <= trace_node_count(trace) && id < 1000; id++) {
        const struct stray_node *node = trace_node(trace, id);
        if (node)
            fprintf(out, "node %u: %u %u %" PRIx64 "\n", id, node->kind, node->parent, node->value);
        const struct code *code =
            node && node->kind == STRAY_NODE_PYTHON ? trace_code(trace, (uint32_t)(node->value >> 32)) : NULL;
        if (code)
            fprintf(out, "code %s %s %u %u\n", code->filename, code->name, code->first_line,
                    code->table_size);
    }
    for (size_t count = trace_modules(trace, &modules), i = 0; i < count; i++)
        fprintf(out, "module %" PRIx64 " %u %u %s\n", modules[i].start, modules[i].epoch,
                modules[i].build_id_size, modules[i].path);
    for (size_t count = trace_notes(trace, &texts), i = 0; i < count; i++)
        fprintf(out, "note %s\n", texts[i]);
    for (size_t count = trace_options(trace, &texts), i = 0; i < count; i++)
        fprintf(out, "option %s\n", texts[i]);
}

static void describe_events(FILE *out, struct trace *trace)
{
    struct merge *merge;
    struct stray_event event;
    uint32_t lane, thread;
    if (merge_open(trace, &merge, NULL) < 0)
        return;
    while (merge_next(merge, &event, &lane, &thread) == 1)
        fprintf(out, "%.9f %u/%u %u %u %u %" PRIx64 " %" PRIx64 " %u %s\n", trace_seconds(trace, event.time),
                lane, thread, event.action, event.resource, event.hook, event.handle, event.value,
                event.stack, trace_endpoint(trace, event.value) ? trace_endpoint(trace, event.value) : "-");
    merge_close(merge);
}

char *sample_describe(const char *path)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct trace *trace;
    struct error error;
    int result = trace_open(path, &trace, &error);
    if (result < 0) {
        fprintf(out, "%d %s\n", result, error.text);
    } else {
        describe_tables(out, trace);
        describe_events(out, trace);
        describe_damage(out, trace_damage(trace));
        trace_close(trace);
    }
    fclose(out);
    return text;
}

char *sample_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "r");
    char *text = NULL, block[4096];
    size_t size, got;
    if (!file)
        return NULL;
    FILE *out = open_memstream(&text, &size);
    while ((got = fread(block, 1, sizeof(block), file)) > 0)
        fwrite(block, 1, got, out);
    fclose(file);
    fclose(out);
    if (ret_size)
        *ret_size = size;
    return text;
}

static void run_child(int (*command)(int argc, char **argv), const char *const *arguments, const char *output,
                      const char *errors)
{
    char *argv[16] = {0};
    int argc = 0;
    while (argc < 15 && arguments[argc] && (argv[argc] = strdup(arguments[argc])))
        argc++;
    if (!freopen(output, "w", stdout) || !freopen(errors, "w", stderr))
        _exit(99);
    int status = command(argc, argv);
    fflush(NULL);
    _exit(status);
}

int sample_run(int (*command)(int argc, char **argv), const char *const *arguments, const char *output,
               char **ret_output, char **ret_errors)
{
    char out[512], errors[512];
    int status;
    snprintf(out, sizeof(out), "%s/stdout", sample_folder());
    snprintf(errors, sizeof(errors), "%s/stderr", sample_folder());
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_child(command, arguments, output ? output : out, errors);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        abort();
    if (ret_output)
        *ret_output = sample_read(out, NULL);
    if (ret_errors)
        *ret_errors = sample_read(errors, NULL);
    unlink(out);
    unlink(errors);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct trace *sample_open(const struct trace_writer *writer, const char *name)
{
    struct trace *trace;
    struct error error;
    writer_save(writer, sample_path(name));
    if (trace_open(sample_path(name), &trace, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return trace;
}

uint64_t sample_events(struct trace *trace)
{
    struct merge *merge;
    struct stray_event event;
    uint32_t lane, thread;
    uint64_t count = 0;
    if (merge_open(trace, &merge, NULL) < 0)
        abort();
    while (merge_next(merge, &event, &lane, &thread) == 1)
        count++;
    merge_close(merge);
    return count;
}
