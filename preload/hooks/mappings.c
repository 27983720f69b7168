/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mappings that the program makes itself. What libc maps for its own use (big blocks, the stacks of threads, loaded
 * objects) does not come through here, and what the tracer maps neither.
 */
#include "hooks/wrap.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

static uint64_t whole_pages(size_t size)
{
    return ((uint64_t)size + STRAY_PAGE - 1) & ~(uint64_t)(STRAY_PAGE - 1);
}

/* Mappings are never told in sum only: a release may concern a part of one, or several. */
static void record(uint64_t time, uint8_t action, uint16_t hook, uint64_t address, uint64_t size, uint32_t stack)
{
    emit_at(time, action, STRAY_MMAP, hook, address, size, stack);
}

/* Recorded when it has succeeded, with the time from before: the addresses may be another thread's by now. */
int stray_hook_munmap(void *address, size_t size)
{
    uint64_t before = clock_before();
    int result = REAL(munmap)(address, size);
    if (result == 0 && gate_open(BITS_OF(STRAY_MMAP))) {
        int kept = errno;
        note_finalizing();
        record(before, STRAY_CLOSE, STRAY_HOOK_munmap, handle_of(address), whole_pages(size), 0);
        errno = kept;
    }
    return result;
}

/* One mremap() that succeeded; sizes in whole pages. */
struct remapping {
    uint64_t before, after;
    uint64_t old, new;
    uint64_t old_size, new_size;
};

static void record_cut(const struct remapping *it, uint64_t address, uint64_t size)
{
    record(it->before, STRAY_CLOSE, STRAY_HOOK_mremap, address, size, 0);
}

/* The pages from the last old one on belong to one mapping now. */
static void record_growth(const struct remapping *it)
{
    uint64_t last = it->old + it->old_size - STRAY_PAGE;
    record(it->after, STRAY_RESIZE, STRAY_HOOK_mremap, last, it->new_size - it->old_size + STRAY_PAGE, 0);
}

static void record_move(const struct remapping *it)
{
    uint64_t moved = it->old_size < it->new_size ? it->old_size : it->new_size;
    if (moved < it->old_size)
        record_cut(it, it->old + moved, it->old_size - moved);
    record(it->before, STRAY_MOVE_FROM, STRAY_HOOK_mremap, it->old, moved, 0);
    record(it->after, STRAY_MOVE_TO, STRAY_HOOK_mremap, it->new, it->new_size, 0);
}

/* A mapping that leaves the old one where it is, a second view of shared pages or a place emptied for others, is one more. */
static void record_remapping(const struct remapping *it, bool stays, const void *caller)
{
    if (stays)
        record(it->after, STRAY_OPEN, STRAY_HOOK_mremap, it->new, it->new_size, capture_stack(caller));
    else if (it->new != it->old)
        record_move(it);
    else if (it->new_size < it->old_size)
        record_cut(it, it->old + it->new_size, it->old_size - it->new_size);
    else if (it->new_size > it->old_size)
        record_growth(it);
}

/* The fifth argument is handed on also where the program gave none: libc does the same. */
void *stray_hook_mremap(void *old, size_t old_size, size_t new_size, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    void *target = va_arg(arguments, void *);
    va_end(arguments);
    if (gate_open(BITS_OF(STRAY_MMAP)))
        emit_ready();
    struct remapping it = {.before = clock_before(), .old = handle_of(old)};
    void *new = REAL(mremap)(old, old_size, new_size, flags, target);
    if (new != MAP_FAILED && gate_open(BITS_OF(STRAY_MMAP))) {
        int kept = errno;
        note_finalizing();
        it.after = clock_after();
        it.new = handle_of(new);
        it.old_size = whole_pages(old_size);
        it.new_size = whole_pages(new_size);
        record_remapping(&it, old_size == 0 || (flags & MREMAP_DONTUNMAP), CALLER());
        errno = kept;
    }
    return new;
}
