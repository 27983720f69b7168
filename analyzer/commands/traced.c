/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/traced.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/common.h"

#define SUFFIX ".stray"

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), size = strlen(suffix);
    return length > size && strcmp(text + length - size, suffix) == 0;
}

/* The process keeps its trace open. `folder`: of its descriptors. */
static char *open_in(DIR *folder)
{
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        char path[PATH_MAX];
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, path, sizeof(path) - 1);
        path[length > 0 ? length : 0] = '\0';
        if (ends_with(path, SUFFIX) && access(path, F_OK) == 0)
            return strdup(path);
    }
    return NULL;
}

/* Where its descriptors are not for us to see: NAME.PID.stray, or NAME.PID.N.stray after an exec, in a folder that was made here;
 * the last in the order of names. */
static char *named_here(uint64_t pid)
{
    char pattern[64];
    glob_t found;
    char *path = NULL;
    snprintf(pattern, sizeof(pattern), "stray.*/*.%" PRIu64 "*" SUFFIX, pid);
    if (glob(pattern, 0, NULL, &found) != 0)
        return NULL;
    snprintf(pattern, sizeof(pattern), ".%" PRIu64 ".", pid);
    for (size_t i = found.gl_pathc; i-- > 0 && !path;)
        if (strstr(strrchr(found.gl_pathv[i], '/'), pattern))
            path = strdup(found.gl_pathv[i]);
    globfree(&found);
    return path;
}

char *traced_path(uint64_t pid)
{
    char name[64];
    snprintf(name, sizeof(name), "/proc/%" PRIu64, pid);
    if (access(name, F_OK) != 0) {
        fail("%" PRIu64 ": there is no such process", pid);
        return NULL;
    }
    snprintf(name, sizeof(name), "/proc/%" PRIu64 "/fd", pid);
    DIR *folder = opendir(name);
    char *path = folder ? open_in(folder) : NULL;
    if (!path)
        path = named_here(pid);
    if (!path && !folder)
        fail("%" PRIu64 ": its trace cannot be found: %s: %s", pid, name, strerror(errno));
    else if (!path)
        fail("%" PRIu64 ": is not traced (see stray run, stray attach)", pid);
    if (folder)
        closedir(folder);
    return path;
}
