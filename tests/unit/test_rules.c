/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of rules: it grows, forgets, and is written by several threads at once. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

#include "record/defs.h"
#include "stack/cfi.h"
#include "stack/modules.h"
#include "stack/rules.h"

#define THREADS 4
#define ROUNDS  200000 /* more addresses than the biggest table has places */

/* What modules.c wants. */
uint32_t defs_add(uint16_t type, const struct iovec *parts, unsigned count)
{
    return 1;
}

uint32_t defs_string(uint16_t type, const char *string)
{
    return 1;
}

uint32_t defs_epoch(void)
{
    return 0;
}

void defs_next_epoch(void)
{
}

static struct dl_phdr_info library;
static uint64_t text, text_size;

static int note_library(struct dl_phdr_info *object, size_t size, void *symbol)
{
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uint64_t start = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD || (uint64_t)symbol - start >= segment->p_memsz)
            continue;
        library = *object;
        text = start;
        text_size = segment->p_memsz;
        return 1;
    }
    return 0;
}

static void prepare(void)
{
    rules_init();
    cr_assert(modules_refresh());
    cr_assert(dl_iterate_phdr(note_library, (void *)(uintptr_t)qsort));
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Whether `rule` is what the table of the library says of a call that returns to `address`. */
static bool is_right(uint64_t address, uint64_t rule)
{
    struct cfi_rule expected = {0};
    if (cfi_find(&library, address - 1, &expected) != CFI_RULE)
        return rule & RULE_NONE;
    return rule_offset(rule) == expected.offset && rule_bp_offset(rule) == expected.bp_offset &&
           rule_added(rule) == expected.added &&
           !(rule & RULE_CFA_BP) == (expected.cfa == CFI_SP || expected.cfa == CFI_AT_SP);
}

static uint64_t find(uint64_t address)
{
    uint32_t generation = modules_generation();
    uint64_t rule = rules_find(rules_table(), generation, address);
    return rule ? rule : rules_learn(generation, address);
}

Test(rules, what_was_learnt_is_found, .init = prepare)
{
    for (uint64_t i = 1; i <= 20000; i++)
        cr_assert(is_right(text + 7 * i, find(text + 7 * i)), "+%#lx", 7 * i);
    for (uint64_t i = 1; i <= 20000; i++) {
        cr_assert(is_right(text + 7 * i, find(text + 7 * i)), "+%#lx", 7 * i);
        cr_assert_neq(rules_find(rules_table(), modules_generation(), text + 7 * i), 0);
    }
}

Test(rules, nothing_is_known_outside_of_modules, .init = prepare)
{
    uint64_t outside[] = {0, 1, 4096, (uint64_t)(uintptr_t)&library, UINT64_MAX, 1ull << 48 | (text + 1)};
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        cr_expect_eq(find(outside[i]), 0, "%#lx", outside[i]);
}

Test(rules, another_generation_knows_nothing, .init = prepare)
{
    cr_assert_neq(find(text + 100), 0);
    cr_expect_eq(rules_find(rules_table(), modules_generation() + 1, text + 100), 0);
    modules_forget();
    cr_assert(modules_refresh());
    cr_expect_eq(rules_find(rules_table(), modules_generation(), text + 100), 0);
    cr_expect(is_right(text + 100, find(text + 100)));
}

Test(rules, code_of_no_object_has_no_rule, .init = prepare)
{
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t address = (uint64_t)(uintptr_t)page + 10;
    cr_expect_eq(find(address), 0);
    cr_assert(modules_refresh());
    cr_expect_eq(find(address) & RULE_NONE, RULE_NONE);
    cr_expect_eq(rule_added(find(address)), RULE_MISSING);
}

Test(rules, what_may_have_gone_is_not_read, .init = prepare)
{
    modules_unloaded();
    cr_expect_eq(find(text + 300), 0);
    cr_assert(modules_refresh());
    cr_expect(is_right(text + 300, find(text + 300)));
}

static void *learn(void *seed)
{
    uint64_t state = (uint64_t)(uintptr_t)seed, wrong = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t address = text + 1 + next_random(&state) % (text_size - 1);
        wrong += !is_right(address, find(address));
    }
    return (void *)wrong;
}

Test(rules, threads_agree, .init = prepare, .timeout = 60)
{
    pthread_t ids[THREADS];
    for (uint64_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, learn,
                       (void *)(0x9e3779b97f4a7c15u * (i / 2 + 1))); /* two of each seed */
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(ids[i], &wrong);
        cr_expect_null(wrong);
    }
}
