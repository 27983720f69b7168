/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames and stacks of the ledger, each once, and how it grows. */
#include <errno.h>
#include <string.h>

#include "hash.h"
#include "read/array.h"
#include "views/ledger_steps.h"

/* One more item, zeroed, at the end of the array whose pointer stands at `array`; NULL without memory. */
void *ledger_append(void *array, size_t *room, size_t *count, size_t size)
{
    void *items;
    memcpy(&items, array, sizeof(items));
    char *grown = array_grow(items, room, *count, size);
    if (!grown)
        return NULL;
    memcpy(array, &grown, sizeof(grown));
    memset(grown + *count * size, 0, size);
    return grown + (*count)++ * size;
}

const char *ledger_keep(struct ledger *ledger, const char *text)
{
    const char *kept = text ? arena_copy(&ledger->arena, text, strlen(text)) : NULL;
    ledger->starved |= text && !kept;
    return kept;
}

/* Where the line is known, which instruction of it was running tells nothing more. */
static uint64_t offset_of(const struct frame *frame)
{
    return frame->line ? 0 : frame->offset;
}

static uint64_t frame_hash(const struct frame *frame)
{
    uint64_t offset = offset_of(frame);
    uint64_t hash = hash_text(hash_text(HASH_BEGIN, frame->function), frame->file);
    hash = hash_bytes(hash_text(hash, frame->module), &frame->line, sizeof(frame->line));
    hash = hash_bytes(hash, &offset, sizeof(offset));
    unsigned kind = (unsigned)frame->language << 2 | (unsigned)frame->user << 1 | frame->inlined;
    return hash_bytes(hash, &kind, sizeof(kind));
}

static int frame_add(struct ledger *ledger, const struct frame *frame, uint32_t *ret_frame)
{
    uint64_t hash = frame_hash(frame);
    if (map_get(&ledger->frame_map, hash, ret_frame))
        return 0;
    struct report_frame *added =
        ledger_append(&ledger->frames, &ledger->frame_room, &ledger->frame_count, sizeof(*added));
    if (!added)
        return -ENOMEM;
    *added = (struct report_frame){
        .function = ledger_keep(ledger, frame->function),
        .file = ledger_keep(ledger, frame->file),
        .module = ledger_keep(ledger, frame->module),
        .line = frame->line,
        .offset = offset_of(frame),
        .code = frame->code,
        .python = frame->language == LANGUAGE_PYTHON,
        .user = frame->user,
        .inlined = frame->inlined,
    };
    *ret_frame = (uint32_t)(ledger->frame_count - 1);
    return map_put(&ledger->frame_map, hash, *ret_frame);
}

static int stack_intern(struct ledger *ledger, const struct ledger_stack *stack, uint32_t *ret_stack)
{
    uint64_t hash = hash_bytes(HASH_BEGIN, stack->frames, stack->count * sizeof(*stack->frames));
    hash = hash_bytes(hash_bytes(hash, &stack->blame, sizeof(stack->blame)), &stack->truncated, sizeof(bool));
    if (map_get(&ledger->stack_map, hash, ret_stack))
        return 0;
    struct ledger_stack *added =
        ledger_append(&ledger->stacks, &ledger->stack_room, &ledger->stack_count, sizeof(*added));
    if (!added)
        return -ENOMEM;
    *added = *stack;
    *ret_stack = (uint32_t)(ledger->stack_count - 1);
    return map_put(&ledger->stack_map, hash, *ret_stack);
}

int ledger_add_stack(struct ledger *ledger, const struct report_stacks *stacks, uint32_t node,
                     uint32_t *ret_stack)
{
    if (map_get(&ledger->pass->stacks, node, ret_stack))
        return 0;
    const struct stack *from = stacks->stack(stacks->data, node);
    struct ledger_stack copy = {
        .count = (uint32_t)from->count, .blame = (uint32_t)from->blame, .truncated = from->truncated};
    copy.frames = arena_alloc(&ledger->arena, (from->count + 1) * sizeof(*copy.frames));
    int result = copy.frames ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < from->count; i++)
        result = frame_add(ledger, &from->frames[i], &copy.frames[i]);
    if (result == 0)
        result = stack_intern(ledger, &copy, ret_stack);
    return result < 0 ? result : map_put(&ledger->pass->stacks, node, *ret_stack);
}
