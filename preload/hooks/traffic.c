/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/traffic.h"

#include <errno.h>

#include "hooks/descriptors.h"
#include "state/incarnation.h"

/* The time first: whoever reads the new number finds it. */
void traffic_note(struct descriptor *descriptor)
{
    uint64_t now = clock_before(); /* a moment early does no harm, and to wait costs as much again */
    __atomic_store_n(&descriptor->last_use, now, __ATOMIC_RELAXED);
    __atomic_fetch_add(&descriptor->uses, 1, __ATOMIC_RELEASE);
    if (UNLIKELY(now >= emit_due && thread_self.flags == 0 && incarnation_is_self()))
        emit_when_due(now); /* a program that does nothing but this shall be sampled, too */
}

ssize_t stray_hook_splice(int from, off_t *from_offset, int fd, off_t *offset, size_t size, unsigned int flags)
{
    ssize_t moved = REAL(splice)(from, from_offset, fd, offset, size, flags);
    traffic_moved(from, moved);
    traffic_moved(fd, moved);
    return moved;
}

/* ---- descriptors that come with a message ---- */

/* The kernel hands out no more than SCM_MAX_FD with one message. */
#define RECEIVED_MAX 253

/* A connection that another process accepted. */
static void received_accepted(uint16_t hook, int fd, uint32_t stack)
{
    uint32_t endpoint = descriptors_local_endpoint(fd);
    if (!descriptors_opened(fd, STRAY_CONNECTION, PHASE_CONNECTED, endpoint))
        return;
    descriptors_at(fd)->accepted = true;
    emit_now(STRAY_OPEN, STRAY_CONNECTION, hook, handle_of_descriptor(fd), endpoint, stack);
}

/* The socket's stamp is before the connection's: events with one stamp may change places. */
static void received_connected(uint16_t hook, int fd, uint32_t endpoint, uint32_t stack)
{
    if (!descriptors_opened(fd, STRAY_CONNECTION, PHASE_CONNECTED, endpoint))
        return;
    emit_now(STRAY_OPEN, STRAY_SOCKET, hook, handle_of_descriptor(fd), 0, stack);
    emit_now(STRAY_CONNECTED, STRAY_CONNECTION, hook, handle_of_descriptor(fd), endpoint, stack);
}

static void received_other(uint16_t hook, uint8_t resource, int fd, uint32_t stack)
{
    if (descriptors_opened(fd, resource, PHASE_PLAIN, 0))
        emit_now(STRAY_OPEN, resource, hook, handle_of_descriptor(fd), 0, stack);
}

static void received(uint16_t hook, int fd, uint32_t stack)
{
    uint32_t peer = 0;
    enum descriptor_side side = descriptors_side(fd, &peer);
    if (side == SIDE_SERVER)
        received_accepted(hook, fd, stack);
    else if (side == SIDE_CLIENT)
        received_connected(hook, fd, peer, stack);
    else
        received_other(hook, side == SIDE_NO_SOCKET ? STRAY_FILE : STRAY_SOCKET, fd, stack);
}

/* Of control data that did not fit, the kernel leaves whole what it wrote. */
static size_t count_received(const struct msghdr *message, const struct cmsghdr *control)
{
    size_t room = (size_t)((const char *)message->msg_control + message->msg_controllen - (const char *)control);
    size_t size = control->cmsg_len < room ? control->cmsg_len : room;
    size_t count = size > CMSG_LEN(0) ? (size - CMSG_LEN(0)) / sizeof(int) : 0;
    return count < RECEIVED_MAX ? count : RECEIVED_MAX;
}

static void receive_all(uint16_t hook, struct msghdr *message, uint32_t stack)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count_received(message, control); i++) {
            int fd;
            __builtin_memcpy(&fd, CMSG_DATA(control) + i * sizeof(fd), sizeof(fd));
            received(hook, fd, stack);
        }
    }
}

static bool carries_descriptors(struct msghdr *message)
{
    if (!message->msg_control || message->msg_controllen < sizeof(struct cmsghdr))
        return false;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control))
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
            return true;
    return false;
}

static void look_for_descriptors(uint16_t hook, struct msghdr *message, const void *caller)
{
    if (LIKELY(!carries_descriptors(message)) || !may_record())
        return;
    int kept = errno;
    receive_all(hook, message, capture_stack(caller));
    errno = kept;
}

ssize_t stray_hook_recvmsg(int fd, struct msghdr *message, int flags)
{
    uint64_t begin = waiting_begin();
    ssize_t moved = REAL(recvmsg)(fd, message, flags);
    traffic_moved(fd, moved);
    traffic_kept(STRAY_HOOK_recvmsg, fd, begin, CALLER());
    if (moved >= 0)
        look_for_descriptors(STRAY_HOOK_recvmsg, message, CALLER());
    return moved;
}

int stray_hook_recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout)
{
    int got = REAL(recvmmsg)(fd, messages, count, flags, timeout);
    traffic_moved(fd, got);
    for (int i = 0; i < got; i++)
        look_for_descriptors(STRAY_HOOK_recvmmsg, &messages[i].msg_hdr, CALLER());
    return got;
}
