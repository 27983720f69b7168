/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "got.h"

#include <elf.h>

#include "arch.h"
#include "sys.h"
#include "text.h"
#include "stray/format.h"

struct tables {
    const ElfW(Sym) *symbols;
    const char *strings;
    const ElfW(Rela) *jumps, *others;
    size_t jumps_size, others_size;
};

/* The dynamic linker has relocated these pointers in place on the architectures we run on. */
static struct tables read_tables(const ElfW(Dyn) *dynamic)
{
    struct tables tables = {0};
    for (const ElfW(Dyn) *entry = dynamic; entry->d_tag != DT_NULL; entry++) {
        const void *pointer = (const void *)entry->d_un.d_ptr;
        if (entry->d_tag == DT_SYMTAB)
            tables.symbols = pointer;
        else if (entry->d_tag == DT_STRTAB)
            tables.strings = pointer;
        else if (entry->d_tag == DT_JMPREL)
            tables.jumps = pointer;
        else if (entry->d_tag == DT_PLTRELSZ)
            tables.jumps_size = entry->d_un.d_val;
        else if (entry->d_tag == DT_RELA)
            tables.others = pointer;
        else if (entry->d_tag == DT_RELASZ)
            tables.others_size = entry->d_un.d_val;
    }
    return tables;
}

/* The part of `object` that the linker made read-only after relocation. */
static bool relro_range(const struct link_map *object, uintptr_t *ret_begin, uintptr_t *ret_end)
{
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)object->l_addr;
    const ElfW(Phdr) *phdrs = (const ElfW(Phdr) *)(object->l_addr + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (phdrs[i].p_type != PT_GNU_RELRO)
            continue;
        *ret_begin = object->l_addr + phdrs[i].p_vaddr;
        *ret_end = (*ret_begin + phdrs[i].p_memsz) & ~(uintptr_t)(STRAY_PAGE - 1);
        return true;
    }
    return false;
}

static void write_slot(const struct link_map *object, void **slot, void *function)
{
    uintptr_t begin = 0, end = 0, at = (uintptr_t)slot;
    bool read_only = relro_range(object, &begin, &end) && at >= begin && at < end;
    void *page = (void *)(at & ~(uintptr_t)(STRAY_PAGE - 1));
    if (read_only)
        sys_mprotect(page, STRAY_PAGE, PROT_READ | PROT_WRITE);
    __atomic_store_n(slot, function, __ATOMIC_RELEASE);
    if (read_only)
        sys_mprotect(page, STRAY_PAGE, PROT_READ);
}

static void visit_all(const struct tables *tables, const ElfW(Rela) *relocations, size_t size, uintptr_t bias,
                      void (*visit)(void *data, const struct got_slot *slot), void *data)
{
    for (size_t i = 0; relocations && i < size / sizeof(*relocations); i++) {
        unsigned type = ELF64_R_TYPE(relocations[i].r_info);
        const ElfW(Sym) *symbol = &tables->symbols[ELF64_R_SYM(relocations[i].r_info)];
        if ((type != ARCH_RELOCATION_CALL && type != ARCH_RELOCATION_ADDRESS && type != ARCH_RELOCATION_DATA) ||
            symbol->st_name == 0 || (type == ARCH_RELOCATION_DATA && relocations[i].r_addend != 0))
            continue;
        struct got_slot slot = {
            .at = (void **)(bias + relocations[i].r_offset),
            .name = tables->strings + symbol->st_name,
            .kind = type == ARCH_RELOCATION_CALL ? GOT_CALL : type == ARCH_RELOCATION_ADDRESS ? GOT_ADDRESS : GOT_DATA,
            .defined = symbol->st_shndx != SHN_UNDEF,
        };
        visit(data, &slot);
    }
}

void got_each(uintptr_t bias, const ElfW(Dyn) *dynamic, void (*visit)(void *data, const struct got_slot *slot), void *data)
{
    struct tables tables = read_tables(dynamic);
    if (!tables.symbols || !tables.strings)
        return;
    visit_all(&tables, tables.jumps, tables.jumps_size, bias, visit, data);
    visit_all(&tables, tables.others, tables.others_size, bias, visit, data);
}

struct replacement {
    const struct link_map *object;
    void *(*choose)(void *data, const char *name);
    void *data;
    bool found;
};

static void replace_one(void *data, const struct got_slot *slot)
{
    struct replacement *replacement = data;
    if (slot->kind == GOT_DATA || slot->defined)
        return;
    void *function = replacement->choose(replacement->data, slot->name);
    if (function)
        write_slot(replacement->object, slot->at, function);
    replacement->found |= function != NULL;
}

struct named {
    const char *name;
    void *function;
};

static void *choose_named(void *data, const char *name)
{
    const struct named *named = data;
    return string_equal(named->name, name) ? named->function : NULL;
}

bool got_replace(const struct link_map *object, const char *name, void *function)
{
    struct named named = {name, function};
    struct replacement replacement = {.object = object, .choose = choose_named, .data = &named};
    got_each(object->l_addr, object->l_ld, replace_one, &replacement);
    return replacement.found;
}

void got_replace_each(const struct link_map *object, void *(*choose)(void *data, const char *name), void *data)
{
    struct replacement replacement = {.object = object, .choose = choose, .data = data};
    got_each(object->l_addr, object->l_ld, replace_one, &replacement);
}
