/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/rules.h"

#include <dlfcn.h>
#include <stdbool.h>

#include "stack/cfi.h"
#include "stack/modules.h"
#include "sys.h"
#include "stray/format.h"

#define RULES_BITS_MIN 11 /* 32 KiB */
#define RULES_BITS_MAX 18 /* 4 MiB */
#define TABLES         (RULES_BITS_MAX - RULES_BITS_MIN + 1)
#define RULES_BUSY     1u
#define MOVED_MAX      10000u /* rules that are moved at once: it takes less than 100 us */

static struct rules_table *tables[TABLES]; /* from the smallest up */
struct rules_table *rules_newest;

static size_t bytes_of(unsigned index)
{
    return sizeof(struct rules_table) +
           (((size_t)1 << (RULES_BITS_MIN + index)) + RULES_WINDOW) * sizeof(struct rules_slot);
}

static unsigned index_of(const struct rules_table *table)
{
    return 64 - RULES_BITS_MIN - table->shift;
}

static struct rules_slot *slot_of(struct rules_table *table, uint64_t key)
{
    return table->slots + rules_place(table, key);
}

static bool write_slot(struct rules_slot *slot, uint64_t have, uint64_t key, uint64_t rule)
{
    if (!__atomic_compare_exchange_n(&slot->key, &have, RULES_BUSY, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return false;
    __atomic_store_n(&slot->rule, rule, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->key, key, __ATOMIC_RELEASE);
    return true;
}

static bool same_generation(uint64_t a, uint64_t b)
{
    return a >> RULES_ADDRESS_BITS == b >> RULES_ADDRESS_BITS;
}

/* Into a free place, or that of an address of another generation. */
static bool put(struct rules_table *table, uint64_t key, uint64_t rule)
{
    struct rules_slot *slot = slot_of(table, key);
    for (unsigned i = 0; i < RULES_WINDOW; i++) {
        uint64_t have = __atomic_load_n(&slot[i].key, __ATOMIC_RELAXED);
        if (have == key)
            return true;
        if (have != RULES_BUSY && (have == 0 || !same_generation(have, key)) &&
            write_slot(&slot[i], have, key, rule))
            return true;
    }
    return false;
}

/* The biggest table is full around there: one of the addresses goes, which one is left to their bits. */
static void displace(struct rules_table *table, uint64_t key, uint64_t rule)
{
    struct rules_slot *slot = slot_of(table, key) + key % RULES_WINDOW;
    uint64_t have = __atomic_load_n(&slot->key, __ATOMIC_RELAXED);
    if (have != RULES_BUSY)
        write_slot(slot, have, key, rule);
}

/* The loser of a race gives its memory back. */
static struct rules_table *add_table(unsigned index)
{
    struct rules_table *none = NULL, *table = sys_memory(bytes_of(index));
    if (!table)
        return NULL;
    table->shift = 64 - RULES_BITS_MIN - index;
    if (!__atomic_compare_exchange_n(&tables[index], &none, table, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        sys_munmap(table, bytes_of(index));
        table = none;
    }
    return table;
}

/* Moves what a small table holds to the next one and gives its pages back, but for the first, which says how large it is. Another
 * thread that is there yet finds nothing, or puts down what is found there. */
static void give_up(struct rules_table *old, struct rules_table *table)
{
    size_t bytes = bytes_of(index_of(old)), count = (bytes - sizeof(*old)) / sizeof(old->slots[0]);
    if (count > MOVED_MAX)
        return;
    for (const struct rules_slot *slot = old->slots; slot < old->slots + count; slot++) {
        uint64_t key = __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE), rule = __atomic_load_n(&slot->rule, __ATOMIC_ACQUIRE);
        if (key != RULES_BUSY && rule != 0 && __atomic_load_n(&slot->key, __ATOMIC_RELAXED) == key)
            put(table, key, rule);
    }
    sys_madvise((char *)old + STRAY_PAGE, bytes - STRAY_PAGE, MADV_DONTNEED);
}

static void remember(uint64_t key, uint64_t rule)
{
    struct rules_table *newest = __atomic_load_n(&rules_newest, __ATOMIC_ACQUIRE);
    if (newest && put(newest, key, rule))
        return;
    unsigned index = newest ? index_of(newest) + 1 : 0;
    if (index == TABLES) {
        displace(newest, key, rule);
        return;
    }
    struct rules_table *table = add_table(index);
    if (!table)
        return;
    put(table, key, rule);
    struct rules_table *old = newest;
    if (__atomic_compare_exchange_n(&rules_newest, &newest, table, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) && old)
        give_up(old, table);
}

/* What filled larger tables stays there until it is asked for. */
static uint64_t find_anywhere(uint32_t generation, uint64_t address)
{
    uint64_t rule = 0;
    for (unsigned index = TABLES; rule == 0 && index-- > 0;)
        rule = rules_find(__atomic_load_n(&tables[index], __ATOMIC_ACQUIRE), generation, address);
    return rule;
}

static uint64_t pack_none(enum rule_none none)
{
    return RULE_ANY | RULE_NONE | (uint64_t)none << 8;
}

static uint64_t pack(const struct cfi_rule *rule)
{
    uint64_t flags = RULE_ANY | (rule->is_signal ? RULE_SIGNAL : 0);
    flags |= rule->cfa == CFI_BP || rule->cfa == CFI_AT_BP ? RULE_CFA_BP : 0;
    flags |= rule->cfa == CFI_AT_BP || rule->cfa == CFI_AT_SP ? RULE_CFA_WORD : 0;
    flags |= rule->bp == CFI_BP_AT_CFA ? RULE_BP_AT_CFA : rule->bp == CFI_BP_AT_BP ? RULE_BP_AT_BP : 0;
    return (uint64_t)(uint32_t)rule->offset << 32 | (uint64_t)(uint16_t)rule->bp_offset << 16 |
           (uint64_t)rule->added << 8 | flags;
}

#ifdef DLFO_EH_SEGMENT_TYPE
static int (*find_object)(void *, struct dl_find_object *); /* glibc 2.35 and later; takes no lock */

void rules_init(void)
{
    *(void **)&find_object = dlsym(RTLD_DEFAULT, "_dl_find_object");
}

/* The unwind table that the dynamic linker knows for `address`; 0: none, or it cannot say. */
static uint64_t linked_table(uint64_t address)
{
    struct dl_find_object found;
    if (!find_object || find_object((void *)address, &found) != 0)
        return 0;
    return (uint64_t)(uintptr_t)found.dlfo_eh_frame;
}

static bool can_ask(void)
{
    return find_object != NULL;
}
#else
void rules_init(void)
{
}

static uint64_t linked_table(uint64_t address)
{
    return 0;
}

static bool can_ask(void)
{
    return false;
}
#endif

static uint64_t table_of(const struct dl_phdr_info *object)
{
    for (unsigned i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            return object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
    return 0;
}

/* Whether the table of what we take for the object is there to be read. Objects also come and go without a
 * word to us (modules of iconv and of name services), and files that look like objects are mapped by others
 * than the linker. */
static bool is_there(uint64_t table, uint64_t address)
{
    if (!can_ask())
        return table == 0 || sys_readable(table);
    if (linked_table(address) == table)
        return true;
    modules_unloaded(); /* look again; if nothing comes of it, the answer is remembered like any other */
    return false;
}

/* The row that matters is that of the call, which may be the last instruction of its function. But where
 * nothing is described up to the return address and a function begins there, no call was made: it is the
 * bottom of a stack that was laid out by hand (makecontext). */
static uint64_t rule_of(const struct dl_phdr_info *object, uint64_t address)
{
    struct cfi_rule rule = {0};
    enum cfi_answer answer = cfi_find(object, address - 1, &rule);
    if (answer == CFI_RULE)
        return pack(&rule);
    if (answer == CFI_MISSING)
        return pack_none(cfi_find(object, address, &rule) == CFI_MISSING ? RULE_MISSING : RULE_END);
    return pack_none(answer == CFI_END ? RULE_END : RULE_OTHER);
}

static uint64_t interpret(uint64_t address)
{
    struct dl_phdr_info object;
    if (modules_stale() || !modules_find(address - 1, &object))
        return 0;
    return is_there(table_of(&object), address - 1) ? rule_of(&object, address) : pack_none(RULE_OTHER);
}

uint64_t rules_learn(uint32_t generation, uint64_t address)
{
    if (address >> RULES_ADDRESS_BITS != 0)
        return 0;
    uint64_t rule = find_anywhere(generation, address);
    if (rule == 0)
        rule = interpret(address);
    if (rule != 0 && generation == modules_generation())
        remember(rules_key(generation, address), rule);
    return rule;
}
