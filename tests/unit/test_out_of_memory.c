/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each verb that reads, with each of its allocations failing in turn: one line that says so and status 2, or,
 * where a library can do without, what it says anyway. Never a crash, a leak, or half an answer.
 *
 *     test_out_of_memory [NTH]    only the failure of the n-th, with its messages shown
 */
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/commands.h"
#include "failing.h"
#include "sample.h"

#define GOLDEN SOURCE_ROOT "/tests/golden/"
#define MOST   400 /* runs of one verb; where it allocates more often, failures are spread over them */
#define OUTPUT (1u << 20)

struct run {
    int status; /* -1: crashed */
    uint64_t asked;
    char *output, *errors;
};

struct subject {
    const char *name;
    int (*command)(int argc, char **argv);
    const char *arguments[6];
    const char *still; /* has names to look up: one that fails is missing in the result, which stays whole
                          otherwise and still says this */
};

static char leaking[512];

static const struct subject subjects[] = {
    {.name = "report",
     .command = command_report,
     .arguments = {"report", GOLDEN "small.stray", "--format", "json", "--all"}},
    {.name = "report in text",
     .command = command_report,
     .arguments = {"report", GOLDEN "small.stray", "-v", "--all"}},
    {.name = "report in HTML",
     .command = command_report,
     .arguments = {"report", GOLDEN "small.stray", "--format", "html", "--all"}},
    {.name = "diff in HTML",
     .command = command_diff,
     .arguments = {"diff", GOLDEN "small.stray", GOLDEN "small.stray", "--format", "html"}},
    {.name = "info",
     .command = command_info,
     .arguments = {"info", GOLDEN "small.stray", "--format", "json"}},
    {.name = "verify",
     .command = command_verify,
     .arguments = {"verify", GOLDEN "damaged.stray", "--format", "json"}},
    {.name = "dump",
     .command = command_dump,
     .arguments = {"dump", GOLDEN "small.stray", "--format", "json"}},
    {.name = "folder", .command = command_info, .arguments = {"info", GOLDEN}},
    {.name = "sites", .command = command_sites, .arguments = {"sites", GOLDEN "small.stray"}},
    {.name = "sites in JSON",
     .command = command_sites,
     .arguments = {"sites", GOLDEN "small.stray", "--format", "json"}},
    {.name = "conns",
     .command = command_conns,
     .arguments = {"conns", GOLDEN "small.stray", "--sort", "uses"}},
    {.name = "conns in JSON",
     .still = "127.0.0.1:6379",
     .command = command_conns,
     .arguments = {"conns", GOLDEN "small.stray", "--format", "json"}},
    {.name = "top",
     .command = command_top,
     .arguments = {"top", GOLDEN "small.stray", "--once"}},
    {.name = "check in text",
     .command = command_check,
     .arguments = {"check", GOLDEN "small.stray", "--format", "text"}},
    {.name = "check in json",
     .command = command_check,
     .arguments = {"check", GOLDEN "small.stray", "--format", "json"}},
    {.name = "check in sarif",
     .command = command_check,
     .arguments = {"check", GOLDEN "small.stray", "--format", "sarif"}},
    {.name = "check in junit",
     .command = command_check,
     .arguments = {"check", GOLDEN "small.stray", "--format", "junit"}},
    {.name = "export to folded",
     .command = command_export,
     .arguments = {"export", GOLDEN "small.stray", "--to", "folded"}},
    {.name = "export to speedscope",
     .command = command_export,
     .arguments = {"export", GOLDEN "small.stray", "--to", "speedscope"}},
    {.name = "export to pprof",
     .command = command_export,
     .arguments = {"export", GOLDEN "small.stray", "--to", "pprof"}},
    {.name = "export to perfetto",
     .command = command_export,
     .arguments = {"export", GOLDEN "small.stray", "--to", "perfetto"}},
    {.name = "export to jsonl",
     .command = command_export,
     .arguments = {"export", GOLDEN "small.stray", "--to", "jsonl"}},
    {.name = "export to openmetrics",
     .command = command_export,
     .arguments = {"export", GOLDEN "small.stray", "--to", "openmetrics"}},
    {.name = "diff",
     .command = command_diff,
     .arguments = {"diff", GOLDEN "small.stray", GOLDEN "small.stray"}},
    {.name = "diff of leaks",
     .still = "\"leaked\"",
     .command = command_diff,
     .arguments = {"diff", leaking, GOLDEN "small.stray", "--format", "json"}},
    {.name = "pack", .command = command_pack, .arguments = {"pack", GOLDEN "small.stray", "-o", "-"}},
    {.name = "report of leaks",
     .still = "\"leaked\"",
     .command = command_report,
     .arguments = {"report", leaking, "--format", "json"}},
};

/* Both sides of a run share it: what the child knows of its allocations. */
static uint64_t *shared_count;

static char *read_all(int fd)
{
    char *text = calloc(1, OUTPUT);
    ssize_t got = pread(fd, text, OUTPUT - 1, 0);
    if (got < 0)
        abort();
    close(fd);
    return text;
}

static int verb_status(const struct subject *subject, uint64_t nth)
{
    char words[6][512], *argv[7] = {0};
    int argc = 0;
    for (; argc < 6 && subject->arguments[argc]; argc++) {
        snprintf(words[argc], sizeof(words[argc]), "%s", subject->arguments[argc]);
        argv[argc] = words[argc];
    }
    failing_arm(nth);
    int status = subject->command(argc, argv);
    fflush(stdout);
    *shared_count = failing_count();
    failing_arm(0);
    return status;
}

static struct run run(const struct subject *subject, uint64_t nth)
{
    struct run run = {.status = -1};
    int out = memfd_create("out", 0), errors = memfd_create("errors", 0), status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out, STDOUT_FILENO);
        dup2(errors, STDERR_FILENO);
        exit(verb_status(subject, nth)); /* and not _exit: leaks are looked for at the exit */
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        abort();
    run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    run.asked = *shared_count;
    run.output = read_all(out);
    run.errors = read_all(errors);
    return run;
}

static void forget(struct run *run)
{
    free(run->output);
    free(run->errors);
}

static bool one_line_says_so(const char *text)
{
    static const char words[] = "out of memory\n";
    const char *end = strchr(text, '\n');
    return strncmp(text, "stray: ", 7) == 0 && end && !end[1] && strlen(text) >= 7 + strlen(words) &&
           strcmp(text + strlen(text) - strlen(words), words) == 0;
}

/* This executable as a module of the trace, so that its names are looked up for real. */
static int note_self(struct dl_phdr_info *object, size_t size, void *module)
{
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X))
            *(struct stray_def_module *)module =
                (struct stray_def_module){.start = object->dlpi_addr + segment->p_vaddr,
                                          .end = object->dlpi_addr + segment->p_vaddr + segment->p_memsz,
                                          .file_offset = segment->p_offset,
                                          .bias = object->dlpi_addr};
    }
    return 1;
}

/* Two places, one of which leaks each of its blocks and connections. */
static void write_leaking_trace(void)
{
    struct trace_writer *writer = writer_new();
    struct stray_def_module module = {0};
    char self[512] = "";
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || !dl_iterate_phdr(note_self, &module))
        abort();
    writer_process(writer, 0, self, (const char *const[]){"self", NULL});
    writer_module(writer, &module, NULL, self);
    uint32_t peer = writer_text(writer, STRAY_DEF_ENDPOINT, "127.0.0.1:6379");
    uint32_t root = writer_node(writer, STRAY_NODE_ROOT, 0, 0);
    uint32_t here = writer_node(writer, STRAY_NODE_NATIVE, root, (uint64_t)(uintptr_t)note_self + 1);
    uint32_t there = writer_node(writer, STRAY_NODE_NATIVE, here, (uint64_t)(uintptr_t)run + 1);
    for (uint64_t i = 1; i <= 200; i++) {
        uint64_t now = i * 10000000;
        writer_put(writer, 0, now, STRAY_OPEN, STRAY_HEAP, STRAY_HOOK_malloc, i << 16, 20000, here);
        writer_put(writer, 0, now + 1, STRAY_OPEN, STRAY_HEAP, STRAY_HOOK_malloc, i << 16 | 64, 64, there);
        writer_put(writer, 0, now + 2, STRAY_OPEN, STRAY_SOCKET, STRAY_HOOK_socket, i + 2, 0, there);
        writer_put(writer, 0, now + 3, STRAY_CONNECTED, STRAY_CONNECTION, STRAY_HOOK_connect, i + 2, peer,
                   there);
        writer_put(writer, 0, now + 9, STRAY_CLOSE, STRAY_HEAP, STRAY_HOOK_free, i << 16 | 64, 0, 0);
    }
    writer_end(writer, 0, UINT64_C(3000000000));
    snprintf(leaking, sizeof(leaking), "%s", sample_path("leaking.stray"));
    writer_save(writer, leaking);
    writer_free(writer);
}

/* Whether a failure was survived: told, or of no consequence. */
static bool survived(const struct run *failed, const struct run *whole, const char *still)
{
    if (failed->status == 2)
        return one_line_says_so(failed->errors);
    if (still && failed->status == whole->status && strstr(failed->output, still))
        return failed->errors[0] == '\0';
    return failed->status == whole->status && strcmp(failed->output, whole->output) == 0 &&
           strcmp(failed->errors, whole->errors) == 0;
}

static unsigned check(const struct subject *subject, uint64_t only)
{
    struct run whole = run(subject, 0);
    uint64_t step = whole.asked / MOST + 1, told = 0, runs = 0;
    unsigned bad = 0;
    for (uint64_t nth = only ? only : 1; nth <= (only ? only : whole.asked); nth += step) {
        struct run failed = run(subject, nth);
        runs++;
        told += failed.status == 2;
        bool fine = survived(&failed, &whole, subject->still);
        if (only || !fine) {
            printf("%s, allocation %lu: status %d\n%s\n", subject->name, (unsigned long)nth, failed.status,
                   failed.errors);
            bad += !fine;
        }
        forget(&failed);
    }
    printf("%s: %lu allocations, %lu runs, %lu told, %u bad\n", subject->name, (unsigned long)whole.asked,
           (unsigned long)runs, (unsigned long)told, bad);
    bad += whole.asked == 0 || (!only && told == 0);
    forget(&whole);
    return bad;
}

int main(int argc, char **argv)
{
    unsigned bad = 0;
    shared_count =
        mmap(NULL, sizeof(*shared_count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared_count == MAP_FAILED)
        return 2;
    failing_spare("libdw"); /* it crashes or leaks where memory runs out, in itself or in these two */
    failing_spare("libelf");
    failing_spare("libz.so");
    write_leaking_trace();
    for (size_t i = 0; i < sizeof(subjects) / sizeof(*subjects); i++)
        bad += check(&subjects[i], argc > 1 ? strtoull(argv[1], NULL, 10) : 0);
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
