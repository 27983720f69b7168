/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/rules.h"

#include <dlfcn.h>
#include <stdbool.h>

#include "record/defs.h"
#include "stack/cfi.h"
#include "stack/modules.h"
#include "sys.h"
#include "stray/format.h"

#define RULES_BITS_MIN 11 /* 32 KiB */
#define RULES_BITS_MAX 18 /* 4 MiB */
#define TABLES         (RULES_BITS_MAX - RULES_BITS_MIN + 1)
#define RULES_BUSY     1u
#define ADDRESS_BITS   48

static struct rules_slot *tables[TABLES];
static uint32_t newest;

static unsigned shift_of(unsigned table)
{
    return 64 - RULES_BITS_MIN - table;
}

static size_t bytes_of(unsigned table)
{
    return (((size_t)1 << (RULES_BITS_MIN + table)) + RULES_WINDOW) * sizeof(struct rules_slot);
}

static struct rules_slot *table_at(unsigned table)
{
    return __atomic_load_n(&tables[table], __ATOMIC_ACQUIRE);
}

static uint64_t epoch_bits(void)
{
    return (uint64_t)defs_epoch() << ADDRESS_BITS;
}

struct rules_view rules_view(void)
{
    unsigned top = __atomic_load_n(&newest, __ATOMIC_ACQUIRE);
    return (struct rules_view){table_at(top), shift_of(top), epoch_bits()};
}

static bool write_slot(struct rules_slot *slot, uint64_t have, uint64_t key, uint64_t rule)
{
    if (!__atomic_compare_exchange_n(&slot->key, &have, RULES_BUSY, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    __atomic_store_n(&slot->rule, rule, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->key, key, __ATOMIC_RELEASE);
    return true;
}

/* Into a free place, or that of an address of another epoch. */
static bool put(struct rules_slot *slots, unsigned table, uint64_t key, uint64_t rule)
{
    struct rules_slot *slot = slots + rules_place(key, shift_of(table));
    for (unsigned i = 0; i < RULES_WINDOW; i++) {
        uint64_t have = __atomic_load_n(&slot[i].key, __ATOMIC_RELAXED);
        if (have == key)
            return true;
        if (have != RULES_BUSY && (have == 0 || have >> ADDRESS_BITS != key >> ADDRESS_BITS) &&
            write_slot(&slot[i], have, key, rule))
            return true;
    }
    return false;
}

/* The loser of a race gives its memory back. */
static bool add_table(unsigned table)
{
    struct rules_slot *none = NULL, *slots = sys_memory(bytes_of(table));
    if (!slots)
        return false;
    if (!__atomic_compare_exchange_n(&tables[table], &none, slots, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        sys_munmap(slots, bytes_of(table));
    return true;
}

/* The biggest table is full around there: one of the addresses goes, which one is left to their bits. */
static void displace(struct rules_slot *slots, unsigned table, uint64_t key, uint64_t rule)
{
    struct rules_slot *slot = slots + rules_place(key, shift_of(table)) + key % RULES_WINDOW;
    uint64_t have = __atomic_load_n(&slot->key, __ATOMIC_RELAXED);
    if (have != RULES_BUSY)
        write_slot(slot, have, key, rule);
}

static void remember(uint64_t key, uint64_t rule)
{
    unsigned top = __atomic_load_n(&newest, __ATOMIC_ACQUIRE);
    struct rules_slot *slots = table_at(top);
    if (slots && put(slots, top, key, rule))
        return;
    unsigned next = slots ? top + 1 : top;
    if (next == TABLES) {
        displace(slots, top, key, rule);
        return;
    }
    if (!add_table(next))
        return;
    __atomic_compare_exchange_n(&newest, &top, next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    put(table_at(next), next, key, rule);
}

/* Younger and smaller tables were left as they were when they were full. */
static uint64_t find_in_older(uint64_t key)
{
    uint64_t rule = 0;
    for (unsigned table = __atomic_load_n(&newest, __ATOMIC_ACQUIRE) + 1; rule == 0 && table-- > 0;)
        if (table_at(table))
            rule = rules_lookup(table_at(table), shift_of(table), key);
    return rule;
}

static uint64_t pack(enum cfi_answer answer, const struct cfi_rule *rule)
{
    if (answer != CFI_RULE)
        return RULE_PLAIN | (answer == CFI_END ? RULE_END : answer == CFI_MISSING ? RULE_MISSING : RULE_OTHER);
    uint64_t flags = RULE_PLAIN;
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

/* Whether the table of what we take for the object is there to be read. Objects also come and go without a word to us
 * (modules of iconv and of name services), and files that look like objects are mapped by others than the linker. */
static bool is_there(const struct dl_phdr_info *object, uint64_t address)
{
    uint64_t table = table_of(object);
    if (can_ask() && linked_table(address) != table) {
        modules_unloaded(); /* look again; if nothing comes of it, the answer is remembered like any other */
        return false;
    }
    return table != 0 && sys_readable(table & ~(uint64_t)(STRAY_PAGE - 1), 1) == 1;
}

/* The row that matters is that of the call, which may be the last instruction of its function. */
static uint64_t interpret(uint64_t address)
{
    struct dl_phdr_info object;
    struct cfi_rule rule = {0};
    if (modules_stale() || !modules_find(address - 1, &object))
        return 0;
    if (!is_there(&object, address - 1))
        return pack(CFI_OTHER, NULL);
    return pack(cfi_find(&object, address - 1, &rule), &rule);
}

uint64_t rules_learn(uint64_t epoch, uint64_t address)
{
    if (address >> ADDRESS_BITS != 0)
        return 0;
    uint64_t key = address | epoch, rule = find_in_older(key);
    if (rule == 0)
        rule = interpret(address);
    if (rule != 0 && epoch == epoch_bits())
        remember(key, rule);
    return rule;
}
