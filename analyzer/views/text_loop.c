/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Findings whose place is the line that runs an event loop. What a task or a callback does has nobody's frames but those of the
 * loop around it, so that the line is no more to blame than for anything else the loop did: what the loop ran tells more.
 */
#include <string.h>

#include "views/text_parts.h"

static bool is_named(const struct report_frame *frame, const char *const *list, size_t count)
{
    const char *dot = frame->python && frame->function ? strrchr(frame->function, '.') : NULL;
    const char *name = dot ? dot + 1 : frame->python ? frame->function : NULL;
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

/* Of asyncio and Twisted: what runs what is due, and what stands between that and what is run. */
static bool is_loop(const struct report_frame *frame)
{
    static const char *const names[] = {"_run_once", "runUntilCurrent", "_doReadOrWrite"};
    return is_named(frame, names, sizeof(names) / sizeof(*names));
}

static bool is_step(const struct report_frame *frame)
{
    static const char *const names[] = {"_run"};
    return !frame->python || is_named(frame, names, sizeof(names) / sizeof(*names));
}

/* What the loop ran that the place of the finding runs; NULL: that runs none, or nothing that is known. */
static const struct report_frame *run_by_loop(const struct report_stack *stack)
{
    size_t i = stack->count ? stack->blame : 0;
    while (i > 0 && !is_loop(&stack->frames[i - 1]))
        i--;
    if (i == 0)
        return NULL;
    for (i--; i > 0 && is_step(&stack->frames[i - 1]); i--)
        ;
    return i > 0 ? &stack->frames[i - 1] : NULL;
}

void text_loop(const struct page *page, const struct report_finding *finding)
{
    char part[400];
    const struct report_frame *run = run_by_loop(&finding->stack);
    if (!run)
        return;
    text_frame(run, part, sizeof(part));
    text_line(page, NULL, "    by a task or a callback of the event loop: %.62s", part);
}
