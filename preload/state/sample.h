/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Samples ride on the hooks: the hooked call that finds the last one older than the interval takes the next. Thread and
 * signal safe; system calls only.
 */
#ifndef STRAY_PRELOAD_SAMPLE_H
#define STRAY_PRELOAD_SAMPLE_H

/* Takes the first sample; further ones follow by themselves. */
void sample_init(void);
/* No more of them: the end has begun. */
void sample_stop(void);
/* Takes one whatever the time: at the start and before the end. */
void sample_force(void);
/* After the last sample takes what takes longer, the limits and the parts of memory, unless hardly any time has passed and hardly
 * any memory has come since the first. */
void sample_last(void);

#endif
