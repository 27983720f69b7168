/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Thread control blocks of the target's glibc: where a thread has its variables, and a block for a thread that libc does not know.
 */
#ifndef STRAY_ATTACH_THREAD_BLOCK_H
#define STRAY_ATTACH_THREAD_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "attach/target_symbols.h"

/* What there is of static thread-local storage. Offsets as glibc counts them, from the thread pointer. */
struct thread_layout {
    struct {
        const struct object *object;
        uint64_t offset;
    } parts[1024];
    size_t count;
    uint64_t size;       /* of all parts */
    uint64_t block_size; /* of struct pthread */
    uint64_t tid;        /* offset of the thread's id in it */
};

/* Sizes and offsets come from what libc tells debuggers. 0; -ENOTSUP: libc does not tell; or a negative errno. */
int thread_layout_read(const struct objects *objects, const struct object *libc, struct thread_layout *ret_layout);

/* Address of errno of the thread whose thread pointer is given; 0: unknown. */
uint64_t thread_errno(const struct objects *objects, const struct object *libc, const struct thread_layout *layout,
                      uint64_t thread_pointer);

/* Bytes of a block for a thread, with its static storage and its vector of dynamic storage. */
size_t thread_block_size(const struct thread_layout *layout);

/* Makes such a block in `bytes`, to lie at `at`: variables as they begin, guards as those of the thread at `like`. *ret_pointer: its
 * thread pointer. 0, or a negative errno. */
int thread_block_make(const struct objects *objects, const struct thread_layout *layout, uint64_t like, uint8_t *bytes, uint64_t at,
                      uint64_t *ret_pointer);

#endif
