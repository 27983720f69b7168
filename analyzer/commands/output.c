/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "commands/common.h"

static FILE *open_output(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out && fd >= 0)
        close(fd);
    return out;
}

/* A stream that failed only says that it did. Its reason is the last that there was. */
static int write_by(output_writer *writer, void *data, FILE *out)
{
    errno = 0;
    int result = writer(data, out);
    return result == -EIO && errno ? -errno : result;
}

int output_write(const char *path, output_writer *writer, void *data)
{
    if (!path || strcmp(path, "-") == 0) {
        int result = write_by(writer, data, stdout);
        if (result < 0 && result != -EIO)
            return fail("standard output: %s", error_reason(result));
        return output_finish();
    }
    FILE *out = open_output(path);
    if (!out)
        return fail("%s: %s", path, error_reason(-errno));
    int result = write_by(writer, data, out);
    errno = 0;
    if (fclose(out) != 0 || result < 0)
        return fail("%s: %s", path, error_reason(result < 0 ? result : errno ? -errno : -EIO));
    return STATUS_DONE;
}
