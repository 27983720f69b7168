/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/journal.h"

#include <link.h>
#include <sys/auxv.h>

#include "got.h"
#include "hooks/by_name.h"
#include "hooks/wrap.h"
#include "lock.h"
#include "maps.h"
#include "stack/module_symbols.h"
#include "stack/native.h"
#include "sys.h"
#include "text.h"

#define SLOTS_FIRST 4096u /* of the journal; powers of two */
#define LIBPQS      8u
#define UNBINDS     100 /* times as long */

extern void *__tls_get_addr(void *);

struct entry {
    void **slot; /* NULL: free */
    void *before, *hook;
    int protection; /* of its page */
};

struct table {
    size_t size, used;
    struct entry entries[]; /* open addressing by slot */
};

static struct {
    struct table *table; /* NULL: none; changes in one step, so that a child that is forked meanwhile has a whole one */
    bool bound;
} journal;

LOCK(lock);

/* One walk over all objects. */
struct pass {
    struct maps maps; /* none where slots are restored and no descriptor is left to read them by */
    struct module_range libc, libpqs[LIBPQS];
    unsigned libpq_count;
    bool restoring;
    /* of the object that is being walked */
    struct module_range own;
    uintptr_t opened; /* a page that was made writable for it; 0: none */
    int protection;   /* ... and what it was */
};

/* ---- the journal ---- */

static struct entry *place_of(struct table *table, void *const *slot)
{
    size_t place = (((uintptr_t)slot >> 3) * 0x9e3779b97f4a7c15u >> 20) & (table->size - 1);
    while (table->entries[place].slot && table->entries[place].slot != slot)
        place = (place + 1) & (table->size - 1);
    return &table->entries[place];
}

static size_t table_bytes(size_t size)
{
    return sizeof(struct table) + size * sizeof(struct entry);
}

/* The old one goes only when nobody has it any more. */
static void replace_table(struct table *table)
{
    struct table *old = journal.table;
    __atomic_store_n(&journal.table, table, __ATOMIC_RELEASE);
    if (old)
        sys_munmap(old, table_bytes(old->size));
}

static bool grow(void)
{
    const struct table *old = journal.table;
    size_t size = old ? 2 * old->size : SLOTS_FIRST;
    struct table *table = sys_memory(table_bytes(size));
    if (!table)
        return false;
    table->size = size;
    table->used = old ? old->used : 0;
    for (size_t i = 0; old && i < old->size; i++)
        if (old->entries[i].slot)
            *place_of(table, old->entries[i].slot) = old->entries[i];
    replace_table(table);
    return true;
}

/* Whatever an object that has gone had there is of no use any more. */
static bool note(void **slot, void *before, void *hook, int protection)
{
    if (4 * (journal.table->used + 1) > 3 * journal.table->size && !grow())
        return false;
    struct entry *entry = place_of(journal.table, slot);
    journal.table->used += entry->slot == NULL;
    *entry = (struct entry){slot, before, hook, protection};
    return true;
}

static const struct entry *entry_of(void **slot)
{
    const struct entry *entry = journal.table ? place_of(journal.table, slot) : NULL;
    return entry && entry->slot ? entry : NULL;
}

/* ---- slots ---- */

static void close_page(struct pass *pass)
{
    if (pass->opened)
        got_close_page(pass->opened, pass->protection);
    pass->opened = 0;
}

static uintptr_t page_of(void *const *slot)
{
    return (uintptr_t)slot & ~(uintptr_t)(STRAY_PAGE - 1);
}

/* What the page of a slot that is about to be changed was, before we opened it; what it was once, if that is all there is. */
static int protection_of(const struct pass *pass, void *const *slot, int once)
{
    if (!pass->maps.list)
        return once;
    return page_of(slot) == pass->opened ? pass->protection : maps_protection(&pass->maps, page_of(slot));
}

/* Whether the page of `slot`, whose protection is that, can be written now. Code is never touched. */
static bool open_page(struct pass *pass, void **slot, int protection)
{
    uintptr_t page = page_of(slot);
    if (page == pass->opened)
        return true;
    if (protection < 0 || protection & PROT_EXEC)
        return false;
    if (protection & PROT_WRITE)
        return true;
    close_page(pass);
    if (!got_open_page(page))
        return false;
    pass->opened = page;
    pass->protection = protection;
    return true;
}

/* Not if it has changed meanwhile: the dynamic linker may be binding it. */
static bool exchange(struct pass *pass, void **slot, int protection, void *from, void *to)
{
    return open_page(pass, slot, protection) &&
           __atomic_compare_exchange_n(slot, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static bool lies_in(const struct module_range *range, const void *address)
{
    return (uintptr_t)address >= range->start && (uintptr_t)address < range->end;
}

static bool is_libpqs(const struct pass *pass, const void *function)
{
    for (unsigned i = 0; i < pass->libpq_count; i++)
        if (lies_in(&pass->libpqs[i], function))
            return true;
    return false;
}

/* A call that was not made so far leads to a stub of the object itself. A relocation that is not done yet leads nowhere. */
static bool is_unbound(const struct pass *pass, const struct got_slot *slot, const void *function)
{
    return slot->kind == GOT_CALL && !slot->defined && lies_in(&pass->own, function);
}

/* An earlier version of what libc has under one name. */
static bool is_libcs(const struct pass *pass, const struct hook_name *hook, const void *function)
{
    return lies_in(&pass->libc, function) && lies_in(&pass->libc, *hook->real);
}

/* Whether the slot leads, or will, to what the hook stands for. Another function of that name (an allocator of the object's own) is
 * left alone. */
static bool is_wanted(const struct pass *pass, const struct got_slot *slot, const struct hook_name *hook, const void *function)
{
    if (is_unbound(pass, slot, function))
        return hook->library != HOOK_OF_LIBC || *hook->real;
    if (hook->library == HOOK_OF_LIBPQ)
        return is_libpqs(pass, function);
    if (hook->library == HOOK_OF_OTHERS)
        return slot->kind == GOT_CALL && (uintptr_t)function >= STRAY_PAGE && !lies_in(&pass->own, function);
    if (slot->kind == GOT_CALL && (is_libcs(pass, hook, function) || (slot->defined && lies_in(&pass->own, *hook->real))))
        return true;
    return function && function == *hook->real;
}

static void bind_slot(struct pass *pass, const struct got_slot *slot)
{
    const struct hook_name *hook = hook_named(slot->name);
    if (!hook || hook->function == (void *)stray_hook___libc_start_main) /* its one call is long over */
        return;
    void *before = __atomic_load_n(slot->at, __ATOMIC_ACQUIRE);
    if (before == hook->function || !is_wanted(pass, slot, hook, before))
        return;
    int protection = protection_of(pass, slot->at, -1);
    if (note(slot->at, before, hook->function, protection))
        exchange(pass, slot->at, protection, before, hook->function);
}

static void restore_slot(struct pass *pass, const struct got_slot *slot)
{
    const struct entry *entry = entry_of(slot->at);
    if (entry && __atomic_load_n(slot->at, __ATOMIC_RELAXED) == entry->hook)
        exchange(pass, slot->at, protection_of(pass, slot->at, entry->protection), entry->hook, entry->before);
}

static void visit_slot(void *data, const struct got_slot *slot)
{
    struct pass *pass = data;
    if (pass->restoring)
        restore_slot(pass, slot);
    else
        bind_slot(pass, slot);
}

/* ---- objects ---- */

static const ElfW(Phdr) *segment_of(const struct dl_phdr_info *object, uint32_t type)
{
    for (unsigned i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == type)
            return &object->dlpi_phdr[i];
    return NULL;
}

/* What the dynamic linker makes read-only when it has relocated the object is writable still. */
static bool is_being_loaded(const struct pass *pass, const struct dl_phdr_info *object)
{
    const ElfW(Phdr) *relro = segment_of(object, PT_GNU_RELRO);
    if (!relro)
        return false;
    uintptr_t begin = object->dlpi_addr + relro->p_vaddr, page = begin & ~(uintptr_t)(STRAY_PAGE - 1);
    uintptr_t end = (begin + relro->p_memsz) & ~(uintptr_t)(STRAY_PAGE - 1);
    int protection = page < end ? maps_protection(&pass->maps, page) : PROT_READ;
    return protection < 0 || protection & PROT_WRITE;
}

/* The dynamic linker, the kernel's object, ourselves and what we have loaded for ourselves. */
static bool is_left_alone(const struct pass *pass)
{
    return pass->own.start > pass->own.end || lies_in(&pass->own, (const void *)journal_bind) ||
           lies_in(&pass->own, native_own_library()) || lies_in(&pass->own, (const void *)__tls_get_addr) ||
           lies_in(&pass->own, (const void *)getauxval(AT_SYSINFO_EHDR));
}

static int visit_object(struct dl_phdr_info *object, size_t size, void *data)
{
    struct pass *pass = data;
    const ElfW(Phdr) *dynamic = segment_of(object, PT_DYNAMIC);
    pass->own = module_symbols_range(object);
    if (!pass->maps.list && !maps_read(&pass->maps) && !pass->restoring)
        return 1;
    if (!dynamic || is_left_alone(pass) || (pass->maps.list && is_being_loaded(pass, object)))
        return 0;
    got_each(object->dlpi_addr, (const ElfW(Dyn) *)(object->dlpi_addr + dynamic->p_vaddr), visit_slot, pass);
    close_page(pass);
    return 0;
}

static int find_libraries(struct dl_phdr_info *object, size_t size, void *data)
{
    struct pass *pass = data;
    struct module_range range = module_symbols_range(object);
    if (lies_in(&range, (const void *)dl_iterate_phdr))
        pass->libc = range;
    if (pass->libpq_count < LIBPQS && module_symbols_has(object, "PQstatus"))
        pass->libpqs[pass->libpq_count++] = range;
    return 0;
}

/* What is mapped is read where objects neither come nor go, which is while all are visited. */
static bool walk(bool restoring)
{
    struct pass pass = {.restoring = restoring};
    dl_iterate_phdr(find_libraries, &pass);
    bool failed = dl_iterate_phdr(visit_object, &pass) != 0;
    if (pass.maps.list)
        maps_free(&pass.maps);
    return !failed;
}

/* ---- all of it ---- */

/* Twice: a call that was being bound for the first time meanwhile has taken its slot back. */
bool journal_bind(void)
{
    if (!real_came_late())
        return true;
    if (!lock_take(&lock))
        return false;
    bool once = (journal.table || grow()) && walk(false);
    journal.bound |= once; /* whatever becomes of the other: there is something to restore */
    bool done = once && walk(false);
    lock_release(&lock);
    return done;
}

/* On a thread of its own, which can wait for whoever is at it. */
void journal_unbind(void)
{
    bool taken = false;
    for (unsigned i = 0; i < UNBINDS && journal_bound() && !taken; i++)
        taken = lock_take(&lock);
    if (!taken)
        return;
    walk(true);
    replace_table(NULL);
    journal.bound = false;
    lock_release(&lock);
}

bool journal_bound(void)
{
    return __atomic_load_n(&journal.bound, __ATOMIC_ACQUIRE);
}
