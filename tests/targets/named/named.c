/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A library whose functions say where they are: what test_symbols.c resolves, it can compare. */
#include "named.h"

#define EXPORT __attribute__((visibility("default")))

/* Keeps a call from becoming a jump, which would leave no frame. */
#define NOT_A_TAIL_CALL() __asm__ volatile("" ::: "memory")

static __attribute__((noinline)) void *here(void)
{
    NOT_A_TAIL_CALL();
    return __builtin_return_address(0);
}

static inline __attribute__((always_inline)) void innermost(struct spot *spot)
{
    spot->line[0] = __LINE__, spot->address = here();
    NOT_A_TAIL_CALL();
}

static inline __attribute__((always_inline)) void middle(struct spot *spot)
{
    spot->line[1] = __LINE__, innermost(spot);
}

EXPORT void outermost(struct spot *spot)
{
    spot->line[2] = __LINE__, middle(spot);
    spot->function = (void *)outermost;
}

static __attribute__((noinline)) void hidden(struct spot *spot)
{
    spot->line[0] = __LINE__, spot->address = here();
    spot->function = (void *)hidden;
}

EXPORT void call_hidden(struct spot *spot)
{
    hidden(spot);
    NOT_A_TAIL_CALL();
}
