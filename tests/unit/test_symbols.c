/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* names/symbols.c on libraries built for it: each says where its code is, and copies of it are stripped. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../targets/named/named.h"
#include "names/symbols.h"

static struct symbols *symbols;

static void setup(void)
{
    cr_assert_eq(symbols_open(&symbols), 0);
}

static void teardown(void)
{
    symbols_close(symbols);
}

TestSuite(symbols, .init = setup, .fini = teardown);

static const char *target(const char *name)
{
    static char path[PATH_MAX];
    const char *folder = getenv("STRAY_TEST_NAMED");
    cr_assert(folder, "run me through meson test");
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* Runs `function` of the unstripped library and says where it found itself, in the file's terms. */
static struct spot run(const char *library, const char *function, uint64_t *ret_offset, uint64_t *ret_start)
{
    struct spot spot = {0};
    Dl_info info;
    void *handle = dlopen(target(library), RTLD_NOW | RTLD_LOCAL);
    cr_assert(handle, "%s", dlerror());
    void (*call)(struct spot *);
    *(void **)&call = dlsym(handle, function);
    cr_assert(call, "%s", dlerror());
    call(&spot);
    cr_assert(dladdr(spot.address, &info));
    *ret_offset = (uint64_t)((char *)spot.address - (char *)info.dli_fbase) - 1;
    if (ret_start)
        *ret_start = (uint64_t)((char *)spot.function - (char *)info.dli_fbase);
    return spot;
}

static void expect_inlined(const char *library)
{
    uint64_t offset, start;
    struct spot spot = run("libnamed.so", "outermost", &offset, &start);
    const struct location *location =
        object_locate(symbols_object(symbols, target(library), NULL, 0), offset);
    static const char *const names[] = {"innermost", "middle", "outermost"};
    cr_assert_eq(location->count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct symbol *symbol = &location->symbols[i];
        cr_assert_str_eq(symbol->function, names[i]);
        cr_assert_eq(symbol->line, (uint32_t)spot.line[i], "%s at %u", names[i], symbol->line);
        cr_assert(symbol->file[0] == '/' && !strstr(symbol->file, ".."), "%s", symbol->file);
        cr_assert_str_eq(strrchr(symbol->file, '/'), "/named.c");
    }
    cr_assert_eq(location->function_start, start);
}

Test(symbols, expands_inlined_functions)
{
    expect_inlined("libnamed.so");
}

Test(symbols, finds_the_debug_file_by_its_link)
{
    expect_inlined("libnamed_linked.so");
}

Test(symbols, names_exported_functions_of_a_stripped_file)
{
    uint64_t offset, start;
    run("libnamed.so", "outermost", &offset, &start);
    const struct location *location =
        object_locate(symbols_object(symbols, target("libnamed_bare.so"), NULL, 0), offset);
    cr_assert_eq(location->count, 1);
    cr_assert_str_eq(location->symbols[0].function, "outermost");
    cr_assert_null(location->symbols[0].file);
    cr_assert_eq(location->function_start, start);
}

Test(symbols, gives_no_wrong_name_to_a_stripped_function)
{
    uint64_t offset, start;
    run("libnamed.so", "call_hidden", &offset, &start);
    const struct location *location =
        object_locate(symbols_object(symbols, target("libnamed_bare.so"), NULL, 0), offset);
    cr_assert_null(location->symbols[0].function);
    cr_assert_eq(location->function_start, start, "the unwind table knows where it starts");
}

Test(symbols, keeps_its_answers)
{
    uint64_t offset;
    run("libnamed.so", "outermost", &offset, NULL);
    struct object *object = symbols_object(symbols, target("libnamed.so"), NULL, 0);
    const struct location *first = object_locate(object, offset);
    for (uint64_t i = 0; i < 1000; i++)
        object_locate(object, offset + i);
    cr_assert_eq(object_locate(object, offset), first);
    cr_assert_eq(symbols_object(symbols, target("libnamed.so"), NULL, 0), object);
}

static void expect_cpp(const char *function, const char *name)
{
    if (access(target("libshop.so"), R_OK) != 0)
        cr_skip("built without a C++ compiler");
    uint64_t offset;
    struct spot spot = run("libshop.so", function, &offset, NULL);
    const struct location *location =
        object_locate(symbols_object(symbols, target("libshop.so"), NULL, 0), offset);
    cr_assert_str_eq(location->symbols[0].function, name);
    cr_assert_eq(location->symbols[0].line, (uint32_t)spot.line[0]);
}

Test(symbols, qualifies_methods)
{
    expect_cpp("in_method", "shop::Basket::add");
}

Test(symbols, shortens_templates)
{
    expect_cpp("in_template", "shop::twice<int>");
}

Test(symbols, qualifies_inlined_constructors)
{
    expect_cpp("in_constructor", "shop::Basket::Basket");
}

Test(symbols, qualifies_what_is_local_to_a_function)
{
    expect_cpp("in_local_class", "in_local_class::Till::Till");
}

Test(symbols, names_anonymous_namespaces)
{
    expect_cpp("in_anonymous", "shop::(anonymous namespace)::secret");
}

Test(symbols, says_nothing_of_another_build)
{
    static const uint8_t other[20] = {1, 2, 3};
    uint64_t offset;
    run("libnamed.so", "outermost", &offset, NULL);
    struct object *object = symbols_object(symbols, target("libnamed.so"), other, sizeof(other));
    const struct location *location = object_locate(object, offset);
    cr_assert_eq(location->count, 1);
    cr_assert_null(location->symbols[0].function);
    cr_assert_null(location->symbols[0].file);
    cr_assert_eq(location->function_start, 0);
    cr_assert_null(object_image(object));
}

Test(symbols, survives_paths_that_are_no_library, .timeout = 10)
{
    char fifo[] = "/tmp/stray-symbols-XXXXXX", pipe[64];
    cr_assert(mkdtemp(fifo));
    snprintf(pipe, sizeof(pipe), "%s/fifo", fifo);
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    const char *const paths[] = {pipe,       "/", "/dev/zero", "/nonexistent",
                                 "relative", "",  "[vdso]",    "/etc/passwd"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct location *location = object_locate(symbols_object(symbols, paths[i], NULL, 0), 0x1000);
        cr_assert_null(location->symbols[0].function, "%s", paths[i]);
    }
    unlink(pipe);
    rmdir(fifo);
}
