/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What dump, info, verify and hooks say, and how they end. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/commands.h"
#include "sample.h"

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

typedef int verb(int argc, char **argv);

struct outcome {
    int status;
    char *output, *errors;
};

static struct outcome run(verb *command, const char *const *arguments)
{
    struct outcome outcome;
    outcome.status = sample_run(command, arguments, NULL, &outcome.output, &outcome.errors);
    return outcome;
}

static void forget(struct outcome *outcome)
{
    free(outcome->output);
    free(outcome->errors);
}

static void expect(verb *command, const char *const *arguments, int status, const char *output,
                   const char *errors)
{
    struct outcome outcome = run(command, arguments);
    cr_assert_eq(outcome.status, status, "%d: %s%s", outcome.status, outcome.output, outcome.errors);
    if (output)
        cr_assert(strstr(outcome.output, output), "no <%s> in: %s", output, outcome.output);
    if (errors)
        cr_assert(strstr(outcome.errors, errors), "no <%s> in: %s", errors, outcome.errors);
    else
        cr_assert_str_empty(outcome.errors, "%s", outcome.errors);
    forget(&outcome);
}

static void save_sample(const char *name)
{
    struct trace_writer *writer = sample_trace();
    writer_save(writer, sample_path(name));
    writer_free(writer);
}

static void save_cut(const char *name)
{
    struct trace_writer *writer = sample_trace();
    size_t size;
    uint8_t *bytes = writer_bytes(writer, &size);
    writer_save_bytes(sample_path(name), bytes, size / 2);
    free(bytes);
    writer_free(writer);
}

Test(commands, dump_writes_a_line_an_event)
{
    save_sample("a.stray");
    expect(command_dump, ARGUMENTS("dump", sample_path("a.stray")), 0,
           "0.000001000 4121 open heap malloc 0x5000 64 2\n", NULL);
    expect(command_dump, ARGUMENTS("dump", sample_path("a.stray")), 0,
           "0.000001700 4122 connected connection connect 7 27 3 127.0.0.1:6379\n", NULL);
    expect(command_dump, ARGUMENTS("dump", sample_path("a.stray")), 0, "4123 close connection close 7 0 2\n",
           NULL);
}

Test(commands, dump_json_is_an_object_a_line)
{
    save_sample("a.stray");
    struct outcome outcome = run(command_dump, ARGUMENTS("dump", "--format=json", sample_path("a.stray")));
    unsigned lines = 0;
    for (char *line = strtok(outcome.output, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *object = json_loads(line, 0, NULL);
        cr_assert(json_is_object(object), "%s", line);
        cr_assert_eq(json_integer_value(json_object_get(object, "pid")), 4121);
        json_decref(object);
    }
    cr_assert_eq(lines, 18);
    forget(&outcome);
}

Test(commands, dump_names_several_traces)
{
    save_sample("a.stray");
    save_sample("b.stray");
    char line[600];
    snprintf(line, sizeof(line), "# %s\n", sample_path("b.stray"));
    expect(command_dump, ARGUMENTS("dump", sample_folder()), 0, line, NULL);
}

Test(commands, a_damaged_trace_is_read_and_said_to_be_damaged)
{
    save_cut("a.stray");
    expect(command_dump, ARGUMENTS("dump", sample_path("a.stray")), 0, "", "incomplete: cut short");
    expect(command_info, ARGUMENTS("info", sample_path("a.stray")), 0, "damage     cut short", NULL);
    expect(command_info, ARGUMENTS("info", "--format", "json", sample_path("a.stray")), 0,
           "\"complete\": false", NULL);
    expect(command_verify, ARGUMENTS("verify", sample_path("a.stray")), 1, ": damaged: cut short", NULL);
}

Test(commands, what_the_traced_program_chose_cannot_command_the_terminal)
{
    struct trace_writer *writer = writer_new();
    writer_process(writer, 1, "/bin/\x1b[2J\xc2\x9b\xff", (const char *const[]){"a\nb", NULL});
    writer_end(writer, 0, 5);
    writer_save(writer, sample_path("a.stray"));
    expect(command_info, ARGUMENTS("info", sample_path("a.stray")), 0,
           "program    /bin/\\x1b[2J\\xc2\\x9b\\xff\ncommand    a\\x0ab\n", NULL);
    expect(command_info, ARGUMENTS("info", "--format=json", sample_path("a.stray")), 0, "\\\\xff", NULL);
    expect(command_verify, ARGUMENTS("verify", "no\nsuch"), 2, "", "stray: no\\x0asuch: No such file");
    writer_free(writer);
}

Test(commands, numbers_without_words_and_large_ones)
{
    struct trace_writer *writer = writer_new();
    writer_put(writer, 0, 5, 200, 201, 60000, UINT64_MAX, UINT64_MAX, 0);
    writer_end(writer, 0, 6);
    writer_save(writer, sample_path("a.stray"));
    expect(command_dump, ARGUMENTS("dump", sample_path("a.stray")), 0,
           "action-200 resource-201 hook-60000 0xffffffffffffffff 18446744073709551615 0\n", NULL);
    expect(command_dump, ARGUMENTS("dump", "--format=json", sample_path("a.stray")), 0,
           "\"value\":\"0xffffffffffffffff\"", NULL);
    expect(command_info, ARGUMENTS("info", sample_path("a.stray")), 0, "action-200 resource-201", NULL);
    expect(command_info, ARGUMENTS("info", "--format=json", sample_path("a.stray")), 0, "\"resource-201\"",
           NULL);
    writer_free(writer);
}

Test(commands, verify_says_how_each_file_is)
{
    save_sample("a.stray");
    expect(command_verify, ARGUMENTS("verify", sample_folder()), 0, ": sound: 7 frames, 18 events", NULL);
    save_cut("b.stray");
    expect(command_verify, ARGUMENTS("verify", sample_folder()), 1, ": sound: 7", NULL);
    writer_save_bytes(sample_path("c.stray"), "rubbish", 7);
    expect(command_verify, ARGUMENTS("verify", sample_folder()), 2, ": sound: 7", "not a trace");
    expect(command_verify, ARGUMENTS("verify", "--format=json", sample_path("b.stray")), 1,
           "\"truncated\":true", NULL);
}

Test(commands, verify_misses_stacks)
{
    struct trace_writer *writer = writer_new();
    writer_put(writer, 0, 5, STRAY_OPEN, STRAY_HEAP, 1, 1, 1, 9);
    writer_end(writer, 0, 6);
    writer_save(writer, sample_path("a.stray"));
    expect(command_verify, ARGUMENTS("verify", sample_path("a.stray")), 1,
           "damaged: 1 events with missing stacks", NULL);
    writer_free(writer);
}

Test(commands, verify_takes_losses_for_no_damage)
{
    struct trace_writer *writer = writer_new();
    writer_put(writer, 0, 5, STRAY_LOST, 0, 0, 0, 12, 0);
    writer_end(writer, 0, 6);
    writer_save(writer, sample_path("a.stray"));
    expect(command_verify, ARGUMENTS("verify", sample_path("a.stray")), 0, "12 lost while recording", NULL);
    writer_free(writer);
}

Test(commands, info_tells_the_process)
{
    save_sample("a.stray");
    expect(command_info, ARGUMENTS("info", sample_path("a.stray")), 0, "command    app --serve\n", NULL);
    expect(command_info, ARGUMENTS("info", sample_path("a.stray")), 0,
           "started    2023-11-14T22:13:20.000000000Z\n", NULL);
    expect(command_info, ARGUMENTS("info", sample_path("a.stray")), 0, "end        exit, status 0\n", NULL);
    expect(command_info, ARGUMENTS("info", sample_path("a.stray")), 0, "  open heap                    1\n",
           NULL);
    struct outcome outcome = run(command_info, ARGUMENTS("info", "--format=json", sample_path("a.stray")));
    json_t *object = json_loads(outcome.output, 0, NULL);
    json_t *trace = json_array_get(json_object_get(object, "traces"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(trace, "process"), "end")), "exit");
    cr_assert_eq(json_integer_value(json_object_get(trace, "events")), 18);
    json_decref(object);
    forget(&outcome);
}

static verb *const readers[] = {command_dump, command_info, command_verify};

Test(commands, wrong_usage_is_told_in_a_line)
{
    save_sample("a.stray");
    for (unsigned i = 0; i < 3; i++) {
        expect(readers[i], ARGUMENTS("verb", "--bogus"), 2, "", "stray: --bogus: unknown option");
        expect(readers[i], ARGUMENTS("verb", "-x"), 2, "", "stray: -x: unknown option");
        expect(readers[i], ARGUMENTS("verb", "--format"), 2, "", "stray: --format: needs a value\n");
        expect(readers[i], ARGUMENTS("verb", "--format=xml"), 2, "",
               "stray: --format xml: must be text or json\n");
        expect(readers[i], ARGUMENTS("verb", ""), 2, "", "stray: an argument is empty");
        expect(readers[i], ARGUMENTS("verb", "--help"), 0, "usage: stray ", NULL);
        expect(readers[i], ARGUMENTS("verb", "/dev/null"), 2, NULL, "not a trace");
        expect(readers[i], ARGUMENTS("verb", "--", "--format"), 2, "", "stray: --format: No such file");
    }
    expect(command_hooks, ARGUMENTS("hooks", "x"), 2, "", "stray: x: stray hooks takes no arguments\n");
}

Test(commands, a_full_disk_is_told)
{
    save_sample("a.stray");
    for (unsigned i = 0; i < 3; i++) {
        char *errors;
        cr_assert_eq(
            sample_run(readers[i], ARGUMENTS("verb", sample_path("a.stray")), "/dev/full", NULL, &errors), 2);
        cr_assert(strstr(errors, "stray: standard output: No space left on device\n"), "%s", errors);
        free(errors);
    }
    cr_assert_eq(sample_run(command_hooks, ARGUMENTS("hooks"), "/dev/full", NULL, NULL), 2);
}

Test(commands, without_a_trace_the_newest_folder_here_is_read)
{
    cr_assert_eq(chdir(sample_folder()), 0);
    expect(command_verify, ARGUMENTS("verify"), 2, "",
           "stray: no trace given, and there is no folder stray.* here\n");
    mkdir("stray.app.1", 0700);
    mkdir("stray.app.2", 0700);
    const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    save_sample("x");
    cr_assert_eq(rename("x", "stray.app.1/one.stray"), 0);
    cr_assert_eq(utimensat(AT_FDCWD, "stray.app.2", old, 0), 0);
    expect(command_verify, ARGUMENTS("verify"), 0, "stray.app.1/one.stray: sound", NULL);
    unlink("stray.app.1/one.stray");
    rmdir("stray.app.1");
    rmdir("stray.app.2");
}

Test(commands, standard_input_is_read_as_a_dash)
{
    save_sample("a.stray");
    cr_assert(freopen(sample_path("a.stray"), "r", stdin));
    expect(command_verify, ARGUMENTS("verify", "-"), 0, ": sound: 7 frames, 18 events", NULL);
}

Test(commands, hooks_lists_the_table)
{
    expect(command_hooks, ARGUMENTS("hooks"), 0,
           "\nmalloc                 heap        open    libc     void *malloc(size_t size)\n", NULL);
    expect(command_hooks, ARGUMENTS("hooks"), 0, "\nPQclear ", NULL);
    struct outcome outcome = run(command_hooks, ARGUMENTS("hooks", "--format=json"));
    json_t *list = json_loads(outcome.output, 0, NULL);
    cr_assert_gt(json_array_size(list), 70);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "name")), "malloc");
    json_decref(list);
    forget(&outcome);
}
