/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/target_libc.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#include "attach/arch.h"
#include "attach/memory.h"

#define OBJECTS_MAX 10000u
#define CODE_SIZE   256u /* of syscall(), most of it */

static bool is_glibc(const struct objects *objects, const struct object *object)
{
    Elf64_Sym symbol;
    return symbol_find(objects, object, "gnu_get_libc_version", &symbol);
}

static const struct object *object_of(const struct objects *objects, uint64_t bias)
{
    for (size_t i = 0; i < objects->count; i++)
        if (objects->items[i].bias == bias && is_glibc(objects, &objects->items[i]))
            return &objects->items[i];
    return NULL;
}

/* There may be several, where some are loaded into a namespace of their own: the program's is in the linker's first list. */
static const struct object *program_libc(const struct objects *objects, const struct object *linker)
{
    struct r_debug debug;
    struct link_map map;
    const struct object *found = NULL;
    if (memory_read(objects->memory, symbol_address(objects, linker, "_r_debug"), &debug, sizeof(debug)) < 0)
        return NULL;
    uint64_t at = (uint64_t)(uintptr_t)debug.r_map;
    for (unsigned i = 0; !found && at && i < OBJECTS_MAX; i++, at = (uint64_t)(uintptr_t)map.l_next) {
        if (memory_read(objects->memory, at, &map, sizeof(map)) < 0)
            return NULL;
        found = object_of(objects, map.l_addr);
    }
    return found;
}

static bool has_musl(const struct objects *objects)
{
    for (size_t i = 0; i < objects->count; i++)
        if (strstr(objects->items[i].path, "ld-musl") || strstr(objects->items[i].path, "-musl/libc.so"))
            return true;
    return false;
}

static uint64_t find_call(const struct objects *objects, const struct object *libc)
{
    uint8_t code[CODE_SIZE];
    uint64_t function = symbol_address(objects, libc, "syscall");
    if (!function || memory_read(objects->memory, function, code, sizeof(code)) < 0)
        return 0;
    ssize_t offset = arch_find_call(code, sizeof(code));
    return offset < 0 ? 0 : function + (uint64_t)offset;
}

int target_libc_find(pid_t pid, const struct objects *objects, struct target_libc *ret_libc, struct error *error)
{
    const struct object *linker = symbol_definer(objects, "_r_debug");
    const struct object *object = linker ? program_libc(objects, linker) : NULL;
    if (objects_endless(objects))
        return error_set(error, -ELOOP, "%d: cannot be attached to: the symbol tables in its memory have no end", (int)pid);
    if (has_musl(objects))
        return error_set(error, -ENOTSUP, "%d: cannot be attached to: linked with musl, not glibc", (int)pid);
    if (!linker)
        return error_set(error, -ENOTSUP, "%d: cannot be attached to: a static program", (int)pid);
    if (!object)
        return error_set(error, -ENOTSUP, "%d: cannot be attached to: it has no glibc", (int)pid);
    *ret_libc = (struct target_libc){
        .object = object,
        .pthread_create = symbol_address(objects, object, "pthread_create"),
        .pthread_detach = symbol_address(objects, object, "pthread_detach"),
        .munmap = symbol_address(objects, object, "munmap"),
        .dlopen = symbol_address(objects, object, "dlopen"),
        .dlerror = symbol_address(objects, object, "dlerror"),
        .open = symbol_address(objects, object, "open"),
        .close = symbol_address(objects, object, "close"),
        .call = find_call(objects, object),
        .single_threaded = symbol_address(objects, object, "__libc_single_threaded"),
    };
    if (!ret_libc->pthread_create || !ret_libc->dlopen)
        return error_set(error, -ENOTSUP, "%d: cannot be attached to: its glibc is older than 2.34", (int)pid);
    if (!ret_libc->pthread_detach || !ret_libc->munmap || !ret_libc->dlerror || !ret_libc->open || !ret_libc->close ||
        !ret_libc->call)
        return error_set(error, -ENOTSUP, "%d: cannot be attached to: an unknown kind of glibc", (int)pid);
    return 0;
}
