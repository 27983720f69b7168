/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outfile.h"

#include <errno.h>
#include <unistd.h>

/* All of it, or 0 as fopencookie(3) wants of a failure: stdio then gives up. */
static ssize_t write_all(void *cookie, const char *bytes, size_t size)
{
    struct outfile *file = cookie;
    for (size_t done = 0; done < size;) {
        ssize_t result = write(file->fd, bytes + done, size - done);
        if (result < 0 && errno == EINTR)
            continue;
        if (result < 0) {
            file->error = file->error ? file->error : errno;
            return 0;
        }
        done += (size_t)result;
    }
    return (ssize_t)size;
}

static int close_descriptor(void *cookie)
{
    struct outfile *file = cookie;
    return close(file->fd);
}

int outfile_open(struct outfile *file, int fd)
{
    if (fd < 0)
        return -errno;
    *file = (struct outfile){.fd = fd};
    file->stream = fopencookie(file, "w", (cookie_io_functions_t){.write = write_all, .close = close_descriptor});
    if (file->stream)
        return 0;
    close(fd);
    return -ENOMEM;
}

int outfile_close(struct outfile *file)
{
    int result = fclose(file->stream) == 0 ? 0 : -errno;
    return file->error ? -file->error : result;
}
