/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines of Python code objects.
 *
 * Three encodings, by the interpreter's version:
 *   3.8, 3.9   co_lnotab: pairs (bytecode bytes, signed lines); Objects/lnotab_notes.txt of CPython 3.9
 *   3.10       co_linetable: pairs (bytecode bytes, signed lines or -128 for "no line"); PEP 626 and
 *              Objects/lnotab_notes.txt of CPython 3.10
 *   from 3.11  co_linetable: location entries with columns; PEP 657 and Objects/locations.md of CPython 3.11
 *              (InternalDocs/code_objects.md later)
 *
 * Pure: any thread. A table is not trusted: reading stops where it ends or makes no sense.
 */
#ifndef STRAY_NAMES_PYTHON_CODE_H
#define STRAY_NAMES_PYTHON_CODE_H

#include <stdint.h>

#include "read/trace.h"

/* The line of the instruction at `offset`, in bytes from the start of the bytecode: of the instruction that
 * is executing (where it has called something, the call), not of the next one. Instructions without a line of
 * their own have that of the nearest one before that has, or the first line of the code object. 0: the
 * version is unknown. */
uint32_t python_line(const struct code *code, uint32_t offset);

#endif
