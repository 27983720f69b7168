/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/foresight.h"

/* With fewer, all of them are in the caches anyway. */
#define MANY_BLOCKS 16384
#define MANY_SITES  1024

bool foresight_pays(const struct lives *lives)
{
    return lives->site_count >= MANY_SITES || lives->blocks[STRAY_HEAP].count >= MANY_BLOCKS ||
           lives->blocks[STRAY_PYOBJECT].count >= MANY_BLOCKS;
}
