/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far long work has come, for whoever wants to show it. The reader tells; nothing is told unless somebody watches.
 * One watcher for the whole program. Told by the thread that asked for the work; not thread safe.
 */
#ifndef STRAY_READ_PROGRESS_H
#define STRAY_READ_PROGRESS_H

#include <stdint.h>

/* `what` is being done, a word; `done` of `whole` units of it. NULL: this work has ended, for whatever reason. */
typedef void progress_watcher(const char *what, uint64_t done, uint64_t whole);

/* NULL: nobody watches. */
void progress_watch(progress_watcher *watcher);

void progress_tell(const char *what, uint64_t done, uint64_t whole);
void progress_end(void);

#endif
