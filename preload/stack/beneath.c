/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/beneath.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include "lock.h"
#include "stack/module_symbols.h"
#include "stack/python.h"
#include "sys.h"
#include "text.h"

#define OBJECTS_MAX 1024u /* with more of them nothing is beneath */
#define NAMES       (4 * OBJECTS_MAX) /* a power of two */
#define FINDERS_MAX 16u
#define RANGES_MAX  64u

/* What is known of an object. */
enum marks {
    IS_LIBPQ = 1,
    IS_BENEATH = 2, /* a libpq, or needed by one, or by what is needed */
    USES_LIBPQ = 4, /* needs one, or needs what needs one */
    IS_OUTSIDE = 8, /* not beneath */
    IS_AROUND = 16, /* needed by who may be called back, otherwise than by libpq */
};

struct object {
    struct dl_phdr_info info;
    const ElfW(Dyn) *dynamic; /* NULL: none */
    const char *strings, *name;
    uint32_t marks;
};

struct objects {
    unsigned long long adds;
    uint32_t count;
    bool full;
    struct object all[OBJECTS_MAX]; /* in the order of loading */
    uint16_t by_name[NAMES]; /* 1 + index; 0: free */
};

uint64_t beneath_now;
static uint32_t range_count; /* these change only while nothing is known */
static struct module_range ranges[RANGES_MAX];
static unsigned long long seen; /* loads, ever, when they were last changed */
static uint64_t finders[FINDERS_MAX]; /* the beginnings of objects */
static uint32_t finder_count;
static bool finders_lost; /* not all have found room: then nothing is beneath */
LOCK(lock);

static uint16_t *place_of(struct objects *objects, const char *name)
{
    uint32_t at = (uint32_t)string_hash(name);
    for (;; at++) {
        uint16_t *place = &objects->by_name[at & (NAMES - 1)];
        if (*place == 0 || string_equal(objects->all[*place - 1].name, name))
            return place;
    }
}

/* glibc relocates the addresses of most objects' dynamic sections in place, but not those of the vDSO. */
static const char *address_in(const struct dl_phdr_info *info, uint64_t value)
{
    return (const char *)(uintptr_t)(value < info->dlpi_addr ? info->dlpi_addr + value : value);
}

static void read_dynamic(struct object *object)
{
    for (int i = 0; i < object->info.dlpi_phnum; i++)
        if (object->info.dlpi_phdr[i].p_type == PT_DYNAMIC)
            object->dynamic = (const ElfW(Dyn) *)(object->info.dlpi_addr + object->info.dlpi_phdr[i].p_vaddr);
    for (const ElfW(Dyn) *entry = object->dynamic; entry && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_STRTAB)
            object->strings = address_in(&object->info, entry->d_un.d_ptr);
}

/* Copies that a package brings have longer names ("libpq-9c51d239.so.5.15"); libpqxx is another library. */
static bool is_libpq(const char *name)
{
    return string_begins(name, "libpq") && (name[5] == '.' || name[5] == '-');
}

static bool holds(const struct dl_phdr_info *info, uint64_t address)
{
    struct module_range range = module_symbols_range(info);
    return address >= range.start && address < range.end;
}

static bool found_libpq(const struct dl_phdr_info *info)
{
    for (uint32_t i = 0; i < finder_count; i++)
        if (holds(info, finders[i]))
            return true;
    return false;
}

static int add_object(struct dl_phdr_info *info, size_t size, void *data)
{
    struct objects *objects = data;
    objects->full = objects->count == OBJECTS_MAX;
    if (objects->full)
        return 1;
    struct object *object = &objects->all[objects->count++];
    *object = (struct object){.info = *info, .name = string_base(info->dlpi_name)};
    read_dynamic(object);
    if (is_libpq(object->name))
        object->marks = IS_LIBPQ | IS_BENEATH;
    else if (found_libpq(info))
        object->marks = USES_LIBPQ;
    uint16_t *place = place_of(objects, object->name);
    if (*place == 0)
        *place = (uint16_t)objects->count;
    return 0;
}

/* The next object that `object` needs after the entry *at; NULL: no more. Those that were not loaded by such a name are left out. */
static struct object *next_needed(struct objects *objects, const struct object *object, const ElfW(Dyn) **at)
{
    for (; *at && object->strings && (*at)->d_tag != DT_NULL; (*at)++) {
        if ((*at)->d_tag != DT_NEEDED)
            continue;
        uint16_t place = *place_of(objects, object->strings + (*at)->d_un.d_val);
        if (place != 0) {
            (*at)++;
            return &objects->all[place - 1];
        }
    }
    return NULL;
}

/* Gives what an object with one of the marks `from` needs the mark `to`, unless it has one of `not`. True if any got it. */
static bool mark_needed(struct objects *objects, uint32_t from, uint32_t to, uint32_t not)
{
    bool any = false;
    for (uint32_t i = 0; i < objects->count; i++) {
        const ElfW(Dyn) *at = objects->all[i].dynamic;
        struct object *needed;
        while (objects->all[i].marks & from && (needed = next_needed(objects, &objects->all[i], &at)))
            if (!(needed->marks & (to | not))) {
                needed->marks |= to;
                any = true;
            }
    }
    return any;
}

/* The other way: whoever needs what has one of the marks `from`. */
static bool mark_needing(struct objects *objects, uint32_t from, uint32_t to, uint32_t not)
{
    bool any = false;
    for (uint32_t i = 0; i < objects->count; i++) {
        const ElfW(Dyn) *at = objects->all[i].dynamic;
        struct object *object = &objects->all[i], *needed;
        while (!(object->marks & (to | not)) && (needed = next_needed(objects, object, &at)))
            if (needed->marks & from) {
                object->marks |= to;
                any = true;
            }
    }
    return any;
}

static void mark_outside(struct objects *objects)
{
    for (uint32_t i = 0; i < objects->count; i++)
        if (!(objects->all[i].marks & IS_BENEATH))
            objects->all[i].marks |= IS_OUTSIDE;
}

/* Whoever uses libpq may have loaded any of the other objects, and call it from what libpq calls back. But those that a Python
 * interpreter has loaded are called by Python code, which is known by its frames. */
static uint32_t may_be_called_back(void)
{
    return python_active() ? USES_LIBPQ : USES_LIBPQ | IS_OUTSIDE;
}

static void mark(struct objects *objects)
{
    while (mark_needed(objects, IS_BENEATH, IS_BENEATH, 0))
        ;
    while (mark_needing(objects, IS_LIBPQ | USES_LIBPQ, USES_LIBPQ, IS_BENEATH))
        ;
    mark_outside(objects);
    while (mark_needed(objects, may_be_called_back() | IS_AROUND, IS_AROUND, IS_LIBPQ))
        ;
}

static void add_code(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum && range_count < RANGES_MAX; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uint64_t start = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && part->p_flags & PF_X)
            ranges[range_count++] = (struct module_range){start, start + part->p_memsz};
    }
}

/* Nothing where it is not known who uses libpq. */
static void list_code(const struct objects *objects)
{
    bool used = false, known = !objects->full && !finders_lost;
    range_count = 0;
    for (uint32_t i = 0; i < objects->count; i++)
        used = used || objects->all[i].marks & USES_LIBPQ;
    for (uint32_t i = 0; used && known && i < objects->count; i++)
        if ((objects->all[i].marks & (IS_BENEATH | USES_LIBPQ | IS_AROUND)) == IS_BENEATH)
            add_code(&objects->all[i].info);
}

/* From one number to another; false if somebody else was faster: to forget, for learning is done under the lock. */
static bool change(uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(&beneath_now, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static uint64_t unknown_after(uint64_t number)
{
    return (number | 1) + 1;
}

/* What was looked at when `looked` was the number, unless something was unloaded since. */
static void publish(const struct objects *objects, uint64_t looked)
{
    uint64_t unknown = unknown_after(looked);
    if (!change(looked, unknown))
        return;
    list_code(objects);
    seen = objects->adds;
    change(unknown, unknown + 1);
}

/* Under the dynamic linker's lock, which may be taken again: no object goes meanwhile. */
static int look(struct dl_phdr_info *info, size_t size, void *data)
{
    uint64_t number = __atomic_load_n(&beneath_now, __ATOMIC_ACQUIRE);
    if (beneath_is_known() && seen == info->dlpi_adds)
        return 1;
    struct objects *objects = sys_memory(sizeof(*objects));
    if (!objects)
        return 1;
    objects->adds = info->dlpi_adds;
    dl_iterate_phdr(add_object, objects);
    mark(objects);
    publish(objects, number);
    sys_munmap(objects, sizeof(*objects));
    return 1;
}

void beneath_learn(void)
{
    if (!lock_try(&lock))
        return;
    dl_iterate_phdr(look, NULL);
    lock_release(&lock);
}

/* Whoever changes the ranges has changed the number before. */
bool beneath_find(uint64_t address, struct beneath_code *ret_code)
{
    uint64_t number = __atomic_load_n(&beneath_now, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; number & 1 && i < range_count; i++) {
        *ret_code = (struct beneath_code){ranges[i].start, ranges[i].end - ranges[i].start, number};
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (beneath_is_in(ret_code, address))
            return true;
    }
    return false;
}

static bool is_finder(uint64_t object)
{
    uint32_t i = 0;
    while (i < finder_count && finders[i] != object)
        i++;
    return i < finder_count;
}

void beneath_used_by(const void *address)
{
    Dl_info info;
    uint64_t object = dladdr(address, &info) ? (uint64_t)(uintptr_t)info.dli_fbase : 0;
    if (!lock_take(&lock)) {
        finders_lost = true;
        beneath_forget();
        return;
    }
    if (!is_finder(object)) {
        beneath_forget();
        finders_lost = finders_lost || finder_count == FINDERS_MAX;
        if (finder_count < FINDERS_MAX)
            finders[finder_count++] = object;
    }
    lock_release(&lock);
}

void beneath_forget(void)
{
    uint64_t number = __atomic_load_n(&beneath_now, __ATOMIC_RELAXED);
    while (!change(number, unknown_after(number)))
        number = __atomic_load_n(&beneath_now, __ATOMIC_RELAXED);
}
