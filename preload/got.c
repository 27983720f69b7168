/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "got.h"

#include <elf.h>

#include "arch.h"
#include "lock.h"
#include "sys.h"
#include "text.h"
#include "stray/format.h"

struct tables {
    const ElfW(Sym) *symbols;
    const char *strings;
    const ElfW(Rela) *jumps, *others;
    size_t jumps_size, others_size;
    const uint16_t *versions; /* of each symbol, as in `needs`; NULL: none */
    uint64_t needs; /* versions; without the bias, which the dynamic linker leaves out here. 0: none */
};

#define VERSION_MASK 0x7fffu

LOCK(lock); /* a page of slots is writable for a moment: another thread must not close it meanwhile */

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
        else if (entry->d_tag == DT_VERSYM)
            tables.versions = pointer;
        else if (entry->d_tag == DT_VERNEED)
            tables.needs = entry->d_un.d_ptr;
    }
    return tables;
}

/* Whether `address` lies in a part of the object of that type. */
static bool lies_in(uintptr_t bias, const ElfW(Phdr) *part, uintptr_t address)
{
    uintptr_t begin = bias + part->p_vaddr, end = begin + part->p_memsz;
    if (part->p_type == PT_GNU_RELRO) /* its last page, if it is not whole, stays as it is */
        end &= ~(uintptr_t)(STRAY_PAGE - 1);
    return address >= begin && address < end;
}

bool got_open_page(uintptr_t page)
{
    if (!lock_take(&lock))
        return false;
    bool open = sys_mprotect((void *)page, STRAY_PAGE, PROT_READ | PROT_WRITE) == 0;
    if (!open)
        lock_release(&lock);
    return open;
}

void got_close_page(uintptr_t page, int protection)
{
    sys_mprotect((void *)page, STRAY_PAGE, protection);
    lock_release(&lock);
}

void got_exchange(uintptr_t bias, const ElfW(Ehdr) *header, void **slot, void *from, void *to)
{
    const ElfW(Phdr) *parts = (const ElfW(Phdr) *)((uintptr_t)header + header->e_phoff);
    bool writable = false, read_only = false;
    uintptr_t page = (uintptr_t)slot & ~(uintptr_t)(STRAY_PAGE - 1);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        bool there = lies_in(bias, &parts[i], (uintptr_t)slot);
        writable |= there && parts[i].p_type == PT_LOAD && parts[i].p_flags & PF_W;
        read_only |= there && parts[i].p_type == PT_GNU_RELRO;
    }
    if (!writable || (read_only && !got_open_page(page)))
        return;
    __atomic_compare_exchange_n(slot, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    if (read_only)
        got_close_page(page, PROT_READ);
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
            .symbol = (uint32_t)ELF64_R_SYM(relocations[i].r_info),
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

const char *got_version(uintptr_t bias, const ElfW(Dyn) *dynamic, uint32_t symbol)
{
    struct tables tables = read_tables(dynamic);
    uint16_t wanted = tables.versions ? tables.versions[symbol] & VERSION_MASK : 0;
    const uint8_t *at = tables.needs ? (const uint8_t *)(bias + tables.needs) : NULL;
    for (const ElfW(Verneed) *need; wanted > VER_NDX_GLOBAL && at; at = need->vn_next ? at + need->vn_next : NULL) {
        need = (const void *)at;
        const uint8_t *inner = at + need->vn_aux;
        for (unsigned i = 0; i < need->vn_cnt; i++) {
            const ElfW(Vernaux) *version = (const void *)inner;
            if (version->vna_other == wanted)
                return tables.strings + version->vna_name;
            inner += version->vna_next;
        }
    }
    return NULL;
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
        got_exchange(replacement->object->l_addr, (const ElfW(Ehdr) *)replacement->object->l_addr, slot->at, *slot->at, function);
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
