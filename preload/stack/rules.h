/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the unwind tables say of return addresses, remembered: the tables are interpreted once for an address,
 * and then a frame costs two loads.
 *
 * A lock-free table in private memory that doubles as it fills, up to RULES_BITS_MAX; from then on, new
 * addresses take the places of old ones. Addresses are kept together with the generation of modules in which
 * they were met, so that nothing said of a module that went is believed of the next one at its addresses.
 * (65536 generations later it would be; by then its place has been taken.)
 *
 * Thread and signal safe, allocates by mmap only. What a forked child inherits holds there, too.
 */
#ifndef STRAY_STACK_RULES_H
#define STRAY_STACK_RULES_H

#include <stddef.h>
#include <stdint.h>

/* A rule is one word, never 0:  offset (32, signed) | bp_offset (16, signed) | added (8) | flags (8), see
 * cfi.h. */
enum rule_flags {
    RULE_ANY = 1,       /* set in all, so that no rule is 0 */
    RULE_CFA_BP = 2,    /* CFA = RBP + offset instead of RSP + offset */
    RULE_CFA_WORD = 4,  /* CFA = the word there + added */
    RULE_BP_AT_CFA = 8, /* the caller's RBP is at CFA + bp_offset */
    RULE_BP_AT_BP = 16, /* the caller's RBP is at RBP + bp_offset */
    RULE_SIGNAL = 32,   /* of a signal: RBP is at RSP + bp_offset, RIP behind the word of the CFA */
    RULE_NONE = 64,     /* there is no rule; `added` is an enum rule_none */
    RULE_RARE = RULE_CFA_WORD | RULE_BP_AT_BP | RULE_SIGNAL,
};

enum rule_none {
    RULE_END,     /* the outermost frame */
    RULE_MISSING, /* nothing is said of this address */
    RULE_OTHER,   /* to be unwound by others */
};

static inline int64_t rule_offset(uint64_t rule)
{
    return (int64_t)rule >> 32;
}
static inline int64_t rule_bp_offset(uint64_t rule)
{
    return (int16_t)(rule >> 16);
}
static inline uint64_t rule_added(uint64_t rule)
{
    return (uint8_t)(rule >> 8);
}

/* Before the first rule. Not signal safe. */
void rules_init(void);

#define RULES_WINDOW 8u /* places where an address may be */

struct rules_slot {
    uint64_t key; /* 0: free; RULES_BUSY: being written */
    uint64_t rule;
};

struct rules_table {
    unsigned shift; /* of the product that says where an address is */
    struct rules_slot slots[];
};

/* The newest table, for rules_find(); NULL: there is none yet. */
static inline const struct rules_table *rules_table(void)
{
    extern struct rules_table *rules_newest;
    return __atomic_load_n(&rules_newest, __ATOMIC_ACQUIRE);
}

/* The slow way, where rules_find() gives 0: interprets, and remembers, perhaps in a newer table. 0: the
 * address lies in no known module, or it may no longer be what was known. */
uint64_t rules_learn(uint32_t generation, uint64_t address);

#define RULES_ADDRESS_BITS 48 /* of a user's address; the rest of a key is of the generation */

static inline uint64_t rules_key(uint32_t generation, uint64_t address)
{
    return address | (uint64_t)generation << RULES_ADDRESS_BITS;
}

static inline uint64_t rules_place(const struct rules_table *table, uint64_t key)
{
    return (key * 0x9e3779b97f4a7c15u) >> table->shift;
}

/* The rule of the call that returns to `address`; 0: not there. */
static inline uint64_t rules_find(const struct rules_table *table, uint32_t generation, uint64_t address)
{
    if (__builtin_expect(table == NULL, 0))
        return 0;
    uint64_t key = rules_key(generation, address);
    const struct rules_slot *slot = table->slots + rules_place(table, key);
    for (unsigned i = 0; i < RULES_WINDOW; i++, slot++) {
        if (__atomic_load_n(&slot->key, __ATOMIC_ACQUIRE) != key)
            continue;
        uint64_t rule = __atomic_load_n(&slot->rule, __ATOMIC_ACQUIRE);
        /* Another thread may have given the place to another address meanwhile. */
        if (__builtin_expect(__atomic_load_n(&slot->key, __ATOMIC_RELAXED) == key, 1))
            return rule;
    }
    return 0;
}

#endif
