/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what the user names to the trace files meant. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "read/array.h"
#include "read/pack.h"
#include "read/trace.h"

struct found {
    char **list;
    size_t count, room;
    bool left_out; /* an empty one */
};

void paths_free(char **paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
}

static int add_path(struct found *found, char *path)
{
    char **grown = path ? array_grow(found->list, &found->room, found->count, sizeof(*grown)) : NULL;
    if (!grown) {
        free(path);
        return -ENOMEM;
    }
    found->list = grown;
    grown[found->count++] = path;
    return 0;
}

static bool has_suffix(const char *name)
{
    size_t length = strlen(name), suffix = strlen(STRAY_TRACE_SUFFIX);
    return length > suffix && strcmp(name + length - suffix, STRAY_TRACE_SUFFIX) == 0;
}

/* Of a folder, an empty file is no trace: its process was killed between making it and writing its header, or is about to write
 * it. The other traces must not be unreadable for that. */
static int add_from_folder(struct found *found, const char *folder, const char *name)
{
    const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
    char *path;
    struct stat info;
    if (asprintf(&path, "%s%s%s", folder, slash, name) < 0)
        return -ENOMEM;
    bool known = stat(path, &info) == 0, empty = known && S_ISREG(info.st_mode) && info.st_size == 0;
    found->left_out |= empty;
    if (empty || (known && !S_ISREG(info.st_mode))) {
        free(path);
        return 0;
    }
    return add_path(found, path);
}

static int list_folder(struct found *found, const char *folder)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return -errno;
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (errno = 0, entry = readdir(stream)))
        if (has_suffix(entry->d_name))
            result = add_from_folder(found, folder, entry->d_name);
    if (result == 0 && errno)
        result = -errno;
    closedir(stream);
    return result;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static int list_pack(struct found *found, const struct source *source, const char *path)
{
    struct pack_member member;
    uint64_t offset = 0;
    int result = 0;
    while (result == 0 && pack_next(source, &offset, &member) > 0) {
        char *inside;
        if (!has_suffix(member.name) || strchr(member.name, '/'))
            continue;
        if (asprintf(&inside, "%s/%s", path, member.name) < 0)
            return -ENOMEM;
        result = add_path(found, inside);
    }
    return result;
}

/* What is no packed file is taken for a trace; whoever opens it will see. */
static int find_in_file(struct found *found, const char *path)
{
    struct source source;
    if (source_open(path, &source) < 0)
        return add_path(found, strdup(path));
    int result = pack_is(&source) ? list_pack(found, &source, path) : add_path(found, strdup(path));
    source_close(&source);
    return result;
}

static int find(const char *path, struct found *found)
{
    struct stat info;
    int missing = source_is_standard_input(path) ? ENOTDIR : stat(path, &info) < 0 ? errno : 0;
    if (missing && missing != ENOTDIR) /* below a file: a packed one has members */
        return -missing;
    bool folder = !missing && S_ISDIR(info.st_mode);
    int result = folder ? list_folder(found, path) : find_in_file(found, path);
    if (result == 0 && found->count > 0)
        qsort(found->list, found->count, sizeof(*found->list), compare_names);
    return result;
}

int trace_find(const char *path, char ***ret_paths, size_t *ret_count, struct error *error)
{
    struct found found = {0};
    int result = find(path, &found);
    if (result < 0) {
        paths_free(found.list, found.count);
        return error_set(error, result, "%s: %s", path, error_reason(result));
    }
    if (found.count == 0)
        return error_set(error, -ENOENT, "%s: no traces (*%s) in it%s", path, STRAY_TRACE_SUFFIX,
                         found.left_out ? " but empty ones, of processes that had only begun" : "");
    *ret_paths = found.list;
    *ret_count = found.count;
    return 0;
}
