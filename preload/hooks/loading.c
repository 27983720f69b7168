/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/loading.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>

#include "hooks/deepbind.h"
#include "hooks/given.h"
#include "hooks/by_name.h"
#include "state/pairs_bind.h"
#include "hooks/journal.h"
#include "hooks/wrap.h"
#include "stack/beneath.h"
#include "stack/modules.h"
#include "stack/python.h"

/* How often anything was loaded, and unloaded, ever. */
struct loads {
    unsigned long long adds, subs;
};

static int count_loads(struct dl_phdr_info *info, size_t size, void *data)
{
    *(struct loads *)data = (struct loads){info->dlpi_adds, info->dlpi_subs};
    return 1; /* every object says the same */
}

/* Learns of what was loaded since the last time. Whoever loads an object looks for something in it next. */
static void settle(void)
{
    static unsigned long long seen;
    struct loads loads = {0};
    int kept = errno;
    uint32_t flags = gate_enter();
    dl_iterate_phdr(count_loads, &loads);
    if (__atomic_exchange_n(&seen, loads.adds, __ATOMIC_RELAXED) != loads.adds) {
        if (!python_active())
            python_detect();
        beneath_forget();
        deepbind_patch();
        pairs_bind();
        if (journal_bound())
            journal_bind();
    }
    gate_leave(flags);
    errno = kept;
}

static bool is_own_call(void)
{
    return !gate_open(GATE_TRACED);
}

struct loading_answer loading_dlopen(const char *path, unsigned long mode)
{
    if (!is_own_call()) {
        settle();
        if ((int)mode & RTLD_DEEPBIND && !journal_bound())
            deepbind_begin();
    }
    return (struct loading_answer){.jump = (void *)REAL(dlopen)};
}

/* The hook stands for what the program would have found: where there is nothing, nothing may be found. Whatever looks
 * further from here fails, and dlerror() says so. */
static void *found_or_not(const struct hook_name *hook, void *function, const void *caller)
{
    if (function && function == hook->function && !real_libpq_exists(hook->name, caller))
        return REAL(dlsym)(RTLD_NEXT, hook->name);
    return function;
}

/* In the order in which a success comes last, and leaves no error behind. */
static void *find_in(void *object, const struct hook_name *hook, const char *version, const void *caller)
{
    void *next = REAL(dlsym)(RTLD_NEXT, hook->name);
    void *function = version ? REAL(dlvsym)(object, hook->name, version) : REAL(dlsym)(object, hook->name);
    if (!function || function == hook->function)
        return found_or_not(hook, function, caller);
    return function == next ? hook->function : given_function(hook, function);
}

/* One of the user's functions. What only the caller can find is found by the jump, and not seen. */
static struct loading_answer find_of_pair(void *object, const char *name, const char *version, void *jump)
{
    uint32_t flags = gate_enter();
    void *function = pairs_find(object, name, version);
    gate_leave(flags);
    if (!function && object == RTLD_DEFAULT)
        return (struct loading_answer){.jump = jump};
    return (struct loading_answer){.result = function};
}

/* Preloaded, the hook is what the dynamic linker finds. */
static bool is_behind_journal(const struct hook_name *hook, const void *object, const char *version)
{
    return journal_bound() && object == RTLD_DEFAULT && !version && *hook->real;
}

static void note_user(const void *caller)
{
    uint32_t flags = gate_enter();
    beneath_used_by(caller);
    gate_leave(flags);
}

/* RTLD_NEXT and RTLD_DEFAULT depend on the caller; with any other object only libpq's functions are of interest. */
static struct loading_answer find(void *object, const char *name, const char *version, const void *caller, void *jump)
{
    struct loading_answer answer = {.jump = jump};
    if (is_own_call())
        return answer;
    settle();
    if (name && object != RTLD_NEXT && pairs_wanted(name))
        return find_of_pair(object, name, version, jump);
    const struct hook_name *hook = name ? hook_named(name) : NULL;
    if (hook && is_behind_journal(hook, object, version))
        return (struct loading_answer){.result = hook->function};
    if (!hook || hook->library == HOOK_OF_LIBC)
        return answer;
    if (hook->library == HOOK_OF_LIBPQ)
        note_user(caller);
    if (object == RTLD_NEXT)
        return answer;
    uint32_t flags = gate_enter();
    if (object != RTLD_DEFAULT)
        answer = (struct loading_answer){.result = find_in(object, hook, version, caller)};
    else if (!real_libpq_exists(name, caller))
        answer = (struct loading_answer){.result = REAL(dlsym)(RTLD_NEXT, name)};
    gate_leave(flags);
    return answer;
}

struct loading_answer loading_dlsym(void *object, const char *name, const void *caller)
{
    return find(object, name, NULL, caller, (void *)REAL(dlsym));
}

struct loading_answer loading_dlvsym(void *object, const char *name, const void *caller, const char *version)
{
    return find(object, name, version, caller, (void *)REAL(dlvsym));
}

/* Most calls only drop a reference; those must not make the next stack look at all mappings again. */
int stray_hook_dlclose(void *object)
{
    static unsigned long long seen;
    struct loads loads = {0};
    python_suspend(); /* it may be the interpreter that goes */
    int result = REAL(dlclose)(object);
    int kept = errno;
    python_detect();
    dl_iterate_phdr(count_loads, &loads);
    if (__atomic_exchange_n(&seen, loads.subs, __ATOMIC_RELAXED) != loads.subs) {
        modules_unloaded();
        real_libpq_forget();
        given_forget();
        deepbind_forget();
        pairs_unbind();
    }
    errno = kept;
    return result;
}
