/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The wrappers that need no hand: expanded from the hook table. */
#include "hooks/wrap.h"

#include <errno.h>

#include "hooks/libpq.h"
#include "hooks/python_memory.h"
#include "hooks/sampled_heap.h"
#include "hooks/statements.h"
#include "hooks/traffic.h"
#include "hooks/waiting.h"
#include "record/quick.h"
#include "stack/familiar.h"
#include "stack/python.h"
#include "state/incarnation.h"
#include "state/python_samples.h"

#define NOINLINE __attribute__((noinline))

static bool samples_are_due(void)
{
    return __atomic_load_n(&python_samples_due, __ATOMIC_RELAXED);
}

void note_finalizing(void)
{
    if (LIKELY(!python_active()))
        return;
    if (UNLIKELY(python_finalizing()))
        incarnation_end_begins(STRAY_ENDING_PYTHON);
    else if (UNLIKELY(samples_are_due()))
        python_memory_look();
}

void record_open(uint16_t hook, uint8_t resource, uint64_t handle, uint64_t size, const void *caller)
{
    int kept = errno;
    note_finalizing();
    struct stray_event event = {clock_after(), handle, size, 0, hook, STRAY_OPEN, resource};
    event.stack = capture_stack(caller);
    emit_acquire(&event);
    errno = kept;
}

/* Nothing on the way of heap blocks touches errno. */
void record_block(uint16_t hook, uint64_t handle, uint64_t size, const void *frame)
{
    uint64_t time = young_acquired(handle);
    note_finalizing();
    struct stray_event event = {time, handle, size, capture_block(frame), hook, STRAY_OPEN, STRAY_HEAP};
    emit_acquire(&event);
}

void record_freed(uint16_t hook, uint64_t handle)
{
    struct stray_event event = {clock_before(), handle, 0, 0, hook, STRAY_CLOSE, STRAY_HEAP};
    note_finalizing();
    emit_release(&event);
}

/* Its stack is not where it is looked for first. */
static NOINLINE bool record_other_block(uint16_t hook, uint64_t handle, uint64_t size, const void *frame)
{
    const struct familiar *familiar = thread_self.familiar;
    struct recall_start start = familiar_start(familiar, frame, 0);
    uint32_t stack = familiar_is_mine(familiar) ? recall_find(&familiar->recall, &start) : 0;
    if (stack != 0)
        quick_acquire(thread_self.young, handle, size, stack, hook);
    else
        quick_end();
    return stack != 0;
}

/* Whether nothing has to be noted of the interpreter before a usual event. */
static inline bool nothing_to_note(void)
{
    if (UNLIKELY(samples_are_due()) && python_active() && !python_finalizing())
        python_memory_look();
    return LIKELY(!python_finalizing());
}

/* The stack of a block that is acquired inside a call of libpq that Python has made. 0: not known. */
static inline uint32_t find_inside_libpq(struct familiar *familiar, const void *frame)
{
    struct recall_call call = familiar_call(frame);
    uint64_t python;
    if (call.number == 0 || !familiar_is_mine(familiar) || !familiar_python_inside(familiar, &call, &python))
        return 0;
    struct recall_start start = familiar_start(familiar, frame, python);
    return recall_find_inside(&familiar->recall, &start, &call);
}

/* Its stack is part of the emission: a thread's handlers leave both alone. */
static NOINLINE bool record_block_of_python(uint16_t hook, uint64_t handle, uint64_t size, const void *frame)
{
    struct young *young = nothing_to_note() ? quick_begin() : NULL;
    if (UNLIKELY(!young))
        return false;
    struct familiar *familiar = thread_self.stacks; /* not before, as in quick_begin() */
    uint32_t stack = thread_self.libpq_depth > 0 && familiar ? find_inside_libpq(familiar, frame) : 0;
    if (stack == 0)
        stack = capture_block_amid(frame);
    quick_acquire(young, handle, size, stack, hook);
    return true;
}

/* Inside a call of libpq. Where Python is no further than it was when it made the call, it is not finalizing. */
static NOINLINE bool record_beneath_python(uint16_t hook, uint64_t handle, uint64_t size, const void *frame)
{
    struct young *young = quick_begin();
    if (UNLIKELY(!young))
        return false;
    const struct familiar *familiar = thread_self.stacks;
    uint32_t stack = LIKELY(familiar != NULL) ? familiar_beneath_libpq(familiar, frame) : 0;
    if (UNLIKELY(stack == 0 || !python_is_at(&familiar->beneath.point))) {
        quick_end();
        return record_block_of_python(hook, handle, size, frame);
    }
    quick_acquire_beneath(young, handle, size, stack, hook);
    return true;
}

static inline bool record_beside_python(uint16_t hook, uint64_t handle, uint64_t size, const void *frame)
{
    bool beneath = thread_self.libpq_depth > 0 && LIKELY(!samples_are_due());
    return beneath ? record_beneath_python(hook, handle, size, frame) : record_block_of_python(hook, handle, size, frame);
}

/* Inside a call of libpq, where it is not sure that libpq acquires it. */
static NOINLINE bool record_block_amid_libpq(uint16_t hook, uint64_t handle, uint64_t size, const void *frame)
{
    const struct familiar *familiar = thread_self.stacks;
    struct recall_start start = familiar_start(familiar, frame, 0);
    uint32_t stack = familiar_is_mine(familiar) ? recall_find(&familiar->recall, &start) : 0;
    if (UNLIKELY(stack == 0))
        stack = capture_block_amid(frame);
    quick_acquire(thread_self.young, handle, size, stack, hook);
    return true;
}

/* Inside a call of libpq, or before the first stack of the thread. */
static NOINLINE bool record_block_of_libpq(uint16_t hook, uint64_t handle, uint64_t size, const void *frame)
{
    const struct familiar *familiar = thread_self.stacks;
    if (UNLIKELY(thread_self.libpq_depth == 0 || !familiar)) {
        quick_end();
        return false;
    }
    uint32_t stack = familiar_beneath_libpq(familiar, frame);
    if (UNLIKELY(stack == 0))
        return record_block_amid_libpq(hook, handle, size, frame);
    quick_acquire_beneath(thread_self.young, handle, size, stack, hook);
    return true;
}

/* Outside of libpq, without Python. */
static NOINLINE bool record_block_of_program(uint16_t hook, uint64_t handle, uint64_t size, const void *frame)
{
    const struct familiar *familiar = thread_self.familiar;
    struct recall_start start = familiar_start(familiar, frame, 0);
    uint32_t stack = LIKELY(familiar_is_mine(familiar)) ? recall_find_at_home(&familiar->recall, &start) : 0;
    if (UNLIKELY(stack == 0))
        return record_other_block(hook, handle, size, frame);
    quick_acquire(thread_self.young, handle, size, stack, hook);
    return true;
}

/* Each kind of caller has a function of its own, so that none keeps what another needs. */
bool record_usual_block(uint16_t hook, uint64_t handle, uint64_t size, const void *frame)
{
    if (UNLIKELY(python_possible()))
        return quick_gate_is_open() && record_beside_python(hook, handle, size, frame);
    if (UNLIKELY(!quick_begin()))
        return false;
    if (UNLIKELY(!thread_self.familiar)) /* not before, as in quick_begin() */
        return record_block_of_libpq(hook, handle, size, frame);
    return record_block_of_program(hook, handle, size, frame);
}

static inline __attribute__((always_inline)) bool release_quickly(uint16_t hook, uint64_t handle)
{
    struct young *young = quick_begin();
    if (UNLIKELY(!young))
        return false;
    quick_release(young, handle, hook);
    return true;
}

/* What was put aside of the interpreter's objects ends here. */
static NOINLINE bool release_beside_python(uint16_t hook, uint64_t handle)
{
    const void *block = (const void *)(uintptr_t)handle;
    if (samples_may_have(python_samples_counts, block) && python_memory_freed(block))
        return true;
    return quick_gate_is_open() && nothing_to_note() && release_quickly(hook, handle);
}

bool record_usual_free(uint16_t hook, uint64_t handle)
{
    return UNLIKELY(python_possible()) ? release_beside_python(hook, handle) : release_quickly(hook, handle);
}

void record_close(uint16_t hook, uint8_t resource, uint64_t handle, const void *caller)
{
    int kept = errno;
    struct stray_event event = {clock_before(), handle, 0, 0, hook, STRAY_CLOSE, resource};
    note_finalizing();
    event.stack = capture_stack(caller);
    emit(&event);
    errno = kept;
}

#define BODY_HAND(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)

#define BODY_PLAIN(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                         \
    PLAIN_##ACTION(name, RESOURCE, type, params, args, success, handle, size)

#define PLAIN_RECORD(resource, hook, handle, size)                                                                     \
    ((resource) == STRAY_HEAP ? record_block(hook, handle, size, FRAME())                                              \
                              : record_open(hook, resource, handle, size, CALLER()))
#define PLAIN_RECORD_QUICKLY(resource, hook, handle, size)                                                             \
    ((resource) == STRAY_HEAP && LIKELY(record_usual_block(hook, handle, size, FRAME())))

/* What is left to do where the gate is shut. */
#define PLAIN_SAMPLE(resource, hook, handle, size)                                                                     \
    ((resource) == STRAY_HEAP ? sampled_heap_made(hook, (void *)(uintptr_t)(handle), size, FRAME()) : (void)0)

#define PLAIN_RECORD_END(resource, hook, handle)                                                                       \
    ((resource) == STRAY_HEAP ? record_freed(hook, handle) : record_close(hook, resource, handle, CALLER()))

#define PLAIN_OPEN(name, RESOURCE, type, params, args, success, handle, size)                                          \
    type stray_hook_##name params                                                                                      \
    {                                                                                                                  \
        type ret = REAL(name) args;                                                                                    \
        if (UNLIKELY(!(success)) ||                                                                                    \
            PLAIN_RECORD_QUICKLY(STRAY_##RESOURCE, STRAY_HOOK_##name, (uint64_t)(uintptr_t)(handle), (size)))          \
            return ret;                                                                                                \
        if (LIKELY(gate_open(BITS_OF(STRAY_##RESOURCE))))                                                              \
            PLAIN_RECORD(STRAY_##RESOURCE, STRAY_HOOK_##name, (uint64_t)(uintptr_t)(handle), (size));                  \
        else                                                                                                           \
            PLAIN_SAMPLE(STRAY_##RESOURCE, STRAY_HOOK_##name, (handle), (size));                                       \
        return ret;                                                                                                    \
    }

#define PLAIN_CLOSE(name, RESOURCE, type, params, args, success, handle, size)                                         \
    type stray_hook_##name params                                                                                      \
    {                                                                                                                  \
        if (LIKELY(success) && gate_open(BITS_OF(STRAY_##RESOURCE)))                                                   \
            PLAIN_RECORD_END(STRAY_##RESOURCE, STRAY_HOOK_##name, (uint64_t)(uintptr_t)(handle));                      \
        return REAL(name) args;                                                                                        \
    }

/* Most calls of libpq's functions are its own. They leave no frame of ours. */
#define INNER_CALL(name, type, params, args, none)                                                                     \
    if (gate_inside_libpq((uintptr_t)FRAME())) {                                                                       \
        void *inner = real_libpq_function(STRAY_HOOK_##name, #name, CALLER());                                         \
        return inner ? ((type(*) params)inner)args : none;                                                             \
    }

/* Timed libpq calls; only the outermost of nested ones is an event. */
#define BODY_TIMED(name, type, args, params, none, start, finish)                                                             \
    type stray_hook_##name params                                                                                      \
    {                                                                                                                  \
        LIBPQ_UNWINDS();                                                                                               \
        INNER_CALL(name, type, params, args, none)                                                                     \
        struct libpq_call call = real_libpq(STRAY_HOOK_##name, #name, CALLER());                                       \
        if (UNLIKELY(!call.function))                                                                                  \
            return none;                                                                                               \
        struct libpq_span span = libpq_enter(STRAY_HOOK_##name, &call, FRAME());                                      \
        start;                                                                                                         \
        type ret = ((type(*) params)call.function)args;                                                                \
        finish;                                                                                                        \
        return ret;                                                                                                    \
    }
#define BODY_PGCONN(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                        \
    BODY_TIMED(name, type, args, params, NULL, (void)0, libpq_connected(&span, ret))
#define BODY_PGEXEC(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                        \
    BODY_TIMED(name, type, args, params, NULL, (void)0, libpq_executed(&span, conn, ret))
#define BODY_PGUSE(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                         \
    BODY_TIMED(name, type, args, params, 0, (void)0, libpq_used(&span, conn))

/* Those that send a statement. */
#define BODY_PGSQL(name, RESOURCE, ACTION, LIBRARY, type, params, args, text, label, given)                            \
    BODY_TIMED(name, type, args, params, NULL, libpq_sends(&span, conn, text, label, given),                           \
               libpq_executed(&span, conn, ret))
#define BODY_PGSEND(name, RESOURCE, ACTION, LIBRARY, type, params, args, text, label, given)                           \
    BODY_TIMED(name, type, args, params, 0, libpq_sends(&span, conn, text, label, given), libpq_used(&span, conn))

#define BODY_PGMAKE(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                        \
    BODY_TIMED(name, type, args, params, NULL, (void)0, libpq_executed(&span, NULL, ret))

#define BODY_PGNEW(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                         \
    BODY_TIMED(name, type, args, params, NULL, (void)0, libpq_made(&span, STRAY_##RESOURCE, ret))

#define BODY_PGTIME(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                        \
    BODY_TIMED(name, type, args, params, 0, (void)0, libpq_timed(&span, STRAY_##RESOURCE, (uint64_t)(uintptr_t)(handle)))

#define BODY_PGFREE(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                        \
    type stray_hook_##name params                                                                                      \
    {                                                                                                                  \
        LIBPQ_UNWINDS();                                                                                               \
        INNER_CALL(name, type, params, args, (type)0)                                                                  \
        struct libpq_call call =                                                                                       \
            libpq_release(STRAY_HOOK_##name, #name, STRAY_##RESOURCE, handle, FRAME());                               \
        if (call.function)                                                                                             \
            ((type(*) params)call.function)args;                                                                       \
        libpq_leave();                                                                                                 \
    }

/* Calls that move data on a socket: no event, only a note in the descriptor's row; unless they keep an event loop. */
#define BODY_MOVES(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                         \
    type stray_hook_##name params                                                                                      \
    {                                                                                                                  \
        uint64_t begin = waiting_begin();                                                                              \
        type ret = REAL(name) args;                                                                                    \
        traffic_moved(fd, ret);                                                                                        \
        traffic_kept(STRAY_HOOK_##name, fd, begin, CALLER());                                                          \
        return ret;                                                                                                    \
    }

#define FIRST(first, ...) (first)

#define BODY_WAITS(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                         \
    type stray_hook_##name params                                                                                      \
    {                                                                                                                  \
        int on = WAITING_ON(STRAY_HOOK_##name, FIRST args);                                                            \
        uint64_t begin = waiting_begin_elsewhere(on);                                                                  \
        type ret = REAL(name) args;                                                                                    \
        waiting_kept(STRAY_HOOK_##name, on, begin, CALLER());                                                          \
        waiting_note(STRAY_HOOK_##name, on);                                                                           \
        return ret;                                                                                                    \
    }

#define BODY_AWAITS(name, RESOURCE, ACTION, LIBRARY, type, params, args, success, handle, size)                        \
    type stray_hook_##name params                                                                                      \
    {                                                                                                                  \
        uint64_t begin = awaiting_begin();                                                                             \
        type ret = REAL(name) args;                                                                                    \
        if (UNLIKELY(begin != 0))                                                                                      \
            awaiting_over(STRAY_HOOK_##name, begin, CALLER());                                                             \
        return ret;                                                                                                    \
    }

#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size)                      \
    BODY_##BODY(name, RESOURCE, ACTION, LIBRARY, ret, params, args, success, handle, size)
#include "stray/hooks.def"
#undef HOOK
