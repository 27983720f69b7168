/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/maps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse(char *line, struct map *ret_map)
{
    char rights[5];
    int path = 0;
    struct map map = {0};
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %" SCNu64 " %n", &map.start, &map.end, rights, &map.offset,
               &map.inode, &path) < 5)
        return -EINVAL;
    map.readable = rights[0] == 'r';
    map.executable = rights[2] == 'x';
    map.path = strdup(path > 0 ? line + path : "");
    if (!map.path)
        return -ENOMEM;
    *ret_map = map;
    return 0;
}

static int append(struct maps *maps, char *line)
{
    if ((maps->count & (maps->count - 1)) == 0) {
        struct map *more = reallocarray(maps->items, maps->count ? 2 * maps->count : 1, sizeof(*more));
        if (!more)
            return -ENOMEM;
        maps->items = more;
    }
    int result = parse(line, &maps->items[maps->count]);
    if (result == 0)
        maps->count++;
    return result;
}

int maps_read(pid_t pid, struct maps *ret_maps)
{
    char path[64], *line = NULL;
    size_t size = 0;
    struct maps maps = {0};
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    int result = 0;
    while (result == 0 && getline(&line, &size, file) > 0)
        result = append(&maps, line);
    free(line);
    fclose(file);
    if (result < 0)
        maps_free(&maps);
    else
        *ret_maps = maps;
    return result;
}

void maps_free(struct maps *maps)
{
    for (size_t i = 0; i < maps->count; i++)
        free(maps->items[i].path);
    free(maps->items);
    *maps = (struct maps){0};
}

const struct map *maps_at(const struct maps *maps, uint64_t address)
{
    for (size_t low = 0, high = maps->count; low < high;) {
        size_t middle = (low + high) / 2;
        const struct map *map = &maps->items[middle];
        if (address < map->start)
            high = middle;
        else if (address >= map->end)
            low = middle + 1;
        else
            return map;
    }
    return NULL;
}
