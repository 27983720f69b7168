/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From node ids to functions, files and lines. Native frames by elfutils (build-id checked where the trace
 * has one; inlined functions expanded; symbol table names where there is no debug information), Python frames
 * by the code definitions of the trace. Names are cached per trace, what is read of object files as long as
 * the `struct symbols` lives.
 *
 * Ownership: all strings belong to the `struct names`, or to its `struct symbols`. Not thread safe.
 */
#ifndef STRAY_NAMES_STACKS_H
#define STRAY_NAMES_STACKS_H

#include "names/symbols.h"
#include "read/trace.h"

enum language { LANGUAGE_NATIVE, LANGUAGE_PYTHON };

struct frame {
    const char *function; /* Python: qualified name. Native: demangled, qualified, without parameters; NULL:
                             unknown */
    const char *file;     /* NULL: unknown */
    uint32_t line;        /* 0: unknown */
    const char *module;   /* path of the object file, or of the Python file's package root; NULL: unknown */
    uint64_t address;     /* native: the instruction, less 1 for return addresses; Python: 0 */
    uint64_t offset;      /* native: address in the module's file terms (address - bias); Python: 0 */
    uint64_t code;        /* what tells the code wherever it lies: a hash of the module's build-id, or of the Python function's
                             line table; 0: unknown */
    enum language language;
    bool inlined; /* this native frame was inlined into the next */
    bool user;    /* the user's own code by the rules below */
    bool installed; /* ... of a program that the system brought, if at all: nobody's own but that it is what ran */
    bool pooled;  /* the innermost frame of this stack is the Python interpreter's: what it acquires there is for itself */
};

struct stack {
    struct frame *frames; /* innermost first; frames of the shim itself are left out */
    size_t count;
    size_t blame; /* index of the innermost user frame; where there is none, of the outermost best guess;
                     count 0: 0 */
    bool truncated;
};

struct names;

/* `symbols` may serve the names of several traces, one after the other: an object file is read once. It must
 * outlive the names. `library` and `mine`: NULL-ended glob lists from --library and --mine that move the line; may be NULL.
 * They, and the trace, must outlive the names. -ENOMEM. Python: user code is what does not lie below
 * lib/python3.x, site-packages, dist-packages, nor is frozen or generated. Native: what does not lie in a
 * system library (below /lib, /usr/lib, /lib64 ...), nor in headers below /usr/include, nor in the
 * interpreter; a program in /usr/bin only if it is the one that ran. The rules stand in names/ownership.h.
 * Where a stack has no user frame, an installed application is blamed before the framework or driver it uses,
 * these before the standard library, Python before native code, and the C library last. */
int names_open(struct trace *trace, struct symbols *symbols, const char *const *library,
               const char *const *mine, struct names **ret_names);
void names_close(struct names *names);

/* The resolved stack of a node; never NULL (an empty stack for node 0). Valid until names_close(). */
const struct stack *names_stack(struct names *names, uint32_t node);

/* Who performed a release, told from the closing stack. */
enum closer {
    CLOSER_UNKNOWN,    /* no stack */
    CLOSER_EXPLICIT,   /* the program called close */
    CLOSER_DESTRUCTOR, /* a Python destructor, by reference count */
    CLOSER_COLLECTOR,  /* the garbage collector */
    CLOSER_EXIT,       /* the interpreter's or the process's exit handlers */
};

/* Nobody closed it: the last reference to it went. */
static inline bool is_finalizer(enum closer closer)
{
    return closer == CLOSER_DESTRUCTOR || closer == CLOSER_COLLECTOR;
}

enum closer names_closer(struct names *names, uint32_t node);

#endif
