/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who closed it, told from stacks of the system's own, stripped, Python and psycopg2. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "names/closer.h"
#include "names/symbols.h"

#define PYTHON      "/usr/bin/python3"
#define MAX_MODULES 512

struct mapping {
    uint64_t start, end, offset;
    struct object *object;
    char path[512];
};

static struct mapping modules[MAX_MODULES];
static size_t module_count;
static struct symbols *symbols;
static size_t stacks_seen;

/* Runs closers.py with the library that captures stacks; what it wrote is in `output`. */
static bool run_python(const char *mode, const char *output)
{
    const char *capture = getenv("STRAY_TEST_CAPTURE"), *script = getenv("STRAY_TEST_CLOSERS");
    const char *python = getenv("STRAY_TEST_PYTHON");
    cr_assert(capture && script, "run me through meson test");
    if (!python)
        python = PYTHON;
    if (access(python, X_OK) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        /* it says what failed, which is no news when there is no server */
        if (!freopen("/dev/null", "w", stderr))
            _exit(127);
        setenv("LD_PRELOAD", capture, 1);
        setenv("CLOSING_STACK_OUTPUT", output, 1);
        execl(python, python, "-B", script, mode, (char *)NULL);
        _exit(127);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void add_module(const char *line)
{
    struct mapping new = {0};
    if (sscanf(line, "module %lx %lx %lx %511s", &new.start, &new.end, &new.offset, new.path) != 4)
        return;
    for (size_t i = 0; i < module_count; i++)
        if (modules[i].start == new.start)
            return;
    cr_assert_lt(module_count, MAX_MODULES);
    new.object = symbols_object(symbols, new.path, NULL, 0);
    modules[module_count++] = new;
}

/* The address as the file's program headers have it. */
static uint64_t file_address(const struct mapping *module, uint64_t address)
{
    const struct image *image = object_image(module->object);
    uint64_t offset = address - module->start + module->offset;
    for (size_t i = 0; image && i < image->segment_count; i++)
        if (image->segments[i].executable && offset - image->segments[i].offset < image->segments[i].size)
            return offset - image->segments[i].offset + image->segments[i].address;
    return 0;
}

static enum sign sign_at(uint64_t address)
{
    for (size_t i = 0; i < module_count; i++) {
        if (address < modules[i].start || address >= modules[i].end)
            continue;
        uint64_t offset = file_address(&modules[i], address);
        const struct location *location = object_locate(modules[i].object, offset);
        const struct python_types *types = object_types(modules[i].object);
        enum python_role role = types ? python_types_role(types, location->function_start) : PYTHON_ROLE_NONE;
        enum sign strongest = SIGN_NONE;
        for (size_t j = 0; j < location->count; j++) {
            enum sign sign = closer_native_sign(location->symbols[j].function, modules[i].path, role);
            strongest = sign > strongest ? sign : strongest;
        }
        return strongest;
    }
    return SIGN_NONE;
}

/* `only`: function whose stacks are meant; libpq also closes the socket of a connection that fails. */
static void check_stack(char *line, const char *only)
{
    static const char *const names[] = {"explicit", "destructor", "collector", "exit"};
    char label[64], function[64];
    int used;
    cr_assert_eq(sscanf(line, "close %63s %63s%n", function, label, &used), 2);
    if (strcmp(label, "-") == 0 || strcmp(function, only) != 0)
        return;
    enum sign strongest = SIGN_NONE;
    char *at = line + used, *end;
    for (uint64_t address; (address = strtoull(at, &end, 16)) != 0 && end != at; at = end) {
        enum sign sign = sign_at(address - 1);
        strongest = sign > strongest ? sign : strongest;
    }
    label[strcspn(label, "-")] = '\0';
    cr_expect_str_eq(names[strongest], label, "told %s from %s", names[strongest], line);
    stacks_seen++;
}

static void check_all(const char *mode, size_t expected)
{
    char output[] = "/tmp/stray-closers-XXXXXX";
    static char line[1 << 16];
    close(mkstemp(output));
    bool ran = run_python(mode, output);
    FILE *file = fopen(output, "re");
    cr_assert(file);
    unlink(output);
    if (!ran)
        cr_skip("no Python, module or server here");
    cr_assert_eq(symbols_open(&symbols), 0);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "module ", 7) == 0)
            add_module(line);
        else
            check_stack(line, strcmp(mode, "socket") == 0 ? "close" : "PQfinish");
    }
    cr_expect_geq(stacks_seen, expected, "%zu stacks", stacks_seen);
    fclose(file);
    symbols_close(symbols);
}

Test(python_types, sockets)
{
    check_all("socket", 13);
}

Test(python_types, refused_connections)
{
    check_all("refused", 1);
}

Test(python_types, connections)
{
    if (!getenv("PGHOST"))
        cr_skip("no server given: set PGHOST");
    check_all("connection", 13);
}

/* Runs the program and compares what it says of itself with what its file says. */
static void check_types(const char *name)
{
    char path[512];
    unsigned long address[5];
    const char *folder = getenv("STRAY_TEST_TYPES");
    cr_assert(folder, "run me through meson test");
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (access(path, X_OK) != 0)
        cr_skip("not built here");
    FILE *program = popen(path, "re");
    cr_assert(program);
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(fscanf(program, "%lx", &address[i]), 1);
    pclose(program);

    cr_assert_eq(symbols_open(&symbols), 0);
    const struct python_types *types = object_types(symbols_object(symbols, path, NULL, 0));
    cr_assert(types);
    cr_expect_eq(python_types_count(types), 3);
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq(python_types_role(types, address[i]), i < 3 ? PYTHON_ROLE_DESTRUCTOR : PYTHON_ROLE_NONE,
                     "function %zu", i);
    symbols_close(symbols);
}

Test(python_types, types_of_a_relocated_program)
{
    check_types("types-pie");
}

Test(python_types, types_of_a_fixed_program)
{
    check_types("types-fixed");
}

Test(python_types, types_behind_packed_relocations)
{
    check_types("types-relr");
}

Test(python_types, nothing_in_other_libraries)
{
    cr_assert_eq(symbols_open(&symbols), 0);
    const struct python_types *types =
        object_types(symbols_object(symbols, "/lib/x86_64-linux-gnu/libc.so.6", NULL, 0));
    if (types)
        cr_assert_eq(python_types_count(types), 0, "%zu", python_types_count(types));
    symbols_close(symbols);
}
