/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/thread_block.h"

#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "attach/arch.h"
#include "attach/memory.h"

#define PARTS_MAX      (sizeof(((struct thread_layout *)0)->parts) / sizeof(((struct thread_layout *)0)->parts[0]))
#define OBJECTS_MAX    100000u
#define OFFSET_MAX     (UINT64_C(1) << 24) /* glibc marks with -1 what has no static storage */
#define ROOM           4096u               /* for what is loaded meanwhile */
#define VECTOR_ENTRIES 4096u
#define ALIGNED(size)  (((size) + 63) & ~UINT64_C(63))

/* How libc describes a field to debuggers. */
struct field {
    uint32_t bits, count, offset;
};

struct vector_entry {
    uint64_t value, to_free;
};

static int read_field(const struct objects *objects, const struct object *libc, const char *name, uint32_t *ret_offset)
{
    struct field field = {0};
    uint64_t address = symbol_address(objects, libc, name);
    int result = address ? memory_read(objects->memory, address, &field, sizeof(field)) : -ENOTSUP;
    *ret_offset = field.offset;
    return result;
}

static const struct object *object_with(const struct objects *objects, const struct link_map *map)
{
    for (size_t i = 0; i < objects->count; i++)
        if (objects->items[i].bias == map->l_addr && objects->items[i].thread_image)
            return &objects->items[i];
    return NULL;
}

static void add_part(struct thread_layout *layout, const struct object *object, uint64_t offset)
{
    if (!object || offset == 0 || offset >= OFFSET_MAX || object->thread_image_size > offset || layout->count == PARTS_MAX)
        return;
    layout->parts[layout->count].object = object;
    layout->parts[layout->count++].offset = offset;
    layout->size = offset > layout->size ? offset : layout->size;
}

static int read_parts(const struct objects *objects, uint32_t offset, struct thread_layout *layout)
{
    const struct object *linker = symbol_definer(objects, "_r_debug");
    struct r_debug debug;
    struct link_map map;
    uint64_t place;
    if (!linker)
        return -ENOTSUP;
    int result = memory_read(objects->memory, symbol_address(objects, linker, "_r_debug"), &debug, sizeof(debug));
    uint64_t at = (uint64_t)(uintptr_t)debug.r_map;
    for (unsigned i = 0; result == 0 && at && i < OBJECTS_MAX; i++, at = (uint64_t)(uintptr_t)map.l_next) {
        result = memory_read(objects->memory, at, &map, sizeof(map));
        if (result == 0)
            result = memory_read(objects->memory, at + offset, &place, sizeof(place));
        if (result == 0)
            add_part(layout, object_with(objects, &map), place);
    }
    return result;
}

int thread_layout_read(const struct objects *objects, const struct object *libc, struct thread_layout *ret_layout)
{
    uint32_t size, tid = 0, offset = 0;
    uint64_t address = symbol_address(objects, libc, "_thread_db_sizeof_pthread");
    *ret_layout = (struct thread_layout){0};
    if (!address)
        return -ENOTSUP;
    int result = memory_read(objects->memory, address, &size, sizeof(size));
    if (result == 0)
        result = read_field(objects, libc, "_thread_db_pthread_tid", &tid);
    if (result == 0)
        result = read_field(objects, libc, "_thread_db_link_map_l_tls_offset", &offset);
    if (result < 0)
        return result;
    if (size >= OFFSET_MAX)
        return -ENOTSUP;
    ret_layout->block_size = size;
    ret_layout->tid = tid;
    return read_parts(objects, offset, ret_layout);
}

uint64_t thread_errno(const struct objects *objects, const struct object *libc, const struct thread_layout *layout,
                      uint64_t thread_pointer)
{
    Elf64_Sym symbol;
    for (size_t i = 0; i < layout->count; i++)
        if (layout->parts[i].object == libc && symbol_find(objects, libc, "errno", &symbol))
            return arch_thread_local(thread_pointer, layout->parts[i].offset, symbol.st_value);
    return 0;
}

/* Static storage, struct pthread, vector. */
static uint64_t pointer_offset(const struct thread_layout *layout)
{
    return ALIGNED(layout->size + ROOM);
}

static uint64_t vector_offset(const struct thread_layout *layout)
{
    return pointer_offset(layout) + ALIGNED(layout->block_size + ROOM);
}

size_t thread_block_size(const struct thread_layout *layout)
{
    return vector_offset(layout) + (VECTOR_ENTRIES + 2) * sizeof(struct vector_entry);
}

/* All storage is there or can be found, none was allocated: libc's own mark for that. */
static void fill_vector(uint8_t *bytes)
{
    const struct vector_entry length = {.value = VECTOR_ENTRIES}, unallocated = {.value = ~UINT64_C(0)};
    memcpy(bytes, &length, sizeof(length));
    for (size_t i = 1; i <= VECTOR_ENTRIES; i++)
        memcpy(bytes + (i + 1) * sizeof(unallocated), &unallocated, sizeof(unallocated));
}

int thread_block_make(const struct objects *objects, const struct thread_layout *layout, uint64_t like, uint8_t *bytes, uint64_t at,
                      uint64_t *ret_pointer)
{
    uint8_t block[ARCH_THREAD_BLOCK];
    uint64_t middle = pointer_offset(layout), vector = vector_offset(layout);
    int result = memory_read(objects->memory, like, block, sizeof(block));
    memset(bytes, 0, thread_block_size(layout));
    for (size_t i = 0; i < layout->count && result == 0; i++) {
        const struct object *object = layout->parts[i].object;
        result = memory_read(objects->memory, object->thread_image, bytes + arch_thread_local(middle, layout->parts[i].offset, 0),
                             object->thread_image_size);
    }
    fill_vector(bytes + vector);
    arch_thread_block(bytes + middle, block, at + middle, at + vector + sizeof(struct vector_entry));
    *ret_pointer = at + middle;
    return result;
}
