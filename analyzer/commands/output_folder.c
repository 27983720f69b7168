/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/output_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/common.h"
#include "commands/shim.h"
#include "stray/format.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Makes one folder, unless it is there, and counts in `made` the levels at its end that are new. -errno. */
static int make_level(const char *path, unsigned *made)
{
    if (mkdir(path, 0700) == 0)
        *made += 1;
    else if (errno == EEXIST)
        *made = 0;
    else
        return -errno;
    return 0;
}

/* Makes `path` and what is missing above it. -errno. */
static int make_folder(char *path, unsigned *made)
{
    int result = make_level(path, made);
    char *slash = strrchr(path, '/');
    if (result != -ENOENT || !slash || slash == path)
        return result;
    *slash = '\0';
    result = make_folder(path, made);
    *slash = '/';
    return result < 0 ? result : make_level(path, made);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

/* 1: it holds traces or spools; 0: it does not; negative errno. */
static int holds_traces(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return -errno;
    int found = 0;
    for (const struct dirent *entry; !found && (entry = readdir(folder)) != NULL;)
        found = ends_with(entry->d_name, STRAY_TRACE_SUFFIX) || ends_with(entry->d_name, STRAY_SPOOL_SUFFIX);
    closedir(folder);
    return found;
}

/* Whether files can be made there: what access() grants to root is more than some file systems do. -errno. */
static int try_file(const char *folder)
{
    char *path;
    if (asprintf(&path, "%s/.stray.%d", folder, (int)getpid()) < 0)
        return -ENOMEM;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), result = fd < 0 ? -errno : 0;
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    free(path);
    return result == -EEXIST ? 0 : result;
}

const char *output_folder_chosen(const char *given)
{
    const char *preloaded = getenv("LD_PRELOAD"), *output = getenv("STRAY_OUTPUT");
    bool traced = preloaded && strstr(preloaded, SHIM_NAME);
    return given ? given : output && *output && !traced ? output : NULL;
}

/* With a slash at its end the last level would seem to be there already. */
static void drop_slashes(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
}

void output_folder_undo(const char *path, unsigned made)
{
    char *folder = strdup(path);
    for (unsigned i = 0; folder && i < made && rmdir(folder) == 0; i++)
        *strrchr(folder, '/') = '\0';
    free(folder);
}

int output_folder_prepare(const char *given, bool force, const char *command, pid_t pid, char **ret_path, unsigned *ret_made)
{
    char *folder;
    unsigned made = 0;
    if (given && (!*given || strcmp(given, "-") == 0))
        return refuse("-o", "traces need a folder that has a name");
    if (given ? (folder = strdup(given)) == NULL : asprintf(&folder, "stray.%s.%d", base_name(command), (int)pid) < 0)
        return refuse(command, error_reason(-ENOMEM));
    drop_slashes(folder);
    int result = make_folder(folder, &made);
    int holds = result == 0 ? holds_traces(folder) : result;
    char *path = holds >= 0 ? realpath(folder, NULL) : NULL;
    int status = STATUS_DONE, tried = 0;
    if (holds < 0 || !path)
        status = refuse(folder, error_reason(holds < 0 ? holds : -errno));
    else if (holds > 0 && !force)
        status = refuse(folder, "already holds traces (--force: use it all the same)");
    else if ((tried = try_file(path)) < 0)
        status = refuse(folder, error_reason(tried));
    free(folder);
    if (status != STATUS_DONE) {
        if (path)
            output_folder_undo(path, made);
        free(path);
        return status;
    }
    *ret_path = path;
    *ret_made = made;
    return STATUS_DONE;
}
