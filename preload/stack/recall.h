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

#define RECALL_STACKS  160u /* one less: there is none of number 0 */
#define RECALL_CHAINS  256u /* that they are found by: more than stacks, so that one in use is seldom behind another */
#define RECALL_LINKS   8u   /* of a chain, that are followed */
#define RECALL_STEP    4u   /* words compared at a time */
#define RECALL_WORDS   160u /* a stack with more of them is not kept */
#define RECALL_SHELVES 4u   /* the words of the stacks are on: when all are full, the oldest is cleared */
#define RECALL_SHELF   1024u /* words */

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

/* Of a stack that was found whole since that call began: so many words are left to be looked at. Found once it is not worth to
 * count them: most calls are short. */
struct recall_trust {
    uint64_t call; /* by its number; 0: none */
    uint32_t inner; /* 0: not counted yet */
};

/* Which stack of a chain is looked at first. Those of one chain often differ in an outer frame only: a loop comes by two calls of
 * one function in turn. So it is the one that followed, the last time, on the one that was there last. */
struct recall_guess {
    uint8_t next, last; /* numbers of stacks */
};

/* Zeroed memory, of which no more is touched than the stacks need: most programs' are short. Stacks are put down one after the
 * other, and the chains lead to the latest first. */
struct recall {
    struct recall_guess guesses[RECALL_CHAINS];
    uint8_t chains[RECALL_CHAINS]; /* the number of the first stack; 0: none */
    uint8_t links[RECALL_STACKS];  /* ... of the one after this */
    uint8_t follows[RECALL_STACKS]; /* ... of the one that was there after this, the last time */
    uint8_t chain_of[RECALL_STACKS];
    uint32_t last; /* the stack that was put down last */
    uint32_t used; /* words, shelves that are full as a whole, modulo those of all shelves */
    struct recalled stacks[RECALL_STACKS];
    struct recall_trust trust[RECALL_STACKS];
    uint32_t offsets[RECALL_SHELVES * RECALL_SHELF]; /* of the words, from the innermost return address on */
    uint64_t values[RECALL_SHELVES * RECALL_SHELF];
};
_Static_assert(RECALL_STACKS <= UINT8_MAX + 1, "a stack's number has 8 bits");

/* What a stack begins with. */
struct recall_start {
    uint64_t caller, sp, bp, window, python, modules;
};

static inline unsigned recall_chain(const struct recall_start *start)
{
    return (unsigned)(((start->caller ^ start->python) + start->sp) * 0x9e3779b97f4a7c15u >> 56);
}
_Static_assert(RECALL_CHAINS == 1u << 8, "recall_chain() gives 8 bits");

/* One branch for all of it. */
static inline bool recall_begins(const struct recalled *stack, const struct recall_start *start)
{
    return ((stack->caller ^ start->caller) | (stack->sp ^ start->sp) | (stack->window ^ start->window) |
            (stack->python ^ start->python) | (stack->modules ^ start->modules) |
            ((stack->bp ^ start->bp) & stack->bp_matters)) == 0;
}

static inline uint64_t recall_at(const struct recalled *stack, uint32_t offset)
{
    return stack->sp - sizeof(uint64_t) + offset;
}

typedef uint64_t __attribute__((may_alias)) recall_word; /* of anybody's frame */

static inline bool recall_holds(const struct recall *recall, const struct recalled *stack, uint32_t count)
{
    const char *base = (const char *)(uintptr_t)recall_at(stack, 0);
    const uint32_t *offset = recall->offsets + stack->first;
    const uint64_t *value = recall->values + stack->first;
#define WRONG(i) (*(const recall_word *)(const void *)(base + offset[i]) ^ value[i])
    for (size_t i = 0; i < count; i += RECALL_STEP)
        if ((WRONG(i) | WRONG(i + 1) | WRONG(i + 2) | WRONG(i + 3)) != 0)
            return false;
#undef WRONG
    return true;
}

static inline bool recall_is(const struct recall *recall, const struct recalled *stack, const struct recall_start *start)
{
    return __builtin_expect(recall_begins(stack, start) && recall_holds(recall, stack, stack->count), 1);
}

/* The stack `number` of `chain` was there, as expected. */
static inline void recall_expect(struct recall *recall, unsigned chain, unsigned number)
{
    unsigned next = recall->follows[number];
    if (__builtin_expect(next != number, 0))
        recall->guesses[chain] = (struct recall_guess){(uint8_t)next, (uint8_t)number};
}

/* The node of the stack that begins so, if it is the one that is looked at first; 0: not known. */
static inline uint32_t recall_find_first(struct recall *recall, const struct recall_start *start)
{
    unsigned chain = recall_chain(start), number = recall->guesses[chain].next;
    const struct recalled *stack = &recall->stacks[number];
    if (!recall_is(recall, stack, start))
        return 0;
    recall_expect(recall, chain, number);
    return stack->node;
}

/* The same, if it is another one. */
uint32_t recall_find_other(struct recall *recall, const struct recall_start *start);

static inline uint32_t recall_find(struct recall *recall, const struct recall_start *start)
{
    uint32_t node = recall_find_first(recall, start);
    return __builtin_expect(node != 0, 1) ? node : recall_find_other(recall, start);
}

/* The same inside `call`, whose outer frames are looked at once for each stack. */
static inline uint32_t recall_find_first_inside(struct recall *recall, const struct recall_start *start, const struct recall_call *call)
{
    unsigned chain = recall_chain(start), number = recall->guesses[chain].next;
    const struct recalled *stack = &recall->stacks[number];
    const struct recall_trust *trust = &recall->trust[number];
    bool trusted = trust->call == call->number && trust->inner != 0;
    if (!__builtin_expect(trusted && recall_begins(stack, start) && recall_holds(recall, stack, trust->inner), 1))
        return 0;
    recall_expect(recall, chain, number);
    return stack->node;
}

uint32_t recall_find_other_inside(struct recall *recall, const struct recall_start *start, const struct recall_call *call);

static inline uint32_t recall_find_inside(struct recall *recall, const struct recall_start *start, const struct recall_call *call)
{
    uint32_t node = recall_find_first_inside(recall, start, call);
    return __builtin_expect(node != 0, 1) ? node : recall_find_other_inside(recall, start, call);
}

/* Keeps a stack: `count` frames, the first that of `start`; more than those (`whole` is false) or none. The element past
 * them is there. */
void recall_keep(struct recall *recall, const struct recall_start *start, const struct unwind_frame *frames, size_t count,
                 bool whole, uint32_t node);

#endif
