/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/debuginfod.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libdebuginfod.so.1"

/* As elfutils/debuginfod.h declares them. */
static struct {
    bool tried;
    void *(*begin)(void);
    int (*find_debuginfo)(void *client, const unsigned char *build_id, int size, char **ret_path);
    void (*end)(void *client);
} library;

static bool load(void)
{
    if (library.tried)
        return library.end != NULL;
    library.tried = true;
    void *handle = dlopen(LIBRARY, RTLD_LAZY);
    if (!handle)
        return false;
    *(void **)&library.begin = dlsym(handle, "debuginfod_begin");
    *(void **)&library.find_debuginfo = dlsym(handle, "debuginfod_find_debuginfo");
    *(void **)&library.end = dlsym(handle, "debuginfod_end");
    if (!library.begin || !library.find_debuginfo)
        library.end = NULL;
    return library.end != NULL;
}

char *debuginfod_fetch(const uint8_t *build_id, size_t size)
{
    const char *servers = getenv("DEBUGINFOD_URLS");
    char *path = NULL;
    if (!servers || !*servers || size == 0 || !load())
        return NULL;
    void *client = library.begin();
    int descriptor = client ? library.find_debuginfo(client, build_id, (int)size, &path) : -1;
    if (descriptor >= 0)
        close(descriptor);
    if (client)
        library.end(client);
    return descriptor >= 0 ? path : NULL;
}
