/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/beside.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *beside_find(const char *const *places, size_t count)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length <= 0)
        return NULL;
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    for (size_t i = 0; i < count; i++) {
        char *candidate, *path;
        if (asprintf(&candidate, "%s/%s", self, places[i]) < 0)
            return NULL;
        path = realpath(candidate, NULL);
        free(candidate);
        if (path)
            return path;
    }
    return NULL;
}
