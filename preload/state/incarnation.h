/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a traced process: its start, forked children, exec, and every kind of end that can be seen from inside.
 */
#ifndef STRAY_PRELOAD_INCARNATION_H
#define STRAY_PRELOAD_INCARNATION_H

#include <stdbool.h>

#include "sys.h"
#include "text.h"

/* Whether the caller runs in the traced process itself, and not in a child that shares its memory. The kernel is asked. */
bool incarnation_is_self(void);
/* The same by what is known of this thread, for what is done often: it asks the kernel only where such a child may be running
 * that is not told by its flag. To be asked once the gate was found open. */
bool incarnation_seems_self(void);
/* From now on, children may run in this memory that were not made by vfork(). */
void incarnation_shares_memory(void);

/* From now on, what is released is not the service's own doing. The first call counts. `ending`: enum stray_ending. */
void incarnation_end_begins(unsigned ending);
/* A thread is about to be recorded as ended: what waits for it may be the program's end. */
void incarnation_thread_ends(void);
/* The last words: everything is written out and the spool removed; what still happens is written through. */
void incarnation_end(unsigned ending, int status);
/* The same for a process that goes on, but untraced and without any system call of ours, and so do its children. `note`
 * tells why in the report. */
void incarnation_detach(const char *note);
/* A process that runs already and is to be traced from now on, into two files that are open: the descriptors stay the caller's. */
struct incarnation_files {
    int trace, spool;
    const char *trace_path, *spool_path; /* what they are called */
};
/* Begins its trace, with the settings that `environment` gives, NULL last; all is in place then but the hooks. 0; -EALREADY: it is traced;
 * -EBUSY: threads are still at work for its last trace; or another errno, with nothing changed. Not signal safe. */
int incarnation_attach(const struct incarnation_files *files, char *const *environment);
/* Ends the trace of a process that goes on. `take_hooks_back` is called when nothing is recorded any more, and not before: what is known
 * rests on all releases being seen. Then waits for calls in flight, at most 200 ms. 0; 1: not all could be written, and the
 * spool stays; -ESRCH: it is not traced. Not signal safe. */
int incarnation_leave(void (*take_hooks_back)(void));
/* The status that exit() or main gave, for an end that comes without one. */
void incarnation_set_status(int status);

/* Around an exec that may fail. */
void incarnation_before_exec(void);
void incarnation_exec_failed(void);
/* "STRAY_PREVIOUS=..." for the program that is about to be executed or spawned, and the bytes that it takes. False: this
 * process is not traced. */
bool incarnation_describe(struct text *variable);
size_t incarnation_description_room(void);

#endif
