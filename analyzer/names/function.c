/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/function.h"

#include "compare.h"

bool same_function(struct function a, struct function b)
{
    return a.name && same_text(a.name, b.name) && same_text(a.file, b.file) && (a.file || same_text(a.module, b.module));
}

static struct function function_of(const struct frame *frame)
{
    return (struct function){frame->function, frame->file, frame->module};
}

bool frames_same_function(const struct frame *a, const struct frame *b)
{
    return a && b && same_function(function_of(a), function_of(b));
}
