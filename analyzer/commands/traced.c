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
#include <sys/stat.h>
#include <unistd.h>

#include "commands/common.h"
#include "commands/shim.h"

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

static bool is_before(const struct timespec *time, const struct timespec *other)
{
    return time->tv_sec < other->tv_sec || (time->tv_sec == other->tv_sec && time->tv_nsec < other->tv_nsec);
}

/* NAME.PID.stray, or NAME.PID.N.stray after an exec, in a folder that was made here; the one that was written to last. */
static char *named_here(uint64_t pid)
{
    char pattern[64];
    glob_t found;
    char *path = NULL;
    snprintf(pattern, sizeof(pattern), "stray.*/*.%" PRIu64 "*" SUFFIX, pid);
    if (glob(pattern, 0, NULL, &found) != 0)
        return NULL;
    snprintf(pattern, sizeof(pattern), ".%" PRIu64 ".", pid);
    const char *newest = NULL;
    struct timespec written = {0};
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct stat info;
        if (strstr(strrchr(found.gl_pathv[i], '/'), pattern) && stat(found.gl_pathv[i], &info) == 0 &&
            (!newest || !is_before(&info.st_mtim, &written))) {
            newest = found.gl_pathv[i];
            written = info.st_mtim;
        }
    }
    path = newest ? strdup(newest) : NULL;
    globfree(&found);
    return path;
}

/* The library stays in a process that was traced. */
static bool has_shim(uint64_t pid)
{
    char name[64], *line = NULL;
    size_t room = 0;
    bool found = false;
    snprintf(name, sizeof(name), "/proc/%" PRIu64 "/maps", pid);
    FILE *maps = fopen(name, "re");
    while (maps && !found && getline(&line, &room, maps) >= 0)
        found = strstr(line, "/" SHIM_NAME) != NULL;
    free(line);
    if (maps)
        fclose(maps);
    return found;
}

static char *trace_left_behind(uint64_t pid)
{
    char *path = named_here(pid);
    if (path)
        note("%" PRIu64 ": is no longer traced: this was its last trace here", pid);
    else if (has_shim(pid))
        fail("%" PRIu64 ": is no longer traced (say where its trace is instead)", pid);
    else
        fail("%" PRIu64 ": is not traced (see stray run, stray attach)", pid);
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
    int why = errno;
    if (!path && folder)
        path = trace_left_behind(pid);
    else if (!path && !(path = named_here(pid)))
        fail("%" PRIu64 ": its trace cannot be found: %s: %s", pid, name, error_reason(-why));
    if (folder)
        closedir(folder);
    return path;
}
