/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data that moves on sockets and files: noted in the descriptor's row, which is told at samples and at the end; of sockets at
 * the close, too. A call on anything else costs one look-up. The rules of wrap.h hold.
 *
 * Who calls is not asked: that would be a system call for each. A vfork child that writes to a socket of its parent's
 * is taken for its parent, whose socket it is.
 */
#ifndef STRAY_PRELOAD_HOOKS_TRAFFIC_H
#define STRAY_PRELOAD_HOOKS_TRAFFIC_H

#include "hooks/wrap.h"
#include "state/descriptors.h"

/* A descriptor has just been used. Leaves errno alone. */
void traffic_note(struct descriptor *descriptor);

/* After a call on `fd` that returned `result`: above 0 where something was moved. Leaves errno alone. */
static inline void traffic_moved(int fd, ssize_t result)
{
    if (result <= 0 || !gate_open(GATE_TRACED) || UNLIKELY(thread_self.flags & THREAD_VFORKED))
        return;
    struct descriptor *descriptor = descriptors_tracked(fd);
    if (UNLIKELY(descriptor != NULL))
        traffic_note(descriptor);
}

#endif
