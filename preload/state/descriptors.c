/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/descriptors.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>
#include <unistd.h>

#include "record/defs.h"
#include "record/emit.h"
#include "record/file.h"
#include "record/index.h"
#include "state/endpoint.h"
#include "sys.h"
#include "text.h"

#define DESCRIPTORS_MAX 65536
#define USES_MAX        0xffffffu
#define INODE           (UINT64_C(1) << 63) /* marks an identity that is no cookie */

static struct descriptor *table; /* DESCRIPTORS_MAX rows, most of them never touched */
static int highest = -1;         /* largest number ever tracked */

bool descriptors_init(void)
{
    if (!table)
        table = sys_memory(DESCRIPTORS_MAX * sizeof(*table));
    return table != NULL;
}

struct descriptor *descriptors_at(int fd)
{
    return table && fd >= 0 && fd < DESCRIPTORS_MAX ? &table[fd] : NULL;
}

struct descriptor *descriptors_tracked(int fd)
{
    struct descriptor *descriptor = descriptors_at(fd);
    return descriptor && __atomic_load_n(&descriptor->resource, __ATOMIC_ACQUIRE) ? descriptor : NULL;
}

/* 0 for what is no socket. */
static uint64_t read_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    return sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

bool descriptors_is_socket(int fd)
{
    return read_cookie(fd) != 0;
}

/* Device and inode. Epolls and their like share one, and can be told from files and sockets only. */
static uint64_t inode_of(const struct stat *status)
{
    return index_mix(status->st_dev, status->st_ino) | INODE;
}

static uint64_t read_inode(int fd)
{
    struct stat status;
    return sys_fstat(fd, &status) == 0 ? inode_of(&status) : 0;
}

static uint64_t read_identity(int fd, uint8_t resource)
{
    return resource == STRAY_FILE ? read_inode(fd) : read_cookie(fd);
}

static void raise_highest(int fd)
{
    int seen = __atomic_load_n(&highest, __ATOMIC_RELAXED);
    while (fd > seen && !__atomic_compare_exchange_n(&highest, &seen, fd, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

bool descriptors_opened(int fd, uint8_t resource, uint8_t phase, uint32_t endpoint)
{
    struct descriptor *descriptor = descriptors_at(fd);
    if (!descriptor)
        return false;
    descriptor->identity = read_identity(fd, resource);
    descriptor->uses = descriptor->told = 0;
    descriptor->accepted = false;
    descriptor->phase = phase;
    descriptor->endpoint = endpoint;
    __atomic_store_n(&descriptor->resource, resource, __ATOMIC_RELEASE);
    raise_highest(fd);
    return true;
}

void descriptors_settle(int fd)
{
    struct descriptor *descriptor = descriptors_tracked(fd);
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    if (!descriptor || descriptor->phase != PHASE_CONNECTING || sys_getpeername(fd, &peer, &length) != 0)
        return;
    descriptor->phase = PHASE_CONNECTED;
    descriptor->resource = STRAY_CONNECTION;
    emit_now(STRAY_CONNECTED, STRAY_CONNECTION, STRAY_HOOK_connect, (uint64_t)fd, descriptor->endpoint, 0);
}

static uint64_t pack_sample(const struct tcp_info *info)
{
    uint64_t idle = info->tcpi_last_data_sent < info->tcpi_last_data_recv ? info->tcpi_last_data_sent : info->tcpi_last_data_recv;
    uint64_t uses = info->tcpi_data_segs_out < USES_MAX ? info->tcpi_data_segs_out : USES_MAX;
    return (uint64_t)info->tcpi_state << 56 | uses << 32 | idle;
}

void descriptors_report(int fd)
{
    struct descriptor *descriptor = descriptors_tracked(fd);
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    if (!descriptor || descriptor->resource != STRAY_CONNECTION ||
        sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || length < offsetof(struct tcp_info, tcpi_delivery_rate))
        return;
    emit_now(STRAY_SAMPLE, STRAY_CONNECTION, 0, (uint64_t)fd, pack_sample(&info), 0);
}

/* A close that no hook saw leaves the number closed, or another socket or file under it. */
static bool is_same(int fd, const struct descriptor *descriptor)
{
    struct stat status;
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    if (descriptor->identity == 0)
        return sys_fcntl(fd, F_GETFD, 0) != -EBADF;
    int result = descriptor->identity & INODE ? sys_fstat(fd, &status)
                                              : sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length);
    if (result != 0) /* a seccomp filter may refuse to tell */
        return result != -EBADF && result != -ENOTSOCK;
    return (descriptor->identity & INODE ? inode_of(&status) : cookie) == descriptor->identity;
}

bool descriptors_restore(int fd, const struct descriptor *row)
{
    struct descriptor *descriptor = descriptors_at(fd);
    if (!descriptor || !is_same(fd, row))
        return false;
    *descriptor = *row;
    return true;
}

static void reconcile(int fd, struct descriptor *descriptor)
{
    uint8_t resource = descriptor->resource;
    if (is_same(fd, descriptor) || !__atomic_compare_exchange_n(&descriptor->resource, &resource, 0, false, __ATOMIC_ACQ_REL,
                                                                __ATOMIC_RELAXED))
        return;
    emit_now(STRAY_RECONCILED, resource, 0, (uint64_t)fd, 0, 0);
}

void descriptors_sample(void)
{
    int last = __atomic_load_n(&highest, __ATOMIC_RELAXED);
    for (int fd = 0; fd <= last; fd++) {
        struct descriptor *descriptor = descriptors_tracked(fd);
        if (!descriptor)
            continue;
        reconcile(fd, descriptor);
        descriptors_settle(fd);
        descriptors_report(fd);
    }
}

void descriptors_before_exec(void)
{
    int last = __atomic_load_n(&highest, __ATOMIC_RELAXED);
    for (int fd = 0; fd <= last; fd++) {
        struct descriptor *descriptor = descriptors_tracked(fd);
        int flags = descriptor ? sys_fcntl(fd, F_GETFD, 0) : -1;
        if (flags >= 0 && flags & FD_CLOEXEC)
            emit_now(STRAY_EXEC_CLOSED, descriptor->resource, 0, (uint64_t)fd, 0, 0);
    }
}

static void adopt_socket(int fd)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    bool connected = sys_getpeername(fd, &peer, &length) == 0;
    descriptors_opened(fd, connected ? STRAY_CONNECTION : STRAY_SOCKET, connected ? PHASE_CONNECTED : PHASE_PLAIN, 0);
}

/* `folder` is the one that is being read. */
static void adopt(int fd, int folder)
{
    if (fd <= STDERR_FILENO || fd == folder || file_is_kept(fd) || descriptors_tracked(fd))
        return;
    if (descriptors_is_socket(fd))
        adopt_socket(fd);
    else
        descriptors_opened(fd, STRAY_FILE, PHASE_PLAIN, 0);
}

/* One entry of what getdents64() fills. */
struct entry {
    uint64_t inode, offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static void adopt_entries(const char *entries, long size, int folder)
{
    for (long at = 0; at < size;) {
        const struct entry *entry = (const struct entry *)(const void *)(entries + at);
        if (entry->name[0] != '.')
            adopt((int)string_number(entry->name), folder);
        at += entry->size;
    }
}

/* After exec the table is empty: what is open is found by asking. Every program begins with three descriptors that are
 * nobody's to close: these stay unknown. */
static void adopt_open(void)
{
    _Alignas(8) char entries[1024];
    int folder = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
    long size;
    while (folder >= 0 && (size = SYS3(SYS_getdents64, folder, entries, sizeof(entries))) > 0)
        adopt_entries(entries, size, folder);
    if (folder >= 0)
        sys_close(folder);
}

void descriptors_inherited(void)
{
    if (highest < 0)
        adopt_open();
    for (int fd = 0; fd <= highest; fd++) {
        struct descriptor *descriptor = descriptors_tracked(fd);
        struct sockaddr_storage peer;
        socklen_t length = sizeof(peer);
        if (!descriptor)
            continue;
        bool connected = sys_getpeername(fd, &peer, &length) == 0;
        descriptor->endpoint = connected ? descriptors_endpoint(&peer, length) : 0; /* ids are of one trace */
        emit_now(STRAY_INHERITED, descriptor->resource, 0, (uint64_t)fd, descriptor->endpoint, 0);
    }
}

uint32_t descriptors_endpoint(const void *address, uint32_t length)
{
    char buffer[sizeof("unix:@") + sizeof(struct sockaddr_un)];
    struct text text = TEXT(buffer);
    buffer[0] = 0;
    return endpoint_text(address, length, &text) ? defs_string(STRAY_DEF_ENDPOINT, buffer) : 0;
}

uint32_t descriptors_local_endpoint(int fd)
{
    struct sockaddr_storage local;
    socklen_t length = sizeof(local);
    return sys_getsockname(fd, &local, &length) == 0 ? descriptors_endpoint(&local, length) : 0;
}
