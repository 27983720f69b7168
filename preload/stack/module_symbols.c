/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/module_symbols.h"

#include <dlfcn.h>
#include <link.h>

#include "text.h"

/* The parts of an object's dynamic section that a lookup needs. */
struct symbol_table {
    uint64_t bias;
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *hash;
    const uint16_t *versions; /* NULL: none */
};

#define HIDDEN_VERSION 0x8000u /* only for what was linked with it, long ago */

struct search {
    struct module_symbol *symbols;
    size_t count;
    struct module_range range;
};

/* glibc relocates the addresses of most objects' dynamic sections in place, but not those of the vDSO. */
static uint64_t dynamic_address(uint64_t bias, uint64_t value)
{
    return value < bias ? bias + value : value;
}

static bool symbol_table_of(uint64_t bias, const ElfW(Dyn) * dynamic, struct symbol_table *ret_table)
{
    struct symbol_table table = {.bias = bias};
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        uint64_t address = dynamic_address(table.bias, dynamic->d_un.d_ptr);
        if (dynamic->d_tag == DT_SYMTAB)
            table.symbols = (const ElfW(Sym) *)address;
        else if (dynamic->d_tag == DT_STRTAB)
            table.strings = (const char *)address;
        else if (dynamic->d_tag == DT_GNU_HASH)
            table.hash = (const uint32_t *)address;
        else if (dynamic->d_tag == DT_VERSYM)
            table.versions = (const uint16_t *)address;
    }
    *ret_table = table;
    return table.symbols && table.strings && table.hash;
}

static bool symbol_table_open(const struct dl_phdr_info *info, struct symbol_table *ret_table)
{
    const ElfW(Dyn) *dynamic = NULL;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return symbol_table_of(info->dlpi_addr, dynamic, ret_table);
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static const ElfW(Sym) * symbol_table_find(const struct symbol_table *table, const char *name)
{
    uint32_t buckets = table->hash[0], first = table->hash[1], bloom_size = table->hash[2];
    uint32_t shift = table->hash[3], hash = gnu_hash(name);
    const uint64_t *bloom = (const uint64_t *)(table->hash + 4);
    const uint32_t *bucket = (const uint32_t *)(bloom + bloom_size), *chain = bucket + buckets;
    if (buckets == 0 || bloom_size == 0)
        return NULL;
    uint64_t bits = 1ull << (hash % 64) | 1ull << ((hash >> shift) % 64);
    if ((bloom[hash / 64 % bloom_size] & bits) != bits)
        return NULL;
    uint32_t index = bucket[hash % buckets];
    if (index < first)
        return NULL;
    for (;; index++) {
        uint32_t link = chain[index - first];
        const ElfW(Sym) *symbol = &table->symbols[index];
        bool hidden = table->versions && table->versions[index] & HIDDEN_VERSION;
        if ((link | 1) == (hash | 1) && !hidden && symbol->st_shndx != SHN_UNDEF &&
            string_equal(table->strings + symbol->st_name, name))
            return symbol;
        if (link & 1)
            return NULL;
    }
}

static bool symbols_fill(const struct symbol_table *table, struct module_symbol *symbols, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const ElfW(Sym) *symbol = symbol_table_find(table, symbols[i].name);
        if (!symbol && !symbols[i].optional)
            return false;
        symbols[i].address = symbol ? table->bias + symbol->st_value : 0;
        symbols[i].size = symbol ? symbol->st_size : 0;
    }
    return true;
}

struct module_range module_symbols_range(const struct dl_phdr_info *info)
{
    struct module_range range = {UINT64_MAX, 0};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD)
            continue;
        uint64_t start = info->dlpi_addr + segment->p_vaddr, end = start + segment->p_memsz;
        range.start = start < range.start ? start : range.start;
        range.end = end > range.end ? end : range.end;
    }
    return range;
}

static int search_module(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *search = context;
    struct symbol_table table;
    if (!symbol_table_open(info, &table) || !symbols_fill(&table, search->symbols, search->count))
        return 0;
    search->range = module_symbols_range(info);
    return 1;
}

bool module_symbols_find(struct module_symbol *symbols, size_t count, struct module_range *ret_range)
{
    struct search search = {.symbols = symbols, .count = count};
    if (!dl_iterate_phdr(search_module, &search))
        return false;
    /* An object is listed before it is relocated. dladdr() takes the lock that a dlopen() under way in
     * another thread holds until it has relocated everything. */
    Dl_info info;
    if (!dladdr((const void *)search.range.start, &info))
        return false;
    *ret_range = search.range;
    return true;
}

bool module_symbols_loaded(struct module_symbol *symbols, size_t count)
{
    for (const struct link_map *object = _r_debug.r_map; object; object = object->l_next) {
        struct symbol_table table;
        if (symbol_table_of(object->l_addr, object->l_ld, &table) && symbols_fill(&table, symbols, count))
            return true;
    }
    return false;
}

bool module_symbols_has(const struct dl_phdr_info *object, const char *name)
{
    struct symbol_table table;
    return symbol_table_open(object, &table) && symbol_table_find(&table, name);
}

struct scope {
    struct module_symbol *symbols;
    size_t count;
    uint64_t except;
};

/* What an indirect function stands for, its object says. */
static uint64_t address_of(const struct symbol_table *table, const ElfW(Sym) * symbol)
{
    uint64_t address = table->bias + symbol->st_value;
    if (ELF64_ST_TYPE(symbol->st_info) != STT_GNU_IFUNC)
        return address;
    uint64_t (*resolve)(void);
    *(void **)&resolve = (void *)(uintptr_t)address;
    return resolve();
}

static int search_scope(struct dl_phdr_info *info, size_t size, void *context)
{
    const struct scope *scope = context;
    struct symbol_table table;
    struct module_range range = module_symbols_range(info);
    if ((scope->except >= range.start && scope->except < range.end) || !symbol_table_open(info, &table))
        return 0;
    for (size_t i = 0; i < scope->count; i++) {
        const ElfW(Sym) *symbol = scope->symbols[i].address ? NULL : symbol_table_find(&table, scope->symbols[i].name);
        if (symbol) {
            scope->symbols[i].address = address_of(&table, symbol);
            scope->symbols[i].size = symbol->st_size;
        }
    }
    return 0;
}

void module_symbols_first(struct module_symbol *symbols, size_t count, const void *except)
{
    struct scope scope = {symbols, count, (uint64_t)(uintptr_t)except};
    for (size_t i = 0; i < count; i++)
        symbols[i].address = symbols[i].size = 0;
    dl_iterate_phdr(search_scope, &scope);
}
