/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/target_symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach/memory.h"

#define SEGMENTS_MAX 64
#define DYNAMIC_MAX 512
#define NAME_SIZE 64
#define READS_MAX 1000000u /* a second's worth; the largest programs need some ten thousand */

/* ---- which objects there are ---- */

struct image {
    Elf64_Ehdr header;
    Elf64_Phdr segments[SEGMENTS_MAX];
};

static bool read_image(int memory, uint64_t base, struct image *image)
{
    return memory_read(memory, base, &image->header, sizeof(image->header)) == 0 &&
           memcmp(image->header.e_ident, ELFMAG, SELFMAG) == 0 && image->header.e_ident[EI_CLASS] == ELFCLASS64 &&
           image->header.e_phentsize == sizeof(Elf64_Phdr) && image->header.e_phnum <= SEGMENTS_MAX &&
           memory_read(memory, base + image->header.e_phoff, image->segments, image->header.e_phnum * sizeof(Elf64_Phdr)) == 0;
}

static const Elf64_Phdr *segment_of(const struct image *image, uint32_t type)
{
    for (unsigned i = 0; i < image->header.e_phnum; i++)
        if (image->segments[i].p_type == type)
            return &image->segments[i];
    return NULL;
}

/* Where code would be, code must be: a program may also just look into an ELF file. */
static bool is_loaded(const struct maps *maps, const struct image *image, uint64_t bias)
{
    for (unsigned i = 0; i < image->header.e_phnum; i++) {
        const Elf64_Phdr *segment = &image->segments[i];
        const struct map *map = maps_at(maps, bias + segment->p_vaddr);
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) && (!map || !map->executable))
            return false;
    }
    return true;
}

/* glibc relocates most pointers in there, where it may write. */
static uint64_t pointer(const struct object *object, uint64_t value)
{
    return value < object->base ? value + object->bias : value;
}

static void read_dynamic(int memory, struct object *object, uint64_t address, size_t count)
{
    Elf64_Dyn entries[DYNAMIC_MAX];
    count = count < DYNAMIC_MAX ? count : DYNAMIC_MAX;
    if (memory_read(memory, address, entries, count * sizeof(*entries)) < 0)
        return;
    for (size_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
        uint64_t value = pointer(object, entries[i].d_un.d_ptr);
        switch (entries[i].d_tag) {
        case DT_SYMTAB:
            object->symbols = value;
            break;
        case DT_STRTAB:
            object->strings = value;
            break;
        case DT_GNU_HASH:
            object->hash = value;
            break;
        case DT_VERSYM:
            object->versions = value;
            break;
        default:
            break;
        }
    }
}

static bool describe(const struct objects *objects, const struct map *map, struct object *ret_object)
{
    struct image image;
    const Elf64_Phdr *dynamic, *local;
    struct object object = {.base = map->start, .path = map->path};
    if (map->offset != 0 || !map->readable || !read_image(objects->memory, map->start, &image) ||
        (dynamic = segment_of(&image, PT_DYNAMIC)) == NULL)
        return false;
    const Elf64_Phdr *first = segment_of(&image, PT_LOAD);
    if (!first)
        return false;
    object.bias = map->start - (first->p_vaddr & ~(uint64_t)0xfff);
    if (!is_loaded(&objects->maps, &image, object.bias))
        return false;
    for (unsigned i = 0; i < image.header.e_phnum; i++)
        if (image.segments[i].p_type == PT_LOAD && object.bias + image.segments[i].p_vaddr + image.segments[i].p_memsz > object.end)
            object.end = object.bias + image.segments[i].p_vaddr + image.segments[i].p_memsz;
    if ((local = segment_of(&image, PT_TLS)) != NULL) {
        object.thread_image = object.bias + local->p_vaddr;
        object.thread_image_size = local->p_filesz;
    }
    read_dynamic(objects->memory, &object, object.bias + dynamic->p_vaddr, dynamic->p_memsz / sizeof(Elf64_Dyn));
    *ret_object = object;
    return true;
}

int objects_read(pid_t pid, int memory, struct objects *ret_objects)
{
    struct objects objects = {.memory = memory};
    int result = maps_read(pid, &objects.maps);
    if (result < 0)
        return result;
    objects.items = calloc(objects.maps.count + 1, sizeof(*objects.items));
    objects.reads_left = malloc(sizeof(*objects.reads_left));
    if (!objects.items || !objects.reads_left) {
        objects_free(&objects);
        return -ENOMEM;
    }
    *objects.reads_left = READS_MAX;
    for (size_t i = 0; i < objects.maps.count; i++)
        objects.count += describe(&objects, &objects.maps.items[i], &objects.items[objects.count]);
    *ret_objects = objects;
    return 0;
}

void objects_free(struct objects *objects)
{
    maps_free(&objects->maps);
    free(objects->items);
    free(objects->reads_left);
    *objects = (struct objects){.memory = -1};
}

const struct object *objects_at(const struct objects *objects, uint64_t address)
{
    for (size_t i = 0; i < objects->count; i++)
        if (address >= objects->items[i].base && address < objects->items[i].end)
            return &objects->items[i];
    return NULL;
}

bool objects_endless(const struct objects *objects)
{
    return *objects->reads_left == 0;
}

/* ---- symbols ---- */

static bool read_table_at(const struct objects *objects, uint64_t address, void *to, size_t size)
{
    if (*objects->reads_left == 0)
        return false;
    --*objects->reads_left;
    return memory_read(objects->memory, address, to, size) == 0;
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

struct table {
    uint32_t buckets, first, words, shift; /* as in the file */
    uint64_t bloom, bucket, chain;         /* addresses of its parts */
};

static bool read_table(const struct objects *objects, const struct object *object, struct table *table)
{
    uint32_t head[4];
    if (!object->hash || !object->symbols || !object->strings ||
        !read_table_at(objects, object->hash, head, sizeof(head)) || head[0] == 0 || head[2] == 0)
        return false;
    *table = (struct table){.buckets = head[0], .first = head[1], .words = head[2], .shift = head[3]};
    table->bloom = object->hash + sizeof(head);
    table->bucket = table->bloom + 8 * (uint64_t)table->words;
    table->chain = table->bucket + 4 * (uint64_t)table->buckets;
    return true;
}

static bool may_have(const struct objects *objects, const struct table *table, uint32_t hash)
{
    uint64_t word;
    if (!read_table_at(objects, table->bloom + 8 * (uint64_t)(hash / 64 % table->words), &word, sizeof(word)))
        return false;
    return (word >> (hash % 64) & 1) && (word >> ((hash >> table->shift) % 64) & 1);
}

static bool is_called(const struct objects *objects, const struct object *object, const Elf64_Sym *symbol, const char *name)
{
    char text[NAME_SIZE];
    memory_string(objects->memory, object->strings + symbol->st_name, text, sizeof(text));
    return symbol->st_shndx != SHN_UNDEF && strcmp(text, name) == 0;
}

/* Of several versions of a symbol one is not hidden: the default. */
static bool is_hidden(const struct objects *objects, const struct object *object, uint64_t index)
{
    uint16_t version;
    return object->versions && read_table_at(objects, object->versions + 2 * index, &version, sizeof(version)) &&
           (version & 0x8000) != 0;
}

bool symbol_find(const struct objects *objects, const struct object *object, const char *name, Elf64_Sym *ret_symbol)
{
    struct table table;
    Elf64_Sym symbol;
    uint32_t hash = gnu_hash(name), index, entry = 0;
    bool found = false;
    if (!read_table(objects, object, &table) || !may_have(objects, &table, hash) ||
        !read_table_at(objects, table.bucket + 4 * (uint64_t)(hash % table.buckets), &index, sizeof(index)) ||
        index < table.first)
        return false;
    for (; !(entry & 1); index++) {
        if (!read_table_at(objects, table.chain + 4 * (uint64_t)(index - table.first), &entry, sizeof(entry)))
            break;
        if ((entry | 1) != (hash | 1) ||
            !read_table_at(objects, object->symbols + index * sizeof(symbol), &symbol, sizeof(symbol)) ||
            !is_called(objects, object, &symbol, name))
            continue;
        bool hidden = is_hidden(objects, object, index);
        if (!found || !hidden)
            *ret_symbol = symbol;
        found = true;
        if (!hidden)
            break;
    }
    return found;
}

uint64_t symbol_address(const struct objects *objects, const struct object *object, const char *name)
{
    Elf64_Sym symbol;
    return symbol_find(objects, object, name, &symbol) ? object->bias + symbol.st_value : 0;
}

const struct object *symbol_definer(const struct objects *objects, const char *name)
{
    Elf64_Sym symbol;
    for (size_t i = 0; i < objects->count; i++)
        if (symbol_find(objects, &objects->items[i], name, &symbol))
            return &objects->items[i];
    return NULL;
}
