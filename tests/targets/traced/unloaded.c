/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unloaded ONE TWO: loads library ONE, lets it leak, unloads it, and does the same with TWO, which most often
 * lands at the same addresses. Who leaked what must still be told apart.
 */
#include "expect.h"

#include <dlfcn.h>

static void use(const char *library, const char *function, int times)
{
    void *object = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void (*leak)(int);
    if (!object) {
        fprintf(stderr, "%s\n", dlerror());
        exit(99);
    }
    *(void **)&leak = dlsym(object, function);
    MUST(leak);
    leak(times);
    MUST(dlclose(object) == 0);
    expect(function, "heap", times, 0, times * 123L);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    use(argv[1], "plugin_one", 5);
    use(argv[2], "plugin_two", 7);
    return 0;
}
