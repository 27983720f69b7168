/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pairs of a process that is attached to, and attached to again with others: what happens in between counts, and in the end no slot
 * leads anywhere else than before.
 *
 *     target_attached_pairs SHIM FOLDER
 */
#include "attach.h"
#include "pairs_library.h"

static struct attach attach;
static struct thing *(*volatile kept_open)(void) = thing_open; /* an address in data */

SITE static void makes(int times, int closed)
{
    for (int i = 0; i < times; i++) {
        struct thing *thing = thing_open();
        if (i < closed)
            thing_close(thing);
    }
}

SITE static void boxes(int times)
{
    for (int i = 0; i < times; i++)
        box_close(box_open());
}

static void *found(const char *name)
{
    void *library = dlopen("libtarget_pairs_library.so", RTLD_LAZY | RTLD_NOLOAD);
    MUST(library || (library = dlopen(NULL, RTLD_LAZY)));
    return dlsym(library, name);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    attach = (struct attach){.shim = argv[1], .folder = argv[2]};
    void *before = (void *)kept_open, *by_name = found("thing_open");
    makes(5, 5);
    boxes(3);
    attach.options = "STRAY_PAIR=thing_open=ret!0:thing_close=a0";
    MUST(attach_begin(&attach) == 0);
    struct thing *(*given)(void);
    *(void **)&given = found("thing_open");
    makes(20, 15);
    boxes(7);
    thing_close(given());
    MUST(attach_end(&attach) == 0);
    MUST((void *)kept_open == before && found("thing_open") == by_name);
    makes(40, 40);
    thing_close(given()); /* it has the entry still, which calls through */
    attach.options = "STRAY_PAIR=box_open=ret!0:box_close=a0";
    MUST(attach_begin(&attach) == 0);
    makes(2, 1);
    boxes(9);
    thing_close(given());
    MUST(attach_end(&attach) == 0);
    boxes(11);
    expect("makes", "thing", 20, 15, -1);
    expect("boxes", "box", 9, 9, -1);
    return 0;
}
