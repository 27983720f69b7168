/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/by_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hooks/prototypes.h"
#include "real.h"
#include "text.h"

#define PLACES 2048u /* a power of two, several times the number of hooks */

#define IS_LIBC     HOOK_OF_LIBC
#define IS_LIBPQ    HOOK_OF_LIBPQ
#define IS_LIBURING HOOK_OF_OTHERS

static const struct hook_name hooks[] = {
#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size)                      \
    {#name, (void *)stray_hook_##name, (void *const *)&real.name, IS_##LIBRARY},
#include "stray/hooks.def"
#undef HOOK
};

#define HOOKS (sizeof(hooks) / sizeof(*hooks))
_Static_assert(4 * HOOKS <= 3 * PLACES, "runs of taken places stay short");

static uint16_t places[PLACES]; /* number of a hook, plus one; 0: free */
static bool filled;

static unsigned place_of(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return (hash ^ hash >> 15) & (PLACES - 1);
}

/* Threads that do this at once store the same. */
static void fill(void)
{
    for (unsigned i = 0; i < HOOKS; i++) {
        unsigned place = place_of(hooks[i].name);
        while (places[place] != 0 && places[place] != i + 1)
            place = (place + 1) & (PLACES - 1);
        __atomic_store_n(&places[place], (uint16_t)(i + 1), __ATOMIC_RELAXED);
    }
    __atomic_store_n(&filled, true, __ATOMIC_RELEASE);
}

const struct hook_name *hook_named(const char *name)
{
    if (!__atomic_load_n(&filled, __ATOMIC_ACQUIRE))
        fill();
    for (unsigned place = place_of(name); places[place] != 0; place = (place + 1) & (PLACES - 1))
        if (string_equal(hooks[places[place] - 1].name, name))
            return &hooks[places[place] - 1];
    return NULL;
}
