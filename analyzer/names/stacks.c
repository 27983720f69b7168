/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "names/arena.h"
#include "names/closer.h"
#include "names/ownership.h"
#include "names/python_code.h"
#include "names/symbols.h"

#define SHIM "libstray.so"

struct names {
    struct trace *trace;
    struct symbols *symbols;
    struct ownership rules;
    struct arena arena;
    const struct module *modules;
    size_t module_count;
    struct object **objects; /* of each module record, once it was needed */
    struct stack **stacks;   /* by node id */
    uint8_t *closers;        /* by node id: enum closer + 1 */
    uint32_t node_count;
    char *prefix;
};

/* Frames of a stack while it is resolved. */
struct draft {
    struct frame *frames;
    enum owner *owners;
    size_t count, capacity;
};

static const struct stack empty_stack;

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "/usr" of "/usr/bin/python3.11" and of "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0". */
static char *prefix_of(const char *interpreter)
{
    const char *end = strstr(interpreter, "/lib/libpython");
    if (!end)
        end = strncmp(base_name(interpreter), "libpython", 9) == 0 ? strstr(interpreter, "/lib/") : NULL;
    if (!end && (end = strstr(interpreter, "/bin/python")) == NULL)
        return NULL;
    return strndup(interpreter, (size_t)(end - interpreter));
}

static const char *find_interpreter(const struct names *names)
{
    if (is_python_interpreter(names->rules.program))
        return names->rules.program;
    for (size_t i = 0; i < names->module_count; i++)
        if (is_python_interpreter(names->modules[i].path))
            return names->modules[i].path;
    return NULL;
}

static void learn_program(struct names *names)
{
    const struct process *process = trace_process(names->trace);
    if (process && process->exe)
        names->rules.program = process->exe;
    else if (names->module_count)
        names->rules.program = names->modules[0].path;
    const char *interpreter = find_interpreter(names);
    if (!interpreter)
        return;
    names->rules.strings_are_users = process && is_string_program(process->command);
    names->prefix = prefix_of(interpreter);
    names->rules.prefix = names->prefix;
}

int names_open(struct trace *trace, struct symbols *symbols, const char *const *library,
               const char *const *mine, struct names **ret_names)
{
    struct names *names = calloc(1, sizeof(*names));
    if (!names)
        return -ENOMEM;
    names->trace = trace;
    names->symbols = symbols;
    names->rules.library = library;
    names->rules.mine = mine;
    names->module_count = trace_modules(trace, &names->modules);
    names->node_count = trace_node_count(trace);
    names->objects = calloc(names->module_count + 1, sizeof(struct object *));
    names->stacks = calloc((size_t)names->node_count + 1, sizeof(struct stack *));
    names->closers = calloc((size_t)names->node_count + 1, 1);
    if (!names->objects || !names->stacks || !names->closers) {
        names_close(names);
        return -ENOMEM;
    }
    learn_program(names);
    *ret_names = names;
    return 0;
}

void names_close(struct names *names)
{
    if (!names)
        return;
    arena_free(&names->arena);
    free(names->objects);
    free(names->stacks);
    free(names->closers);
    free(names->prefix);
    free(names);
}

/* The epoch of the ROOT above `id`; without one everything the trace ever said of modules holds. */
static uint32_t epoch_of(const struct names *names, uint32_t id, bool *ret_truncated)
{
    const struct stray_node *node;
    while ((node = trace_node(names->trace, id))) {
        if (node->kind == STRAY_NODE_ROOT) {
            *ret_truncated = node->flags & STRAY_NODE_TRUNCATED;
            return (uint32_t)node->value;
        }
        if (node->parent >= id)
            break;
        id = node->parent;
    }
    *ret_truncated = true;
    return UINT32_MAX;
}

/* The next node outwards, NULL at the end. Parents are smaller: this ends even for a damaged trace. */
static const struct stray_node *next_node(const struct names *names, uint32_t *id)
{
    const struct stray_node *node = trace_node(names->trace, *id);
    if (!node || node->kind == STRAY_NODE_ROOT || node->parent >= *id)
        return NULL;
    *id = node->parent;
    return node;
}

/* Index of the module record that holds `address` in `epoch`: the latest word on its range. */
static bool find_module(const struct names *names, uint64_t address, uint32_t epoch, size_t *ret_index)
{
    for (size_t i = names->module_count; i-- > 0;) {
        const struct module *module = &names->modules[i];
        if (module->epoch <= epoch && address >= module->start && address < module->end) {
            *ret_index = i;
            return !module->gone;
        }
    }
    return false;
}

static uint64_t instruction(const struct stray_node *node)
{
    return node->flags & STRAY_NODE_EXACT ? node->value : node->value - 1;
}

static struct object *module_object(struct names *names, size_t index)
{
    const struct module *module = &names->modules[index];
    if (!names->objects[index] && module->path)
        names->objects[index] =
            symbols_object(names->symbols, module->path, module->build_id, module->build_id_size);
    return names->objects[index];
}

static bool draft_add(struct draft *draft, const struct frame *frame, enum owner owner)
{
    if (draft->count == draft->capacity) {
        size_t wanted = draft->capacity ? draft->capacity * 2 : 64;
        struct frame *frames = reallocarray(draft->frames, wanted, sizeof(*frames));
        if (frames)
            draft->frames = frames;
        enum owner *owners = reallocarray(draft->owners, wanted, sizeof(*owners));
        if (owners)
            draft->owners = owners;
        if (!frames || !owners)
            return false;
        draft->capacity = wanted;
    }
    draft->frames[draft->count] = *frame;
    draft->owners[draft->count++] = owner;
    return true;
}

/* Left behind when a signal handler was entered; it stands for no code of anybody. */
static bool is_trampoline(const char *function)
{
    return function &&
           (strcmp(function, "__restore_rt") == 0 || strcmp(function, "__kernel_rt_sigreturn") == 0);
}

static bool add_native(struct names *names, struct draft *draft, const struct stray_node *node,
                       uint32_t epoch)
{
    struct frame frame = {.address = instruction(node), .language = LANGUAGE_NATIVE};
    size_t index;
    if (!find_module(names, frame.address, epoch, &index))
        return draft_add(draft, &frame, OWNER_RUNTIME);
    frame.module = names->modules[index].path;
    frame.offset = frame.address - names->modules[index].bias;
    if (names->modules[index].build_id_size > 0)
        frame.code = hash_bytes(HASH_BEGIN, names->modules[index].build_id, names->modules[index].build_id_size);
    if (frame.module && strncmp(base_name(frame.module), SHIM, strlen(SHIM)) == 0)
        return true;
    struct object *object = module_object(names, index);
    const struct location *location = object ? object_locate(object, frame.offset) : NULL;
    if (!location)
        return draft_add(draft, &frame, OWNER_RUNTIME);
    if (draft->count == 0 && is_trampoline(location->symbols[0].function))
        return true;
    for (size_t i = 0; i < location->count; i++) {
        const struct symbol *symbol = &location->symbols[i];
        frame.function = symbol->function;
        frame.file = symbol->file;
        frame.line = symbol->line;
        frame.inlined = i + 1 < location->count;
        if (!draft_add(draft, &frame,
                       ownership_native(&names->rules, frame.function, frame.file, frame.module)))
            return false;
    }
    return true;
}

/* Where a function begins in its file and which of its instructions are on which line: changes with the code, not with its place. */
static uint64_t python_code_hash(const struct code *code)
{
    uint64_t hash = hash_bytes(HASH_BEGIN, &code->first_line, sizeof(code->first_line));
    hash = hash_bytes(hash, &code->minor, sizeof(code->minor));
    return hash_bytes(hash_text(hash, code->name), code->table, code->table_size);
}

static bool add_python(struct names *names, struct draft *draft, const struct stray_node *node)
{
    struct frame frame = {.language = LANGUAGE_PYTHON};
    const struct code *code = trace_code(names->trace, (uint32_t)(node->value >> 32));
    if (!code)
        return draft_add(draft, &frame, OWNER_SYSTEM);
    frame.function = code->name;
    frame.file = code->filename;
    frame.line = python_line(code, (uint32_t)node->value);
    frame.code = python_code_hash(code);
    size_t length = package_length(code->filename);
    if (length)
        frame.module = arena_copy(&names->arena, code->filename, length);
    return draft_add(draft, &frame, ownership_python(&names->rules, frame.function, frame.file));
}

static size_t next_python(const struct draft *draft, size_t index)
{
    while (index < draft->count && draft->frames[index].language != LANGUAGE_PYTHON)
        index++;
    return index;
}

/* What only the neighbours tell: a launcher by what it calls, code from a string by who else is there. */
static void settle_python(struct draft *draft)
{
    bool user = false;
    const char *inner = NULL;
    for (size_t i = next_python(draft, 0); i < draft->count; i = next_python(draft, i + 1)) {
        const struct frame *frame = &draft->frames[i];
        if (draft->owners[i] == OWNER_USER && is_launcher(frame->function, frame->file, frame->line, inner))
            draft->owners[i] = OWNER_FRAMEWORK;
        if (is_spawned(frame->function, frame->file, inner))
            draft->owners[i] = OWNER_SYSTEM;
        inner = frame->file;
    }
    for (size_t i = draft->count; i-- > 0;) {
        if (draft->frames[i].language != LANGUAGE_PYTHON)
            continue;
        if (draft->owners[i] == OWNER_STRING && !user)
            draft->owners[i] = OWNER_USER;
        user = user || draft->owners[i] == OWNER_USER;
    }
}

/* How good a frame is to blame. The Python frame says more than the native ones that serve it. */
static int blame_score(const struct frame *frame, enum owner owner)
{
    if (owner == OWNER_USER)
        return 100;
    bool installed = owner >= OWNER_FRAMEWORK;
    if (frame->language == LANGUAGE_PYTHON)
        return (installed ? 60 : 30) + (int)owner;
    return (owner == OWNER_RUNTIME ? 0 : installed ? 40 : 20) + (int)owner;
}

static size_t choose_blame(const struct draft *draft)
{
    size_t best = 0;
    for (size_t i = 1; i < draft->count; i++)
        if (blame_score(&draft->frames[i], draft->owners[i]) >
            blame_score(&draft->frames[best], draft->owners[best]))
            best = i;
    return best;
}

static bool fill_draft(struct names *names, struct draft *draft, uint32_t node, uint32_t epoch)
{
    const struct stray_node *step;
    bool success = true;
    while (success && (step = next_node(names, &node))) {
        if (step->kind == STRAY_NODE_NATIVE)
            success = add_native(names, draft, step, epoch);
        else if (step->kind == STRAY_NODE_PYTHON)
            success = add_python(names, draft, step);
    }
    return success;
}

/* Whether the interpreter itself made the call: for the arenas of its small objects, if it was mmap. Its module mmap may be
 * built in; that one serves the program. */
static bool is_pooled(const struct draft *draft)
{
    const struct frame *frame = draft->frames;
    if (draft->count == 0 || frame->language != LANGUAGE_NATIVE || !is_python_interpreter(frame->module))
        return false;
    return !frame->function || strcmp(frame->function, "new_mmap_object") != 0;
}

static struct stack *finish(struct names *names, const struct draft *draft)
{
    struct stack *stack = arena_alloc(&names->arena, sizeof(*stack));
    struct frame *frames = arena_alloc(&names->arena, (draft->count + 1) * sizeof(*frames));
    if (!stack || !frames)
        return NULL;
    bool pooled = is_pooled(draft);
    for (size_t i = 0; i < draft->count; i++) {
        frames[i] = draft->frames[i];
        frames[i].pooled = pooled;
        frames[i].user = draft->owners[i] == OWNER_USER;
        frames[i].installed = frames[i].language == LANGUAGE_NATIVE &&
                              is_installed_program(&names->rules, frames[i].file, frames[i].module);
    }
    stack->frames = frames;
    stack->count = draft->count;
    stack->blame = choose_blame(draft);
    return stack;
}

const struct stack *names_stack(struct names *names, uint32_t node)
{
    if (node == 0 || node > names->node_count)
        return &empty_stack;
    if (names->stacks[node])
        return names->stacks[node];
    struct draft draft = {0};
    struct stack *stack = NULL;
    bool truncated;
    uint32_t epoch = epoch_of(names, node, &truncated);
    if (fill_draft(names, &draft, node, epoch)) {
        settle_python(&draft);
        stack = finish(names, &draft);
    }
    free(draft.frames);
    free(draft.owners);
    if (!stack)
        return &empty_stack;
    stack->truncated = truncated;
    names->stacks[node] = stack;
    return stack;
}

static enum sign native_sign(struct names *names, const struct stray_node *node, uint32_t epoch)
{
    uint64_t address = instruction(node);
    size_t index;
    if (!find_module(names, address, epoch, &index))
        return SIGN_NONE;
    struct object *object = module_object(names, index);
    const struct location *location =
        object ? object_locate(object, address - names->modules[index].bias) : NULL;
    if (!location)
        return SIGN_NONE;
    enum python_role role = object_role(object, address - names->modules[index].bias);
    enum sign strongest = SIGN_NONE;
    for (size_t i = 0; i < location->count; i++) {
        enum sign sign = closer_native_sign(location->symbols[i].function, names->modules[index].path,
                                            i + 1 == location->count ? role : PYTHON_ROLE_NONE);
        strongest = sign > strongest ? sign : strongest;
    }
    return strongest;
}

static enum sign node_sign(struct names *names, const struct stray_node *node, uint32_t epoch)
{
    if (node->kind == STRAY_NODE_NATIVE)
        return native_sign(names, node, epoch);
    const struct code *code =
        node->kind == STRAY_NODE_PYTHON ? trace_code(names->trace, (uint32_t)(node->value >> 32)) : NULL;
    return code ? closer_python_sign(code->name) : SIGN_NONE;
}

static enum closer find_closer(struct names *names, uint32_t node)
{
    bool truncated;
    uint32_t epoch = epoch_of(names, node, &truncated);
    enum sign strongest = SIGN_NONE;
    const struct stray_node *step;
    while ((step = next_node(names, &node))) {
        enum sign sign = node_sign(names, step, epoch);
        strongest = sign > strongest ? sign : strongest;
    }
    switch (strongest) {
    case SIGN_EXIT:
        return CLOSER_EXIT;
    case SIGN_COLLECTOR:
        return CLOSER_COLLECTOR;
    case SIGN_DESTRUCTOR:
        return CLOSER_DESTRUCTOR;
    default:
        return CLOSER_EXPLICIT;
    }
}

enum closer names_closer(struct names *names, uint32_t node)
{
    if (node == 0 || node > names->node_count)
        return CLOSER_UNKNOWN;
    if (!names->closers[node])
        names->closers[node] = (uint8_t)(find_closer(names, node) + 1);
    return (enum closer)(names->closers[node] - 1);
}
