/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names that CPython makes only to look up an attribute. */
#include <string.h>

#include "verdicts/court.h"

#define MAKING_MOST 6 /* frames that the making of a text takes */

/* In builds of CPython that tell no more than what they export, what decodes the text has no name. */
static bool makes_text(const struct frame *frame)
{
    if (frame->language != LANGUAGE_NATIVE)
        return false;
    const char *name = frame->function;
    return !name || !strcmp(name, "PyObject_Malloc") || !strcmp(name, "_PyObject_Malloc") || !strncmp(name, "PyUnicode_", 10) ||
           !strncmp(name, "_PyUnicode_", 11) || !strncmp(name, "unicode_", 8);
}

/* Not those that set an attribute: they intern the name. */
static bool looks_up(const struct frame *frame)
{
    static const char *const names[] = {"PyObject_GetAttrString", "PyObject_HasAttrString", "PyObject_HasAttrStringWithError",
                                        "PyObject_GetOptionalAttrString"};
    for (size_t i = 0; frame->function && i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(frame->function, names[i]) == 0)
            return true;
    return false;
}

bool is_looked_up(const struct court *court, const struct site *site)
{
    if (site->resource != STRAY_PYOBJECT)
        return false;
    const struct stack *stack = court->stack(court->data, site->stack);
    size_t i = 0, nameless = 0;
    for (; i < stack->count && i < MAKING_MOST && makes_text(&stack->frames[i]); i++)
        nameless += !stack->frames[i].function;
    return i > 0 && i < stack->count && nameless <= 1 && looks_up(&stack->frames[i]);
}
