/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "commands/common.h"
#include "outfile.h"

/* What was printed before comes first. */
static int open_standard_output(void)
{
    return fflush(stdout) == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0) : -1;
}

int output_write(const char *path, output_writer *writer, void *data)
{
    bool standard = !path || strcmp(path, "-") == 0;
    const char *name = standard ? "standard output" : path;
    struct outfile file;
    int fd = standard ? open_standard_output() : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int result = outfile_open(&file, fd);
    if (result < 0)
        return fail("%s: %s", name, error_reason(result));
    int written = writer(data, file.stream);
    result = outfile_close(&file);
    if (result < 0 || written < 0)
        return fail("%s: %s", name, error_reason(result < 0 ? result : written));
    return STATUS_DONE;
}
