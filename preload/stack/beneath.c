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

/* With more of any of them nothing is beneath. */
#define OBJECTS_MAX 1024u
#define NEEDED_MAX  (8 * OBJECTS_MAX)
#define CODE_MAX    (2 * OBJECTS_MAX)
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
    uint64_t name; /* its hash */
    uint32_t needed, needed_end; /* of all needed */
    uint32_t code, code_end;     /* of all code */
    uint32_t marks;
};

/* Copied under the dynamic linker's lock, which a child that is forked meanwhile would find taken: so no more than that is done there. */
struct objects {
    unsigned long long adds;
    uint32_t count, needed_count, code_count;
    uint32_t finders_met; /* a bit each */
    bool full;
    struct object all[OBJECTS_MAX]; /* in the order of loading */
    uint64_t needed[NEEDED_MAX]; /* hashes of names */
    struct module_range code[CODE_MAX];
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

static uint16_t *place_of(struct objects *objects, uint64_t name)
{
    for (uint64_t at = name;; at++) {
        uint16_t *place = &objects->by_name[at & (NAMES - 1)];
        if (*place == 0 || objects->all[*place - 1].name == name)
            return place;
    }
}

/* NULL: none was loaded by such a name. */
static struct object *find_object(struct objects *objects, uint64_t name)
{
    uint16_t place = *place_of(objects, name);
    return place == 0 ? NULL : &objects->all[place - 1];
}

/* glibc relocates the addresses of most objects' dynamic sections in place, but not those of the vDSO. */
static const char *address_in(const struct dl_phdr_info *info, uint64_t value)
{
    return (const char *)(uintptr_t)(value < info->dlpi_addr ? info->dlpi_addr + value : value);
}

static const char *strings_of(const struct dl_phdr_info *info, const ElfW(Dyn) *dynamic)
{
    for (; dynamic->d_tag != DT_NULL; dynamic++)
        if (dynamic->d_tag == DT_STRTAB)
            return address_in(info, dynamic->d_un.d_ptr);
    return NULL;
}

static void add_needed(struct objects *objects, const struct dl_phdr_info *info, const ElfW(Dyn) *dynamic)
{
    const char *strings = strings_of(info, dynamic);
    for (; strings && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag != DT_NEEDED)
            continue;
        objects->full = objects->full || objects->needed_count == NEEDED_MAX;
        if (!objects->full)
            objects->needed[objects->needed_count++] = string_hash(strings + dynamic->d_un.d_val);
    }
}

static void add_code(struct objects *objects, uint64_t start, uint64_t size)
{
    objects->full = objects->full || objects->code_count == CODE_MAX;
    if (!objects->full)
        objects->code[objects->code_count++] = (struct module_range){start, start + size};
}

static void add_parts(struct objects *objects, const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uint64_t start = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_DYNAMIC)
            add_needed(objects, info, (const ElfW(Dyn) *)start);
        else if (part->p_type == PT_LOAD && part->p_flags & PF_X)
            add_code(objects, start, part->p_memsz);
    }
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

/* Those of the finders that it is, a bit each. */
static uint32_t finders_in(const struct dl_phdr_info *info)
{
    uint32_t which = 0;
    for (uint32_t i = 0; i < finder_count; i++)
        which |= holds(info, finders[i]) ? 1u << i : 0;
    return which;
}
_Static_assert(FINDERS_MAX <= 32, "a bit each");

static int add_object(struct dl_phdr_info *info, size_t size, void *data)
{
    struct objects *objects = data;
    const char *name = string_base(info->dlpi_name);
    objects->adds = info->dlpi_adds;
    objects->full = objects->full || objects->count == OBJECTS_MAX;
    if (objects->full)
        return 1;
    struct object *object = &objects->all[objects->count++];
    *object = (struct object){.name = string_hash(name), .needed = objects->needed_count, .code = objects->code_count};
    add_parts(objects, info);
    object->needed_end = objects->needed_count;
    object->code_end = objects->code_count;
    uint32_t found = finders_in(info);
    objects->finders_met |= found;
    object->marks = is_libpq(name) ? IS_LIBPQ | IS_BENEATH : found ? USES_LIBPQ : 0;
    uint16_t *place = place_of(objects, object->name);
    if (*place == 0)
        *place = (uint16_t)objects->count;
    return 0;
}

/* Those that are not loaded any more. */
static void drop_finders(const struct objects *objects)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < finder_count; i++)
        if (objects->finders_met >> i & 1)
            finders[kept++] = finders[i];
    finder_count = kept;
}

/* Whether `object` needs one that has one of the marks `which`. */
static bool needs(struct objects *objects, const struct object *object, uint32_t which)
{
    for (uint32_t i = object->needed; i < object->needed_end; i++) {
        const struct object *needed = find_object(objects, objects->needed[i]);
        if (needed && needed->marks & which)
            return true;
    }
    return false;
}

/* Gives what `object` needs the mark `to`, unless it has one of `not`. True if any got it. */
static bool mark_its_needed(struct objects *objects, const struct object *object, uint32_t to, uint32_t not)
{
    bool any = false;
    for (uint32_t i = object->needed; i < object->needed_end; i++) {
        struct object *needed = find_object(objects, objects->needed[i]);
        if (!needed || needed->marks & (to | not))
            continue;
        needed->marks |= to;
        any = true;
    }
    return any;
}

/* The same of all that have one of the marks `from`. */
static bool mark_needed(struct objects *objects, uint32_t from, uint32_t to, uint32_t not)
{
    bool any = false;
    for (uint32_t i = 0; i < objects->count; i++)
        if (objects->all[i].marks & from && mark_its_needed(objects, &objects->all[i], to, not))
            any = true;
    return any;
}

/* The other way: whoever needs what has one of the marks `from`. */
static bool mark_needing(struct objects *objects, uint32_t from, uint32_t to, uint32_t not)
{
    bool any = false;
    for (uint32_t i = 0; i < objects->count; i++) {
        struct object *object = &objects->all[i];
        if (object->marks & (to | not) || !needs(objects, object, from))
            continue;
        object->marks |= to;
        any = true;
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

static void list_code_of(const struct objects *objects, const struct object *object)
{
    for (uint32_t i = object->code; i < object->code_end && range_count < RANGES_MAX; i++)
        ranges[range_count++] = objects->code[i];
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
            list_code_of(objects, &objects->all[i]);
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

static int look_at_count(struct dl_phdr_info *info, size_t size, void *data)
{
    *(unsigned long long *)data = info->dlpi_adds;
    return 1; /* every object says the same */
}

static bool is_up_to_date(void)
{
    unsigned long long adds;
    dl_iterate_phdr(look_at_count, &adds);
    return beneath_is_known() && seen == adds;
}

static void look(void)
{
    uint64_t number = __atomic_load_n(&beneath_now, __ATOMIC_ACQUIRE);
    struct objects *objects = sys_memory(sizeof(*objects));
    if (!objects)
        return;
    dl_iterate_phdr(add_object, objects);
    if (!objects->full)
        drop_finders(objects);
    mark(objects);
    publish(objects, number);
    sys_munmap(objects, sizeof(*objects));
}

void beneath_learn(void)
{
    if (!lock_try(&lock))
        return;
    if (!is_up_to_date())
        look();
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
    if (object == 0)
        return; /* it lies in none that could need anything */
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
