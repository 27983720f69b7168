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

int output_write(const char *path, output_writer *writer, void *data)
{
    if (!path || strcmp(path, "-") == 0) {
        int result = writer(data, stdout);
        if (result < 0 && result != -EIO)
            return fail("standard output: %s", error_reason(result));
        return output_finish();
    }
    FILE *out = open_output(path);
    if (!out)
        return fail("%s: %s", path, error_reason(-errno));
    int result = writer(data, out);
    errno = 0;
    if (fclose(out) != 0 || result < 0)
        return fail("%s: %s", path, error_reason(errno ? -errno : result < 0 ? result : -EIO));
    return STATUS_DONE;
}
