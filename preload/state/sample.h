/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Samples ride on the hooks: the hooked call that finds the last one older than the interval takes the next. Thread and
 * signal safe; system calls only.
 */
#ifndef STRAY_PRELOAD_SAMPLE_H
#define STRAY_PRELOAD_SAMPLE_H

#include <stdint.h>

extern uint64_t sample_due; /* event time of the next sample */

void sample_init(void);
/* Takes a sample unless another thread is faster. */
void sample_take(uint64_t now);
/* Takes one whatever the time: at the start and before the end. */
void sample_force(void);

#endif
