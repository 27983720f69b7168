/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stacks that a thread is likely to have again: what its captures work on, as far as the hooks of the heap look at it
 * without making one. Belongs to one capture at a time; a thread that looks at it has THREAD_UNWINDING set.
 */
#ifndef STRAY_STACK_FAMILIAR_H
#define STRAY_STACK_FAMILIAR_H

#include "gate.h"
#include "stack/beneath.h"
#include "stack/modules.h"
#include "stack/python.h"
#include "stack/recall.h"
#include "stack/unwind.h"

/* The Python frames of a stack. */
struct python_stack {
    size_t count;
    uint64_t key; /* identifies them; 0: none */
    bool truncated;
};

/* Those that were there when a call began that Python made. */
struct python_known {
    uint64_t call; /* by its number; 0: of none */
    struct python_point point;
    struct python_stack stack;
};

#define FAMILIAR_CALLS 16u /* of libpq, from different places */

/* A function of libpq called from somewhere. */
struct familiar_libpq_call {
    uint64_t function; /* its address */
    uint32_t outer;    /* the stack of the caller */
    uint32_t node;     /* ... with the function in it; 0: not known */
};

/* A call of libpq that is under way, and the stack of what is acquired beneath it. */
struct familiar_beneath {
    uint64_t call;   /* by its number; 0: of none */
    uint64_t window; /* by its number: the stack that it lies on */
    uint32_t node;   /* 0: there is none */
    struct python_point point; /* where Python made it */
    struct beneath_code code; /* that acquired something beneath it the last time */
    struct familiar_libpq_call calls[FAMILIAR_CALLS];
};

struct familiar {
    struct unwinder unwinder;
    struct recall recall;
    uint32_t met; /* stacks that could have been kept there */
    struct python_known python;
    struct familiar_beneath beneath;
};

static inline uint64_t familiar_python_key(const struct python_stack *python)
{
    return python->key << 1 | python->truncated;
}

/* What the stack begins with of the caller of a function that keeps a frame pointer and lives yet, by its
 * __builtin_frame_address(0). `python`: what identifies the Python frames. */
static inline struct recall_start familiar_start(const struct familiar *familiar, const void *frame, uint64_t python)
{
    const uint64_t *words = frame; /* the caller's RBP, the return address; the caller's frame ends there */
    return (struct recall_start){.caller = words[1],
                                 .sp = (uint64_t)(uintptr_t)(words + 2),
                                 .bp = words[0],
                                 .window = familiar->unwinder.window.number,
                                 .python = python,
                                 .modules = modules_now()};
}

/* Whether stacks can be found at all. One that was kept began in the window of that number, which only grows; but a window
 * that is being changed is no thread's. */
static inline bool familiar_is_mine(const struct familiar *familiar)
{
    return __builtin_expect(familiar->unwinder.window.thread == arch_thread(), 1);
}

/* The call of libpq that this thread is in, if a stack that begins at `frame` lies in it. */
static inline struct recall_call familiar_call(const void *frame)
{
    bool inside = (uint64_t)(uintptr_t)frame < thread_self.libpq_frame;
    return (struct recall_call){inside ? thread_self.libpq_call : 0, thread_self.libpq_frame};
}

/* Whether the Python frames around it are known since it began; *ret_python: what identifies them. */
static inline bool familiar_python_inside(const struct familiar *familiar, const struct recall_call *call, uint64_t *ret_python)
{
    const struct python_known *known = &familiar->python;
    *ret_python = familiar_python_key(&known->stack);
    return known->call == call->number && python_is_at(&known->point);
}

/* The stack of a block that libpq acquires, or a library that it brings: that of the call of libpq. By the thousand while it connects,
 * so nothing of a stack is compared. 0: the block may be somebody else's, of what libpq has called back for instance. */
static inline uint32_t familiar_beneath_libpq(const struct familiar *familiar, const void *frame)
{
    const struct familiar_beneath *beneath = &familiar->beneath;
    const struct unwind_window *window = &familiar->unwinder.window;
    uint64_t at = (uint64_t)(uintptr_t)frame;
    bool inside = beneath->call != 0 && beneath->call == thread_self.libpq_call && at < thread_self.libpq_frame && beneath->window == window->number &&
                  unwind_holds(window, at) && beneath_is_in(&beneath->code, ((const uint64_t *)frame)[1]);
    return inside ? beneath->node : 0;
}

#endif
