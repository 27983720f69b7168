/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/sampled_heap.h"

#include <errno.h>

#include "hooks/wrap.h"
#include "record/young.h"

/* Not remembered as young: its release is an event as well. */
void sampled_heap_record(uint16_t hook, void *block, size_t size, const void *frame)
{
    uint64_t time = young_acquired(handle_of(block));
    note_finalizing();
    samples_add(&heap_samples, block);
    emit_at(time, STRAY_OPEN, STRAY_HEAP, hook, handle_of(block), size, capture_caller(frame));
}

void sampled_heap_record_freed(uint16_t hook, const void *block)
{
    if (samples_remove(&heap_samples, block) != SAMPLES_NONE)
        record_freed(hook, handle_of(block));
}

void sampled_heap_watch(const void *block)
{
    if (heap_samples_open())
        samples_add(&heap_samples, block);
}

static void record_resize(uint16_t hook, const void *old, uint64_t before, const void *new, size_t size)
{
    struct stray_event from = {before, handle_of(old), 0, 0, hook, STRAY_MOVE_FROM, STRAY_HEAP};
    struct stray_event to = {young_acquired(handle_of(new)), handle_of(new), size, 0, hook, STRAY_MOVE_TO, STRAY_HEAP};
    if (new == old)
        to.action = STRAY_RESIZE;
    samples_add(&heap_samples, new);
    emit_move(&from, &to);
}

/* The block has another size now: it is drawn anew, with the probability of that size, whether it was a sample or not. Of one
 * that was none it is not known what was asked for, so nothing that depends on it would be right. */
static void draw_again(uint16_t hook, enum samples_found was, const void *old, uint64_t before, void *new, size_t size,
                       const void *frame)
{
    bool hit = heap_samples_hit(size);
    if (was == SAMPLES_ONE && hit) {
        record_resize(hook, old, before, new, size);
        return;
    }
    if (was != SAMPLES_NONE)
        emit_at(before, STRAY_LEFT, STRAY_HEAP, hook, handle_of(old), 0, 0);
    if (hit)
        sampled_heap_record(hook, new, size, frame);
}

/* Nobody else can have the address before the real call releases it. */
void *sampled_heap_resize(uint16_t hook, void *old, size_t size, const void *frame)
{
    bool perhaps = old && samples_may_have(heap_samples_counts, old);
    enum samples_found was = perhaps ? samples_remove(&heap_samples, old) : SAMPLES_NONE;
    uint64_t before = was != SAMPLES_NONE ? emit_before_move(handle_of(old), STRAY_HEAP) : 0;
    void *new = REAL(realloc)(old, size);
    int kept = errno;
    if (new)
        draw_again(hook, was, old, before, new, size, frame);
    else if (was == SAMPLES_ONE && size != 0) /* it failed, and the block is as it was */
        samples_add(&heap_samples, old);
    else if (was != SAMPLES_NONE && size == 0) /* a release after all */
        emit_was_freed(before, handle_of(old), hook);
    errno = kept;
    return new;
}
