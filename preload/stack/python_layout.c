/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/python_layout.h"

#include <string.h>

#define OBJECTS(version, lasti, scale)                                                                       \
    {                                                                                                        \
        .minor = version, .chain = PYTHON_CHAIN_OBJECTS, .thread_frames = 24, .frame_code = 32,              \
        .frame_previous = 24, .frame_instruction = lasti, .instruction_scale = scale, .code_first_line = 40, \
        .code_filename = 104, .code_name = 112, .code_table = 120, .code_bytes = 176, .ascii_size = 48,      \
        .compact_size = 72, .runtime_finalizing = 16                                                         \
    }

static const struct python_layout layouts[] = {
    OBJECTS(8, 104, 1),
    OBJECTS(9, 104, 1),
    OBJECTS(10, 96, 2),
    {.minor = 11,
     .chain = PYTHON_CHAIN_CFRAME,
     .thread_frames = 56,
     .thread_has_cframe = true,
     .cframe_current = 8,
     .cframe_previous = 16,
     .frame_code = 32,
     .frame_previous = 48,
     .frame_instruction = 56,
     .frame_marker = 68,
     .code_first_line = 72,
     .code_filename = 112,
     .code_name = 128,
     .code_table = 136,
     .code_bytes = 184,
     .ascii_size = 48,
     .compact_size = 72,
     .runtime_finalizing = 24},
    {.minor = 12,
     .chain = PYTHON_CHAIN_SHIM,
     .thread_frames = 56,
     .thread_has_cframe = true,
     .cframe_current = 0,
     .cframe_previous = 8,
     .frame_code = 0,
     .frame_previous = 8,
     .frame_instruction = 56,
     .frame_marker = 70,
     .code_first_line = 68,
     .code_filename = 112,
     .code_name = 128,
     .code_table = 136,
     .code_bytes = 192,
     .ascii_size = 40,
     .compact_size = 56,
     .runtime_finalizing = 24},
    {.minor = 13,
     .chain = PYTHON_CHAIN_SHIM,
     .thread_frames = 72,
     .frame_code = 0,
     .frame_previous = 8,
     .frame_instruction = 56,
     .frame_marker = 70,
     .code_first_line = 68,
     .code_filename = 112,
     .code_name = 128,
     .code_table = 136,
     .code_bytes = 200,
     .ascii_size = 40,
     .compact_size = 56,
     .runtime_finalizing = 608},
};

#undef OBJECTS

/* Include/descrobject.h and structmember.h */
struct member {
    const char *name;
    int type;
    int64_t offset;
    int flags;
    const char *doc;
};

/* The head of _Py_DebugOffsets, Include/internal/pycore_runtime.h of 3.13, as words from its start. */
enum {
    DEBUG_FREE_THREADED = 2,
    DEBUG_FINALIZING = 4,
    DEBUG_CURRENT_FRAME = 23,
    DEBUG_FRAME_PREVIOUS = 29,
    DEBUG_FRAME_EXECUTABLE = 30,
    DEBUG_FRAME_INSTRUCTION = 31,
    DEBUG_FRAME_OWNER = 33,
    DEBUG_CODE_FILENAME = 35,
    DEBUG_CODE_QUALNAME = 37,
    DEBUG_CODE_TABLE = 38,
    DEBUG_CODE_FIRST_LINE = 39,
    DEBUG_CODE_BYTES = 43,
};

#define MAX_MEMBERS 64

static bool inside(const struct module_range *range, uint64_t address, uint64_t size)
{
    return address >= range->start && size <= range->end - range->start && address <= range->end - size;
}

static const struct python_layout *layout_of(unsigned minor)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
        if (layouts[i].minor == minor)
            return &layouts[i];
    return NULL;
}

/* Offset of a member of the code type, -1 if it names none so. Nothing outside of the interpreter's own
 * object is read: its tables are static. */
static int64_t member_offset(const struct python_runtime *runtime, const char *name)
{
    uint64_t table = python_word(runtime->code_type + PYTHON_TYPE_MEMBERS);
    for (unsigned i = 0; i < MAX_MEMBERS; i++) {
        uint64_t entry = table + i * sizeof(struct member);
        if (!inside(&runtime->module, entry, sizeof(struct member)))
            return -1;
        const struct member *member = (const struct member *)entry;
        size_t size = strlen(name) + 1;
        if (!inside(&runtime->module, (uint64_t)member->name, size))
            return -1;
        if (memcmp(member->name, name, size) == 0)
            return member->offset;
    }
    return -1;
}

static bool code_type_agrees(const struct python_runtime *runtime)
{
    const struct python_layout *layout = &runtime->layout;
    const char *name = layout->minor >= 11 ? "co_qualname" : "co_name";
    const char *table = layout->minor >= 10 ? "co_linetable" : "co_lnotab";
    return python_word(runtime->code_type + PYTHON_TYPE_BASICSIZE) == layout->code_bytes &&
           member_offset(runtime, "co_firstlineno") == layout->code_first_line &&
           member_offset(runtime, "co_filename") == layout->code_filename &&
           member_offset(runtime, name) == layout->code_name &&
           member_offset(runtime, table) == layout->code_table;
}

static bool debug_offsets_agree(const struct python_runtime *runtime)
{
    const struct python_layout *layout = &runtime->layout;
    const uint64_t *words = (const uint64_t *)runtime->state;
    return memcmp(words, "xdebugpy", 8) == 0 && words[DEBUG_FREE_THREADED] == 0 &&
           words[DEBUG_FINALIZING] == layout->runtime_finalizing &&
           words[DEBUG_CURRENT_FRAME] == layout->thread_frames &&
           words[DEBUG_FRAME_PREVIOUS] == layout->frame_previous &&
           words[DEBUG_FRAME_EXECUTABLE] == layout->frame_code &&
           words[DEBUG_FRAME_INSTRUCTION] == layout->frame_instruction &&
           words[DEBUG_FRAME_OWNER] == layout->frame_marker &&
           words[DEBUG_CODE_FILENAME] == layout->code_filename &&
           words[DEBUG_CODE_QUALNAME] == layout->code_name && words[DEBUG_CODE_TABLE] == layout->code_table &&
           words[DEBUG_CODE_FIRST_LINE] == layout->code_first_line &&
           words[DEBUG_CODE_BYTES] == layout->code_bytes;
}

/* The minor version of a Python 3, 0 if unknown. */
static unsigned minor_version(const struct module_symbol *number, const struct module_symbol *function)
{
    if (number->address) { /* Py_Version, from 3.11: 0x030b02f0 is 3.11.2 */
        uint64_t version = python_word(number->address);
        return version >> 24 == 3 ? version >> 16 & 0xff : 0;
    }
    if (!function->address)
        return 0;
    const char *text = ((const char *(*)(void))function->address)(); /* "3.8.18 (default, ..." */
    unsigned minor = 0;
    if (text[0] != '3' || text[1] != '.')
        return 0;
    for (text += 2; *text >= '0' && *text <= '9' && minor < 100; text++)
        minor = minor * 10 + (unsigned)(*text - '0');
    return minor;
}

/* All of them or none. */
static void find_allocators(struct python_allocators *allocators, const struct module_symbol *current,
                            const struct module_symbol *name, const struct module_symbol *get, const struct module_symbol *set)
{
    if (!current->address || !name->address || !get->address || !set->address)
        return;
    allocators->current_thread = (void *(*)(void))current->address;
    allocators->name = (const char *(*)(void))name->address;
    allocators->get = (void (*)(enum python_domain, struct python_allocator *))get->address;
    allocators->set = (void (*)(enum python_domain, struct python_allocator *))set->address;
}

enum python_found python_runtime_find(struct python_runtime *ret_runtime, unsigned *ret_minor)
{
    enum { STATE, CODE, UNICODE, BYTES, EVALUATOR, THIS_THREAD, CURRENT, UNCHECKED, NAME, GET, SET, VERSION,
           GET_VERSION, COUNT };
    struct module_symbol symbols[COUNT] = {
        [STATE] = {.name = "_PyRuntime"},
        [CODE] = {.name = "PyCode_Type"},
        [UNICODE] = {.name = "PyUnicode_Type"},
        [BYTES] = {.name = "PyBytes_Type"},
        [EVALUATOR] = {.name = "_PyEval_EvalFrameDefault"},
        [THIS_THREAD] = {.name = "PyGILState_GetThisThreadState"},
        [CURRENT] = {.name = "PyThreadState_GetUnchecked", .optional = true}, /* from 3.13 */
        [UNCHECKED] = {.name = "_PyThreadState_UncheckedGet", .optional = true},
        [NAME] = {.name = "_PyMem_GetCurrentAllocatorName", .optional = true},
        [GET] = {.name = "PyMem_GetAllocator", .optional = true},
        [SET] = {.name = "PyMem_SetAllocator", .optional = true},
        [VERSION] = {.name = "Py_Version", .optional = true},
        [GET_VERSION] = {.name = "Py_GetVersion", .optional = true},
    };
    struct python_runtime runtime = {.state = 0};
    if (!module_symbols_find(symbols, COUNT, &runtime.module))
        return PYTHON_MISSING;
    *ret_minor = minor_version(&symbols[VERSION], &symbols[GET_VERSION]);
    const struct python_layout *layout = layout_of(*ret_minor);
    if (!layout)
        return PYTHON_UNSUPPORTED;
    runtime.layout = *layout;
    runtime.state = symbols[STATE].address;
    runtime.code_type = symbols[CODE].address;
    runtime.unicode_type = symbols[UNICODE].address;
    runtime.bytes_type = symbols[BYTES].address;
    runtime.evaluator = symbols[EVALUATOR].address;
    runtime.evaluator_size = symbols[EVALUATOR].size;
    runtime.this_thread = (void *(*)(void))symbols[THIS_THREAD].address;
    find_allocators(&runtime.allocators, symbols[CURRENT].address ? &symbols[CURRENT] : &symbols[UNCHECKED], &symbols[NAME],
                    &symbols[GET], &symbols[SET]);
    if (!code_type_agrees(&runtime) || (*ret_minor >= 13 && !debug_offsets_agree(&runtime)))
        return PYTHON_UNSUPPORTED;
    *ret_runtime = runtime;
    return PYTHON_FOUND;
}
