/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "got.h"

#include <elf.h>

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
static struct tables read_tables(const struct link_map *object)
{
    struct tables tables = {0};
    for (const ElfW(Dyn) *entry = object->l_ld; entry->d_tag != DT_NULL; entry++) {
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

/* Which function to put in place of the one called `name`. */
typedef void *choose_function(void *data, const char *name);

static bool replace_in(const struct tables *tables, const ElfW(Rela) *relocations, size_t size,
                       const struct link_map *object, choose_function *choose, void *data)
{
    bool found = false;
    for (size_t i = 0; relocations && i < size / sizeof(*relocations); i++) {
        unsigned type = ELF64_R_TYPE(relocations[i].r_info);
        const ElfW(Sym) *symbol = &tables->symbols[ELF64_R_SYM(relocations[i].r_info)];
        if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) || symbol->st_shndx != SHN_UNDEF)
            continue;
        void *function = choose(data, tables->strings + symbol->st_name);
        if (function)
            write_slot(object, (void **)(object->l_addr + relocations[i].r_offset), function);
        found |= function != NULL;
    }
    return found;
}

static bool replace(const struct link_map *object, choose_function *choose, void *data)
{
    struct tables tables = read_tables(object);
    if (!tables.symbols || !tables.strings)
        return false;
    bool jumps = replace_in(&tables, tables.jumps, tables.jumps_size, object, choose, data);
    bool others = replace_in(&tables, tables.others, tables.others_size, object, choose, data);
    return jumps || others;
}

struct replacement {
    const char *name;
    void *function;
};

static void *choose_one(void *data, const char *name)
{
    const struct replacement *replacement = data;
    return string_equal(replacement->name, name) ? replacement->function : NULL;
}

bool got_replace(const struct link_map *object, const char *name, void *function)
{
    struct replacement replacement = {name, function};
    return replace(object, choose_one, &replacement);
}

void got_replace_each(const struct link_map *object, choose_function *choose, void *data)
{
    replace(object, choose, data);
}
