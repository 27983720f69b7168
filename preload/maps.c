/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "maps.h"

#include "sys.h"

#define MAPS_MAX 131072u /* the kernel's own limit is 65530, unless it was raised */

struct map {
    uintptr_t start, end;
    int protection;
};

struct reader {
    struct maps *maps;
    struct map map;
    unsigned field; /* 0: start, 1: end, 2: permissions, 3: the rest of the line */
};

static unsigned digit(char c)
{
    return c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0');
}

/* "7f00-7f01 r-xp ...", byte by byte, so that it does not matter where one reading ends. */
static void take_byte(struct reader *reader, char byte)
{
    if (byte == '\n') {
        if (reader->maps->count < MAPS_MAX)
            reader->maps->list[reader->maps->count++] = reader->map;
        reader->map = (struct map){0};
        reader->field = 0;
    } else if (reader->field < 3 && (byte == '-' ? reader->field == 0 : byte == ' ')) {
        reader->field++;
    } else if (reader->field == 0) {
        reader->map.start = reader->map.start << 4 | digit(byte);
    } else if (reader->field == 1) {
        reader->map.end = reader->map.end << 4 | digit(byte);
    } else if (reader->field == 2) {
        reader->map.protection |= byte == 'r' ? PROT_READ : byte == 'w' ? PROT_WRITE : byte == 'x' ? PROT_EXEC : 0;
    }
}

bool maps_read(struct maps *ret_maps)
{
    char buffer[1024];
    ssize_t size = -1;
    struct reader reader = {.maps = ret_maps};
    int fd = sys_open("/proc/self/maps", O_RDONLY, 0);
    *ret_maps = (struct maps){.list = fd >= 0 ? sys_memory(MAPS_MAX * sizeof(struct map)) : NULL};
    while (ret_maps->list && (size = sys_read(fd, buffer, sizeof(buffer))) > 0)
        for (ssize_t i = 0; i < size; i++)
            take_byte(&reader, buffer[i]);
    if (fd >= 0)
        sys_close(fd);
    if (size != 0 && ret_maps->list) {
        maps_free(ret_maps);
        ret_maps->list = NULL;
    }
    return size == 0;
}

void maps_free(const struct maps *maps)
{
    sys_munmap(maps->list, MAPS_MAX * sizeof(struct map));
}

int maps_protection(const struct maps *maps, uintptr_t address)
{
    size_t low = 0, high = maps->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (maps->list[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < maps->count && maps->list[low].start <= address ? maps->list[low].protection : -1;
}
