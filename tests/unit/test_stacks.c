/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * names/stacks.c on stacks written here: this file stands in for the reader (read/trace.h) and for the line
 * tables (names/python_code.h).
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../targets/named/named.h"
#include "names/python_code.h"
#include "names/stacks.h"
#include "names/symbols.h"

#define MAX_ITEMS 64

struct trace {
    struct stray_node nodes[MAX_ITEMS];
    uint32_t node_count;
    struct code codes[MAX_ITEMS];
    uint32_t code_count;
    struct module modules[MAX_ITEMS];
    size_t module_count;
    struct process process;
};

static struct trace trace;
static struct names *names;
static struct symbols *symbols;

const struct process *trace_process(const struct trace *from)
{
    return &from->process;
}

size_t trace_modules(const struct trace *from, const struct module **ret_modules)
{
    *ret_modules = from->modules;
    return from->module_count;
}

const struct stray_node *trace_node(const struct trace *from, uint32_t id)
{
    return id > 0 && id <= from->node_count ? &from->nodes[id - 1] : NULL;
}

uint32_t trace_node_count(const struct trace *from)
{
    return from->node_count;
}

const struct code *trace_code(const struct trace *from, uint32_t id)
{
    return id > 0 && id <= from->code_count ? &from->codes[id - 1] : NULL;
}

uint32_t python_line(const struct code *code, uint32_t offset)
{
    return code->first_line + offset;
}

static uint32_t add_node(uint32_t parent, uint16_t kind, uint64_t value, uint16_t flags)
{
    trace.nodes[trace.node_count] = (struct stray_node){value, parent, kind, flags};
    return ++trace.node_count;
}

static uint32_t root(uint64_t epoch)
{
    return add_node(0, STRAY_NODE_ROOT, epoch, 0);
}

static uint32_t native(uint32_t parent, uint64_t address)
{
    return add_node(parent, STRAY_NODE_NATIVE, address, 0);
}

static uint32_t python(uint32_t parent, const char *file, const char *function, uint32_t line)
{
    trace.codes[trace.code_count] =
        (struct code){.id = trace.code_count + 1, .filename = file, .name = function};
    return add_node(parent, STRAY_NODE_PYTHON, (uint64_t)++trace.code_count << 32 | line, 0);
}

static struct module *add_module(uint64_t start, uint32_t epoch, const char *path)
{
    struct module *module = &trace.modules[trace.module_count++];
    *module = (struct module){.start = start, .end = start + 0x1000, .epoch = epoch, .path = path};
    return module;
}

static void open_names(const char *const *library, const char *const *mine)
{
    cr_assert_eq(symbols_open(&symbols), 0);
    cr_assert_eq(names_open(&trace, symbols, library, mine, &names), 0);
}

static void start_python(void)
{
    static const char *const command[] = {"python3", "/srv/app/main.py", NULL};
    trace = (struct trace){.process = {.exe = "/usr/bin/python3.11", .command = command}};
    add_module(0x1000, 0, "/usr/bin/python3.11");
    add_module(0x2000, 0, "/opt/stray/lib/libstray.so");
    add_module(0x3000, 0, "/usr/lib/python3/dist-packages/psycopg2/_psycopg.cpython-311-x86_64-linux-gnu.so");
    add_module(0x4000, 0, "/srv/app/libfast.so");
}

static void teardown(void)
{
    names_close(names);
    symbols_close(symbols);
    names = NULL;
    symbols = NULL;
}

TestSuite(stacks, .init = start_python, .fini = teardown);

static const struct frame *blamed(uint32_t node)
{
    const struct stack *stack = names_stack(names, node);
    cr_assert_lt(stack->blame, stack->count);
    return &stack->frames[stack->blame];
}

static uint32_t application(void)
{
    uint32_t node = native(root(0), 0x1800);
    node = python(node, "/srv/app/main.py", "<module>", 90);
    return python(node, "/srv/app/auth.py", "Auth.validate_jwt", 17);
}

static uint32_t driver(uint32_t node)
{
    node = python(node, "/usr/lib/python3/dist-packages/psycopg2/__init__.py", "connect", 122);
    return native(native(native(node, 0x1900), 0x3100), 0x2100);
}

Test(stacks, blames_the_innermost_user_frame)
{
    uint32_t node = driver(application());
    open_names(NULL, NULL);
    const struct stack *stack = names_stack(names, node);
    cr_assert_eq(stack->count, 6, "the shim's own frame is left out");
    cr_assert_eq(stack->blame, 3);
    const struct frame *frame = &stack->frames[3];
    cr_assert_str_eq(frame->function, "Auth.validate_jwt");
    cr_assert_str_eq(frame->file, "/srv/app/auth.py");
    cr_assert_str_eq(frame->module, "/srv/app");
    cr_assert_eq(frame->line, 17);
    cr_assert_eq(frame->language, LANGUAGE_PYTHON);
    cr_assert(frame->user && stack->frames[4].user);
    cr_assert_not(stack->frames[2].user);
    cr_assert_str_eq(stack->frames[2].module, "/usr/lib/python3/dist-packages/psycopg2");
    cr_assert_eq(stack->frames[0].address, 0x30ff);
    cr_assert_not(stack->truncated);
    cr_assert_eq(names_stack(names, node), stack);
}

Test(stacks, blames_native_code_of_the_user)
{
    uint32_t node = native(native(application(), 0x4100), 0x2100);
    open_names(NULL, NULL);
    cr_assert_str_eq(blamed(node)->module, "/srv/app/libfast.so");
}

Test(stacks, library_globs_move_the_line)
{
    static const char *const library[] = {"*/auth.py", NULL}, *const mine[] = {"*/psycopg2/__init__.py",
                                                                               NULL};
    uint32_t node = driver(application());
    open_names(library, NULL);
    cr_assert_str_eq(blamed(node)->function, "<module>");
    names_close(names);
    open_names(library, mine);
    cr_assert_str_eq(blamed(node)->function, "connect");
}

Test(stacks, blames_an_installed_application_before_its_framework)
{
    static const char site[] = "/v/lib/python3.11/site-packages/";
    char launched[128], shop[128];
    snprintf(launched, sizeof(launched), "%suvicorn/main.py", site);
    snprintf(shop, sizeof(shop), "%sshop/db.py", site);
    uint32_t node = python(root(0), "/v/bin/uvicorn", "<module>", 8);
    node = python(node, launched, "main", 400);
    uint32_t without = driver(node), with = driver(python(node, shop, "pool", 5));
    open_names(NULL, NULL);
    cr_assert_str_eq(blamed(with)->function, "pool");
    cr_assert_not(blamed(with)->user);
    cr_assert_str_eq(blamed(without)->function, "connect");
}

Test(stacks, takes_generated_code_for_the_users_only_alone)
{
    uint32_t with = python(application(), "<string>", "create_engine", 2);
    uint32_t alone = python(root(0), "<string>", "f", 2);
    open_names(NULL, NULL);
    cr_assert_str_eq(blamed(with)->function, "Auth.validate_jwt");
    cr_assert(blamed(alone)->user);
}

Test(stacks, resolves_by_epoch)
{
    add_module(0x8000, 1, "/srv/app/a.so");
    add_module(0x8000, 3, "/srv/app/a.so")->gone = true;
    add_module(0x8000, 4, "/srv/app/b.so");
    uint32_t node[6];
    for (uint32_t epoch = 0; epoch < 6; epoch++)
        node[epoch] = native(root(epoch), 0x8100);
    open_names(NULL, NULL);
    static const char *const expected[] = {NULL, "/srv/app/a.so", "/srv/app/a.so",
                                           NULL, "/srv/app/b.so", "/srv/app/b.so"};
    for (uint32_t epoch = 0; epoch < 6; epoch++) {
        const char *module = names_stack(names, node[epoch])->frames[0].module;
        cr_expect(module == expected[epoch] ||
                      (module && expected[epoch] && !strcmp(module, expected[epoch])),
                  "%s in epoch %u", module, epoch);
    }
}

Test(stacks, subtracts_from_return_addresses_only)
{
    uint32_t top = root(0), call = native(top, 0x4100),
             exact = add_node(top, STRAY_NODE_NATIVE, 0x4100, STRAY_NODE_EXACT);
    trace.modules[3].bias = 0x4000;
    open_names(NULL, NULL);
    cr_assert_eq(names_stack(names, call)->frames[0].offset, 0xff);
    cr_assert_eq(names_stack(names, exact)->frames[0].offset, 0x100);
}

Test(stacks, survives_damage)
{
    uint32_t orphan = native(0, 0x4100), forward = native(40, 0x4100),
             itself = native(trace.node_count + 1, 0x1);
    uint32_t unknown = add_node(root(0), STRAY_NODE_PYTHON, (uint64_t)77 << 32, 0);
    uint32_t nowhere = native(unknown, 0), unfinished = add_node(nowhere, 0, 0, 0);
    open_names(NULL, NULL);
    cr_assert_eq(names_stack(names, 0)->count, 0);
    cr_assert_eq(names_stack(names, 1000)->count, 0);
    cr_assert(names_stack(names, orphan)->truncated);
    cr_assert_eq(names_stack(names, forward)->count, 0);
    cr_assert_eq(names_stack(names, itself)->count, 0);
    cr_assert_null(names_stack(names, unknown)->frames[0].function);
    cr_assert_eq(names_stack(names, unfinished)->count, 2);
    cr_assert_eq(names_closer(names, 0), CLOSER_UNKNOWN);
    cr_assert_eq(names_closer(names, 1000), CLOSER_UNKNOWN);
    cr_assert_eq(names_closer(names, nowhere), CLOSER_EXPLICIT);
}

Test(stacks, tells_python_destructors)
{
    uint32_t dropped = python(application(), "/srv/app/client.py", "Client.__del__", 3);
    uint32_t inside = python(dropped, "/srv/app/client.py", "Client.close", 9);
    open_names(NULL, NULL);
    cr_assert_eq(names_closer(names, driver(application())), CLOSER_UNKNOWN, "made after names_open()");
    cr_assert_eq(names_closer(names, dropped), CLOSER_DESTRUCTOR);
    cr_assert_eq(names_closer(names, inside), CLOSER_DESTRUCTOR);
}

/* A frame of libnamed.so, where it really lies. */
static uint32_t add_named(uint32_t parent, const char *function, struct spot *spot)
{
    char path[512];
    const char *folder = getenv("STRAY_TEST_NAMED");
    cr_assert(folder, "run me through meson test");
    snprintf(path, sizeof(path), "%s/libnamed.so", folder);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    cr_assert(handle, "%s", dlerror());
    void (*call)(struct spot *);
    *(void **)&call = dlsym(handle, function);
    call(spot);
    Dl_info info;
    cr_assert(dladdr(spot->address, &info));
    struct module *module = add_module((uint64_t)(uintptr_t)info.dli_fbase, 0, info.dli_fname);
    module->bias = module->start;
    module->end = module->start + 0x100000;
    return native(parent, (uint64_t)(uintptr_t)spot->address);
}

Test(stacks, expands_native_frames)
{
    struct spot spot;
    uint32_t node = add_named(application(), "outermost", &spot);
    open_names(NULL, NULL);
    const struct stack *stack = names_stack(names, node);
    cr_assert_eq(stack->count, 3 + 3);
    cr_assert_eq(stack->blame, 0);
    cr_assert_str_eq(stack->frames[0].function, "innermost");
    cr_assert(stack->frames[0].inlined && stack->frames[1].inlined && !stack->frames[2].inlined);
    cr_assert_eq(stack->frames[2].line, (uint32_t)spot.line[2]);
    cr_assert_eq(names_closer(names, node), CLOSER_EXPLICIT);
}
