/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/deepbind.h"

#include <dlfcn.h>

#include "got.h"
#include "hooks/by_name.h"
#include "state/objects.h"
#include "hooks/wrap.h"
#include "lock.h"
#include "record/defs.h"
#include "text.h"

#define PATH_MAX_TEXT 4096

static struct objects known; /* those that need no look any more */
static bool begun;
LOCK(lock);

void deepbind_begin(void)
{
    if (__atomic_load_n(&begun, __ATOMIC_RELAXED) || !lock_try(&lock))
        return;
    objects_note_all(&known);
    __atomic_store_n(&begun, true, __ATOMIC_RELAXED);
    lock_release(&lock);
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
    if (hook->library == HOOK_OF_LIBPQ)
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
    uint64_t address;
    if (!__atomic_load_n(&begun, __ATOMIC_RELAXED) || !lock_try(&lock))
        return;
    while (objects_next(&known, &path, &address)) {
        patch(buffer);
        path = (struct text)TEXT(buffer);
    }
    if (objects_are_full(&known))
        defs_string(STRAY_DEF_NOTE, "too many objects are loaded: some that came with RTLD_DEEPBIND are not seen");
    lock_release(&lock);
}

void deepbind_forget(void)
{
    if (!__atomic_load_n(&begun, __ATOMIC_RELAXED) || !lock_try(&lock))
        return;
    objects_forget(&known);
    lock_release(&lock);
}
