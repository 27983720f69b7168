/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Socket addresses as text: "127.0.0.1:5432", "[::1]:80", "unix:/path", "unix:@name". No libc call (inet_ntop's locale
 * and stack are not ours to use). Pure.
 */
#ifndef STRAY_PRELOAD_ENDPOINT_H
#define STRAY_PRELOAD_ENDPOINT_H

#include <stdbool.h>

#include "text.h"

/* False for families that have no text. */
bool endpoint_text(const void *address, uint32_t length, struct text *text);

#endif
