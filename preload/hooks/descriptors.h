/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the hooks of functions that make, use and close descriptors share. The rules of wrap.h hold. */
#ifndef STRAY_PRELOAD_HOOKS_DESCRIPTORS_H
#define STRAY_PRELOAD_HOOKS_DESCRIPTORS_H

#include "hooks/wrap.h"
#include "state/descriptors.h"

/* A vfork child runs in this memory: what it does with its descriptors is not ours. */
bool may_record(void);

static inline uint64_t handle_of_descriptor(int fd)
{
    return (uint64_t)(uint32_t)fd;
}

/* `frame` is that of the hook, which is still there. */

/* Records `fd`, made just now by `hook`; nothing for one below 0. Keeps errno. */
void descriptor_made(uint16_t hook, uint8_t resource, int fd, const void *frame);

/* A close in three steps, because the number may be another thread's the moment the real call has made it free: take the row
 * away, close, record. */
struct closing {
    struct descriptor row; /* as it was; resource 0: nothing to record */
    uint64_t time;
    int fd;
};

struct closing before_close(int fd);
/* Only EBADF leaves a descriptor as it was; after EINTR and EIO it is gone. */
void after_close(const struct closing *closing, uint16_t hook, int result, const void *frame);

/* dup2() and the like: `target` is closed by the way, unless the call fails or both are one. */
struct closing before_replace(int fd, int target);
void after_replace(const struct closing *closing, uint16_t hook, int fd, int target, int result, const void *frame);
/* A descriptor that some call has closed by the way; one that did not `succeed` may have left it open. Keeps errno. */
void implicitly_closed(const struct closing *closing, uint16_t hook, bool succeeded);

/* `to` is a new copy of `from`; `fd` was accepted from `listener`. Nothing for results below 0. Keep errno. */
void descriptor_copied(uint16_t hook, int from, int to, const void *frame);
void descriptor_accepted(uint16_t hook, int listener, int fd, const void *frame);

/* Our own descriptor is not there, as far as the program is concerned: EBADF. */
bool descriptor_is_hidden(int fd);
int refuse_hidden(void);

/* close_range(), around our own descriptor, recorded. */
int descriptors_range_closed(uint16_t hook, unsigned first, unsigned last, int flags, const void *frame);

#endif
