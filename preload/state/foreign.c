/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/foreign.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>

#include "real.h"
#include "record/defs.h"
#include "stack/module_symbols.h"
#include "text.h"
#include "stray/format.h"

#define NOTE_SIZE (PATH_MAX + 128)

/* The kinds of calls that another definition of one function hides. */
static struct {
    const char *function, *consequence;
    char note[NOTE_SIZE]; /* empty: ours comes first */
} foreign[] = {
    {"malloc", "the heap is seen only where that calls the next malloc", ""},
    {"PQconnectdb", "PGconns and PGresults of that libpq are not seen", ""},
};

/* What every build of these runtimes has; found by the dynamic linker. */
extern void __asan_init(void) __attribute__((weak));
extern void __hwasan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

static const struct link_map *object_of(const void *address)
{
    Dl_info info;
    struct link_map *object = NULL;
    return dladdr1(address, &info, (void **)&object, RTLD_DL_LINKMAP) ? object : NULL;
}

static void describe(struct text *note, const char *function, const char *consequence, const struct link_map *object)
{
    text_string(note, function);
    text_string(note, " is defined by ");
    text_string(note, object->l_name[0] ? object->l_name : "the executable");
    text_string(note, ", before libstray.so: ");
    text_string(note, consequence);
}

/* The first object that defines `function`. dlsym() would not do: it finds our own first, because we are linked with
 * -Bsymbolic, and takes an executable that only uses the function's address for one that defines it. */
static const struct link_map *first_definer(const char *function)
{
    struct module_symbol symbol = {.name = function};
    struct module_range range;
    return module_symbols_find(&symbol, 1, &range) ? object_of((const void *)(uintptr_t)symbol.address) : NULL;
}

/* In a program that we came late to, nothing comes before the hooks but the executable's calls of its own functions. */
static void find_late(void)
{
    const struct link_map *object = first_definer(foreign[0].function);
    struct text note = TEXT(foreign[0].note);
    if (object && !object->l_name[0])
        text_string(&note, "malloc is defined by the executable: the calls of it that it makes itself are not seen");
}

void foreign_find(void)
{
    if (real_came_late()) {
        find_late();
        return;
    }
    for (unsigned i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
        const struct link_map *object = first_definer(foreign[i].function);
        struct text note = TEXT(foreign[i].note);
        if (object && object != object_of((const void *)foreign_find))
            describe(&note, foreign[i].function, foreign[i].consequence, object);
    }
}

bool foreign_definer(void)
{
    return foreign[0].note[0];
}

bool foreign_sanitizer(void)
{
    return __asan_init || __hwasan_init || __msan_init || __tsan_init;
}

bool foreign_heap(void)
{
    return foreign_definer() && !real_came_late();
}

void foreign_define(void)
{
    for (unsigned i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
        if (foreign[i].note[0])
            defs_string(STRAY_DEF_NOTE, foreign[i].note);
}
