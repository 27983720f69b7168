/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Temporary files and folders that this process made and that are still there, known by their absolute paths: without
 * "." and "..", symbolic links as they stand. The table is bounded; what it has no room for is recorded, but not found
 * when another process removes it. Private memory; a forked child begins with none. Thread and signal safe.
 */
#ifndef STRAY_PRELOAD_TEMPFILES_H
#define STRAY_PRELOAD_TEMPFILES_H

#include <stdbool.h>
#include <stdint.h>

#define TEMPFILE_PATH 1024 /* of longer paths nothing is recorded */

/* Reads TMPDIR. At the start of a program. */
void tempfiles_init(char *const *environment);
/* In a forked child: its parent's are not its own. */
void tempfiles_forget(void);

/* The absolute form of `path`, which is relative to the open `folder` (or AT_FDCWD), and the handle it stands for. 0: it
 * does not lie below a folder for temporary files. */
uint64_t tempfiles_name(int folder, const char *path, char ret_name[TEMPFILE_PATH]);

/* Whether such a name lies so near to the folder for temporary files that what is made there is one, whichever way it is made.
 * Deeper down lie the files of services whose data are kept below that folder. A `folder` must lie directly in it: in a folder
 * of its own a service sets up those that it needs (nginx), or copies others (rsync), and makes them private, too. */
bool tempfiles_is_near(const char *name, bool folder);

/* Whether there may be any. Cheap: asked for each name that is removed. */
bool tempfiles_any(void);
/* Notes one; returns the definition of its path, 0: none. `handle` is that of `name`. */
uint32_t tempfiles_add(uint64_t handle, const char *name);
/* Takes one out of the table. False: it never was there. */
bool tempfiles_remove(uint64_t handle);

/* Records those that are gone, whoever removed them, and the paths of those that stay. */
void tempfiles_sample(void);

#endif
