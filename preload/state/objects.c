/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/objects.h"

#include <link.h>

struct search {
    struct objects *objects;
    struct text *path; /* NULL: all are to be noted */
    uint64_t address;
};

static unsigned index_of(const struct objects *objects, uint64_t address)
{
    unsigned index = 0;
    while (index < objects->count && objects->known[index] != address)
        index++;
    return index;
}

bool objects_are_full(const struct objects *objects)
{
    return objects->count == OBJECTS_MAX;
}

static int note_one(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *search = data;
    struct objects *objects = search->objects;
    if (index_of(objects, info->dlpi_addr) < objects->count || objects_are_full(objects))
        return 0;
    objects->known[objects->count++] = info->dlpi_addr;
    if (!search->path)
        return 0;
    search->address = info->dlpi_addr;
    text_string(search->path, info->dlpi_name);
    return 1;
}

void objects_note_all(struct objects *objects)
{
    struct search search = {.objects = objects};
    dl_iterate_phdr(note_one, &search);
}

bool objects_next(struct objects *objects, struct text *path, uint64_t *ret_address)
{
    struct search search = {.objects = objects, .path = path};
    if (!dl_iterate_phdr(note_one, &search))
        return false;
    *ret_address = search.address;
    return true;
}

void objects_unknow(struct objects *objects, uint64_t address)
{
    unsigned index = index_of(objects, address);
    if (index < objects->count)
        objects->known[index] = objects->known[--objects->count];
}

static int mark_one(struct dl_phdr_info *info, size_t size, void *data)
{
    struct objects *objects = data;
    unsigned index = index_of(objects, info->dlpi_addr);
    if (index < objects->count)
        objects->still_there[index] = true;
    return 0;
}

void objects_forget(struct objects *objects)
{
    __builtin_memset(objects->still_there, 0, sizeof(objects->still_there));
    dl_iterate_phdr(mark_one, objects);
    unsigned count = 0;
    for (unsigned i = 0; i < objects->count; i++)
        if (objects->still_there[i])
            objects->known[count++] = objects->known[i];
    objects->count = count;
}
