/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The Python frames of the calling thread, read from inside hooks: plain reads of the interpreter's own chain
 * of frames, no reference taken, nothing of its API called but PyGILState_GetThisThreadState(), which
 * allocates nothing and is right with and without the GIL. CPython 3.8 to 3.13; other versions, free-threaded
 * builds and interpreters that describe themselves differently are left alone (python_note() says so).
 *
 * Where a generator, coroutine or greenlet runs, its frames and those of who resumed it are on the chain;
 * suspended ones are not. In a subinterpreter of 3.8 to 3.11 that shares its thread with another interpreter,
 * the frames seen are those of the interpreter that the thread met first.
 *
 * Threads: any. Async-signal-safe but for python_detect() and python_note(). errno is left alone. The one
 * gap: a signal handler that interrupts 3.11 or 3.12 in the few instructions in which an evaluator links its
 * _PyCFrame may read an unset pointer.
 */
#ifndef STRAY_STACK_PYTHON_H
#define STRAY_STACK_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"

struct python_allocators;

struct python_frame {
    uint64_t
        key; /* identifies the executing point, also across code objects that had the same address in turn */
    uint64_t code;   /* the code object's address */
    uint64_t host;   /* an address inside the native frame of the evaluator of this run: set where `entry` is,
                        from 3.11 */
    uint32_t offset; /* of the executing instruction, in bytes from the start of the bytecode */
    bool entry;      /* the last frame of its run: the next outer frame of the thread is native */
};

/* Looks for an interpreter among the loaded objects, and makes captures possible where its layout proves to
 * be known. To be called at the start and whenever objects were loaded or unloaded; costs some microseconds.
 * May be called before Py_Initialize(). Takes the dynamic loader's locks. When two threads call, the second
 * does nothing. */
void python_detect(void);

/* The interpreter found so far, if any, came with the program, and no dlclose() takes it away. To be called
 * before main(). */
void python_stays(void);

/* Stops captures until the next python_detect(). To be called before an object may be unloaded, since it may
 * be the interpreter: nothing where that stays. */
void python_suspend(void);

/* Takes back what python_detect() has changed in the interpreter, until that is called again: when tracing ends and the program goes
 * on. */
void python_leave(void);

/* Has the interpreter that was found make `call` soon, in its main thread and with its lock held. False: it cannot. Takes a lock of the
 * interpreter's: for a thread of our own only. */
bool python_call_soon(int (*call)(void *unused));

enum python_state {
    PYTHON_STATE_ABSENT,
    PYTHON_STATE_UNSUPPORTED,
    PYTHON_STATE_FOUND,  /* the static tables agree with the layout; no frame was seen yet */
    PYTHON_STATE_PROVEN, /* and so did the first frames that were seen */
};

static inline enum python_state python_state(void)
{
    extern uint32_t python_state_found ARCH_NEAR, python_suspended ARCH_NEAR; /* atomic */
    if (__atomic_load_n(&python_suspended, __ATOMIC_RELAXED))
        return PYTHON_STATE_ABSENT;
    return (enum python_state)__atomic_load_n(&python_state_found, __ATOMIC_ACQUIRE);
}

/* Whether an interpreter of a known layout is there. */
static inline bool python_active(void)
{
    return python_state() >= PYTHON_STATE_FOUND;
}

/* Whether one may be there, now or again: asked first where there is none most often. */
static inline bool python_possible(void)
{
    extern uint32_t python_state_found ARCH_NEAR;
    return __atomic_load_n(&python_state_found, __ATOMIC_ACQUIRE) >= PYTHON_STATE_FOUND;
}

/* A sentence for the report when an interpreter was found whose frames cannot be read, else NULL. Static. */
const char *python_note(void);

/* The frames of this thread, innermost first; at most `capacity`. 0 where it runs no Python, or when another
 * thread is finalizing the interpreter. *ret_truncated: there were more. */
size_t python_capture(struct python_frame *frames, size_t capacity, bool *ret_truncated);

/* What the frames of a thread are known by again, without reading what they execute: by where they are, who called each, and at
 * which instruction each stands. From 3.11; before, a frame object says less of what it executes. Belongs to one thread at a time. */
#define PYTHON_STEPS 160u /* of a chain: frames, and from 3.12 what lies between runs */

struct python_step {
    uint64_t frame, instruction;
};
struct python_trail {
    bool known;
    uint32_t count;
    uint64_t thread; /* its state */
    uint64_t codes;  /* changes of the marks of code objects until then */
    struct python_step steps[PYTHON_STEPS];
};

/* As python_capture(); `trail` is not known until python_trail_keep(), before which what follows from the frames is to be kept: a
 * signal handler may jump out in between. */
size_t python_capture_trail(struct python_trail *trail, struct python_frame *frames, size_t capacity, bool *ret_truncated);
void python_trail_keep(struct python_trail *trail);
/* Whether the frames of this thread, to the last, are those that `trail` was left by. Their hosts may be others, and runs may end
 * elsewhere; then its native stack is another one, too. */
bool python_trail_holds(const struct python_trail *trail);

/* Where this thread is in its innermost Python frame. While that is the same, and what the frame has called has not returned, so
 * are all frames. */
struct python_point {
    uint64_t thread; /* its state; 0: python_capture() gives no frames */
    uint64_t frame, instruction;
};
struct python_point python_here(void);
/* Whether it is still there; for the thread whose point it is, and inside of what the frame has called. */
bool python_is_at(const struct python_point *point);

/* The interpreter's functions for its allocators, if this thread holds its lock, else NULL. */
const struct python_allocators *python_allocators_held(void);

/* Whether the thread that began the program has come to its end, and waits in threading._shutdown() for the others: the
 * interpreter does not call itself finalizing yet, nor need it be over soon. The threads are not stopped, so the answer may
 * be a moment old, or be missed while that thread is at work. Some microseconds. */
bool python_awaits_threads(void);

/* Whether the interpreter is being finalized. May become false again when it is gone entirely. */
bool python_finalizing(void);

/* The CODE definition of a code object that this thread is executing, made when there is none yet. 0 if
 * impossible: the frame is then to be left out. */
uint32_t python_code_id(uint64_t code);

/* For a forked child, whose definitions start anew. Keys stay valid; what was remembered by key must be
 * forgotten too. */
void python_forget_definitions(void);

/* Where the evaluator's instructions are: _PyEval_EvalFrameDefault. Parts of it that the compiler moved
 * elsewhere
 * (".cold") have local symbols only and are not known. size 0: no interpreter. */
struct evaluator {
    uint64_t start, size;
};
struct evaluator python_evaluator(void);

#endif
