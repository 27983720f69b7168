/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/deepbind.h"

#include <dlfcn.h>
#include <link.h>

#include "got.h"
#include "hooks/by_name.h"
#include "hooks/wrap.h"
#include "record/defs.h"
#include "text.h"

#define OBJECTS  4096u
#define PATH_MAX_TEXT 4096

/* Objects that need no look any more, by where they are loaded. */
static uint64_t known[OBJECTS];
static bool still_there[OBJECTS];
static unsigned known_count;
static bool begun;
static uint32_t lock;

static bool take(void)
{
    return !__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE);
}

static void give_back(void)
{
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static unsigned index_of(uint64_t address)
{
    unsigned index = 0;
    while (index < known_count && known[index] != address)
        index++;
    return index;
}

/* Notes the object; *data, a buffer, gets its path if it is new. */
static int note_one(struct dl_phdr_info *info, size_t size, void *data)
{
    struct text *path = data;
    if (index_of(info->dlpi_addr) < known_count || known_count == OBJECTS)
        return 0;
    known[known_count++] = info->dlpi_addr;
    if (!path)
        return 0;
    text_string(path, info->dlpi_name);
    return 1;
}

void deepbind_begin(void)
{
    if (__atomic_load_n(&begun, __ATOMIC_RELAXED) || !take())
        return;
    dl_iterate_phdr(note_one, NULL);
    __atomic_store_n(&begun, true, __ATOMIC_RELAXED);
    give_back();
}

/* The hook, where the object would reach what the hook stands for: libc's own function, or any libpq's. */
static void *hook_for(void *data, const char *name)
{
    const struct hook_name *hook = hook_named(name);
    if (!hook)
        return NULL;
    void *function = REAL(dlsym)(data, name);
    if (!function || function == hook->function)
        return NULL;
    if (hook->libpq)
        return real_library_of(function)->PQstatus ? hook->function : NULL;
    return function == *hook->real ? hook->function : NULL;
}

static void patch(const char *path)
{
    void *object = path[0] ? REAL(dlopen)(path, RTLD_LAZY | RTLD_NOLOAD) : NULL; /* it must not go meanwhile */
    if (!object)
        return;
    got_replace_each(object, hook_for, object);
    REAL(dlclose)(object);
}

void deepbind_patch(void)
{
    static char buffer[PATH_MAX_TEXT];
    struct text path = TEXT(buffer);
    if (!__atomic_load_n(&begun, __ATOMIC_RELAXED) || !take())
        return;
    while (dl_iterate_phdr(note_one, &path)) {
        patch(buffer);
        path = (struct text)TEXT(buffer);
    }
    if (known_count == OBJECTS)
        defs_string(STRAY_DEF_NOTE, "too many objects are loaded: some that came with RTLD_DEEPBIND are not seen");
    give_back();
}

static int mark_one(struct dl_phdr_info *info, size_t size, void *data)
{
    unsigned index = index_of(info->dlpi_addr);
    if (index < known_count)
        still_there[index] = true;
    return 0;
}

void deepbind_forget(void)
{
    if (!__atomic_load_n(&begun, __ATOMIC_RELAXED) || !take())
        return;
    __builtin_memset(still_there, 0, sizeof(still_there));
    dl_iterate_phdr(mark_one, NULL);
    unsigned count = 0;
    for (unsigned i = 0; i < known_count; i++)
        if (still_there[i])
            known[count++] = known[i];
    known_count = count;
    give_back();
}
