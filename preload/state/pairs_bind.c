/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/pairs_bind.h"

#include <dlfcn.h>
#include <link.h>

#include "got.h"
#include "lock.h"
#include "state/objects.h"
#include "real.h"
#include "record/defs.h"
#include "stack/module_symbols.h"
#include "stray/format.h"

#define PATH_MAX_TEXT 4096

static struct objects known; /* those whose slots have been turned */
LOCK(lock);

struct binding {
    struct link_map *object; /* as a handle, too */
    const ElfW(Ehdr) *header;
    bool incomplete; /* some function is not there yet */
};

static const struct link_map *object_of(const void *address)
{
    Dl_info info;
    struct link_map *object = NULL;
    return dladdr1(address, &info, (void **)&object, RTLD_DL_LINKMAP) ? object : NULL;
}

/* The symbol of which `address` is the very beginning; NULL: none that is known. */
static const ElfW(Sym) *symbol_at(const void *address)
{
    Dl_info info;
    ElfW(Sym) *symbol = NULL;
    return dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT) && info.dli_saddr == address ? symbol : NULL;
}

static void *find(void *object, const char *name, const char *version)
{
    return version ? REAL(dlvsym)(object, name, version) : REAL(dlsym)(object, name);
}

/* An executable may have an entry of its own for a function, by whose address all others know it. It leads to the slot that is
 * about to be turned. */
static bool is_entry_of_executable(const void *function)
{
    const ElfW(Sym) *symbol = symbol_at(function);
    return symbol && symbol->st_shndx == SHN_UNDEF;
}

/* What the dynamic linker would bind the slot to: from the global scope, or else from what the object depends on. */
static void *look_up(const struct binding *binding, const struct got_slot *slot)
{
    const char *version = slot->defined ? NULL : got_version(binding->object->l_addr, binding->object->l_ld, slot->symbol);
    void *function = find(RTLD_DEFAULT, slot->name, version);
    if (!function)
        function = find(binding->object, slot->name, version);
    if (!function || !is_entry_of_executable(function))
        return function;
    struct module_symbol symbol = {.name = slot->name};
    struct module_range range;
    return module_symbols_find(&symbol, 1, &range) ? (void *)(uintptr_t)symbol.address : NULL;
}

/* The function that a call by this slot reaches, or that its value stands for; NULL: none, or not for certain. */
static void *real_behind(const struct binding *binding, const struct got_slot *slot, void *value)
{
    const ElfW(Sym) *symbol = symbol_at(value);
    bool exact = symbol && symbol->st_shndx != SHN_UNDEF;
    if (exact || pairs_is_ours(value))
        return value;
    if (slot->kind != GOT_CALL)
        return NULL;
    return object_of(value) == binding->object ? look_up(binding, slot) : value; /* not bound yet: its own table's next entry */
}

static void turn(void *data, const struct got_slot *slot)
{
    struct binding *binding = data;
    if (!pairs_wanted(slot->name))
        return;
    void *value = __atomic_load_n(slot->at, __ATOMIC_RELAXED), *behind = real_behind(binding, slot, value);
    void *function = behind ? pairs_function(slot->name, behind) : NULL;
    if (function && function != behind)
        got_exchange(binding->object->l_addr, binding->header, slot->at, value, function);
    binding->incomplete |= !behind;
}

static void turn_back(void *data, const struct got_slot *slot)
{
    const struct binding *binding = data;
    void *value = __atomic_load_n(slot->at, __ATOMIC_RELAXED);
    if (pairs_is_ours(value))
        got_exchange(binding->object->l_addr, binding->header, slot->at, value, pairs_behind(value));
}

typedef void visit_slot(void *data, const struct got_slot *slot);

/* True: some slots are not turned, because what they will be bound to is not loaded. */
static bool turn_all(struct link_map *object, visit_slot *visit)
{
    Dl_info info;
    struct binding binding = {.object = object};
    if (object == object_of((const void *)pairs_bind) || !dladdr(object->l_ld, &info))
        return false;
    binding.header = info.dli_fbase;
    got_each(object->l_addr, object->l_ld, visit, &binding);
    return binding.incomplete;
}

/* It must not go meanwhile. */
static bool visit_object(const char *path, visit_slot *visit)
{
    void *object = REAL(dlopen)(path[0] ? path : NULL, RTLD_LAZY | RTLD_NOLOAD);
    bool incomplete = object && turn_all(object, visit);
    if (object)
        REAL(dlclose)(object);
    return incomplete;
}

/* Those that were not complete are looked at again the next time. */
static void visit_new(visit_slot *visit)
{
    static char buffer[PATH_MAX_TEXT];
    static uint64_t again[OBJECTS_MAX];
    struct text path = TEXT(buffer);
    unsigned count = 0;
    uint64_t address;
    buffer[0] = 0;
    while (objects_next(&known, &path, &address)) {
        if (visit_object(buffer, visit) && count < OBJECTS_MAX)
            again[count++] = address;
        path = (struct text)TEXT(buffer);
        buffer[0] = 0;
    }
    while (count > 0)
        objects_unknow(&known, again[--count]);
    dlerror(); /* what was not found is not the program's concern */
}

void pairs_bind(void)
{
    if (!pairs_any() || !lock_try(&lock))
        return;
    visit_new(turn);
    if (objects_are_full(&known))
        defs_string(STRAY_DEF_NOTE, "too many objects are loaded: user-defined pairs are not seen in some");
    lock_release(&lock);
}

void pairs_release(void)
{
    if (!pairs_any() || !lock_try(&lock))
        return;
    known.count = 0;
    visit_new(turn_back);
    known.count = 0;
    lock_release(&lock);
}

void pairs_unbind(void)
{
    if (!pairs_any())
        return;
    pairs_forget();
    if (!lock_try(&lock))
        return;
    objects_forget(&known);
    lock_release(&lock);
}

void *pairs_find(void *object, const char *name, const char *version)
{
    void *found = find(object, name, version), *function = found ? pairs_function(name, found) : NULL;
    return function ? function : found;
}
