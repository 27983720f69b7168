/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Debug information by build-id, from the servers that the user named in DEBUGINFOD_URLS. Without that variable nobody
 * is asked. libdebuginfod is loaded when it is first needed, as libdw does: what it depends on takes long to load.
 */
#ifndef STRAY_NAMES_DEBUGINFOD_H
#define STRAY_NAMES_DEBUGINFOD_H

#include <stddef.h>
#include <stdint.h>

/* The path of the file in the user's cache, to be freed; NULL: there is none, or no server was named. May wait for servers. */
char *debuginfod_fetch(const uint8_t *build_id, size_t size);

#endif
