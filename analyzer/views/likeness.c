/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is one and the same place in several processes. */
#include "views/likeness.h"

#include <string.h>

#include "compare.h"
#include "names/function.h"


int report_frame_order(const struct report_frame *a, const struct report_frame *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    int order = text_order(a->file, b->file);
    if (order == 0)
        order = (a->line > b->line) - (a->line < b->line);
    if (order == 0)
        order = text_order(a->function, b->function);
    if (order == 0)
        order = text_order(a->module, b->module);
    if (order == 0 && !a->function && !a->line)
        order = (a->offset > b->offset) - (a->offset < b->offset);
    return order;
}

static struct function function_of(const struct report_frame *frame)
{
    return (struct function){frame->function, frame->file, frame->module};
}

bool report_same_function(const struct report_frame *a, const struct report_frame *b)
{
    return a && b && same_function(function_of(a), function_of(b));
}

bool report_same_place(const struct report_finding *a, const struct report_finding *b)
{
    return report_frame_order(a->site, b->site) == 0;
}

static const char *file_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

/* The same line of the same code, though it may lie elsewhere on another host. */
static bool same_code(const struct report_frame *a, const struct report_frame *b)
{
    if (!a || !b || a->code == 0 || a->code != b->code || a->line != b->line || !same_text(a->function, b->function))
        return false;
    return (a->function || a->offset == b->offset) && same_text(file_name(a->file), file_name(b->file));
}

enum likeness likeness(const struct report *report, const struct report_frame *a, uint32_t run, const struct report_frame *b)
{
    if (report_frame_order(a, b) == 0)
        return LIKE_PLACE;
    return report->run != run && same_code(a, b) ? LIKE_CODE : LIKE_NOTHING;
}

size_t most_alike(const struct report *report, size_t count, likeness_of *of, const void *wanted)
{
    size_t known = REPORT_NONE;
    enum likeness best = LIKE_NOTHING;
    for (size_t i = 0; best < LIKE_PLACE && i < count; i++) {
        enum likeness found = of(report, i, wanted);
        known = found > best ? i : known;
        best = found > best ? found : best;
    }
    return known;
}
