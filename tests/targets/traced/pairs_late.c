/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions of pairs in libraries that come late, go, and come again, and found by name.
 *
 *     target_pairs_late LIBRARY PLUGIN...
 */
#include <dlfcn.h>
#include <string.h>

#include "expect.h"

#define ROUNDS 300 /* more than there are entries for functions */

struct thing;

SITE static void in_plugin(void (*makes)(int, int))
{
    makes(3, 1);
}

static void load_again_and_again(const char *path)
{
    for (int i = 0; i < ROUNDS; i++) {
        void *plugin = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
        void (*makes)(int, int);
        MUST(plugin);
        *(void **)&makes = dlsym(plugin, "plugin_makes");
        MUST(makes);
        in_plugin(makes);
        MUST(dlclose(plugin) == 0);
    }
}

static struct thing *(*opens)(void);
static void (*closes)(struct thing *);

SITE static void by_handle(void)
{
    for (int i = 0; i < 10; i++)
        closes(opens());
}

SITE static void by_default(void)
{
    for (int i = 0; i < 10; i++)
        closes(opens());
}

static void find_by_name(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    MUST(library);
    *(void **)&opens = dlsym(library, "thing_open");
    *(void **)&closes = dlsym(library, "thing_close");
    MUST(opens && closes && (void *)opens == dlsym(library, "thing_open"));
    MUST(!dlerror());
    by_handle();
    MUST(!dlsym(library, "thing_nowhere") && strstr(dlerror(), "thing_nowhere"));
    MUST(!dlsym(RTLD_DEFAULT, "thing_open") && dlerror());
    MUST(dlopen(path, RTLD_NOW | RTLD_GLOBAL));
    MUST((void *)opens == dlsym(RTLD_DEFAULT, "thing_open"));
    by_default();
}

int main(int argc, char **argv)
{
    MUST(argc > 2);
    for (int i = 2; i < argc; i++)
        load_again_and_again(argv[i]);
    expect("in_plugin", "thing", 0, 0, -1);
    expect("plugin_makes", "thing", 3 * ROUNDS * (argc - 2), 2 * ROUNDS * (argc - 2), -1);
    find_by_name(argv[1]);
    expect("by_handle", "thing", 10, 10, -1);
    expect("by_default", "thing", 10, 10, -1);
    return 0;
}
