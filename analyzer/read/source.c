/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read/pack.h"

static int standard_input = -1;

void source_set_standard_input(int fd)
{
    standard_input = fd;
}

bool source_is_standard_input(const char *path)
{
    return standard_input >= 0 && strcmp(path, "-") == 0;
}

static int open_path(const char *path)
{
    if (source_is_standard_input(path))
        return fcntl(standard_input, F_DUPFD_CLOEXEC, 0);
    if (standard_input >= 0 && strncmp(path, "-/", 2) == 0) {
        errno = ENOTDIR;
        return -1;
    }
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

int source_open(const char *path, struct source *ret_source)
{
    int fd = open_path(path);
    if (fd < 0 && errno == ENOTDIR)
        return pack_open(path, ret_source);
    if (fd < 0)
        return -errno;
    struct stat info;
    int result = 0;
    if (fstat(fd, &info) < 0)
        result = -errno;
    else if (S_ISDIR(info.st_mode))
        result = -EISDIR;
    else if (!S_ISREG(info.st_mode))
        result = -EBADMSG;
    if (result < 0) {
        close(fd);
        return result;
    }
    *ret_source = (struct source){.fd = fd, .size = (uint64_t)info.st_size};
    return 0;
}

void source_close(struct source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
}

int source_read(const struct source *source, uint64_t offset, void *buffer, size_t size)
{
    if (offset > source->size || size > source->size - offset)
        return -ENODATA;
    uint8_t *out = buffer;
    while (size > 0) {
        ssize_t got = pread(source->fd, out, size, (off_t)(source->base + offset));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -ENODATA;
        out += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return 0;
}

int source_put(int fd, uint64_t offset, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t done = pwrite(fd, from, size, (off_t)offset);
        if (done < 0)
            return -errno;
        from += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return 0;
}
