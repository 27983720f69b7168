/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/given.h"

#include <dlfcn.h>
#include <stddef.h>

#include "arch_x86_64.h"
#include "gate.h"
#include "lock.h"
#include "real.h"
#include "record/defs.h"
#include "sys.h"
#include "stray/format.h"

struct given {
    void *hook;
    struct libpq_call call; /* .function NULL: free */
};

_Static_assert(sizeof(struct given) == 1 << GIVEN_SHIFT, "given");
_Static_assert(offsetof(struct given, call) == GIVEN_CALL, "given");
_Static_assert(offsetof(struct thread, libpq_given) == THREAD_LIBPQ_GIVEN, "thread");

extern char given_stubs[] __attribute__((visibility("hidden")));
extern struct given given_table[GIVEN_MAX] __attribute__((visibility("hidden")));
struct given given_table[GIVEN_MAX];
LOCK(lock);

/* The place of `function`, or the first free one; GIVEN_MAX: there is none. */
static unsigned place_of(const void *function)
{
    unsigned available = GIVEN_MAX;
    for (unsigned i = 0; i < GIVEN_MAX; i++) {
        if (given_table[i].call.function == function)
            return i;
        if (!given_table[i].call.function && available == GIVEN_MAX)
            available = i;
    }
    return available;
}

void *given_function(const struct hook_name *hook, void *function)
{
    const struct libpq *libpq = real_library_of(function);
    if (!libpq->PQstatus || !lock_take(&lock))
        return function;
    unsigned place = place_of(function);
    if (place < GIVEN_MAX)
        given_table[place] = (struct given){hook->function, {.function = function, .libpq = libpq}};
    lock_release(&lock);
    if (place < GIVEN_MAX)
        return given_stubs + place * GIVEN_STUB_SIZE;
    defs_string(STRAY_DEF_NOTE, "too many functions of libpq were asked for by name: calls of some are not seen");
    return function;
}

void given_forget(void)
{
    Dl_info info;
    if (!lock_take(&lock))
        return;
    for (unsigned i = 0; i < GIVEN_MAX; i++)
        if (given_table[i].call.function && !dladdr(given_table[i].call.function, &info))
            given_table[i].call.function = NULL;
    lock_release(&lock);
}
