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
#define TURN_SHIFT      48                  /* an identity is that of one turn of its row */
#define INODE           (UINT64_C(1) << 47) /* marks one that is no cookie */
#define IDENTITY_BITS   (INODE - 1)
#define TCP_ESTABLISHED 1 /* of tcpi_state; <netinet/tcp.h> does not go with <linux/tcp.h> */
#define TCP_CLOSE_WAIT  8
#define TICKS_PER_SECOND 250 /* of the kernel, in which it tells how long a connection was idle */
#define IDLE_MAX        0xffffffffffu /* microseconds */

static struct descriptor *table; /* DESCRIPTORS_MAX rows, most of them never touched */
static int highest = -1;         /* largest number ever tracked */

/* Uses are counted by trace. */
static void forget_uses(void)
{
    for (int fd = 0; fd <= highest; fd++)
        table[fd].uses = table[fd].told = 0;
}

bool descriptors_init(void)
{
    if (!table)
        table = sys_memory(DESCRIPTORS_MAX * sizeof(*table));
    else
        forget_uses();
    return table != NULL;
}

void descriptors_forget(void)
{
    for (int fd = 0; table && fd <= highest; fd++)
        table[fd] = (struct descriptor){.turn = table[fd].turn};
    highest = -1;
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
static int read_inode(int fd, uint64_t *ret_identity)
{
    struct stat status;
    int result = sys_fstat(fd, &status);
    if (result == 0)
        *ret_identity = (index_mix(status.st_dev, status.st_ino) & IDENTITY_BITS) | INODE;
    return result;
}

static int read_socket(int fd, uint64_t *ret_identity)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    int result = sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length);
    if (result == 0)
        *ret_identity = cookie & IDENTITY_BITS;
    return result;
}

/* Who a descriptor is that was opened as a `resource`. 0, or a negative errno. */
static int read_identity(int fd, uint8_t resource, uint64_t *ret_identity)
{
    *ret_identity = 0;
    return resource == STRAY_FILE ? read_inode(fd, ret_identity) : read_socket(fd, ret_identity);
}

static uint64_t of_turn(uint16_t turn, uint64_t identity)
{
    return (uint64_t)turn << TURN_SHIFT | identity;
}

static uint64_t without_turn(uint64_t identity)
{
    return identity & (IDENTITY_BITS | INODE);
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
    struct descriptor next = {.resource = resource, .turn = (uint16_t)(descriptor->turn + 1)};
    uint64_t identity = 0; /* of sockets, most of which are closed before anybody asks: read by the first sample */
    if (resource == STRAY_FILE)
        read_inode(fd, &identity);
    __atomic_store_n(&descriptor->identity, of_turn(next.turn, identity), __ATOMIC_RELAXED);
    descriptor->made = clock_before();
    descriptor->uses = descriptor->told = 0;
    descriptor->accepted = descriptor->shut = false;
    descriptor->phase = phase;
    descriptor->endpoint = endpoint;
    __atomic_store_n(&descriptor->word, next.word, __ATOMIC_RELEASE);
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

static bool sample_tcp(int fd, uint64_t *ret_sample)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    if (sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || length < offsetof(struct tcp_info, tcpi_delivery_rate))
        return false;
    *ret_sample = pack_sample(&info);
    return true;
}

/* Streams of other families, Unix-domain ones above all: poll() tells that the peer has hung up, in TCP's words. */
static bool sample_stream(int fd, const struct descriptor *descriptor, uint64_t *ret_sample)
{
    struct pollfd polled = {.fd = fd, .events = POLLRDHUP};
    int type = 0;
    socklen_t length = sizeof(type);
    if (sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || (type != SOCK_STREAM && type != SOCK_SEQPACKET) ||
        sys_poll(&polled) < 0)
        return false;
    bool gone = !descriptor->shut && polled.revents & (POLLRDHUP | POLLHUP);
    *ret_sample = (uint64_t)(gone ? TCP_CLOSE_WAIT : TCP_ESTABLISHED) << 56 | UINT32_MAX;
    return true;
}

static void report_state(int fd, const struct descriptor *descriptor)
{
    uint64_t sample;
    if (sample_tcp(fd, &sample) || sample_stream(fd, descriptor, &sample))
        emit_now(STRAY_SAMPLE, STRAY_CONNECTION, 0, (uint64_t)fd, sample, 0);
}

static void report_use(int fd, struct descriptor *descriptor)
{
    uint32_t uses = __atomic_load_n(&descriptor->uses, __ATOMIC_ACQUIRE);
    if (uses == __atomic_exchange_n(&descriptor->told, uses, __ATOMIC_RELAXED))
        return;
    uint64_t used = __atomic_load_n(&descriptor->last_use, __ATOMIC_RELAXED), now = clock_after();
    uint64_t idle = clock_microseconds(now > used ? now - used : 0);
    uint64_t count = uses < USES_MAX ? uses : USES_MAX;
    emit_at(now, STRAY_USED, descriptor->resource, 0, (uint64_t)fd, count << 40 | (idle < IDLE_MAX ? idle : IDLE_MAX), 0);
}

static void report(int fd, struct descriptor *descriptor)
{
    report_use(fd, descriptor);
    if (descriptor->resource == STRAY_CONNECTION && descriptor->phase == PHASE_CONNECTED)
        report_state(fd, descriptor);
}

/* How many segments a connection has sent in less than the kernel measures is no news where the calls are counted, and to ask
 * for it costs as much as all else about the close. */
void descriptors_closing(int fd, struct descriptor *descriptor)
{
    if (clock_before() - descriptor->made < clock_ticks_per_second / TICKS_PER_SECOND)
        report_use(fd, descriptor);
    else
        report(fd, descriptor);
}

/* Whether what was opened as a `resource` and is known as `known` (0: not yet) is still there. A close that no hook saw leaves
 * the number closed, or another socket or file under it. *ret_identity: of what is there; 0: not told. */
static bool is_same(int fd, uint8_t resource, uint64_t known, uint64_t *ret_identity)
{
    int result = read_identity(fd, resource, ret_identity);
    if (result != 0) /* a seccomp filter may refuse to tell */
        return result != -EBADF && result != -ENOTSOCK;
    return without_turn(known) == 0 || without_turn(known) == *ret_identity;
}

bool descriptors_restore(int fd, const struct descriptor *row)
{
    uint64_t identity;
    struct descriptor *descriptor = descriptors_at(fd);
    if (!descriptor || !is_same(fd, row->resource, row->identity, &identity))
        return false;
    *descriptor = *row;
    return true;
}

/* Another thread may be opening the number meanwhile: then either the row is its own by the time of the exchange, and stays,
 * or its event is stamped after `time`; and what was read of its predecessor is not put into the row. */
static void reconcile(int fd, struct descriptor *descriptor)
{
    struct descriptor seen = {.word = __atomic_load_n(&descriptor->word, __ATOMIC_ACQUIRE)};
    uint64_t known = __atomic_load_n(&descriptor->identity, __ATOMIC_RELAXED), identity, time = clock_after();
    struct descriptor gone = {.turn = seen.turn};
    if (seen.resource == 0)
        return;
    if (is_same(fd, seen.resource, known, &identity)) {
        uint64_t unknown = of_turn(seen.turn, 0);
        if (known == unknown)
            __atomic_compare_exchange_n(&descriptor->identity, &unknown, of_turn(seen.turn, identity), false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED);
        return;
    }
    if (__atomic_compare_exchange_n(&descriptor->word, &seen.word, gone.word, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        emit_at(time, STRAY_RECONCILED, seen.resource, 0, (uint64_t)fd, 0, 0);
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
        report(fd, descriptor);
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

static bool has_name(const struct sockaddr_storage *address, socklen_t length)
{
    return address->ss_family != AF_UNIX || length > offsetof(struct sockaddr_un, sun_path);
}

static bool inherits_from_listener(int fd, const struct sockaddr_storage *peer)
{
    int reuse = 0;
    socklen_t length = sizeof(reuse);
    return peer->ss_family != AF_UNIX && sys_getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, &length) == 0 && reuse;
}

enum descriptor_side descriptors_side(int fd, uint32_t *ret_endpoint)
{
    struct sockaddr_storage peer, local;
    socklen_t peer_length = sizeof(peer), local_length = sizeof(local);
    *ret_endpoint = 0;
    if (read_cookie(fd) == 0)
        return SIDE_NO_SOCKET;
    if (sys_getpeername(fd, &peer, &peer_length) != 0 || sys_getsockname(fd, &local, &local_length) != 0)
        return SIDE_UNCONNECTED;
    bool named = has_name(&peer, peer_length);
    if (!named && !has_name(&local, local_length))
        return SIDE_UNCONNECTED;
    bool server = !named || inherits_from_listener(fd, &peer);
    *ret_endpoint = server ? descriptors_endpoint(&local, local_length) : descriptors_endpoint(&peer, peer_length);
    return server ? SIDE_SERVER : SIDE_CLIENT;
}

static void adopt_socket(int fd)
{
    uint32_t endpoint;
    enum descriptor_side side = descriptors_side(fd, &endpoint);
    bool connected = side == SIDE_CLIENT || side == SIDE_SERVER;
    struct descriptor *descriptor = descriptors_at(fd);
    descriptors_opened(fd, connected ? STRAY_CONNECTION : STRAY_SOCKET, connected ? PHASE_CONNECTED : PHASE_PLAIN, 0);
    if (descriptor)
        descriptor->accepted = side == SIDE_SERVER;
}

static void adopt(int fd)
{
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

/* `folder` is the one that is being read. Every program begins with three descriptors that are nobody's to close: these stay
 * unknown. */
static void visit_entries(const char *entries, long size, int folder, void (*visit)(int fd))
{
    for (long at = 0; at < size;) {
        const struct entry *entry = (const struct entry *)(const void *)(entries + at);
        int fd = entry->name[0] != '.' ? (int)string_number(entry->name) : -1;
        if (fd > STDERR_FILENO && fd != folder && !file_is_kept(fd) && !descriptors_tracked(fd))
            visit(fd);
        at += entry->size;
    }
}

/* After exec the table is empty, and in a program that was running before: what is open is found by asking. */
static void visit_open(void (*visit)(int fd))
{
    _Alignas(8) char entries[1024];
    int folder = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
    long size;
    while (folder >= 0 && (size = SYS3(SYS_getdents64, folder, entries, sizeof(entries))) > 0)
        visit_entries(entries, size, folder, visit);
    if (folder >= 0)
        sys_close(folder);
}

static uint32_t peer_endpoint(int fd)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    return sys_getpeername(fd, &peer, &length) == 0 ? descriptors_endpoint(&peer, length) : 0;
}

static void tell_open(int fd, struct descriptor *descriptor, uint64_t time)
{
    descriptor->endpoint = descriptor->accepted ? descriptors_local_endpoint(fd) : peer_endpoint(fd);
    emit_at(time, STRAY_INHERITED, descriptor->resource, 0, (uint64_t)fd,
            descriptor->endpoint | (descriptor->accepted ? STRAY_ACCEPTED : 0), 0);
}

/* Definitions are of one trace. */
void descriptors_inherited(void)
{
    if (highest < 0)
        visit_open(adopt);
    for (int fd = 0; fd <= highest; fd++) {
        struct descriptor *descriptor = descriptors_tracked(fd);
        if (descriptor)
            tell_open(fd, descriptor, clock_after());
    }
}

/* ---- what was open before ---- */

static uint64_t baseline_time;

/* One that the injector loaded us by, and takes away when we are in place. */
static bool is_injected(int fd)
{
    char link[32], target[64];
    struct text text = TEXT(link);
    text_string(&text, "/proc/self/fd/");
    text_number(&text, (uint64_t)fd);
    ssize_t length = sys_readlink(link, target, sizeof(target) - 1);
    target[length > 0 ? length : 0] = 0;
    return string_begins(target, "/memfd:libstray") || string_begins(target, "/memfd:stray");
}

/* ... and one that it talks to its thread by: of a pair, with a limit of time, and made in this process. */
static bool is_injectors(int fd)
{
    struct sockaddr_storage local;
    struct timeval limit = {0, 0};
    int type = 0;
    socklen_t length = sizeof(local), type_length = sizeof(type), limit_length = sizeof(limit);
    return sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) == 0 && type == SOCK_SEQPACKET &&
           sys_getsockname(fd, &local, &length) == 0 && local.ss_family == AF_UNIX && !has_name(&local, length) &&
           sys_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &limit_length) == 0 && (limit.tv_sec || limit.tv_usec);
}

/* It may have been closed since it was listed; later on, that is an event. */
static void tell_baseline(int fd)
{
    if (fd >= DESCRIPTORS_MAX || sys_fcntl(fd, F_GETFD, 0) < 0 || is_injected(fd) || is_injectors(fd))
        return;
    adopt(fd);
    struct descriptor *descriptor = descriptors_tracked(fd);
    if (!descriptor)
        return;
    tell_open(fd, descriptor, baseline_time);
    if (descriptor->resource == STRAY_CONNECTION)
        report_state(fd, descriptor);
}

void descriptors_baseline(uint64_t time)
{
    baseline_time = time;
    visit_open(tell_baseline);
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
