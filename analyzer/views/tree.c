/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "read/array.h"

static uint64_t frame_hash(const struct report_frame *frame)
{
    uint64_t hash = hash_text(hash_text(hash_text(HASH_BEGIN, frame->function), frame->file), frame->module);
    unsigned kind = (unsigned)frame->python << 2 | (unsigned)frame->user << 1 | frame->inlined;
    hash = hash_bytes(hash_bytes(hash, &frame->line, sizeof(frame->line)), &kind, sizeof(kind));
    return hash_bytes(hash, &frame->offset, sizeof(frame->offset));
}

static int keep(struct tree *tree, const char *text, const char **ret_text)
{
    *ret_text = text ? arena_copy(&tree->arena, text, strlen(text)) : NULL;
    return text && !*ret_text ? -ENOMEM : 0;
}

static int frame_add(struct tree *tree, const struct report_frame *frame, uint64_t hash, uint32_t *ret_frame)
{
    struct report_frame copy = *frame;
    if (keep(tree, frame->function, &copy.function) < 0 || keep(tree, frame->file, &copy.file) < 0 ||
        keep(tree, frame->module, &copy.module) < 0)
        return -ENOMEM;
    struct report_frame *grown = array_grow(tree->frames, &tree->frame_room, tree->frame_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    tree->frames = grown;
    grown[tree->frame_count] = copy;
    *ret_frame = (uint32_t)tree->frame_count++;
    return map_put(&tree->frame_map, hash, *ret_frame);
}

static int frame_find(struct tree *tree, const struct report_frame *from, uint32_t *ret_frame)
{
    struct report_frame frame = *from;
    if (frame.line) /* which instruction of the line was running tells nothing more */
        frame.offset = 0;
    uint64_t hash = frame_hash(&frame);
    return map_get(&tree->frame_map, hash, ret_frame) ? 0 : frame_add(tree, &frame, hash, ret_frame);
}

static int node_find(struct tree *tree, uint32_t parent, uint32_t frame, uint32_t *ret_node)
{
    uint64_t key = (uint64_t)parent << 32 | frame;
    if (map_get(&tree->node_map, key, ret_node))
        return 0;
    struct tree_node *grown = array_grow(tree->nodes, &tree->node_room, tree->node_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    tree->nodes = grown;
    grown[tree->node_count] = (struct tree_node){parent, frame};
    *ret_node = (uint32_t)tree->node_count++;
    return map_put(&tree->node_map, key, *ret_node);
}

int tree_add(struct tree *tree, const struct report_frame *frames, size_t count, uint32_t *ret_node)
{
    uint32_t node = TREE_ROOT, frame;
    int result = 0;
    for (size_t i = count; result == 0 && i-- > 0;) {
        result = frame_find(tree, &frames[i], &frame);
        if (result == 0)
            result = node_find(tree, node, frame, &node);
    }
    if (result == 0)
        *ret_node = node;
    return result;
}

int tree_add_stack(struct tree *tree, const struct stack *stack, uint32_t *ret_node)
{
    struct report_frame *frames = calloc(stack->count + 1, sizeof(*frames));
    if (!frames)
        return -ENOMEM;
    for (size_t i = 0; i < stack->count; i++) {
        const struct frame *from = &stack->frames[i];
        frames[i] = (struct report_frame){.function = from->function, .file = from->file, .module = from->module,
                                          .line = from->line, .offset = from->offset, .python = from->language == LANGUAGE_PYTHON,
                                          .user = from->user, .inlined = from->inlined};
    }
    int result = tree_add(tree, frames, stack->count, ret_node);
    free(frames);
    return result;
}

void tree_clear(struct tree *tree)
{
    free(tree->frames);
    free(tree->nodes);
    map_clear(&tree->frame_map);
    map_clear(&tree->node_map);
    arena_free(&tree->arena);
    *tree = (struct tree){0};
}
