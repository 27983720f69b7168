/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happens in a call of one of the user's functions. The entries and the body that all of them share are in assembly
 * (arch_pairs_*.S): it keeps the registers in a struct pair_frame, asks pair_enter() what to call, calls it with the
 * arguments as they came, and hands what came back to pair_leave() before it returns it.
 */
#include <errno.h>
#include <stddef.h>

#include "hooks/wrap.h"
#include "state/pairs.h"
#include "sys.h"

/* As the assembly lays it out. */
struct pair_frame {
    uint8_t vectors[8][PAIR_VECTOR];
    uint64_t arguments[6];
    uint64_t rax, r10;
    uint64_t number; /* of the entry */
    uint64_t width;
    uint64_t results[2];
    uint64_t time;  /* closers: from before the call */
    uint32_t depth; /* calls around this one */
    bool outermost; /* and recorded */
    uint8_t padding[19];
    uint64_t caller[2]; /* what the frame of a C function would begin with: the caller's frame pointer, the return address */
    uint64_t words[]; /* arguments on the stack, if that many belong to the program's stack at all */
};

_Static_assert(offsetof(struct pair_frame, arguments) == PAIR_ARGUMENTS, "pair_frame");
_Static_assert(offsetof(struct pair_frame, rax) == PAIR_RAX, "pair_frame");
_Static_assert(offsetof(struct pair_frame, r10) == PAIR_R10, "pair_frame");
_Static_assert(offsetof(struct pair_frame, number) == PAIR_NUMBER, "pair_frame");
_Static_assert(offsetof(struct pair_frame, width) == PAIR_WIDTH, "pair_frame");
_Static_assert(offsetof(struct pair_frame, results) == PAIR_RESULTS, "pair_frame");
_Static_assert(offsetof(struct pair_frame, caller) == PAIR_FRAME, "pair_frame");
_Static_assert(PAIR_FRAME % 16 == 0, "the stack stays aligned");

struct pair_call {
    void *function;
    uint64_t words; /* of arguments on the stack that are to be handed on */
};

struct pair_call pair_enter(struct pair_frame *frame) __attribute__((visibility("hidden")));
void pair_leave(struct pair_frame *frame) __attribute__((visibility("hidden")));
int pair_personality(int version, int actions, uint64_t class, void *exception, void *context) __attribute__((visibility("hidden")));

/* ---- outermost calls ---- */

/* A row of the thread's list. */
static uint64_t row_of(const struct pair_frame *frame)
{
    return (uint64_t)(uintptr_t)frame->caller << 8 | frame->number;
}
_Static_assert(PAIR_STUBS == 1 << 8, "an entry's number has 8 bits");

static bool called_from(const struct pair_entry *entry, const struct pair_frame *frame)
{
    return frame->caller[1] >= entry->start && frame->caller[1] < entry->end;
}

/* Whether the call is the outer one's own doing: it is of the same resource, or it comes from the library that the outer one
 * is in and stays there (SSL_free() gives back its count of the SSL_CTX by SSL_CTX_free()). */
static bool belongs_to(const struct pair_frame *frame, uint64_t outer)
{
    const struct pair_entry *entry = &pair_entries[frame->number], *around = &pair_entries[outer & 0xff];
    return entry->pair->resource == around->pair->resource || (entry->start == around->start && called_from(entry, frame));
}

/* Whether the program itself made the call. Of those beyond what the list holds this is not told. */
static bool enter(struct pair_frame *frame)
{
    uint32_t depth = gate_pairs_around((uintptr_t)frame->caller);
    bool outermost = depth < THREAD_PAIRS;
    for (uint32_t i = 0; outermost && i < depth; i++)
        outermost = !belongs_to(frame, thread_self.pairs[i]);
    if (depth < THREAD_PAIRS)
        thread_self.pairs[depth] = row_of(frame);
    __atomic_signal_fence(__ATOMIC_RELEASE);
    frame->depth = depth;
    thread_self.pair_depth = depth + 1;
    return outermost;
}

#define CLEANUP_PHASE   2 /* of _Unwind_Action */
#define CONTINUE_UNWIND 8 /* of _Unwind_Reason_Code */

/* Called by the unwinder for each call that it takes away, from the innermost on. It asks for nothing, so that any unwinder
 * will do. */
int pair_personality(int version, int actions, uint64_t class, void *exception, void *context)
{
    if (actions & CLEANUP_PHASE && thread_self.pair_depth > 0)
        thread_self.pair_depth--;
    return CONTINUE_UNWIND;
}

/* ---- events ---- */

/* An int of 0 is a handle like any other. */
static uint64_t handle_from(const struct stray_pair_function *function, uint64_t value)
{
    return function->is_int ? (uint32_t)value | UINT64_C(1) << 32 : value;
}

static int64_t number_from(const struct stray_pair_function *function, uint64_t value)
{
    return function->is_int ? (int32_t)value : (int64_t)value;
}

static void record(const struct pair_frame *frame, uint8_t action, uint64_t time, uint64_t handle)
{
    const struct pair_entry *entry = &pair_entries[frame->number];
    struct stray_event event = {time, handle, 0, 0, (uint16_t)(STRAY_HOOK_USER + entry->number), action,
                                (uint8_t)(STRAY_USER_FIRST + entry->pair->resource)};
    note_finalizing();
    event.stack = capture_caller(frame->caller);
    emit(&event);
}

/* Where the handle is kept: false if there is none. */
static bool find_value(const struct pair_frame *frame, const struct stray_pair_function *function, uint64_t *ret_value)
{
    uint64_t value = function->place == STRAY_PAIR_RETURNED ? frame->results[0] : frame->arguments[function->argument];
    if (function->place == STRAY_PAIR_POINTED) {
        const void *pointer = (const void *)(uintptr_t)value;
        size_t size = function->is_int ? sizeof(int) : sizeof(void *);
        value = 0;
        if (!pointer || sys_peek(&value, pointer, size) != (ssize_t)size)
            return false;
    }
    *ret_value = value;
    return true;
}

static bool has_succeeded(const struct pair_frame *frame, const struct stray_pair_function *function)
{
    bool equal = (int32_t)frame->results[0] == (int32_t)function->result;
    return function->check == STRAY_PAIR_ALWAYS || equal == (function->check == STRAY_PAIR_IF_RETURNS);
}

static void opened(const struct pair_frame *frame, const struct stray_pair_function *function)
{
    uint64_t value, time = clock_after();
    if (!has_succeeded(frame, function) || !find_value(frame, function, &value))
        return;
    uint64_t handle = handle_from(function, value);
    if (handle != 0 && !(function->has_failure && number_from(function, value) == function->failure))
        record(frame, STRAY_OPEN, time, handle);
}

static void closed(const struct pair_frame *frame, const struct stray_pair_function *function)
{
    uint64_t handle = handle_from(function, frame->arguments[function->argument]);
    if (handle != 0)
        record(frame, STRAY_CLOSE, frame->time, handle);
}

/* ---- the call ---- */

/* Words behind the return address belong to the caller's frame, and so they are there, but for the callers at the very end
 * of a small stack, and where the user has said too many: pages beyond this one are asked for. */
static uint64_t words_above(const struct pair_frame *frame, uint64_t said)
{
    uint64_t wanted = said > PAIR_WORDS ? said : PAIR_WORDS, begin = (uint64_t)(uintptr_t)frame->words;
    uint64_t end = begin + wanted * sizeof(uint64_t), there = (begin | (STRAY_PAGE - 1)) + 1;
    while (there < end && sys_readable(there))
        there += STRAY_PAGE;
    return there < end ? (there - begin) / sizeof(uint64_t) : wanted;
}

struct pair_call pair_enter(struct pair_frame *frame)
{
    const struct pair_entry *entry = &pair_entries[frame->number];
    const struct stray_pair_function *function = entry->pair;
    int kept = errno;
    frame->outermost = enter(frame) && entry->number != PAIR_UNWANTED && gate_open(GATE_TRACED);
    if (frame->outermost && function->closes) {
        frame->time = clock_before();
        if (function->check == STRAY_PAIR_ALWAYS)
            closed(frame, function);
    }
    struct pair_call call = {entry->function, words_above(frame, function->words)};
    errno = kept;
    return call;
}

void pair_leave(struct pair_frame *frame)
{
    const struct stray_pair_function *function = pair_entries[frame->number].pair;
    int kept = errno;
    thread_self.pair_depth = frame->depth;
    if (frame->outermost && gate_open(GATE_TRACED)) {
        if (!function->closes)
            opened(frame, function);
        else if (function->check != STRAY_PAIR_ALWAYS && has_succeeded(frame, function))
            closed(frame, function);
    }
    errno = kept;
}
