/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/recall.h"

/* The words of a stack that is about to be kept. */
struct words {
    struct recall_word *words; /* room for RECALL_WORDS of them */
    uint32_t count;
};

static bool add_word(struct words *words, uint64_t at, uint64_t value)
{
    if (words->count == RECALL_WORDS)
        return false;
    words->words[words->count++] = (struct recall_word){(const volatile uint64_t *)at, value};
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
        words->words[words->count] = words->words[words->count - 1];
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
static struct words room_for_words(struct recall *recall)
{
    if (recall->used % RECALL_SHELF + RECALL_WORDS >= RECALL_SHELF) /* full shelves would pass for empty ones */
        clear_shelf(recall, (recall->used / RECALL_SHELF + 1) % RECALL_SHELVES);
    return (struct words){recall->words + recall->used, 0};
}

/* A handler that jumps out of here leaves `to` empty, or the stack at both places. */
static void move(struct recalled *to, const struct recalled *from)
{
    struct recalled moved = *from;
    __atomic_store_n(&to->caller, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    moved.caller = 0;
    *to = moved;
    __atomic_store_n(&to->caller, from->caller, __ATOMIC_RELEASE);
}

/* Where it is looked for first: what a program did at its start must not stand there for good. What stood there goes where it
 * is empty, or else takes the place of one after the other. */
static struct recalled *place_for(struct recall *recall, const struct recall_start *start)
{
    unsigned home = recall_home(start), way = 0;
    while (way < RECALL_WAYS && recall->stacks[home ^ way].caller != 0)
        way++;
    if (way == RECALL_WAYS)
        way = recall->next[home / RECALL_WAYS]++ % RECALL_WAYS;
    recall->trust[home ^ way].call = recall->trust[home].call = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (way > 0)
        move(&recall->stacks[home ^ way], &recall->stacks[home]);
    return &recall->stacks[home];
}

/* A few words of the call's own frame are looked at all the same. */
static uint32_t words_inside(const struct recall *recall, const struct recalled *stack, uint64_t frame)
{
    const struct recall_word *word = recall->words + stack->first;
    uint32_t count = 0;
    while (count < stack->count && (uint64_t)(uintptr_t)word[count].at <= frame)
        count++;
    count = (count / RECALL_STEP + 2) * RECALL_STEP;
    return count < stack->count ? count : stack->count;
}

uint32_t recall_find_inside(struct recall *recall, const struct recall_start *start, const struct recall_call *call)
{
    unsigned home = recall_home(start);
    for (unsigned way = 0; way < RECALL_WAYS; way++) {
        const struct recalled *stack = &recall->stacks[home ^ way];
        struct recall_trust *trust = &recall->trust[home ^ way];
        bool trusted = trust->call == call->number;
        if (!recall_begins(stack, start) || !recall_holds(recall, stack, trusted ? trust->inner : stack->count))
            continue;
        if (!trusted)
            *trust = (struct recall_trust){call->number, words_inside(recall, stack, call->frame)};
        return stack->node;
    }
    return 0;
}

void recall_keep(struct recall *recall, const struct recall_start *start, const struct unwind_frame *frames, size_t count,
                 bool whole, uint32_t node)
{
    struct recalled *stack = place_for(recall, start);
    __atomic_store_n(&stack->caller, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    struct words words = room_for_words(recall);
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
}
