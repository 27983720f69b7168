/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data that moves on sockets and files: noted in the descriptor's row, which is told at samples and at the end; of sockets at
 * the close, too. A call on anything else costs one look-up. The rules of wrap.h hold.
 *
 * Who calls is not asked: that would be a system call for each. A child of vfork() is known by a flag of the thread whose
 * memory it runs in, and its use of a socket is not its parent's; other children that share the memory are taken for it.
 */
#ifndef STRAY_PRELOAD_HOOKS_TRAFFIC_H
#define STRAY_PRELOAD_HOOKS_TRAFFIC_H

#include "hooks/waiting.h"
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

/* After a call on `fd` that began at `begin`: where it kept an event loop, and `fd` is a socket. */
static inline void traffic_kept(uint16_t hook, int fd, uint64_t begin, const void *caller)
{
    if (UNLIKELY(begin != 0) && descriptors_tracked(fd))
        waiting_kept(hook, fd, begin, caller);
}

#endif
