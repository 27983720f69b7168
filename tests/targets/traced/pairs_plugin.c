/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A library that is loaded late and brings another one along, whose things it makes. */
#include <stdlib.h>

#include "pairs_library.h"

void plugin_makes(int times, int kept);

__attribute__((visibility("default"), noinline)) void plugin_makes(int times, int kept)
{
    for (int i = 0; i < times; i++) {
        struct thing *thing = thing_open();
        if (i >= kept)
            thing_close(thing);
    }
}
