/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/shim.h"

#include "commands/beside.h"

char *shim_find(void)
{
    static const char *const places[] = {SHIM_NAME, "preload/" SHIM_NAME, "../lib/stray/" SHIM_NAME,
                                         "../" STRAY_LIBDIR "/stray/" SHIM_NAME};
    return beside_find(places, sizeof(places) / sizeof(*places));
}
