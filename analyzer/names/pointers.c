/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/pointers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read/array.h"

static int add_pointer(struct pointers *pointers, uint64_t slot, uint64_t value)
{
    struct pointer *items = array_grow(pointers->items, &pointers->capacity, pointers->count, sizeof(*items));
    if (!items)
        return -ENOMEM;
    pointers->items = items;
    pointers->items[pointers->count++] = (struct pointer){slot, value};
    return 0;
}

static int compare_pointers(const void *left, const void *right)
{
    const struct pointer *a = left, *b = right;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

bool pointers_find(const struct pointers *pointers, uint64_t slot, uint64_t *ret_value)
{
    struct pointer key = {.slot = slot};
    const struct pointer *pointer =
        pointers->count ? bsearch(&key, pointers->items, pointers->count, sizeof(key), compare_pointers) : NULL;
    if (pointer)
        *ret_value = pointer->value;
    return pointer != NULL;
}

/* Tables of the dynamic section that say where pointers are. */
struct relocations {
    uint64_t rela, rela_size, relr, relr_size, symbols;
};

static struct relocations read_dynamic(const struct image *image)
{
    struct relocations found = {0};
    const uint8_t *bytes = image_at(image, image->dynamic, image->dynamic_size);
    for (uint64_t at = 0; bytes && at + sizeof(Elf64_Dyn) <= image->dynamic_size; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        memcpy(&entry, bytes + at, sizeof(entry));
        switch (entry.d_tag) {
        case DT_RELA:
            found.rela = entry.d_un.d_ptr;
            break;
        case DT_RELASZ:
            found.rela_size = entry.d_un.d_val;
            break;
        case DT_RELR:
            found.relr = entry.d_un.d_ptr;
            break;
        case DT_RELRSZ:
            found.relr_size = entry.d_un.d_val;
            break;
        case DT_SYMTAB:
            found.symbols = entry.d_un.d_ptr;
            break;
        case DT_NULL:
            return found;
        default:
            break;
        }
    }
    return found;
}

static bool is_relative(const struct image *image, uint32_t type)
{
    return image->machine == EM_X86_64 ? type == R_X86_64_RELATIVE : type == R_AARCH64_RELATIVE;
}

static bool is_symbolic(const struct image *image, uint32_t type)
{
    return image->machine == EM_X86_64 ? type == R_X86_64_64 : type == R_AARCH64_ABS64;
}

/* Value of a symbol the file defines itself; 0 for one it takes from elsewhere. */
static uint64_t symbol_value(const struct image *image, uint64_t symbols, uint32_t index)
{
    const uint8_t *bytes = image_at(image, symbols + index * sizeof(Elf64_Sym), sizeof(Elf64_Sym));
    Elf64_Sym symbol;
    if (!bytes)
        return 0;
    memcpy(&symbol, bytes, sizeof(symbol));
    return symbol.st_shndx == SHN_UNDEF ? 0 : symbol.st_value;
}

static int read_rela(const struct image *image, const struct relocations *tables, struct pointers *pointers)
{
    const uint8_t *bytes = image_at(image, tables->rela, tables->rela_size);
    for (uint64_t at = 0; bytes && at + sizeof(Elf64_Rela) <= tables->rela_size; at += sizeof(Elf64_Rela)) {
        Elf64_Rela entry;
        memcpy(&entry, bytes + at, sizeof(entry));
        uint32_t type = ELF64_R_TYPE(entry.r_info);
        uint64_t value = (uint64_t)entry.r_addend;
        if (is_symbolic(image, type)) {
            uint64_t base = symbol_value(image, tables->symbols, ELF64_R_SYM(entry.r_info));
            value = base ? base + value : 0;
        } else if (!is_relative(image, type)) {
            continue;
        }
        if (add_pointer(pointers, entry.r_offset, value) != 0)
            return -ENOMEM;
    }
    return 0;
}

static int add_in_place(const struct image *image, struct pointers *pointers, uint64_t slot)
{
    uint64_t value;
    return image_word(image, slot, &value) ? add_pointer(pointers, slot, value) : 0;
}

/* An even entry is the address of a pointer; an odd one a bit map of the 63 pointers that follow. */
static int read_relr(const struct image *image, const struct relocations *tables, struct pointers *pointers)
{
    uint64_t next = 0, entry;
    for (uint64_t at = 0; at + 8 <= tables->relr_size; at += 8) {
        if (!image_word(image, tables->relr + at, &entry))
            break;
        if ((entry & 1) == 0) {
            if (add_in_place(image, pointers, entry) != 0)
                return -ENOMEM;
            next = entry + 8;
            continue;
        }
        for (unsigned bit = 0; bit < 63; bit++)
            if ((entry >> (bit + 1) & 1) && add_in_place(image, pointers, next + bit * 8) != 0)
                return -ENOMEM;
        next += 63 * 8;
    }
    return 0;
}

/* A program linked to fixed addresses has its pointers in the data, ready. */
static int read_fixed(const struct image *image, struct pointers *pointers)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        if (!segment->writable)
            continue;
        uint64_t first = (segment->address + 7) & ~(uint64_t)7;
        for (uint64_t slot = first; slot + 8 <= segment->address + segment->size; slot += 8) {
            uint64_t value;
            if (image_word(image, slot, &value) && image_at(image, value, 1) &&
                add_pointer(pointers, slot, value) != 0)
                return -ENOMEM;
        }
    }
    return 0;
}

int pointers_read(const struct image *image, struct pointers *pointers)
{
    struct relocations tables = read_dynamic(image);
    int result = image->fixed ? read_fixed(image, pointers) : read_rela(image, &tables, pointers);
    if (result == 0 && !image->fixed)
        result = read_relr(image, &tables, pointers);
    if (pointers->count)
        qsort(pointers->items, pointers->count, sizeof(*pointers->items), compare_pointers);
    return result;
}
