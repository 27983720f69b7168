/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that is mapped in the target for the injected thread, and how a stopped thread makes that thread. */
#ifndef STRAY_ATTACH_SCRATCH_H
#define STRAY_ATTACH_SCRATCH_H

#include <stdint.h>

#include "attach/target_libc.h"
#include "attach/thread_block.h"
#include "attach/tracee.h"
#include "error.h"

struct scratch {
    uint64_t base, length;
    uint64_t desk; /* struct desk */
    uint64_t room, room_size;
};

/* What all of these need to know of the target. */
struct ground {
    const struct objects *objects;
    const struct target_libc *libc;
    const struct thread_layout *layout;
};

/* Maps the memory and lets the stopped thread itself call pthread_create(), for which it must be at a safe point. 0; or a negative errno, and
 * nothing is left behind. */
int scratch_start_here(const struct ground *ground, struct tracee *tracee, struct scratch *ret_scratch, struct error *error);
/* The same by a raw clone, wherever the thread is. Whether the clone succeeded stands in the desk, later. */
int scratch_start_beside(const struct ground *ground, struct tracee *tracee, struct scratch *ret_scratch, struct error *error);

#endif
