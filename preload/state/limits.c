/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/limits.h"

#include <limits.h>

#include "record/emit.h"
#include "sys.h"
#include "text.h"

#define NONE         UINT64_MAX
#define UNLIMITED    (UINT64_C(1) << 60) /* version 1 says "no limit" by a number near 2^63 */
#define LEVELS       16                  /* of cgroups, outwards */
#define CGROUP_MAX   256                 /* a longer path is not looked at */

static uint64_t told[STRAY_LIMIT_MEMORY + 1];

static void tell(unsigned limit, uint64_t value)
{
    if (__atomic_exchange_n(&told[limit], value, __ATOMIC_RELAXED) != value)
        emit_system(STRAY_LIMIT, limit, value);
}

/* NONE: there is no such file, or no limit in it. */
static uint64_t number_in(const char *path)
{
    char text[32];
    int fd = sys_open(path, O_RDONLY, 0);
    ssize_t size = fd < 0 ? -1 : sys_read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        sys_close(fd);
    text[size > 0 ? size : 0] = 0;
    uint64_t number = string_number(text);
    return text[0] >= '0' && text[0] <= '9' && number < UNLIMITED ? number : NONE;
}

/* The smallest limit of the group and of those it lies in. */
static uint64_t limit_upwards(const char *mount, struct text *group, const char *file)
{
    uint64_t limit = NONE;
    for (unsigned level = 0; level < LEVELS; level++) {
        char path[CGROUP_MAX + 64];
        struct text name = TEXT(path);
        text_string(&name, mount);
        text_string(&name, group->at);
        text_string(&name, file);
        uint64_t here = name.cut ? NONE : number_in(path);
        limit = here < limit ? here : limit;
        if (group->used == 0)
            break;
        while (group->used > 0 && group->at[--group->used] != '/')
            ;
        group->at[group->used] = 0;
    }
    return limit;
}

/* A line of /proc/self/cgroup: "0::/a/b" of version 2, "4:memory:/a/b" of version 1. */
static uint64_t limit_of_line(const char *line, size_t length)
{
    char path[CGROUP_MAX];
    struct text group = TEXT(path);
    path[0] = 0;
    const char *controller = line;
    while (*controller && *controller != ':')
        controller++;
    bool unified = string_begins(controller, "::"), memory = string_begins(controller, ":memory:");
    if (!unified && !memory)
        return NONE;
    const char *from = controller + (unified ? 2 : 8);
    if (from > line + length)
        return NONE;
    text_bytes(&group, from, (size_t)(line + length - from));
    if (group.used == 1) /* "/": the root */
        group.used = 0;
    path[group.used] = 0;
    if (group.cut)
        return NONE;
    return unified ? limit_upwards("/sys/fs/cgroup", &group, "/memory.max")
                   : limit_upwards("/sys/fs/cgroup/memory", &group, "/memory.limit_in_bytes");
}

static uint64_t memory_limit(void)
{
    char text[1024];
    uint64_t limit = NONE;
    int fd = sys_open("/proc/self/cgroup", O_RDONLY, 0);
    ssize_t size = fd < 0 ? -1 : sys_read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        sys_close(fd);
    text[size > 0 ? size : 0] = 0;
    for (const char *line = text; *line;) {
        size_t length = 0;
        while (line[length] && line[length] != '\n')
            length++;
        uint64_t here = limit_of_line(line, length);
        limit = here < limit ? here : limit;
        line += length + (line[length] == '\n');
    }
    return limit;
}

void limits_tell(void)
{
    struct rlimit files;
    if (sys_getrlimit(RLIMIT_NOFILE, &files) == 0)
        tell(STRAY_LIMIT_DESCRIPTORS, files.rlim_cur == RLIM_INFINITY ? NONE : files.rlim_cur);
    tell(STRAY_LIMIT_MEMORY, memory_limit());
}

void limits_begin(void)
{
    __builtin_memset(told, 0, sizeof(told));
}
