/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of real objects, as cfi_find() reads them, against libunwind and against readelf; and damaged tables. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "stack/cfi.h"

#define STACK_WORDS (1u << 18)
#define PER_OBJECT  4000

static const char *const libraries[] = {"libstdc++.so.6", "libpq.so.5", "libcrypto.so.3", "libpython3.11.so.1.0", "libgcc_s.so.1"};

static uint64_t stack[STACK_WORDS]; /* every word holds its own address, so that a value tells where it was read */
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void prepare(void)
{
    for (size_t i = 0; i < STACK_WORDS; i++)
        stack[i] = (uint64_t)(uintptr_t)&stack[i];
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
        dlopen(libraries[i], RTLD_NOW); /* what is not installed is not compared */
}

/* ---- against libunwind ---- */

struct registers {
    uint64_t sp, bp, ip;
};

struct tally {
    unsigned rules, ends, others, missing, further;
};

static struct registers start_registers(void)
{
    return (struct registers){.sp = (uint64_t)(uintptr_t)&stack[STACK_WORDS / 4], .bp = (uint64_t)(uintptr_t)&stack[STACK_WORDS / 2]};
}

static struct registers by_rule(const struct cfi_rule *rule)
{
    struct registers from = start_registers();
    uint64_t cfa = (rule->cfa == CFI_BP || rule->cfa == CFI_AT_BP ? from.bp : from.sp) + (uint64_t)(int64_t)rule->offset;
    if (rule->cfa == CFI_AT_BP || rule->cfa == CFI_AT_SP)
        cfa = *(uint64_t *)cfa + rule->added;
    struct registers to = {.sp = cfa, .bp = from.bp, .ip = *(uint64_t *)(cfa - 8)};
    if (rule->bp != CFI_BP_SAME)
        to.bp = *(uint64_t *)((rule->bp == CFI_BP_AT_CFA ? cfa : from.bp) + (uint64_t)(int64_t)rule->bp_offset);
    return to;
}

static unw_cursor_t cursor_at(uint64_t address)
{
    static unw_context_t context;
    struct registers from = start_registers();
    unw_cursor_t cursor;
    unw_getcontext(&context);
    context.uc_mcontext.gregs[REG_RIP] = (long long)(address + 1); /* a return address: the call is before it */
    context.uc_mcontext.gregs[REG_RSP] = (long long)from.sp;
    context.uc_mcontext.gregs[REG_RBP] = (long long)from.bp;
    unw_init_local(&cursor, &context);
    return cursor;
}

static void compare_at(const struct dl_phdr_info *object, uint64_t address, struct tally *tally)
{
    struct cfi_rule rule;
    enum cfi_answer answer = cfi_find(object, address, &rule);
    unw_cursor_t cursor = cursor_at(address);
    unw_proc_info_t info;
    unw_word_t sp = 0, bp = 0, ip = 0;
    const char *name = object->dlpi_name;
    uint64_t offset = address - object->dlpi_addr;
    if (answer == CFI_MISSING) {
        bool none = unw_get_proc_info(&cursor, &info) != 0 || !info.unwind_info;
        cr_expect(none, "%s+%#lx: said to be missing", name, offset);
        tally->missing++;
    } else if (answer == CFI_END) {
        cr_expect_leq(unw_step(&cursor), 0, "%s+%#lx: said to be the end", name, offset);
        tally->ends++;
    } else if (answer == CFI_OTHER) {
        tally->others++;
    } else {
        struct registers to = by_rule(&rule);
        tally->rules++;
        if (unw_step(&cursor) <= 0) { /* it refuses entries that mention registers of vectors */
            tally->further++;
            return;
        }
        unw_get_reg(&cursor, UNW_REG_SP, &sp);
        unw_get_reg(&cursor, UNW_X86_64_RBP, &bp);
        unw_get_reg(&cursor, UNW_REG_IP, &ip);
        cr_expect(to.sp == sp && to.bp == bp && to.ip == ip, "%s+%#lx: sp %#lx %#lx bp %#lx %#lx ip %#lx %#lx", name, offset,
                  to.sp, sp, to.bp, bp, to.ip, ip);
    }
}

static int compare_object(struct dl_phdr_info *object, size_t size, void *context)
{
    struct tally *tally = context;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
            continue;
        for (unsigned n = 0; n < PER_OBJECT; n++)
            compare_at(object, object->dlpi_addr + segment->p_vaddr + next_random() % segment->p_memsz, tally);
    }
    return 0;
}

Test(cfi, says_what_libunwind_says, .init = prepare, .timeout = 100)
{
    struct tally tally = {0};
    dl_iterate_phdr(compare_object, &tally);
    unsigned all = tally.rules + tally.others + tally.missing + tally.ends;
    cr_expect_geq(all, 3 * PER_OBJECT);
    cr_expect_gt(tally.rules, all / 2, "%u rules of %u", tally.rules, all);
    cr_expect_lt(tally.others, all / 20, "%u others of %u", tally.others, all); /* procedure linkage tables, mostly */
    cr_expect_lt(tally.further, all / 1000, "libunwind fails for %u of %u", tally.further, all);
}

/* ---- against readelf ---- */

#define COLUMNS 24

struct row {
    uint64_t location;
    char cells[COLUMNS][24];
    unsigned count;
};

struct reading {
    const struct dl_phdr_info *object;
    char names[COLUMNS][24]; /* of the columns */
    unsigned names_count, rows, rules;
    struct row row;          /* the one before */
    bool has_row;
};

static unsigned split(char *line, char cells[COLUMNS][24])
{
    unsigned count = 0;
    for (char *cell = strtok(line, " \n"); cell && count < COLUMNS; cell = strtok(NULL, " \n"))
        if (cell[0] != '(') /* "r10 (r10)" is one cell */
            snprintf(cells[count++], sizeof(cells[0]), "%s", cell);
    return count;
}

static const char *cell_of(const struct reading *reading, const char *name)
{
    for (unsigned i = 0; i < reading->names_count && i < reading->row.count; i++)
        if (strcmp(reading->names[i], name) == 0)
            return reading->row.cells[i];
    return NULL;
}

static void expect_row(struct reading *reading, uint64_t address)
{
    const char *cfa = cell_of(reading, "CFA"), *bp = cell_of(reading, "rbp"), *ra = cell_of(reading, "ra");
    struct cfi_rule rule;
    enum cfi_answer answer = cfi_find(reading->object, reading->object->dlpi_addr + address, &rule);
    char cfa_text[24], bp_text[24] = "u";
    const char *name = reading->object->dlpi_name;
    reading->rows++;
    if (answer == CFI_END) {
        cr_expect_str_eq(ra, "u", "%s+%#lx", name, address);
        return;
    }
    if (answer != CFI_RULE || rule.cfa == CFI_AT_BP || rule.cfa == CFI_AT_SP) {
        bool plain = (strncmp(cfa, "rsp", 3) == 0 || strncmp(cfa, "rbp", 3) == 0) && strcmp(ra, "c-8") == 0 &&
                     (!bp || strcmp(bp, "u") == 0 || strncmp(bp, "c-", 2) == 0);
        cr_expect(!plain, "%s+%#lx: no rule for %s %s %s", name, address, cfa, bp, ra);
        return;
    }
    reading->rules++;
    snprintf(cfa_text, sizeof(cfa_text), "%s%+d", rule.cfa == CFI_SP ? "rsp" : "rbp", rule.offset);
    if (rule.bp == CFI_BP_AT_CFA)
        snprintf(bp_text, sizeof(bp_text), "c%+d", rule.bp_offset);
    cr_expect_str_eq(cfa_text, cfa, "%s+%#lx", name, address);
    cr_expect(strcmp(bp_text, bp ? bp : "u") == 0 || (rule.bp == CFI_BP_AT_BP && strcmp(bp, "exp") == 0), "%s+%#lx", name, address);
    cr_expect_str_eq(ra, "c-8", "%s+%#lx", name, address);
}

/* A row holds until the next one; of the last, the first address is tried. */
static void read_line(struct reading *reading, char *line)
{
    struct row next = {0};
    bool is_names = strstr(line, "   LOC") != NULL, is_row = line[0] != ' ' && line[0] != '\n' && !strstr(line, "IE ") && !strstr(line, "pc=");
    if (is_names) {
        reading->names_count = split(line, reading->names);
        reading->has_row = false;
    } else if (is_row && strspn(line, "0123456789abcdef") == 16) {
        next.location = strtoul(line, NULL, 16);
        next.count = split(line, next.cells);
        if (reading->has_row && next.location > reading->row.location)
            expect_row(reading, next.location - 1);
        reading->row = next;
        reading->has_row = true;
        if (next.location != 0) /* else a row of a CIE */
            expect_row(reading, next.location);
    } else {
        reading->has_row = false;
    }
}

static int read_object(struct dl_phdr_info *object, size_t size, void *context)
{
    char command[4200], line[1024];
    struct reading *reading = context;
    if (object->dlpi_name[0] != '/')
        return 0;
    snprintf(command, sizeof(command), "readelf --debug-dump=frames-interp --wide '%s' 2>&1", object->dlpi_name);
    FILE *output = popen(command, "r");
    cr_assert_not_null(output);
    reading->object = object;
    reading->has_row = false;
    while (fgets(line, sizeof(line), output))
        read_line(reading, line);
    pclose(output); /* its status also tells of separate files of debug information */
    return 0;
}

Test(cfi, says_what_readelf_says, .init = prepare, .timeout = 100)
{
    static struct reading reading;
    dl_iterate_phdr(read_object, &reading);
    cr_expect_gt(reading.rows, 20000);
    cr_expect_gt(reading.rules, reading.rows / 10 * 9);
}

/* ---- damage ---- */

/* A copy of an object's segment that holds its tables, between pages that cannot be read. */
struct copy {
    struct dl_phdr_info object;
    ElfW(Phdr) headers[2];
    uint8_t *bytes;
    size_t size, table; /* offset of the search table */
};

static int copy_object(struct dl_phdr_info *object, size_t size, void *context)
{
    struct copy *copy = context;
    const ElfW(Phdr) *table = NULL, *holder = NULL;
    for (unsigned i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            table = &object->dlpi_phdr[i];
    for (unsigned i = 0; table && i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_LOAD && table->p_vaddr - object->dlpi_phdr[i].p_vaddr < object->dlpi_phdr[i].p_filesz)
            holder = &object->dlpi_phdr[i];
    if (!holder || !strstr(object->dlpi_name, "libgcc_s"))
        return 0;
    size_t pages = (holder->p_filesz + 4095) / 4096 * 4096;
    uint8_t *map = mmap(NULL, pages + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(map + 4096, pages, PROT_READ | PROT_WRITE);
    copy->bytes = map + 4096 + pages - holder->p_filesz;
    copy->size = holder->p_filesz;
    copy->table = table->p_vaddr - holder->p_vaddr;
    memcpy(copy->bytes, (void *)(object->dlpi_addr + holder->p_vaddr), copy->size);
    copy->headers[0] = *holder;
    copy->headers[1] = *table;
    copy->object = *object;
    copy->object.dlpi_addr = (uint64_t)(uintptr_t)copy->bytes - holder->p_vaddr;
    copy->object.dlpi_phdr = copy->headers;
    copy->object.dlpi_phnum = 2;
    return 1;
}

static void look_everywhere(const struct copy *copy)
{
    struct cfi_rule rule;
    uint64_t begin = copy->object.dlpi_addr;
    for (unsigned i = 0; i < 40; i++)
        cfi_find(&copy->object, begin + next_random() % 0x20000, &rule);
}

Test(cfi, damaged_tables_do_no_harm, .init = prepare, .timeout = 100)
{
    struct copy copy = {0};
    cr_assert(dl_iterate_phdr(copy_object, &copy));
    uint8_t *whole = malloc(copy.size);
    memcpy(whole, copy.bytes, copy.size);
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned n = 1 + next_random() % 200; n > 0; n--) {
            size_t place = round % 4 == 0 ? copy.table + next_random() % 16 : copy.table + next_random() % (copy.size - copy.table);
            copy.bytes[place % copy.size] = (uint8_t)(next_random() >> 32);
        }
        look_everywhere(&copy);
        memcpy(copy.bytes, whole, copy.size);
    }
    for (size_t cut = 1; cut < 3000; cut++) { /* tables that end too early */
        copy.headers[0].p_filesz = copy.size - cut * 16 % copy.size;
        look_everywhere(&copy);
    }
}

Test(cfi, nothing_known_is_said_so)
{
    struct cfi_rule rule;
    struct dl_phdr_info none = {0};
    ElfW(Phdr) lost = {.p_type = PT_GNU_EH_FRAME, .p_vaddr = 0x1000};
    struct dl_phdr_info outside = {.dlpi_phdr = &lost, .dlpi_phnum = 1};
    cr_expect_eq(cfi_find(&none, 0x1234, &rule), CFI_OTHER);
    cr_expect_eq(cfi_find(&outside, 0x1234, &rule), CFI_OTHER);
}
