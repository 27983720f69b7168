/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/recall.h"

static bool add_word(struct recalled *stack, uint64_t at, uint64_t value)
{
    if (stack->count == RECALL_WORDS)
        return false;
    stack->words[stack->count++] = (struct recall_word){(const volatile uint64_t *)at, value};
    return true;
}

/* What leads from a frame to its caller. */
static bool add_frame(struct recalled *stack, const struct unwind_frame *frame)
{
    uint64_t slot = frame[1].sp - sizeof(uint64_t);
    return !(frame->flags & UNWIND_STRANGE) && add_word(stack, slot, frame[1].ip) &&
           (frame->check_slot == slot || add_word(stack, frame->check_slot, frame->check_value));
}

/* A whole stack may end at a return address of 0; see unwind.c. */
static bool add_end(struct recalled *stack, const struct unwind_frame *outermost)
{
    return outermost[1].sp == 0 || add_word(stack, outermost[1].sp - sizeof(uint64_t), 0);
}

static bool add_words(struct recalled *stack, const struct unwind_frame *frames, size_t count, bool whole)
{
    bool added = true;
    for (size_t i = 0; added && i + whole < count; i++)
        added = add_frame(stack, &frames[i]);
    return added && (!whole || add_end(stack, &frames[count - 1]));
}

/* The last word again, until the number is right. */
static void fill_up(struct recalled *stack, const struct recall_start *start)
{
    if (stack->count == 0) /* a stack of one frame: itself */
        add_word(stack, start->sp - sizeof(uint64_t), start->caller);
    while (stack->count % RECALL_STEP != 0) {
        stack->words[stack->count] = stack->words[stack->count - 1];
        stack->count++;
    }
}
_Static_assert(RECALL_WORDS % RECALL_STEP == 0, "a full stack needs no filling up");

/* The first place that is empty, or else one after the other. */
static struct recalled *place_for(struct recall *recall, const struct recall_start *start)
{
    unsigned home = recall_home(start), way = 0;
    while (way < RECALL_WAYS && recall->stacks[home ^ way].caller != 0)
        way++;
    if (way == RECALL_WAYS)
        way = recall->next[home / RECALL_WAYS]++ % RECALL_WAYS;
    return &recall->stacks[home ^ way];
}

void recall_keep(struct recall *recall, const struct recall_start *start, const struct unwind_frame *frames, size_t count,
                 bool whole, uint32_t node)
{
    struct recalled *stack = place_for(recall, start);
    __atomic_store_n(&stack->caller, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    stack->count = 0;
    if (!add_words(stack, frames, count, whole))
        return;
    fill_up(stack, start);
    stack->sp = start->sp;
    stack->bp = start->bp;
    stack->bp_matters = frames->flags & UNWIND_NEEDS_BP ? ~(uint64_t)0 : 0;
    stack->window = start->window;
    stack->python = start->python;
    stack->modules = start->modules;
    stack->node = node;
    __atomic_store_n(&stack->caller, start->caller, __ATOMIC_RELEASE);
}
