/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/waiting.h"

#include <errno.h>
#include <netdb.h>

#include "sys.h"

#define KEPT_MIN(ticks_per_second) ((ticks_per_second) / 100)

struct waiting waiting_threads[SPOOL_LANES_MAX];
uint32_t awaiting_matters;

/* Threads without a lane have done nothing that could be told. */
static struct waiting *row_of_this_thread(void)
{
    struct stray_lane *lane = thread_self.lane;
    if (!lane || lane->number >= SPOOL_LANES_MAX)
        return NULL;
    struct waiting *row = &waiting_threads[lane->number];
    if (row->owner != lane->owner)
        *row = (struct waiting){.owner = lane->owner};
    return row;
}

/* A thread is the loop of the first descriptor that it waits on often, until it has turned to another. Clients' libraries, too,
 * wait by poll() and select() again and again. */
static void note_loop(struct waiting *row, int on)
{
    if (on == WAITING_OTHER)
        return;
    if (row->loop_count > 0 && on == row->loop) {
        row->loop_count += row->loop_count < WAITING_OFTEN;
        row->elsewhere_count = 0;
    } else if (row->loop_count < WAITING_OFTEN || ++row->elsewhere_count >= WAITING_OFTEN) {
        row->loop = on;
        row->loop_count = 1;
        row->elsewhere_count = 0;
    }
}

void waiting_note(uint16_t hook, int on)
{
    if (!gate_open(GATE_TRACED) || thread_self.flags != 0 || thread_self.libpq_depth != 0)
        return;
    struct waiting *row = row_of_this_thread();
    if (!row)
        return;
    note_loop(row, on);
    uint64_t now = clock_before();
    bool often = row->count < WAITING_OFTEN && ++row->count == WAITING_OFTEN; /* from now on: told at once */
    row->since++;
    if (row->told != 0 && !often && now - row->told < clock_ticks_per_second)
        return;
    row->told = now;
    emit_at(now, STRAY_WAITED, STRAY_RESOURCE_NONE, hook, 0, row->since, 0);
    row->since = 0;
}

/* Files and disks are waited for whether or not O_NONBLOCK is set. Of the rest, eventfd and its like have no type. */
static bool heeds_nonblock(int fd)
{
    struct stat status;
    return sys_fstat(fd, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode) && !S_ISDIR(status.st_mode);
}

/* What is done on a descriptor that does not block takes long only where the thread is not let run. But sendfile() reads a file
 * besides. */
static bool never_blocks(uint16_t hook, int fd)
{
    if (fd < 0 || hook == STRAY_HOOK_sendfile || hook == STRAY_HOOK_sendfile64)
        return false;
    int flags = sys_fcntl(fd, F_GETFL, 0);
    return flags >= 0 && (flags & O_NONBLOCK) && heeds_nonblock(fd);
}

/* A call that took long enough to be told. */
static void took(uint8_t action, uint16_t hook, int fd, uint64_t begin, const void *caller)
{
    if (LIKELY(begin == 0) || !gate_open(GATE_TRACED))
        return;
    uint64_t now = clock_before();
    if (now - begin < KEPT_MIN(clock_ticks_per_second) || never_blocks(hook, fd))
        return;
    int kept = errno;
    emit_at(now, action, STRAY_RESOURCE_NONE, hook, (uint64_t)(int64_t)fd, now - begin, capture_stack(caller));
    errno = kept;
}

void waiting_kept(uint16_t hook, int fd, uint64_t begin, const void *caller)
{
    took(STRAY_BLOCKED, hook, fd, begin, caller);
}

void awaiting_over(uint16_t hook, uint64_t begin, const void *caller)
{
    took(STRAY_AWAITED, hook, -1, begin, caller);
}

int stray_hook_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    uint64_t begin = waiting_begin();
    int status = REAL(getaddrinfo)(node, service, hints, result);
    waiting_kept(STRAY_HOOK_getaddrinfo, -1, begin, CALLER());
    return status;
}
