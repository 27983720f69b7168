/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who the trace's process is, and whether it is alive. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "read/inside.h"
#include "read/pack.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

/* The beginning of a small file as a string. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    if (got < 0)
        return false;
    text[got] = '\0';
    return true;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The running kernel's boot id: 16 bytes written as hexadecimal digits with hyphens between some. */
static bool read_boot_id(uint8_t id[16])
{
    char text[64];
    if (!read_text(BOOT_ID_PATH, text, sizeof(text)))
        return false;
    unsigned digits = 0;
    for (const char *p = text; *p && digits < 32; p++) {
        int digit = hex_digit(*p);
        if (digit < 0)
            continue;
        id[digits / 2] = (uint8_t)(digits % 2 ? id[digits / 2] << 4 | digit : digit);
        digits++;
    }
    return digits == 32;
}

/* Field 22 of /proc/PID/stat. The second field, a name in brackets, may hold anything, so fields count from
 * the last bracket. False for a process that is gone or a zombie. */
static bool read_starttime(uint32_t pid, uint64_t *ret_ticks)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%" PRIu32 "/stat", pid);
    if (!read_text(path, text, sizeof(text)))
        return false;
    char *field = strrchr(text, ')');
    if (!field || !field[1] || strchr("ZXx", field[2]))
        return false;
    for (int number = 2; number < 22 && field; number++)
        field = strchr(field + 1, ' ');
    if (!field)
        return false;
    *ret_ticks = strtoull(field + 1, NULL, 10);
    return true;
}

static bool is_running(const struct stray_def_process *identity)
{
    uint8_t boot_id[16];
    uint64_t ticks;
    return read_boot_id(boot_id) && memcmp(boot_id, identity->boot_id, sizeof(boot_id)) == 0 &&
           read_starttime(identity->pid, &ticks) && ticks == identity->starttime_ticks;
}

/* A copy of a trace, which will never say how its process ended. */
static bool ran_when_packed(const char *path)
{
    char *mark;
    struct source source;
    if (asprintf(&mark, "%s" PACK_RUNNING, path) < 0)
        return false;
    bool marked = source_open(mark, &source) == 0;
    free(mark);
    if (marked)
        source_close(&source);
    return marked;
}

void process_settle(struct trace *trace)
{
    const struct stray_def_process *identity = trace->defs.identity;
    struct process *process = &trace->process;
    process->pid = trace->header.pid;
    process->parent_pid = trace->header.parent_pid;
    if (!identity)
        return;
    process->pid = identity->pid;
    process->parent_pid = identity->parent_pid;
    process->exe = trace->defs.exe;
    process->command = trace->defs.command.list;
    process->start_realtime_ns = identity->start_realtime_ns;
    process->start_monotonic_ns = identity->start_monotonic_ns;
    process->start_time = identity->start_time;
    process->starttime_ticks = identity->starttime_ticks;
    process->running = is_running(identity) || ran_when_packed(trace->path);
}
