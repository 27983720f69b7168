/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "read/array.h"

static struct {
    struct pack_member *items; /* by name, the first of each before others */
    size_t count, room;
    struct stat file; /* whose they are, as it was then */
} kept;

static bool is_kept(const struct stat *file)
{
    return kept.count > 0 && kept.file.st_dev == file->st_dev && kept.file.st_ino == file->st_ino &&
           kept.file.st_size == file->st_size && kept.file.st_mtim.tv_sec == file->st_mtim.tv_sec &&
           kept.file.st_mtim.tv_nsec == file->st_mtim.tv_nsec;
}

static int compare_members(const void *left, const void *right)
{
    const struct pack_member *a = left, *b = right;
    int names = strcmp(a->name, b->name);
    return names ? names : (a->offset > b->offset) - (a->offset < b->offset);
}

static int keep(const struct source *pack, const struct stat *file)
{
    struct pack_member member;
    uint64_t offset = 0;
    kept.count = 0;
    while (pack_next(pack, &offset, &member) > 0) {
        struct pack_member *grown = array_grow(kept.items, &kept.room, kept.count, sizeof(*grown));
        if (!grown) {
            kept.count = 0;
            return -ENOMEM;
        }
        kept.items = grown;
        grown[kept.count++] = member;
    }
    if (kept.count > 0)
        qsort(kept.items, kept.count, sizeof(*kept.items), compare_members);
    kept.file = *file;
    return 0;
}

static size_t first_of(const char *name)
{
    size_t low = 0, high = kept.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(kept.items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int members_find(const struct source *pack, const char *name, struct pack_member *ret_member)
{
    struct stat file;
    if (fstat(pack->fd, &file) < 0)
        return -errno;
    int result = is_kept(&file) ? 0 : keep(pack, &file);
    if (result < 0)
        return result;
    size_t at = first_of(name);
    if (at == kept.count || strcmp(kept.items[at].name, name) != 0)
        return -ENOENT;
    *ret_member = kept.items[at];
    return 0;
}
