/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/wrap.h"

#include <errno.h>
#include <stdint.h>

#include "hooks/sampled_heap.h"
#include "record/young.h"
#include "state/foreign.h"
#include "state/python_samples.h"

/* dlsym() may allocate while we look for the real calloc (glibc before 2.34). */
void *stray_hook_calloc(size_t count, size_t size)
{
    if (UNLIKELY(!real.calloc)) {
        if (thread_self.flags & THREAD_INSIDE)
            return real_boot_memory(count * size); /* static memory is zero */
        real_init();
    }
    void *block = real.calloc(count, size);
    if (UNLIKELY(block == NULL) || LIKELY(record_usual_block(STRAY_HOOK_calloc, handle_of(block), count * size, FRAME())))
        return block;
    if (LIKELY(gate_open(BITS_OF(STRAY_HEAP))))
        record_block(STRAY_HOOK_calloc, handle_of(block), count * size, FRAME());
    else
        sampled_heap_made(STRAY_HOOK_calloc, block, count * size, FRAME());
    return block;
}

void stray_hook_free(void *block)
{
    if (UNLIKELY(real_is_boot_memory(block)))
        return;
    if (LIKELY(block != NULL) && !LIKELY(record_usual_free(STRAY_HOOK_free, handle_of(block)))) {
        if (LIKELY(gate_open(BITS_OF(STRAY_HEAP))))
            record_freed(STRAY_HOOK_free, handle_of(block));
        else
            sampled_heap_freed(STRAY_HOOK_free, block);
    }
    REAL(free)(block);
}

/* What a resize did: nothing (it failed), made, ended, grown in place, or moved. A move keeps one open block. */
static void record_resize(uint16_t hook, const void *old, uint64_t before, const void *new, size_t size, const void *frame)
{
    int kept = errno;
    if (!old) {
        if (new && !record_usual_block(hook, handle_of(new), size, frame))
            record_block(hook, handle_of(new), size, frame);
    } else if (!new) {
        if (size == 0) /* a release after all */
            emit_was_freed(before, handle_of(old), hook);
    } else {
        struct stray_event from = {before, handle_of(old), 0, 0, hook, STRAY_MOVE_FROM, STRAY_HEAP};
        struct stray_event to = {young_acquired(handle_of(new)), handle_of(new), size, 0, hook, STRAY_MOVE_TO, STRAY_HEAP};
        if (new == old)
            to.action = STRAY_RESIZE;
        emit_move(&from, &to);
    }
    errno = kept;
}

/* A block of the boot arena cannot be resized by the real allocator. */
static void *leave_boot_memory(const void *old, size_t size)
{
    void *block = REAL(malloc)(size);
    for (size_t i = 0; block && i < size && real_is_boot_memory((const char *)old + i); i++)
        ((char *)block)[i] = ((const char *)old)[i];
    return block;
}

/* Part of the hook whose frame it is given, which would be gone had the hook jumped here. */
static inline __attribute__((always_inline)) void *resize(uint16_t hook, void *old, size_t size, const void *frame)
{
    if (UNLIKELY(real_is_boot_memory(old)))
        return leave_boot_memory(old, size);
    python_samples_resizes++;
    bool all = gate_open(BITS_OF(STRAY_HEAP));
    if (!all && heap_samples_open())
        return sampled_heap_resize(hook, old, size, frame);
    uint64_t before = old && all ? emit_before_move(handle_of(old), STRAY_HEAP) : clock_before();
    void *new = REAL(realloc)(old, size);
    if (gate_open(BITS_OF(STRAY_HEAP)))
        record_resize(hook, old, before, new, size, frame);
    return new;
}

void *stray_hook_realloc(void *old, size_t size)
{
    return resize(STRAY_HOOK_realloc, old, size, FRAME());
}

/* The real one would come back through our realloc(); it is left the case that fails, and blocks of an allocator before ours:
 * the one after ours does not know them. */
void *stray_hook_reallocarray(void *old, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total) || UNLIKELY(foreign_heap()))
        return REAL(reallocarray)(old, count, size);
    return resize(STRAY_HOOK_reallocarray, old, total, FRAME());
}
