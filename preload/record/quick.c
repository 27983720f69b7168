/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/quick.h"

#include "record/file.h"
#include "record/lane.h"

void quick_leave_slowly(const struct young *young, uint64_t time)
{
    if (young_is_full(young))
        lane_make_room(thread_self.lane);
    quick_end();
    if (time >= emit_due)
        emit_when_due(time);
}

void quick_acquire_late(struct young *young, uint64_t handle, uint64_t size, uint32_t stack, uint16_t hook)
{
    struct stray_event event = {young_acquired(handle), handle, size, stack, hook, STRAY_OPEN, STRAY_HEAP};
    file_write_late(&event);
    quick_leave_slowly(young, event.time);
}

/* The block may have been acquired elsewhere: then the counter must not be read before the handle has come. */
static inline void quick_tell(struct young *young, uint64_t handle, uint16_t hook)
{
    uint64_t time = young_outdate(handle, clock_after());
    struct stray_event event = {time, handle, 0, 0, hook, STRAY_CLOSE, STRAY_HEAP}, *slot = young_slot(young);
    if (__builtin_expect(slot != NULL, 1))
        young_store(slot, &event);
    else
        file_write_late(&event);
    quick_leave(young, time);
}

/* `acquired` has been taken out of the index; NULL: it was not there. */
static void release(struct young *young, struct stray_event *acquired, uint64_t handle, uint16_t hook)
{
    uint64_t time = acquired ? young_ended(young, acquired->stack) : 0; /* that of the caller, if it was to have another's: its age */
    if (acquired && (young_add(young, acquired, time) || young_begin_sum(young, acquired, time)))
        quick_leave(young, time);
    else
        quick_tell(young, handle, hook);
}

void quick_release_slowly(struct young *young, uint64_t handle, uint16_t hook)
{
    release(young, young_take(young, handle, STRAY_HEAP), handle, hook);
}

void quick_release_unknown(struct young *young, uint64_t handle, uint16_t hook)
{
    release(young, young->crowded ? young_take_elsewhere(young, handle, STRAY_HEAP) : NULL, handle, hook);
}
