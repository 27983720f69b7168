/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The trace file: frames are appended by the thread that filled them, each with one writev. The only descriptor the
 * tracer keeps is this file's; it lies high, and hooks keep the program from closing it. Thread and signal safe but for
 * file_open().
 */
#ifndef STRAY_PRELOAD_FILE_H
#define STRAY_PRELOAD_FILE_H

#include <stdbool.h>

#include "stray/format.h"

/* Creates the file at `path`, which must not exist, and writes its header. 0 or a negative errno. */
int file_open(const char *path, const struct stray_file_header *header);
/* The same with `fd`, open for writing and empty, which stays the caller's; `path` is what it is called. */
int file_adopt(int fd, const char *path, const struct stray_file_header *header);
/* Closes the descriptor, or leaves that to the last of the threads that are amid writing; none begins any more. */
void file_forget(void);
/* The same in a forked child, whose trace is another, and which has none of these threads. */
void file_forget_parents(void);

/* The kept descriptor, -1: none. The program must neither see nor close it. */
int file_descriptor(void);
/* Whether `fd` is it. A number that a raw system call has made the program's own is not. */
bool file_is_kept(int fd);
/* Moves it away from `fd`, which the program is about to take by dup2. */
void file_make_way(int fd);

/* Appends what is committed among `capacity` events as one frame. The definitions and nodes they refer to may come later.
 * False: it could not be written. */
bool file_write_events(uint32_t lane, uint64_t sequence, const struct stray_event *events, uint32_t capacity);
/* Appends one event at once: after the final flush. Counted as lost where that fails; dropped where the process is not traced. */
void file_write_late(const struct stray_event *event);
/* Whether a thread is amid writing. */
bool file_has_writers(void);
/* Waits until none is, a fifth of a second at most. */
void file_await_writers(void);
/* Counts events that could not be written; none where the file has been given up, for whoever did so has written them. */
void file_count_lost(uint64_t events);
/* Appends one frame of new nodes or definitions, if there are enough of them or they have waited for a while. `in_time` false:
 * if there are far more, for the caller has kept the program waiting already. True: it has done so. */
bool file_write_some_tables(uint64_t now, bool in_time);
/* Appends all new nodes and definitions, and waits a little for other threads that are at it or amid making some. False: not all
 * of them are in the file. */
bool file_complete_tables(void);

#endif
