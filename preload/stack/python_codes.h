/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Code objects and their definitions. Addresses of code objects are reused: a table maps the address of a
 * living code object to its definition's id, and a wrapper of the code type's destructor takes dying ones
 * out. A second table maps the contents to the id, so that a code object compiled again and again (templates,
 * exec'd text) is defined once.
 *
 * Both grow, are open-addressed and lock-free. Where there is no room, a definition is made again instead of
 * found again. Private memory: a forked child has a copy.
 *
 * Threads: any; async-signal-safe. Allocates nothing.
 */
#ifndef STRAY_STACK_PYTHON_CODES_H
#define STRAY_STACK_PYTHON_CODES_H

#include <stdint.h>

#include "stack/python_layout.h"

/* Puts the wrapper into the code type of the interpreter, unless it is there. To be called before any other
 * function here, again after an interpreter was unloaded and loaded anew; not by two threads at once. False:
 * the destructor is not the interpreter's own, nor was ours ever there. */
bool python_codes_watch(const struct python_runtime *runtime);
/* Takes that back, unless somebody has come after us. */
void python_codes_unwatch(const struct python_runtime *runtime);

/* The definition of the code object at `code`, which the calling thread is executing (it must not die
 * meanwhile). Makes the definition if there is none yet. 0: not a code object, a dying one, or the
 * definitions' store is full. */
uint32_t python_codes_id(const struct python_runtime *runtime, uint64_t code);

/* Whether the code object at `code`, which need not be one and may die meanwhile, is the function `name` of the module
 * whose file's name is `file`. Both ASCII, of at most 32 bytes. Some system calls. */
bool python_codes_named(const struct python_runtime *runtime, uint64_t code, const char *name, const char *file);

/* Forgets all ids; to be called when the definitions' store was started anew, while no other thread uses
 * this. */
void python_codes_forget(void);

/* A number that is mixed into what identifies a frame, to tell a code object from the dead one whose address
 * it has: addresses share a slot by some of their bits, and a slot changes, never to return to a value, when
 * a defined code object of its addresses dies. */
extern uint64_t python_codes_marks[];
#define PYTHON_CODES_MARKS 512u

static inline uint64_t *python_codes_mark_slot(uint64_t code)
{
    return &python_codes_marks[code >> 5 & (PYTHON_CODES_MARKS - 1)];
}

/* How many times any of them has changed. */
extern uint64_t python_codes_changes;

static inline uint64_t python_codes_mark(uint64_t code)
{
    return __atomic_load_n(python_codes_mark_slot(code), __ATOMIC_RELAXED);
}

#endif
