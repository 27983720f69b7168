/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was there before a running process was attached to. */
#ifndef STRAY_PRELOAD_BASELINE_H
#define STRAY_PRELOAD_BASELINE_H

/* Tells what was open before; once the hooks are in place. Not signal safe. */
void baseline_tell(void);

#endif
