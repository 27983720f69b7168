/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that connections, sockets and files hold: it leaks as they do, or not at all. */
#include <math.h>
#include <string.h>

#include "compare.h"
#include "names/function.h"
#include "names/ownership.h"
#include "verdicts/court.h"

#define HANDLES_MIN   3
#define BLOCKS_MOST   8   /* of one stack, that one handle holds: fewer than its uses */
#define OFF_SHARE     0.1 /* of the handles that may have more or fewer */
#define WINDOWS_SHARE 0.9 /* of the blocks that came when a handle did */

/* Where there are no symbols one call is all that is known to be the same. */
static bool same_call(const struct frame *a, const struct frame *b)
{
    return a && b && !a->function && !b->function && a->offset != 0 && a->offset == b->offset && same_text(a->module, b->module);
}

bool same_line(const struct frame *a, const struct frame *b)
{
    return (frames_same_function(a, b) && a->line == b->line) || same_call(a, b);
}

/* Interpreters and the C library serve everybody. */
static bool is_runtime(const struct frame *frame)
{
    const char *name = frame->module ? strrchr(frame->module, '/') : NULL;
    return !frame->module || is_python_interpreter(frame->module) || strncmp(name ? name + 1 : frame->module, "libc.so", 7) == 0;
}

static bool is_inside(const struct stack *stack, const char *module)
{
    for (size_t i = 0; i < stack->blame; i++) {
        if (stack->frames[i].module && strcmp(stack->frames[i].module, module) == 0)
            return true;
    }
    return false;
}

/* Whether the line that is blamed acquired memory by way of a library that was used for the handle as well. */
typedef bool by_way(const struct court *court, uint32_t memory, uint32_t handle);

static bool by_same_library(const struct court *court, uint32_t memory, uint32_t handle)
{
    const struct stack *here = court->stack(court->data, memory), *there = court->stack(court->data, handle);
    for (size_t i = 0; i < here->blame; i++) {
        if (!is_runtime(&here->frames[i]) && is_inside(there, here->frames[i].module))
            return true;
    }
    return false;
}

/* Where what hands the handle out is called directly, which library it is stands on no stack. */
static bool by_some_library(const struct court *court, uint32_t memory, uint32_t handle)
{
    const struct stack *here = court->stack(court->data, memory), *there = court->stack(court->data, handle);
    bool direct = there->blame == 0, found = false;
    for (size_t i = 0; direct && i < here->blame; i++)
        found |= !is_runtime(&here->frames[i]);
    return found || by_same_library(court, memory, handle);
}

/* The interpreter's own modules serve everybody as it does itself, and so does what is written in Python: whatever is used for a handle
 * is used for much else. */
static bool by_native_library(const struct court *court, uint32_t memory, uint32_t handle)
{
    const struct stack *here = court->stack(court->data, memory), *there = court->stack(court->data, handle);
    for (size_t i = 0; i < here->blame; i++) {
        const struct frame *frame = &here->frames[i];
        if (frame->language == LANGUAGE_NATIVE && !is_runtime(frame) && !strstr(frame->module, "/lib-dynload/") && is_inside(there, frame->module))
            return true;
    }
    return false;
}

static bool is_mostly(by_way *so, const struct court *court, const struct fold *memory, uint32_t handle)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < memory->site_count; i++) {
        const struct site *site = &court->lives->sites[memory->sites[i]];
        if (so(court, site->stack, handle))
            bytes += site->alive_bytes;
    }
    return bytes > 0 && 2 * bytes >= memory->alive_bytes;
}

static bool is_holder(unsigned resource)
{
    return resource == STRAY_CONNECTION || resource == STRAY_PGCONN || resource == STRAY_FILE || resource == STRAY_SOCKET ||
           resource >= STRAY_USER_FIRST;
}

/* Memory that comes with a connection, socket or file is held by it: a database in a file has its pages, a stream its buffer. The
 * same line acquires it, or another one of the function, at least half of it by way of the same library: what the function
 * acquires besides is a leak of its own. */
static bool is_held(const struct court *court, const struct finding *finding, uint32_t handle, unsigned resource)
{
    bool direct = resource == STRAY_PGCONN || resource >= STRAY_USER_FIRST;
    const struct fold *fold = &court->folds->items[finding->fold];
    const struct frame *line = blame(court, finding->stack), *opener = blame(court, handle);
    if (same_line(line, opener) || !frames_same_function(line, opener))
        return same_line(line, opener);
    return is_mostly(direct ? by_some_library : by_same_library, court, fold, handle);
}

/* Whether the library has handles there that do not leak: what it acquires elsewhere may be theirs. */
static bool has_others(const struct court *court, uint32_t memory)
{
    for (uint32_t i = 0; i < court->folds->count; i++) {
        const struct fold *fold = &court->folds->items[i];
        if (is_holder(fold->resource) && fold->alive > 0 && court->judged.verdicts[i] != VERDICT_LEAKED &&
            by_native_library(court, memory, fold->stack))
            return true;
    }
    return false;
}

/* The handles are opened in one function and used in another, where their library acquires what they need for that, and there is as
 * much as one block for each. That all handles which it has leak, has_others() tells. */
static bool is_held_elsewhere(const struct court *court, const struct finding *finding, const struct finding *handles)
{
    const struct fold *fold = &court->folds->items[finding->fold];
    if (fold->resource != STRAY_HEAP || finding->count < handles->count || finding->first_s > handles->last_s ||
        handles->first_s > finding->last_s)
        return false;
    return is_mostly(by_native_library, court, fold, handles->stack);
}

uint32_t handle_holding(const struct court *court, const struct finding *finding)
{
    bool elsewhere = true;
    for (uint32_t i = 0; i < court->judged.count; i++) {
        const struct finding *other = &court->judged.findings[i];
        unsigned resource = court->folds->items[other->fold].resource;
        if (!is_holder(resource) || other->verdict != VERDICT_LEAKED || other->cause != LIVES_NONE)
            continue;
        if (is_held(court, finding, other->stack, resource))
            return i;
        if (!elsewhere || !is_held_elsewhere(court, finding, other))
            continue;
        elsewhere = !has_others(court, finding->stack); /* whichever handles these are */
        if (elsewhere)
            return i;
    }
    return LIVES_NONE;
}

/* ---- pools ---- */

/* In which windows of time, from the first block of the site on, a handle was opened that is open at Tc; and how many in all. */
static uint64_t births_of(const struct court *court, const struct fold *handles, double from, bool *ret_windows)
{
    uint64_t count = 0;
    for (size_t i = 0; i < handles->life_count; i++) {
        const struct life *life = &court->lives->lives[handles->lives[i]];
        if (!life_open_at_tc(life))
            continue;
        count++;
        double place = floor((seconds(court, life->birth) - from) / (court->tc - from) * LIVES_WINDOWS);
        /* its blocks come with it, or when it is first used; and when they came is known less exactly */
        for (double at = fmax(0, place - 1); at <= place + 1 && at < LIVES_WINDOWS; at++)
            ret_windows[(unsigned)at] = true;
    }
    return count;
}

/* Whether each open handle has as many blocks of the site, and they came with it. */
static bool are_of(const struct court *court, const struct site *site, const struct fold *handles)
{
    bool windows[LIVES_WINDOWS] = {false};
    double from = seconds(court, site->first);
    uint64_t count = from < court->tc ? births_of(court, handles, from, windows) : 0, with = 0;
    if (count < HANDLES_MIN || site->estimated)
        return false;
    double each = round((double)site->alive / (double)count);
    for (unsigned i = 0; i < LIVES_WINDOWS; i++)
        with += windows[i] ? site->growth->by_time[i] : 0;
    return each >= 1 && each <= BLOCKS_MOST &&
           fabs((double)site->alive - each * (double)count) <= OFF_SHARE * (double)count * each &&
           (double)with >= WINDOWS_SHARE * (double)site->alive;
}

/* Memory of the stacks that hold at least half as many blocks as there are handles, and enough to be judged. */
static bool all_are_of(const struct court *court, const struct fold *memory, const struct fold *handles)
{
    size_t found = 0;
    for (size_t i = 0; i < memory->site_count; i++) {
        const struct site *site = &court->lives->sites[memory->sites[i]];
        if (!site->growth || 2 * site->alive < handles->alive)
            continue;
        if (!are_of(court, site, handles))
            return false;
        found++;
    }
    return found > 0;
}

bool is_held_in_use(const struct court *court, const struct finding *finding)
{
    const struct fold *memory = &court->folds->items[finding->fold];
    if (!is_memory(memory->resource))
        return false;
    for (uint32_t i = 0; i < court->folds->count; i++) {
        const struct fold *handles = &court->folds->items[i];
        if (is_holder(handles->resource) && keeps_lives(handles) && court->judged.verdicts[i] > VERDICT_CREEP &&
            is_held(court, finding, handles->stack, handles->resource) && all_are_of(court, memory, handles))
            return true;
    }
    return false;
}
