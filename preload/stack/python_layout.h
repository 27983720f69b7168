/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where CPython keeps what a frame walk reads: the interpreter's symbols and the offsets inside its
 * structures, for CPython 3.8 to 3.13 on 64-bit little-endian machines.
 *
 * Sources: CPython's Include/internal/pycore_frame.h, pycore_runtime.h and
 * Include/cpython/{code,frameobject,pystate, unicodeobject}.h of each version. The numbers are offsetof() of
 * those headers; they are checked against what the running interpreter says of itself before they are used
 * (see python_runtime_find()).
 */
#ifndef STRAY_STACK_PYTHON_LAYOUT_H
#define STRAY_STACK_PYTHON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/module_symbols.h"

/* How the frames of a thread are chained, and how the end of a run (the frames of one native evaluator)
 * shows. */
enum python_chain {
    PYTHON_CHAIN_OBJECTS, /* to 3.10: frame objects, each evaluated by a native frame of its own */
    PYTHON_CHAIN_CFRAME,  /* 3.11: a run ends at a frame with is_entry set; the evaluators' _PyCFrames are
                             chained */
    PYTHON_CHAIN_SHIM,    /* from 3.12: a run ends before a shim frame, which lies in the evaluator's native
                             frame */
};

struct python_layout {
    uint16_t minor; /* 3.minor */
    uint16_t chain; /* enum python_chain */
    /* PyThreadState: the frame, or from 3.11 to 3.12 the _PyCFrame */
    uint16_t thread_frames;
    /* _PyCFrame; only where thread_has_cframe */
    bool thread_has_cframe;
    uint16_t cframe_current, cframe_previous;
    /* PyFrameObject or _PyInterpreterFrame */
    uint16_t frame_code, frame_previous;
    uint16_t frame_instruction; /* to 3.10: int f_lasti; from 3.11: pointer to the instruction */
    uint16_t frame_marker;      /* is_entry (3.11), owner (from 3.12) */
    uint16_t instruction_scale; /* bytes for one unit of f_lasti */
    /* PyCodeObject */
    uint16_t code_first_line, code_filename, code_name, code_table;
    uint16_t code_bytes; /* from 3.11: where the bytecode begins; to 3.10: size of the structure */
    /* PyUnicodeObject: size of the headers, after which the characters stand */
    uint16_t ascii_size, compact_size;
    /* _PyRuntimeState */
    uint16_t runtime_finalizing;
};

/* Common to all versions. */
enum {
    PYTHON_OBJECT_REFCOUNT = 0,
    PYTHON_OBJECT_TYPE = 8,
    PYTHON_VAROBJECT_SIZE = 16,
    PYTHON_BYTES_DATA = 32,
    PYTHON_UNICODE_LENGTH = 16,
    PYTHON_UNICODE_STATE = 32, /* bits 2-4: bytes a character, bit 5: compact, bit 6: ASCII */
    PYTHON_TYPE_BASICSIZE = 32,
    PYTHON_TYPE_DEALLOC = 48,
    PYTHON_TYPE_MEMBERS = 240,
    PYTHON_OWNED_BY_CSTACK = 3, /* `owner` of a shim frame, 3.12 and 3.13 */
};

/* PyMemAllocatorEx */
struct python_allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *old, size_t size);
    void (*free)(void *context, void *block);
};

/* PyMemAllocatorDomain */
enum python_domain { PYTHON_DOMAIN_RAW, PYTHON_DOMAIN_MEM, PYTHON_DOMAIN_OBJECT };

/* The interpreter's functions that lead to its allocators. None allocates; the last two are for who holds its lock. */
struct python_allocators {
    void *(*current_thread)(void); /* PyThreadState_GetUnchecked */
    const char *(*name)(void);     /* _PyMem_GetCurrentAllocatorName; NULL, too, where they are not the interpreter's own */
    void (*get)(enum python_domain domain, struct python_allocator *allocator);
    void (*set)(enum python_domain domain, struct python_allocator *allocator);
};

/* An interpreter found in this process. */
struct python_runtime {
    struct python_layout layout;
    struct module_range module; /* the object that holds the interpreter */
    uint64_t state;             /* _PyRuntime */
    uint64_t code_type, unicode_type, bytes_type;
    uint64_t evaluator, evaluator_size; /* _PyEval_EvalFrameDefault */
    void *(*this_thread)(void);         /* PyGILState_GetThisThreadState */
    struct python_allocators allocators; /* all NULL: not to be hooked */
};

enum python_found {
    PYTHON_FOUND,
    PYTHON_MISSING,     /* no interpreter is loaded */
    PYTHON_UNSUPPORTED, /* one is, but its version is unknown, it is a free-threaded build, or it describes
                         * itself differently than its version should */
};

/* Looks for an interpreter, initialized or not, and checks the layout of its version against the member
 * tables of its code type (and, for 3.13, against its _Py_DebugOffsets). *ret_runtime is set for PYTHON_FOUND
 * only; *ret_minor (0: unknown) for PYTHON_UNSUPPORTED too. Same rules as module_symbols_find(). */
enum python_found python_runtime_find(struct python_runtime *ret_runtime, unsigned *ret_minor);

/* Plain reads of the interpreter's memory. */
static inline uint64_t python_word(uint64_t address)
{
    return *(const volatile uint64_t *)address;
}

static inline uint32_t python_int(uint64_t address)
{
    return *(const volatile uint32_t *)address;
}

static inline uint8_t python_byte(uint64_t address)
{
    return *(const volatile uint8_t *)address;
}

#endif
