/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What run refuses, and with which words and status. What it runs is the end-to-end tests' matter. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/target.h"
#include "sample.h"

/* Runs `run` with these arguments: its status, and one line on standard error that holds `word`. */
static void refused(int status, const char *word, const char *const *arguments)
{
    char *output = NULL, *errors = NULL;
    cr_expect_eq(sample_run(command_run, arguments, NULL, &output, &errors), status);
    cr_expect_str_empty(output);
    cr_expect_eq(strncmp(errors, "stray: ", 7), 0, "%s", errors);
    cr_expect_eq(strchr(errors, '\n'), errors + strlen(errors) - 1, "%s", errors);
    cr_expect_not_null(strstr(errors, word), "%s not in: %s", word, errors);
    free(output);
    free(errors);
}

#define REFUSED(status, word, ...) refused(status, word, (const char *const[]){"run", __VA_ARGS__, NULL})

/* A file in the test's folder. */
static const char *made(const char *name, const void *content, size_t size, mode_t mode)
{
    const char *path = sample_path(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content, size), (ssize_t)size);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static const char *compiled(const char *name, const char *how)
{
    char command[1024];
    const char *source = made("program.c", "int main(void) { return 0; }\n", 29, 0600),
               *path = sample_path(name);
    snprintf(command, sizeof(command), "%s -o %s %s", how, path, source);
    cr_assert_eq(system(command), 0);
    return path;
}

Test(run, usage)
{
    REFUSED(2, "no command", "--");
    REFUSED(2, "unknown option", "--nosuch", "--", "true");
    REFUSED(2, "needs a value", "-o");
    REFUSED(2, "--depth many", "--depth", "many", "--", "true");
    REFUSED(2, "--depth 0", "--depth", "0", "--", "true");
    REFUSED(2, "--max-size 1X", "--max-size", "1X", "--", "true");
    REFUSED(2, "--max-size 20000000000G", "--max-size", "20000000000G", "--", "true");
    REFUSED(2, "--interval -1", "--interval", "-1", "--", "true");
    REFUSED(2, "no resource \"heaps\"", "--only", "connection,heaps", "--", "true");
    REFUSED(2, "--python-memory some", "--python-memory", "some", "--", "true");
    REFUSED(2, "--sql all", "--sql", "all", "--", "true");
}

Test(run, samples)
{
    REFUSED(2, "must be a size like 512K", "--sample", "0", "--", "true");
    REFUSED(2, "must be a size like 512K", "--sample", "often", "--", "true");
    REFUSED(2, "must be a size like 512K", "--sample", "1025M", "--", "true");
    REFUSED(2, "with --no-heap there is nothing to sample", "--no-heap", "--sample", "1M", "--", "true");
    REFUSED(2, "--only connection leaves out the heap", "--sample", "1M", "--only", "connection", "--", "true");
    REFUSED(2, "with --full every block is recorded", "--sample", "1M", "--full", "--", "true");
}

Test(run, pairs)
{
    REFUSED(2, "where the handle is must be ret, aN or *aN", "--pair", "a_open=rat:a_close=a0", "--", "true");
    REFUSED(2, "at \"a6:a_close=a0\"", "--pair", "a_open=a6:a_close=a0", "--", "true");
    REFUSED(2, "ends too early", "--pair", "a_open=ret!0", "--", "true");
    REFUSED(2, "what is closed must be an argument", "--pair", "a_open=ret:a_close=ret", "--", "true");
    REFUSED(2, "given twice, and not alike", "--pair", "a_open=ret:a_close=a0", "--pair", "a_open=a1:b_close=a0", "--", "true");
    REFUSED(2, "a resource of stray's own", "--pair", "heap:a_open=ret:a_close=a0", "--", "true");
    REFUSED(2, "nor the name of a file of pairs", "--pair", "nosuchlibrary", "--", "true");
    REFUSED(2, "No such file", "--pair", "@/no/such/file", "--", "true");
    REFUSED(2, "No such file", "--pairs", "/no/such/file", "--", "true");
    REFUSED(2, "no resource \"b\"", "--pair", "a_open=ret:a_close=a0", "--only", "b", "--", "true");
    REFUSED(125, "dlopen: cannot be traced", "--pair", "dlopen=ret!0:dl_close=a0", "--", "true");
    REFUSED(125, "malloc: stray traces it already", "--pair", "malloc=ret!0:give_back=a0", "--", "true");
    static const char lines[] = "# mine\na_open=ret : a_close=a0 # blanks\n\nb_open=ret:\n";
    REFUSED(2, "own.pairs:4: ", "--pairs", made("own.pairs", lines, sizeof(lines) - 1, 0600), "--", "true");
}

Test(run, pairs_of_the_environment)
{
    setenv("STRAY_PAIR", "a_open=ret!0:a_close=a0;b", 1);
    REFUSED(2, "STRAY_PAIR b: neither a pair", "--", "true");
    unsetenv("STRAY_PAIR");
}

Test(run, commands_that_are_not_there)
{
    REFUSED(127, "no-such-command: not found", "--", "no-such-command");
    REFUSED(127, "not found", "--", "/no/such/command");
    REFUSED(127, "not found", "--", "");
}

Test(run, commands_that_cannot_be_executed)
{
    REFUSED(126, "Permission denied", "--", made("plain", "#!/bin/sh\n", 10, 0600));
    REFUSED(126, "Permission denied", "--", sample_folder());
}

Test(run, programs_that_cannot_be_traced)
{
    REFUSED(125, "static", "--", compiled("static", "gcc -static"));
    REFUSED(125, "static", "--", compiled("static-pie", "gcc -static-pie"));
    REFUSED(125, "32-bit", "--", compiled("narrow", "gcc -m32"));
    REFUSED(125, "musl", "--", compiled("musl", "musl-gcc"));
    const char *program = compiled("plain", "gcc");
    cr_assert_eq(chmod(program, 04755), 0);
    REFUSED(125, "setuid", "--", program);
    cr_assert_eq(chmod(program, 02755), 0);
    REFUSED(125, "setgid", "--", program);
}

Test(run, scripts_are_what_interprets_them)
{
    struct error error = {.text = ""};
    char script[256];
    cr_expect_eq(target_check(made("sh", "#!/bin/sh\n", 10, 0700), &error), 0, "%s", error.text);
    int length = snprintf(script, sizeof(script), "#! %s -x\n", compiled("static", "gcc -static"));
    const char *inner = made("inner", script, (size_t)length, 0700);
    cr_expect_lt(target_check(inner, &error), 0);
    cr_expect_not_null(strstr(error.text, "static"));
    length = snprintf(script, sizeof(script), "#!%s\n", inner);
    cr_expect_lt(target_check(made("outer", script, (size_t)length, 0700), &error), 0);
    length = snprintf(script, sizeof(script), "#!%s\n", sample_path("self"));
    cr_expect_eq(target_check(made("self", script, (size_t)length, 0700), &error), 0,
                 "no end, but an end to looking");
    cr_expect_eq(target_check(made("text", "echo no head\n", 13, 0700), &error), 0);
    cr_expect_eq(target_check(made("short", "\177ELF\2", 5, 0700), &error), 0);
    cr_expect_eq(target_check(made("empty", "", 0, 0700), &error), 0);
}
