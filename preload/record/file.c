/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/file.h"

#include <errno.h>
#include <limits.h>

#include "gate.h"
#include "record/clock.h"
#include "record/columns.h"
#include "record/encode.h"
#include "record/lane.h"
#include "record/spool.h"
#include "settings.h"
#include "sys.h"
#include "text.h"

#define TURNS 100 /* taken by other threads that are waited for */
#define GIVEN_UP   (UINT32_C(1) << 31) /* no thread begins to write */
#define WAITED_IN  5      /* file_await_writers() waits no longer than this part of a second */
#define ROUNDS_MAX 100000 /* ... where no clock tells */
#define TABLES_WITHIN  1 /* seconds after which nodes and definitions are written, however few */
#define TABLES_OVERDUE 4 /* times as long and as many if something else has been written just now */
#define DESCRIPTOR_WISH 1000 /* out of the way, and below the second doubling of the kernel's table */

static struct {
    int fd;
    dev_t device;
    ino_t inode;
    char path[PATH_MAX];
    uint64_t bytes;       /* written so far */
    uint64_t late;        /* sequence number of the next late frame */
    uint64_t nodes, defs; /* already in the file */
    uint64_t tables_since; /* when all of them were */
    uint32_t table_turn;   /* taken by the thread that writes the tables */
    uint32_t writers;      /* threads that write, or are about to: the descriptor stays until there is none; and GIVEN_UP */
} file = {.fd = -1};

/* Puts the descriptor where programs that close or reuse low numbers do not meet it. */
static int move_high(int fd)
{
    struct rlimit limit = {0, 0};
    sys_getrlimit(RLIMIT_NOFILE, &limit);
    long wish = limit.rlim_cur > DESCRIPTOR_WISH ? DESCRIPTOR_WISH : (long)limit.rlim_cur - 1;
    int high = sys_fcntl(fd, F_DUPFD_CLOEXEC, wish);
    if (high < 0)
        return fd;
    sys_close(fd);
    return high;
}

static void remember_identity(void)
{
    struct stat status;
    if (sys_fstat(file.fd, &status) == 0) {
        file.device = status.st_dev;
        file.inode = status.st_ino;
    }
}

static int keep_path(const char *path)
{
    struct text text = TEXT(file.path);
    text_string(&text, path);
    return text.cut ? -ENAMETOOLONG : 0;
}

static int write_header(int fd, const struct stray_file_header *header)
{
    ssize_t written = sys_write(fd, header, sizeof(*header));
    if (written != (ssize_t)sizeof(*header))
        return written < 0 ? (int)written : -ENOSPC;
    return 0;
}

static void begin(int fd)
{
    file.fd = fd;
    file.bytes = sizeof(struct stray_file_header);
    file.late = file.nodes = file.defs = file.tables_since = 0;
    file.table_turn = 0;
    remember_identity();
    __atomic_fetch_and(&file.writers, ~GIVEN_UP, __ATOMIC_SEQ_CST);
}

int file_open(const char *path, const struct stray_file_header *header)
{
    int result = keep_path(path);
    int fd = result < 0 ? result : sys_open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fd;
    result = write_header(fd, header);
    if (result < 0) {
        sys_close(fd);
        sys_unlink(path);
        return result;
    }
    begin(move_high(fd));
    return 0;
}

int file_adopt(int fd, const char *path, const struct stray_file_header *header)
{
    int flags = sys_fcntl(fd, F_GETFL, 0), result = flags < 0 ? flags : keep_path(path);
    if (result == 0)
        result = sys_fcntl(fd, F_SETFL, flags | O_APPEND);
    if (result == 0)
        result = write_header(fd, header);
    if (result < 0)
        return result;
    int copy = sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        sys_ftruncate(fd, 0);
        return copy;
    }
    begin(move_high(copy));
    return 0;
}

/* Whether the number still means our file: a raw system call may have closed or replaced it. */
static bool means_ours(int fd)
{
    struct stat status;
    return fd >= 0 && sys_fstat(fd, &status) == 0 && status.st_dev == file.device && status.st_ino == file.inode;
}

static bool still_ours(void)
{
    return means_ours(file.fd);
}

static void close_file(void)
{
    int fd = __atomic_exchange_n(&file.fd, -1, __ATOMIC_SEQ_CST);
    if (means_ours(fd))
        sys_close(fd);
}

static bool is_given_up(void)
{
    return __atomic_load_n(&file.writers, __ATOMIC_SEQ_CST) & GIVEN_UP;
}

/* False: the file has been given up. To be followed by leave() either way. */
static bool enter(void)
{
    return !(__atomic_fetch_add(&file.writers, 1, __ATOMIC_SEQ_CST) & GIVEN_UP);
}

/* The last one closes while it is still counted: no other file is begun before. */
static void leave(void)
{
    uint32_t writers = __atomic_load_n(&file.writers, __ATOMIC_SEQ_CST);
    do
        if (writers == (GIVEN_UP | 1))
            close_file();
    while (!__atomic_compare_exchange_n(&file.writers, &writers, writers - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

bool file_has_writers(void)
{
    return (__atomic_load_n(&file.writers, __ATOMIC_SEQ_CST) & ~GIVEN_UP) > 0;
}

void file_forget(void)
{
    if ((__atomic_fetch_or(&file.writers, GIVEN_UP, __ATOMIC_SEQ_CST) & ~GIVEN_UP) == 0)
        close_file();
}

void file_forget_parents(void)
{
    __atomic_store_n(&file.writers, 0, __ATOMIC_SEQ_CST);
    file_forget();
}

void file_await_writers(void)
{
    uint64_t end = clock_before() + clock_ticks_per_second / WAITED_IN;
    for (unsigned i = 0; file_has_writers() && i < ROUNDS_MAX && clock_before() < end; i++)
        sys_yield();
}

void file_count_lost(uint64_t events)
{
    if (!is_given_up())
        spool_count_lost(events);
}

int file_descriptor(void)
{
    return __atomic_load_n(&file.fd, __ATOMIC_RELAXED);
}

void file_make_way(int fd)
{
    if (fd != file.fd)
        return;
    int moved = sys_fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
    if (moved < 0)
        moved = sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
    __atomic_store_n(&file.fd, moved, __ATOMIC_RELEASE);
}

bool file_is_kept(int fd)
{
    return __builtin_expect(fd >= 0 && fd == file_descriptor(), 0) && still_ours();
}

static bool reopen(void)
{
    int fd = sys_open(file.path, O_WRONLY | O_APPEND | O_NOFOLLOW, 0);
    struct stat status;
    if (fd < 0)
        return false;
    if (sys_fstat(fd, &status) != 0 || status.st_dev != file.device || status.st_ino != file.inode) {
        sys_close(fd);
        return false;
    }
    file.fd = move_high(fd);
    return true;
}

/* Never beyond the process's own limit, which would raise SIGXFSZ, nor the user's. */
static bool fits(uint64_t size)
{
    static struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY}; /* the last one told: a seccomp filter may refuse to */
    uint64_t end = __atomic_add_fetch(&file.bytes, size, __ATOMIC_RELAXED);
    sys_getrlimit(RLIMIT_FSIZE, &limit);
    if (end <= limit.rlim_cur && (settings.max_bytes == 0 || end <= settings.max_bytes))
        return true;
    __atomic_sub_fetch(&file.bytes, size, __ATOMIC_RELAXED);
    return false;
}

/* A thread that is held up between the look at the descriptor and the write keeps it open, so that its number cannot be the
 * program's by then. */
static bool append(const struct frame *frame)
{
    struct iovec parts[2] = {
        {(void *)(uintptr_t)&frame->header, sizeof(frame->header)},
        {(void *)(uintptr_t)frame->payload, frame->header.stored_size},
    };
    size_t size = parts[0].iov_len + parts[1].iov_len;
    bool written = enter() && (still_ours() || reopen()) && fits(size) && sys_writev(file.fd, parts, 2) == (ssize_t)size;
    leave();
    return written;
}

/* How many nodes are finished, from the first one on that is not in the file. */
static uint32_t ready_nodes(uint64_t count)
{
    const struct stray_node *nodes = spool_nodes() + file.nodes;
    uint32_t ready = 0;
    while (ready < COLUMNS_NODES_MAX && file.nodes + ready < count &&
           __atomic_load_n(&nodes[ready].kind, __ATOMIC_ACQUIRE) != 0)
        ready++;
    return ready;
}

/* One frame; false: there was nothing to write, or it could not be. */
static bool write_nodes(void)
{
    uint32_t ready = ready_nodes(__atomic_load_n(&spool->node_count, __ATOMIC_ACQUIRE));
    struct frame frame;
    if (ready == 0 || !encode_nodes((uint32_t)file.nodes + 1, ready, spool_nodes() + file.nodes, &frame))
        return false;
    bool written = append(&frame);
    encode_release(&frame);
    if (written)
        file.nodes += ready;
    return written;
}

/* The end of the definitions that are complete, from `at` on. */
static uint64_t ready_defs(uint64_t at, uint64_t used)
{
    while (at < used) {
        const struct stray_def_header *header = (const struct stray_def_header *)(spool_defs() + at);
        if (__atomic_load_n(&header->magic, __ATOMIC_ACQUIRE) != STRAY_DEF_MAGIC)
            break;
        at += (sizeof(*header) + header->size + 15) & ~(uint64_t)15;
    }
    return at < used ? at : used;
}

static bool write_defs_part(uint64_t end)
{
    uint64_t size = end - file.defs < ENCODE_TABLE_MAX ? end - file.defs : ENCODE_TABLE_MAX;
    struct frame frame;
    if (!encode_definitions(file.defs, spool_defs() + file.defs, size, &frame))
        return false;
    bool written = append(&frame);
    encode_release(&frame);
    if (written)
        file.defs += size;
    return written;
}

/* All of them or, for all that is known, none: a part may end amid a definition. False: there was nothing to write, or it could
 * not be. */
static bool write_defs(void)
{
    uint64_t begin = file.defs, end = ready_defs(begin, __atomic_load_n(&spool->defs_used, __ATOMIC_ACQUIRE));
    while (file.defs < end && write_defs_part(end))
        ;
    if (file.defs < end)
        file.defs = begin;
    return file.defs > begin;
}

static bool tables_written(void)
{
    return __atomic_load_n(&file.nodes, __ATOMIC_RELAXED) >= spool->node_count &&
           __atomic_load_n(&file.defs, __ATOMIC_RELAXED) >= spool->defs_used;
}

static bool begin_tables(void)
{
    return __atomic_exchange_n(&file.table_turn, 1, __ATOMIC_ACQUIRE) == 0;
}

static void end_tables(void)
{
    __atomic_store_n(&file.table_turn, 0, __ATOMIC_RELEASE);
}

static bool write_tables(void)
{
    if (tables_written())
        return true;
    if (!begin_tables())
        return false; /* another thread is at it; the spool has them meanwhile */
    while (write_defs())
        ;
    while (write_nodes())
        ;
    end_tables();
    return tables_written();
}

bool file_write_some_tables(uint64_t now, bool in_time)
{
    uint64_t nodes = __atomic_load_n(&spool->node_count, __ATOMIC_RELAXED) - file.nodes,
             defs = __atomic_load_n(&spool->defs_used, __ATOMIC_RELAXED) - file.defs;
    unsigned late = in_time ? 1 : TABLES_OVERDUE;
    bool old = now > file.tables_since + late * TABLES_WITHIN * clock_ticks_per_second && (nodes || defs);
    bool nodes_due = nodes >= late * COLUMNS_NODES_MAX || (old && nodes), defs_due = defs >= late * ENCODE_TABLE_MAX || (old && defs);
    if ((!nodes_due && !defs_due) || !begin_tables())
        return false;
    bool written = (defs_due && write_defs()) || (nodes_due && write_nodes());
    if (old && tables_written())
        file.tables_since = now;
    end_tables();
    return written;
}

/* The order of events rests on their exact times only where several threads have lanes. Else it is that in which they stand, and
 * from one frame to the next the steps are the same. */
static unsigned coarseness(uint32_t lane)
{
    unsigned shift = 0;
    while (lane != STRAY_LANE_LATE && lane_threads() == 1 && CLOCK_FINEST << (shift + 1) <= clock_ticks_per_second)
        shift++;
    return shift;
}

bool file_write_events(uint32_t lane, uint64_t sequence, const struct stray_event *events, uint32_t capacity)
{
    struct frame frame;
    if (!encode_events(lane, sequence, events, capacity, coarseness(lane), &frame))
        return false;
    bool written = append(&frame);
    encode_release(&frame);
    return written;
}

bool file_complete_tables(void)
{
    bool complete = write_tables();
    for (unsigned i = 0; !complete && i < TURNS; i++) {
        sys_yield();
        complete = write_tables();
    }
    return complete;
}

void file_write_late(const struct stray_event *event)
{
    uint64_t mask = sys_no_signals();
    if (enter() && __atomic_load_n(gate_word, __ATOMIC_SEQ_CST) & GATE_TRACED) {
        file_complete_tables(); /* the spool may go next */
        if (!file_write_events(STRAY_LANE_LATE, __atomic_fetch_add(&file.late, 1, __ATOMIC_RELAXED), event, 1))
            file_count_lost(1);
    }
    leave();
    sys_signals(mask);
}
