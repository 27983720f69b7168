/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the library is that traces. */
#ifndef STRAY_COMMANDS_SHIM_H
#define STRAY_COMMANDS_SHIM_H

#define SHIM_NAME "libstray.so"

/* Its absolute path, found from where this program is; freed by the caller. NULL: not found. */
char *shim_find(void);

#endif
