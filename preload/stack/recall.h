/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole stacks that were taken before, to be recognised without unwinding: about 1 ns a frame.
 *
 * Where a stack leads depends on the registers that it begins with and on the words that its frames keep: their return
 * addresses and, where a rule goes by it, RBP. So a stack that begins alike and still holds those words is the same.
 * See unwind.h for what may be read.
 *
 * Belongs to one capture at a time, as the unwinder beside it does. Async-signal-safe: a stack that is being put down has
 * no caller, so that a handler that jumps away leaves nothing half done.
 */
#ifndef STRAY_STACK_RECALL_H
#define STRAY_STACK_RECALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"
#include "record/index.h"
#include "stack/unwind.h"

#define RECALL_STACKS 64u
#define RECALL_WAYS   4u   /* places that a stack may be kept at */
#define RECALL_STEP   4u   /* words compared at a time */
#define RECALL_WORDS  160u /* a stack with more of them is not kept */
#define RECALL_SHELVES 4u  /* the words of the stacks are on: when all are full, the oldest is cleared */
#define RECALL_SHELF  768u /* words */

struct recall_word {
    const volatile uint64_t *at;
    uint64_t value;
};

struct recalled {
    uint64_t caller; /* the innermost return address; 0: nothing is kept here */
    uint64_t sp, bp; /* of the frame that it lies in */
    uint64_t bp_matters; /* all ones if it does */
    uint64_t window; /* by its number */
    uint64_t python; /* what identifies the Python frames */
    uint64_t modules; /* modules_now(): none is stale */
    uint32_t node;
    uint16_t first; /* of its words, by their place in all of them */
    uint16_t count; /* of words, a multiple of RECALL_STEP */
} __attribute__((aligned(64))); /* one line of the cache */

/* A call that has not returned: what lies outwards of it stays as it is. */
struct recall_call {
    uint64_t number; /* 0: there is none */
    uint64_t frame;  /* inside of it */
};

/* Of a stack that was found whole since that call began: so many words are left to be looked at. */
struct recall_trust {
    uint64_t call; /* by its number; 0: none */
    uint32_t inner;
};

/* Zeroed memory, of which no more is touched than the stacks need: most programs' are short. */
struct recall {
    struct recalled stacks[RECALL_STACKS];
    struct recall_trust trust[RECALL_STACKS];
    uint8_t next[RECALL_STACKS / RECALL_WAYS]; /* the way that is given up next */
    uint32_t used; /* words, shelves that are full as a whole, modulo those of all shelves */
    struct recall_word words[RECALL_SHELVES * RECALL_SHELF];
};

/* What a stack begins with. */
struct recall_start {
    uint64_t caller, sp, bp, window, python, modules;
};

/* The place that is looked at first; the others differ from it in the last two bits. */
static inline unsigned recall_home(const struct recall_start *start)
{
    return (unsigned)(((start->caller ^ start->python) + start->sp) * 0x9e3779b97f4a7c15u >> 58);
}
_Static_assert(RECALL_STACKS == 64 && RECALL_WAYS == 4, "recall_home() gives 6 bits");

/* One branch for all of it. */
static inline bool recall_begins(const struct recalled *stack, const struct recall_start *start)
{
    return ((stack->caller ^ start->caller) | (stack->sp ^ start->sp) | (stack->window ^ start->window) |
            (stack->python ^ start->python) | (stack->modules ^ start->modules) |
            ((stack->bp ^ start->bp) & stack->bp_matters)) == 0;
}

static inline bool recall_holds(const struct recall *recall, const struct recalled *stack, uint32_t count)
{
    const struct recall_word *word = recall->words + stack->first, *end = word + count;
    for (; word < end; word += RECALL_STEP)
        if (((*word[0].at ^ word[0].value) | (*word[1].at ^ word[1].value) | (*word[2].at ^ word[2].value) |
             (*word[3].at ^ word[3].value)) != 0)
            return false;
    return true;
}

static inline bool recall_is(const struct recall *recall, const struct recalled *stack, const struct recall_start *start)
{
    return __builtin_expect(recall_begins(stack, start) && recall_holds(recall, stack, stack->count), 1);
}

/* The node of the stack that begins so; 0: not known. */
static inline uint32_t recall_find_at_home(const struct recall *recall, const struct recall_start *start)
{
    const struct recalled *stack = &recall->stacks[recall_home(start)];
    return recall_is(recall, stack, start) ? stack->node : 0;
}

/* The same, wherever it may be kept. */
static inline uint32_t recall_find(const struct recall *recall, const struct recall_start *start)
{
    unsigned home = recall_home(start);
    for (unsigned way = 0; way < RECALL_WAYS; way++)
        if (recall_is(recall, &recall->stacks[home ^ way], start))
            return recall->stacks[home ^ way].node;
    return 0;
}

/* The same inside `call`, whose outer frames are looked at once for each stack. */
uint32_t recall_find_inside(struct recall *recall, const struct recall_start *start, const struct recall_call *call);

/* Keeps a stack: `count` frames, the first that of `start`; more than those (`whole` is false) or none. The element past
 * them is there. */
void recall_keep(struct recall *recall, const struct recall_start *start, const struct unwind_frame *frames, size_t count,
                 bool whole, uint32_t node);

#endif
