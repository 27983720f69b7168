/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/recall.h"

/* The words of a stack that is about to be kept. */
struct words {
    uint32_t *offsets; /* room for RECALL_WORDS of them */
    uint64_t *values;
    uint64_t from; /* where the innermost return address lies */
    uint32_t count;
};

static bool add_word(struct words *words, uint64_t at, uint64_t value)
{
    uint64_t offset = at - words->from;
    if (words->count == RECALL_WORDS || offset > UINT32_MAX)
        return false;
    words->offsets[words->count] = (uint32_t)offset;
    words->values[words->count++] = value;
    return true;
}

/* What leads from a frame to its caller. */
static bool add_frame(struct words *words, const struct unwind_frame *frame)
{
    uint64_t slot = frame[1].sp - sizeof(uint64_t);
    return !(frame->flags & UNWIND_STRANGE) && add_word(words, slot, frame[1].ip) &&
           (frame->check_slot == slot || add_word(words, frame->check_slot, frame->check_value));
}

/* A whole stack may end at a return address of 0; see unwind.c. */
static bool add_end(struct words *words, const struct unwind_frame *outermost)
{
    return outermost[1].sp == 0 || add_word(words, outermost[1].sp - sizeof(uint64_t), 0);
}

static bool add_words(struct words *words, const struct unwind_frame *frames, size_t count, bool whole)
{
    bool added = true;
    for (size_t i = 0; added && i + whole < count; i++)
        added = add_frame(words, &frames[i]);
    return added && (!whole || add_end(words, &frames[count - 1]));
}

/* The last word again, until the number is right. */
static void fill_up(struct words *words, const struct recall_start *start)
{
    if (words->count == 0) /* a stack of one frame: itself */
        add_word(words, start->sp - sizeof(uint64_t), start->caller);
    while (words->count % RECALL_STEP != 0) {
        words->offsets[words->count] = words->offsets[words->count - 1];
        words->values[words->count] = words->values[words->count - 1];
        words->count++;
    }
}
_Static_assert(RECALL_WORDS % RECALL_STEP == 0, "a full stack needs no filling up");

/* A handler that jumps out of here leaves stacks whose words stand, and a shelf that is cleared again. */
static void clear_shelf(struct recall *recall, uint32_t shelf)
{
    for (unsigned i = 0; i < RECALL_STACKS; i++)
        if (recall->stacks[i].first / RECALL_SHELF == shelf)
            __atomic_store_n(&recall->stacks[i].caller, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    recall->used = shelf * RECALL_SHELF;
}

/* Where the next stack's words go. */
static struct words room_for_words(struct recall *recall, uint64_t sp)
{
    if (recall->used % RECALL_SHELF + RECALL_WORDS >= RECALL_SHELF) /* full shelves would pass for empty ones */
        clear_shelf(recall, (recall->used / RECALL_SHELF + 1) % RECALL_SHELVES);
    return (struct words){recall->offsets + recall->used, recall->values + recall->used, sp - sizeof(uint64_t), 0};
}

/* A handler may jump out of here, and another thread clear all of this meanwhile: chains may then lead to stacks of others, or
 * round in a circle, and no more links are followed than there should be. */
static void unchain(struct recall *recall, unsigned number)
{
    uint8_t *link = &recall->chains[recall->chain_of[number]];
    for (unsigned i = 0; i < RECALL_LINKS && *link != 0 && *link != number; i++)
        link = &recall->links[*link];
    if (*link == number)
        *link = recall->links[number];
}

/* Another than expected. */
static void correct_guess(struct recall *recall, unsigned chain, unsigned number)
{
    recall->follows[recall->guesses[chain].last] = (uint8_t)number;
    recall->guesses[chain] = (struct recall_guess){recall->follows[number], (uint8_t)number};
}

static void chain(struct recall *recall, unsigned number, unsigned chain)
{
    recall->chain_of[number] = (uint8_t)chain;
    recall->follows[number] = (uint8_t)number;
    recall->links[number] = recall->chains[chain];
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    recall->chains[chain] = (uint8_t)number;
    correct_guess(recall, chain, number);
}

/* The one that was put down first goes. */
static unsigned room_for_stack(struct recall *recall)
{
    unsigned number = recall->last % (RECALL_STACKS - 1) + 1;
    __atomic_store_n(&recall->stacks[number].caller, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    unchain(recall, number);
    recall->trust[number].call = 0;
    return number;
}

uint32_t recall_find_other(struct recall *recall, const struct recall_start *start)
{
    unsigned chain = recall_chain(start), number = recall->chains[chain];
    for (unsigned i = 0; i < RECALL_LINKS && number != 0; i++, number = recall->links[number]) {
        const struct recalled *stack = &recall->stacks[number];
        if (number == recall->guesses[chain].next || !recall_is(recall, stack, start))
            continue;
        correct_guess(recall, chain, number);
        return stack->node;
    }
    return 0;
}

/* A few words of the call's own frame are looked at all the same. */
static uint32_t words_inside(const struct recall *recall, const struct recalled *stack, uint64_t frame)
{
    const uint32_t *offset = recall->offsets + stack->first;
    uint32_t count = 0;
    while (count < stack->count && recall_at(stack, offset[count]) <= frame)
        count++;
    count = (count / RECALL_STEP + 2) * RECALL_STEP;
    return count < stack->count ? count : stack->count;
}

/* Whether it is that stack, whose outer frames are looked at once in a call. */
static inline bool is_inside(struct recall *recall, unsigned number, const struct recall_start *start, const struct recall_call *call)
{
    const struct recalled *stack = &recall->stacks[number];
    struct recall_trust *trust = &recall->trust[number];
    bool met = trust->call == call->number, trusted = met && trust->inner != 0;
    if (!recall_begins(stack, start) || !recall_holds(recall, stack, trusted ? trust->inner : stack->count))
        return false;
    if (!trusted)
        *trust = (struct recall_trust){call->number, met ? words_inside(recall, stack, call->frame) : 0};
    return true;
}

uint32_t recall_find_other_inside(struct recall *recall, const struct recall_start *start, const struct recall_call *call)
{
    unsigned chain = recall_chain(start), number = recall->chains[chain];
    for (unsigned i = 0; i < RECALL_LINKS && number != 0; i++, number = recall->links[number]) {
        if (!is_inside(recall, number, start, call))
            continue;
        correct_guess(recall, chain, number);
        return recall->stacks[number].node;
    }
    return 0;
}

void recall_keep(struct recall *recall, const struct recall_start *start, const struct unwind_frame *frames, size_t count,
                 bool whole, uint32_t node)
{
    unsigned number = room_for_stack(recall);
    struct recalled *stack = &recall->stacks[number];
    struct words words = room_for_words(recall, start->sp);
    if (!add_words(&words, frames, count, whole))
        return;
    fill_up(&words, start);
    stack->first = (uint16_t)recall->used;
    stack->count = (uint16_t)words.count;
    recall->used += words.count;
    stack->sp = start->sp;
    stack->bp = start->bp;
    stack->bp_matters = frames->flags & UNWIND_NEEDS_BP ? ~(uint64_t)0 : 0;
    stack->window = start->window;
    stack->python = start->python;
    stack->modules = start->modules;
    stack->node = node;
    __atomic_store_n(&stack->caller, start->caller, __ATOMIC_RELEASE);
    chain(recall, number, recall_chain(start));
    recall->last = number; /* at the end: what cannot be kept, or was jumped out of, takes no other's place */
}
