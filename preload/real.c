/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "real.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>

#include "gate.h"
#include "lock.h"
#include "record/index.h"
#include "stack/beneath.h"
#include "stack/module_symbols.h"
#include "sys.h"
#include "text.h"

#define CALL_SITES  1024u /* a power of two */
#define NEIGHBOURS  8u    /* places where one may stand */
#define LIBRARIES   8

struct real real;

_Alignas(16) char real_boot[REAL_BOOT_SIZE];
static size_t boot_used;

void *real_boot_memory(size_t size)
{
    size_t at = __atomic_fetch_add(&boot_used, (size + 31) & ~(size_t)15, __ATOMIC_RELAXED);
    return at + size <= REAL_BOOT_SIZE ? real_boot + at : NULL;
}

/* Where the function behind each hook of libc's is kept. Those of other libraries are found when they are called. */
static const struct slot {
    const char *name;
    void **at;
} slots[] = {
#define SLOT_LIBC(function) {#function, (void **)&real.function},
#define SLOT_LIBPQ(function)
#define SLOT_LIBURING(function)
#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size) SLOT_##LIBRARY(name)
#include "stray/hooks.def"
#undef HOOK
};
#define SLOTS (sizeof(slots) / sizeof(*slots))

/* dlsym() itself is hooked: it is found without it, in the object that has dlerror() as well, which ours has not. Nothing of libc is
 * called: a sanitizer that asks for its real functions has put its own in place already, and these do not work yet. */
static void find_dlsym(void)
{
    struct module_symbol symbols[] = {{.name = "dlsym"}, {.name = "dlerror"}};
    if (module_symbols_loaded(symbols, 2))
        real.dlsym = (void *(*)(void *, const char *))symbols[0].address;
}

static void find_next(void)
{
    find_dlsym();
    for (size_t i = 0; i < SLOTS; i++)
        *slots[i].at = real.dlsym(RTLD_NEXT, slots[i].name);
}

/* Not by dlsym(): it takes the executable's stub for a function whose address is used there for the function itself, and the
 * stub leads to whatever its slot holds: to our hook. */
static void find_in_scope(void)
{
    static struct module_symbol wanted[SLOTS];
    for (size_t i = 0; i < SLOTS; i++)
        wanted[i].name = slots[i].name;
    module_symbols_first(wanted, SLOTS, (const void *)real_init);
    for (size_t i = 0; i < SLOTS; i++)
        *slots[i].at = (void *)(uintptr_t)wanted[i].address;
}

void real_init(void)
{
    uint32_t flags = gate_enter();
    if (real_came_late())
        find_in_scope();
    else
        find_next();
    gate_leave(flags);
}

/* One row per (function, return address). A row is written once; a full neighbourhood falls back to looking again. */
static struct call_site {
    uint64_t key;
    struct libpq_call call;
} call_sites[CALL_SITES];
LOCK(call_sites_lock);

static struct {
    const struct link_map *object;
    struct libpq libpq;
} libraries[LIBRARIES];
static const struct libpq no_library;

/* The object that defines `function`. */
static const struct link_map *object_of(const void *address)
{
    Dl_info info;
    struct link_map *object = NULL;
    return dladdr1(address, &info, (void **)&object, RTLD_DL_LINKMAP) ? object : NULL;
}

/* A preloaded object stands before libc in the order of loading, one that was loaded into a running program behind it. */
bool real_came_late(void)
{
    static uint32_t known; /* 1: no, 2: yes */
    uint32_t answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (answer == 0) {
        const struct link_map *libc = object_of((const void *)gnu_get_libc_version), *object = object_of((const void *)real_libpq);
        while (object && object != libc)
            object = object->l_prev;
        answer = object ? 2 : 1;
        __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    }
    return answer == 2;
}

/* Looks `name` up as `object` would: in itself and what it depends on. */
static void *find_from(const struct link_map *object, const char *name)
{
    if (!object || !object->l_name[0])
        return NULL;
    void *handle = real.dlopen(object->l_name, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return NULL;
    void *function = real.dlsym(handle, name);
    real.dlclose(handle);
    return function;
}

static bool is_ours(const void *function)
{
    return function && object_of(function) == object_of((const void *)real_libpq);
}

static const struct link_map *first_object(void)
{
    const struct link_map *first = object_of((const void *)real_libpq);
    while (first && first->l_prev)
        first = first->l_prev;
    return first;
}

/* Any libpq that is loaded, when the caller does not depend on one itself (a plugin whose host does). */
static void *find_anywhere(const struct link_map *begin, const char *name)
{
    for (const struct link_map *object = begin; object; object = object->l_next)
        if (string_begins(string_base(object->l_name), "libpq")) {
            void *function = find_from(object, name);
            if (function)
                return function;
        }
    return NULL;
}

/* In the program's own scope. */
static void *find_after_ours(const char *name)
{
    struct module_symbol symbol = {.name = name};
    if (!real_came_late())
        return real.dlsym(RTLD_NEXT, name);
    module_symbols_first(&symbol, 1, (const void *)real_libpq);
    return (void *)(uintptr_t)symbol.address;
}

static void *find_libpq_function(const char *name, const void *caller)
{
    const struct link_map *object = object_of(caller);
    void *function = find_from(object, name);
    if (!function || is_ours(function))
        function = find_after_ours(name);
    return function ? function : find_anywhere(first_object(), name);
}

bool real_libpq_exists(const char *name, const void *caller)
{
    return find_libpq_function(name, caller) != NULL;
}

static void fill_library(struct libpq *libpq, const struct link_map *object)
{
    *(void **)&libpq->PQsocket = find_from(object, "PQsocket");
    *(void **)&libpq->PQstatus = find_from(object, "PQstatus");
    *(void **)&libpq->PQtransactionStatus = find_from(object, "PQtransactionStatus");
    *(void **)&libpq->PQhost = find_from(object, "PQhost");
    *(void **)&libpq->PQport = find_from(object, "PQport");
    *(void **)&libpq->PQdb = find_from(object, "PQdb");
    *(void **)&libpq->PQuser = find_from(object, "PQuser");
    *(void **)&libpq->PQresultMemorySize = find_from(object, "PQresultMemorySize");
    *(void **)&libpq->PQresultStatus = find_from(object, "PQresultStatus");
    *(void **)&libpq->PQntuples = find_from(object, "PQntuples");
    *(void **)&libpq->PQcmdTuples = find_from(object, "PQcmdTuples");
    *(void **)&libpq->PQresultErrorField = find_from(object, "PQresultErrorField");
}

const struct libpq *real_library_of(const void *function)
{
    const struct link_map *object = function ? object_of(function) : NULL;
    unsigned available = LIBRARIES;
    for (unsigned i = 0; object && i < LIBRARIES; i++) {
        if (libraries[i].object == object)
            return &libraries[i].libpq;
        if (!libraries[i].object && available == LIBRARIES)
            available = i;
    }
    if (!object || available == LIBRARIES)
        return &no_library;
    fill_library(&libraries[available].libpq, object);
    libraries[available].object = object;
    return &libraries[available].libpq;
}

/* The first row near the home of `key` that has the key `have`: itself, or 0 for a free one. NULL: there is none. */
static struct call_site *place_of(uint64_t key, uint64_t have)
{
    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        struct call_site *site = &call_sites[((key >> 32) + i) & (CALL_SITES - 1)];
        if (__atomic_load_n(&site->key, __ATOMIC_ACQUIRE) == have)
            return site;
    }
    return NULL;
}

/* Writers try and do not wait: what is not remembered is found again. */
static void remember(uint64_t key, struct libpq_call call)
{
    if (!lock_try(&call_sites_lock))
        return;
    struct call_site *site = place_of(key, 0);
    if (site) {
        site->call = call;
        __atomic_store_n(&site->key, key, __ATOMIC_RELEASE);
    }
    lock_release(&call_sites_lock);
}

/* What the stub that led here stands for. */
static bool take_given(struct libpq_call *ret_call)
{
    const struct libpq_call *given = thread_self.libpq_given;
    if (__builtin_expect(!given, 1))
        return false;
    thread_self.libpq_given = NULL;
    *ret_call = *given;
    return true;
}

static uint64_t key_of(unsigned id, const void *caller)
{
    return index_mix((uint64_t)(uintptr_t)caller, id) | 1;
}

static void *call_inside(const struct libpq_call *call)
{
    if (!call->inner)
        thread_self.libpq_call = 0;
    return call->function;
}

void *real_libpq_function(unsigned id, const char *name, const void *caller)
{
    uint64_t key = key_of(id, caller);
    const struct call_site *site = place_of(key, key);
    if (__builtin_expect(site && !thread_self.libpq_given, 1))
        return call_inside(&site->call);
    struct libpq_call call = real_libpq(id, name, caller);
    return call_inside(&call);
}

/* As long as somebody else is at it, or it fails, at each call. */
static void learn_beneath(void)
{
    if (__builtin_expect(beneath_is_known(), 1))
        return;
    uint32_t flags = gate_enter();
    beneath_learn();
    gate_leave(flags);
}

struct libpq_call real_libpq(unsigned id, const char *name, const void *caller)
{
    struct libpq_call given;
    learn_beneath();
    if (take_given(&given))
        return given;
    uint64_t key = key_of(id, caller);
    const struct call_site *site = place_of(key, key);
    if (site)
        return site->call;
    uint32_t flags = gate_enter();
    struct libpq_call call = {.function = find_libpq_function(name, caller)};
    call.libpq = real_library_of(call.function);
    call.inner = call.function && object_of(call.function) == object_of(caller);
    beneath_learn();
    remember(key, call);
    gate_leave(flags);
    return call;
}

static bool is_loaded(const struct link_map *wanted)
{
    const struct link_map *object = first_object();
    while (object && object != wanted)
        object = object->l_next;
    return wanted && object;
}

void real_libpq_forget(void)
{
    beneath_forget();
    if (!lock_try(&call_sites_lock))
        return;
    for (unsigned i = 0; i < CALL_SITES; i++)
        __atomic_store_n(&call_sites[i].key, 0, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < LIBRARIES; i++)
        if (!is_loaded(libraries[i].object))
            libraries[i].object = NULL;
    lock_release(&call_sites_lock);
}
