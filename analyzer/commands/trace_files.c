/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/trace_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/common.h"
#include "stray/format.h"

#define NAMES_TRIED 10000u

static int make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

/* The first name that is free. A descriptor, or a negative errno. */
static int make_trace(const char *folder, const char *name, pid_t pid, char **ret_path)
{
    int fd = -EEXIST;
    for (unsigned n = 0; n < NAMES_TRIED && fd == -EEXIST; n++) {
        char *path, number[16] = "";
        if (n > 0)
            snprintf(number, sizeof(number), ".%u", n);
        if (asprintf(&path, "%s/%s.%d%s" STRAY_TRACE_SUFFIX, folder, name, (int)pid, number) < 0)
            return -ENOMEM;
        fd = make_file(path);
        if (fd >= 0)
            *ret_path = path;
        else
            free(path);
    }
    return fd;
}

/* Not for appending: it is mapped. */
static int make_spool(struct trace_files *files, const char *elsewhere)
{
    const char *base = strrchr(files->trace_path, '/') + 1;
    char *beside;
    if (asprintf(&beside, "%s" STRAY_SPOOL_SUFFIX, files->trace_path) < 0)
        return -ENOMEM;
    files->spool_path = beside;
    if (elsewhere) {
        files->link = beside;
        if (asprintf(&files->spool_path, "%s/%s" STRAY_SPOOL_SUFFIX, elsewhere, base) < 0) {
            files->spool_path = NULL;
            return -ENOMEM;
        }
    }
    files->spool = open(files->spool_path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (files->spool < 0)
        return -errno;
    return files->link && symlink(files->spool_path, files->link) < 0 ? -errno : 0;
}

/* Who has prepared a folder for the traces is to read them, though root has made them. Not the spool, which the process has mapped: who
 * owns it could make it shorter. */
static void give_to_owner(const struct trace_files *files, const char *folder)
{
    struct stat info;
    if (geteuid() != 0 || stat(folder, &info) < 0 || info.st_uid == 0)
        return;
    if (fchown(files->trace, info.st_uid, (gid_t)-1) < 0)
        note("%s: stays root's: %s", files->trace_path, error_reason(-errno));
}

int trace_files_make(const char *folder, const char *elsewhere, const char *name, pid_t pid, struct trace_files *ret_files)
{
    struct trace_files files = {.trace = -1, .spool = -1};
    int result = make_trace(folder, name, pid, &files.trace_path);
    if (result < 0)
        return refuse(folder, error_reason(result));
    files.trace = result;
    result = make_spool(&files, elsewhere);
    if (result < 0) {
        refuse(files.spool_path ? files.spool_path : folder, error_reason(result));
        trace_files_remove(&files);
        return STATUS_REFUSED;
    }
    give_to_owner(&files, folder);
    *ret_files = files;
    return STATUS_DONE;
}

void trace_files_remove(struct trace_files *files)
{
    unlink(files->trace_path);
    if (files->spool >= 0)
        unlink(files->spool_path);
    if (files->link)
        unlink(files->link);
    trace_files_close(files);
}

void trace_files_close(struct trace_files *files)
{
    if (files->trace >= 0)
        close(files->trace);
    if (files->spool >= 0)
        close(files->spool);
    free(files->trace_path);
    free(files->spool_path);
    free(files->link);
    *files = (struct trace_files){.trace = -1, .spool = -1};
}

static bool is_closed_spool(int fd)
{
    struct stray_spool_header header;
    return pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
           memcmp(header.magic, STRAY_SPOOL_MAGIC, sizeof(header.magic)) == 0 && header.state == STRAY_SPOOL_CLOSED;
}

bool trace_files_ended(const struct trace_files *files)
{
    return is_closed_spool(files->spool);
}

static bool is_trace(const char *path)
{
    size_t length = strlen(path), size = strlen(STRAY_TRACE_SUFFIX);
    return length > size && strcmp(path + length - size, STRAY_TRACE_SUFFIX) == 0 && access(path, F_OK) == 0;
}

char *trace_files_find(pid_t pid)
{
    char name[64], path[PATH_MAX], *found = NULL;
    snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(name);
    if (!folder)
        return NULL;
    for (const struct dirent *entry; !found && (entry = readdir(folder)) != NULL;) {
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, path, sizeof(path) - 1);
        path[length > 0 ? length : 0] = '\0';
        if (is_trace(path))
            found = strdup(path);
    }
    closedir(folder);
    return found;
}

/* The folder itself, whatever comes to be called as it is. */
static int folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) : 0;
    if (snprintf(folder, sizeof(folder), "%.*s/", length, path) >= (int)sizeof(folder))
        return -1;
    return open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Links in the folder, and what the process has open, may be of others' making: what is no spool that has ended stays. True: it is
 * gone, by us or before. */
static bool remove_closed(int folder, const char *base)
{
    int fd = openat(folder, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    bool closed = is_closed_spool(fd);
    close(fd);
    return closed && unlinkat(folder, base, 0) == 0;
}

static void remove_with_link(int folder, const char *base, const char *elsewhere)
{
    int other = strcmp(base_of(elsewhere), base) == 0 ? folder_of(elsewhere) : -1;
    if (other < 0)
        return;
    if (remove_closed(other, base))
        unlinkat(folder, base, 0);
    close(other);
}

void trace_files_remove_spool(const char *path)
{
    char base[NAME_MAX + 1], elsewhere[PATH_MAX];
    int folder = folder_of(path);
    if (folder < 0)
        return;
    if (snprintf(base, sizeof(base), "%s" STRAY_SPOOL_SUFFIX, base_of(path)) < (int)sizeof(base)) {
        ssize_t length = readlinkat(folder, base, elsewhere, sizeof(elsewhere) - 1);
        elsewhere[length > 0 ? length : 0] = '\0';
        if (length > 0)
            remove_with_link(folder, base, elsewhere);
        else
            remove_closed(folder, base);
    }
    close(folder);
}
