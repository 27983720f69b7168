/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of rules: it grows, forgets, and is written by several threads at once. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "record/defs.h"
#include "stack/cfi.h"
#include "stack/modules.h"
#include "stack/rules.h"
#include "stack/tables.h"

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

/* Pages of the library's unwind tables that this process has mapped where the library lies. */
static unsigned pages_in_place(void)
{
    unsigned present = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    for (unsigned i = 0; i < library.dlpi_phnum; i++) {
        uint64_t start = library.dlpi_addr + library.dlpi_phdr[i].p_vaddr, end = start + library.dlpi_phdr[i].p_memsz, entry;
        for (uint64_t page = start / 4096; library.dlpi_phdr[i].p_type == PT_GNU_EH_FRAME && page <= (end - 1) / 4096; page++)
            present += pread(fd, &entry, sizeof(entry), (off_t)(page * 8)) == sizeof(entry) && entry >> 63;
    }
    close(fd);
    return present;
}

static void take_out_of_place(void)
{
    for (unsigned i = 0; i < library.dlpi_phnum; i++) {
        const ElfW(Phdr) *table = &library.dlpi_phdr[i];
        uint64_t start = (library.dlpi_addr + table->p_vaddr) & ~UINT64_C(4095), end = library.dlpi_addr + table->p_vaddr + table->p_memsz;
        if (table->p_type == PT_GNU_EH_FRAME)
            cr_assert_eq(madvise((void *)start, end - start, MADV_DONTNEED), 0);
    }
}

static unsigned mappings_of_library(void)
{
    char line[4352];
    unsigned found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), maps))
        found += strstr(line, "/libc.so") != NULL;
    fclose(maps);
    return found;
}

/* The program's part of its libraries does not grow by what is read of its libraries. */
Test(rules, tables_are_not_read_in_place, .init = prepare)
{
    unsigned mappings = mappings_of_library();
    take_out_of_place();
    cr_assert_eq(pages_in_place(), 0);
    for (uint64_t i = 1; i <= 5; i++) /* described by a rule: the rest is asked for in place, too */
        cr_assert_eq(find((uint64_t)(uintptr_t)qsort + i) & RULE_NONE, 0);
    cr_expect_eq(pages_in_place(), 0);
    cr_expect_eq(mappings_of_library(), mappings + 1);
    tables_drop();
    cr_expect_eq(mappings_of_library(), mappings);
    cr_expect(is_right(text + 7, find(text + 7)));
    cr_expect(is_right(text + 2000, find(text + 2000)));
}

/* What is read may lead to any file of that name: only the same one counts. */
Test(rules, a_file_that_was_replaced_is_not_read, .init = prepare)
{
    char path[] = "/tmp/stray-rules-XXXXXX", command[4300];
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    snprintf(command, sizeof(command), "cp %s %s", "/lib/x86_64-linux-gnu/libm.so.6", path);
    cr_assert_eq(system(command), 0);
    void *copy = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbol = dlsym(copy, "cbrt");
    cr_assert(symbol);
    cr_assert_eq(unlink(path), 0);
    int empty = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert(modules_refresh());
    cr_expect(dl_iterate_phdr(note_library, symbol));
    for (uint64_t i = 1; i <= 200; i++)
        cr_assert(is_right(text + 7 * i, find(text + 7 * i)), "+%#lx", 7 * i);
    close(empty);
    unlink(path);
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
