/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stacks that share their outer frames, each frame and each way to it once: small enough to be carried in a page. Texts are the
 * trace's own, of any bytes. A zeroed struct is an empty tree; it owns all it holds. Not thread safe.
 */
#ifndef STRAY_VIEWS_TREE_H
#define STRAY_VIEWS_TREE_H

#include "lives/map.h"
#include "names/arena.h"
#include "views/report.h"

#define TREE_ROOT UINT32_MAX

struct tree_node {
    uint32_t parent; /* TREE_ROOT: an outermost frame */
    uint32_t frame;
};

struct tree {
    struct report_frame *frames;
    size_t frame_count;
    struct tree_node *nodes; /* parents before their children */
    size_t node_count;

    /* private to tree.c */
    size_t frame_room, node_room;
    struct map frame_map, node_map;
    struct arena arena;
};

/* The node of a stack, `frames` innermost first; TREE_ROOT for one without frames. Texts are copied. -ENOMEM. */
int tree_add(struct tree *tree, const struct report_frame *frames, size_t count, uint32_t *ret_node);
/* The same for a stack that was just named. */
int tree_add_stack(struct tree *tree, const struct stack *stack, uint32_t *ret_node);
void tree_clear(struct tree *tree);

#endif
