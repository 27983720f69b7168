/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the hooks of functions that make names of temporary files share. The rules of wrap.h hold. */
#ifndef STRAY_PRELOAD_HOOKS_NAMES_H
#define STRAY_PRELOAD_HOOKS_NAMES_H

#include <fcntl.h>
#include <stdint.h>

/* Records the file or folder that `hook` has just made, if it lies where temporary ones do. `path` is relative to the open
 * `folder`, or to the working one (AT_FDCWD). Keeps errno. */
void name_made(uint16_t hook, int folder, const char *path, const void *caller);

/* Only what is created exclusively is surely new, and the program's own. */
static inline int is_exclusive(int flags)
{
    return (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) && (flags & O_TMPFILE) != O_TMPFILE;
}

#endif
