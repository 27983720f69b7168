/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/pairs.h"

#include <dlfcn.h>
#include <link.h>

#include "arch.h"
#include "lock.h"
#include "record/defs.h"
#include "sys.h"
#include "text.h"
#include "stray/format.h"
#include "stray/hooks.h"

#define PLACES   512u /* a power of two, more than twice the number of functions */

extern uint32_t pair_vectors ARCH_NEAR;
uint32_t pair_vectors; /* for the entries: enum of arch_pairs.h */
struct pair_entry pair_entries[PAIR_STUBS];
static struct stray_pairs nothing, *pairs = &nothing; /* never freed: calls under way look into it */
static uint16_t places[PLACES]; /* number of a function, plus one; 0: free */
static const char *mistake;     /* in the user's text */
LOCK(lock);

/* ---- what the user wants ---- */

static unsigned hash_of(struct stray_pair_text name)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.length; i++)
        hash = (hash ^ (unsigned char)name.at[i]) * 16777619u;
    return (hash ^ hash >> 15) & (PLACES - 1);
}

static void remember(unsigned number)
{
    unsigned place = hash_of(pairs->functions[number].name);
    while (places[place] != 0)
        place = (place + 1) & (PLACES - 1);
    places[place] = (uint16_t)(number + 1);
}

static bool is_hooked(struct stray_pair_text name)
{
    static const char *const hooked[] = {
#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size) #name,
#include "stray/hooks.def"
#undef HOOK
    };
    for (size_t i = 0; i < sizeof(hooked) / sizeof(*hooked); i++)
        if (stray_pair_is(name, hooked[i]))
            return true;
    return false;
}

static const char *what_is_wrong(const char *text)
{
    const char *at, *wrong = stray_pairs_parse(pairs, text, &at);
    for (size_t i = 0; !wrong && i < pairs->function_count; i++)
        if (stray_pair_denied(pairs->functions[i].name) || is_hooked(pairs->functions[i].name))
            wrong = "one of the functions cannot be traced as part of a pair";
    return wrong;
}

/* An entry from before is that of the function of its name, if that is still wanted; else it only calls through. */
static void renumber(struct pair_entry *entry)
{
    const struct stray_pair_function *pair = entry->pair ? stray_pairs_find(pairs, entry->pair->name) : NULL;
    entry->number = pair ? (uint16_t)(pair - pairs->functions) : PAIR_UNWANTED;
    entry->pair = pair ? pair : entry->pair;
}

void pairs_init(const char *text)
{
    struct stray_pairs *fresh = text ? sys_memory(sizeof(*fresh)) : NULL;
    pairs = fresh ? fresh : &nothing;
    mistake = fresh ? what_is_wrong(text) : NULL;
    if (mistake)
        pairs = &nothing;
    __builtin_memset(places, 0, sizeof(places));
    for (unsigned i = 0; i < pairs->function_count; i++)
        remember(i);
    for (unsigned i = 0; i < PAIR_STUBS; i++)
        renumber(&pair_entries[i]);
    pair_vectors = arch_vectors();
}

bool pairs_any(void)
{
    return pairs->function_count > 0;
}

unsigned pairs_resource(const char *label, unsigned long length)
{
    for (unsigned i = 0; i < pairs->resource_count; i++)
        if (stray_pair_same(pairs->resources[i], (struct stray_pair_text){label, length}))
            return STRAY_USER_FIRST + i;
    return STRAY_RESOURCE_NONE;
}

/* STRAY_PAIR_FUNCTIONS: none. */
static unsigned number_of(const char *name)
{
    struct stray_pair_text text = {name, string_length(name)};
    for (unsigned place = hash_of(text); places[place] != 0; place = (place + 1) & (PLACES - 1))
        if (stray_pair_same(pairs->functions[places[place] - 1].name, text))
            return places[place] - 1u;
    return STRAY_PAIR_FUNCTIONS;
}

bool pairs_wanted(const char *name)
{
    return pairs_any() && number_of(name) < STRAY_PAIR_FUNCTIONS;
}

/* ---- what the trace says of it ---- */

static void define(uint16_t type, uint16_t id, uint16_t resource, uint32_t flags, struct stray_pair_text name)
{
    struct stray_def_pair fixed = {id, resource, flags};
    char end = 0;
    struct iovec parts[] = {{&fixed, sizeof(fixed)}, {(void *)(uintptr_t)name.at, name.length}, {&end, 1}};
    defs_add(type, parts, 3);
}

void pairs_define(void)
{
    if (mistake) {
        char buffer[256];
        struct text note = TEXT(buffer);
        text_string(&note, "STRAY_PAIR is not understood, and no pairs are traced: ");
        text_string(&note, mistake);
        defs_string(STRAY_DEF_NOTE, buffer);
    }
    for (unsigned i = 0; i < pairs->resource_count; i++)
        define(STRAY_DEF_RESOURCE, (uint16_t)(STRAY_USER_FIRST + i), 0, 0, pairs->resources[i]);
    for (unsigned i = 0; i < pairs->function_count; i++)
        define(STRAY_DEF_FUNCTION, (uint16_t)(STRAY_HOOK_USER + i), (uint16_t)(STRAY_USER_FIRST + pairs->functions[i].resource),
               pairs->functions[i].closes ? STRAY_FUNCTION_CLOSES : 0, pairs->functions[i].name);
}

/* ---- stubs ---- */

extern char pair_stubs[] __attribute__((visibility("hidden")));

static void *stub_of(unsigned place)
{
    return pair_stubs + place * PAIR_STUB_SIZE;
}

bool pairs_is_ours(const void *function)
{
    return (uintptr_t)function - (uintptr_t)pair_stubs < PAIR_STUBS * PAIR_STUB_SIZE;
}

void *pairs_behind(const void *function)
{
    return pair_entries[((uintptr_t)function - (uintptr_t)pair_stubs) / PAIR_STUB_SIZE].function;
}

/* A name may be that of a variable, which nobody calls. */
static bool is_function(const void *address)
{
    Dl_info info;
    ElfW(Sym) *symbol = NULL;
    if (!dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT))
        return false;
    return !symbol || info.dli_saddr != address || ELF64_ST_TYPE(symbol->st_info) == STT_FUNC ||
           ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC || ELF64_ST_TYPE(symbol->st_info) == STT_NOTYPE;
}

/* The place of the function, or the first free one; PAIR_STUBS: there is none. */
static unsigned place_of(const void *function, unsigned number)
{
    unsigned available = PAIR_STUBS;
    for (unsigned i = 0; i < PAIR_STUBS; i++) {
        if (pair_entries[i].function == function && pair_entries[i].number == number)
            return i;
        if (!pair_entries[i].function && available == PAIR_STUBS)
            available = i;
    }
    return available;
}

/* What the object around `function` has mapped. */
static void find_range(const void *function, struct pair_entry *entry)
{
    Dl_info info;
    struct link_map *object;
    if (!dladdr1(function, &info, (void **)&object, RTLD_DL_LINKMAP))
        return;
    const ElfW(Ehdr) *header = info.dli_fbase;
    const ElfW(Phdr) *parts = (const ElfW(Phdr) *)((uintptr_t)header + header->e_phoff);
    entry->start = (uintptr_t)header;
    entry->end = entry->start;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        uint64_t end = object->l_addr + parts[i].p_vaddr + parts[i].p_memsz;
        if (parts[i].p_type == PT_LOAD && end > entry->end)
            entry->end = end;
    }
}

/* Who reads an entry got its stub from here, after it was filled. */
static void fill(struct pair_entry *entry, void *function, unsigned number)
{
    entry->pair = &pairs->functions[number];
    entry->number = (uint16_t)number;
    find_range(function, entry);
    __atomic_store_n(&entry->function, function, __ATOMIC_RELEASE);
}

void *pairs_function(const char *name, void *function)
{
    unsigned number = number_of(name);
    if (number == STRAY_PAIR_FUNCTIONS || pairs_is_ours(function) || !is_function(function) || !lock_take(&lock))
        return pairs_is_ours(function) ? function : NULL;
    unsigned place = place_of(function, number);
    if (place < PAIR_STUBS && !pair_entries[place].function)
        fill(&pair_entries[place], function, number);
    lock_release(&lock);
    if (place < PAIR_STUBS)
        return stub_of(place);
    defs_string(STRAY_DEF_NOTE, "too many functions of user-defined pairs are loaded: calls of some are not seen");
    return NULL;
}

void pairs_forget(void)
{
    Dl_info info;
    if (!pairs_any() || !lock_take(&lock))
        return;
    for (unsigned i = 0; i < PAIR_STUBS; i++)
        if (pair_entries[i].function && !dladdr(pair_entries[i].function, &info))
            pair_entries[i].function = NULL;
    lock_release(&lock);
}
