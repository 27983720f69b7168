/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many descriptors this process may have, and how much memory its cgroup and those above it. Thread and signal safe;
 * system calls only, about 1 KiB of stack.
 */
#ifndef STRAY_PRELOAD_LIMITS_H
#define STRAY_PRELOAD_LIMITS_H

/* Records the limits that are not what was recorded before. */
void limits_tell(void);
/* A new process, or a new trace: nothing was recorded before. */
void limits_begin(void);

#endif
