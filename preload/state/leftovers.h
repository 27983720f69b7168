/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an ended trace leaves in a process that goes on: its memory, and threads that may be amid an event of it. */
#ifndef STRAY_PRELOAD_LEFTOVERS_H
#define STRAY_PRELOAD_LEFTOVERS_H

#include <stdbool.h>
#include <stdint.h>

/* A thread may be at work for it. */
bool leftovers_busy(void);
/* False: it is busy still at `end`, by the clock. */
bool leftovers_await(uint64_t end);
/* All that leads to definitions and nodes of a spool. */
void leftovers_clear_caches(void);
/* What the trace took, but for addresses: a thread that was held up amid its last event finds memory there. */
void leftovers_give_back(void);

#endif
