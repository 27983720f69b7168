/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of Python code objects, from the line tables that the trace carries. */
#ifndef STRAY_NAMES_PYTHON_CODE_H
#define STRAY_NAMES_PYTHON_CODE_H

#include "read/trace.h"

/* The line of the instruction at `offset` bytes into the code; 0: unknown. */
uint32_t python_line(const struct code *code, uint32_t offset);

#endif
