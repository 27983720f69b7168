/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/capture.h"

#include <errno.h>

#include "gate.h"
#include "record/defs.h"
#include "record/index.h"
#include "record/nodes.h"
#include "stack/merge_frames.h"
#include "stack/modules.h"
#include "stack/native.h"
#include "stack/python.h"
#include "settings.h"
#include "sys.h"

#define NATIVE_MAX 256
#define PYTHON_MAX 128
#define OWN_FRAMES 8 /* of the tracer, between the unwinder and the hook's caller: never more */

/* Working memory of one thread, off its stack: some stacks are as small as 16 KiB. */
struct scratch {
    const struct thread *taken; /* by whom; NULL: free */
    void *addresses[NATIVE_MAX];
    uint64_t cfa[NATIVE_MAX];
    struct native_frame native[NATIVE_MAX];
    struct python_frame python[PYTHON_MAX];
    struct merged_frame merged[NATIVE_MAX + PYTHON_MAX];
};

struct capture {
    struct scratch *scratch;
    size_t skip, native_count, python_count; /* addresses[skip .. skip + native_count) are the program's */
    bool truncated;
};

#define SCRATCHES 64
static struct scratch *scratches; /* SCRATCHES of them; each is taken for the time of one capture */

void capture_init(void)
{
    if (!scratches) {
        scratches = sys_memory(SCRATCHES * sizeof(struct scratch));
        native_init();
        python_detect();
    }
    modules_refresh();
    if (python_note())
        defs_string(STRAY_DEF_NOTE, python_note());
    if (!native_active())
        defs_string(STRAY_DEF_NOTE, "libunwind could not be loaded: no stacks were taken");
}

void capture_forget(void)
{
    for (unsigned i = 0; scratches && i < SCRATCHES; i++)
        scratches[i].taken = NULL;
    modules_forget();
    python_forget_definitions();
}

static struct scratch *scratch_take(void)
{
    /* Threads begin at different places, so that they rarely meet. One's own was left behind by a jump. */
    unsigned begin = (unsigned)((uintptr_t)&thread_self >> 12) % SCRATCHES;
    for (unsigned i = 0; scratches && i < SCRATCHES; i++) {
        struct scratch *scratch = &scratches[(begin + i) % SCRATCHES];
        const struct thread *owner = __atomic_load_n(&scratch->taken, __ATOMIC_RELAXED);
        if (owner == &thread_self || (!owner && __atomic_compare_exchange_n(&scratch->taken, &owner, &thread_self, false,
                                                                            __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
            return scratch;
    }
    return sys_memory(sizeof(struct scratch)); /* more threads are at it than there are: one for this time only */
}

static void scratch_give(struct scratch *scratch)
{
    if (scratch >= scratches && scratch < scratches + SCRATCHES)
        __atomic_store_n(&scratch->taken, NULL, __ATOMIC_RELEASE);
    else
        sys_munmap(scratch, sizeof(*scratch));
}

static void unwind(struct capture *capture, const void *caller)
{
    void **addresses = capture->scratch->addresses;
    size_t limit = settings.depth + OWN_FRAMES < NATIVE_MAX ? settings.depth + OWN_FRAMES : NATIVE_MAX;
    size_t count = native_backtrace(addresses, limit), skip = 0;
    while (skip < count && skip < OWN_FRAMES && addresses[skip] != caller)
        skip++;
    if (skip == count || skip == OWN_FRAMES) { /* not to be unwound from here: the caller alone is certain */
        addresses[0] = (void *)(uintptr_t)caller;
        skip = 0;
        count = 1;
    }
    capture->truncated = count - skip > settings.depth || count == limit;
    capture->skip = skip;
    capture->native_count = count - skip < settings.depth ? count - skip : settings.depth;
}

static uint64_t hash(const struct capture *capture)
{
    uint64_t hash = index_mix(defs_epoch(), capture->truncated);
    for (size_t i = 0; i < capture->native_count; i++)
        hash = index_mix(hash, (uint64_t)(uintptr_t)capture->scratch->addresses[capture->skip + i]);
    for (size_t i = 0; i < capture->python_count; i++)
        hash = index_mix(hash, capture->scratch->python[i].key << 1 | capture->scratch->python[i].entry);
    return hash;
}

/* Whether a frame lies in code that was loaded since we looked; then what libunwind made of it is not to be trusted. */
static bool meets_unknown_module(const struct capture *capture)
{
    if (modules_stale())
        return true;
    for (size_t i = 0; i < capture->native_count; i++)
        if (!modules_know((uint64_t)(uintptr_t)capture->scratch->addresses[capture->skip + i] - 1))
            return true;
    return false;
}

static void fill_native(const struct capture *capture)
{
    struct scratch *scratch = capture->scratch;
    size_t total = capture->skip + capture->native_count;
    size_t known = capture->python_count > 0 ? native_frame_addresses(scratch->addresses, total, scratch->cfa) : 0;
    for (size_t i = 0; i < capture->native_count; i++) {
        scratch->native[i].ip = (uint64_t)(uintptr_t)scratch->addresses[capture->skip + i];
        scratch->native[i].cfa = capture->skip + i < known ? scratch->cfa[capture->skip + i] : 0;
    }
}

static uint32_t intern_frame(const struct capture *capture, const struct merged_frame *frame, uint32_t parent)
{
    if (!frame->python)
        return nodes_intern(parent, STRAY_NODE_NATIVE, 0, capture->scratch->native[frame->index].ip);
    const struct python_frame *python = &capture->scratch->python[frame->index];
    uint64_t code = python_code_id(python->code);
    return code == 0 ? parent : nodes_intern(parent, STRAY_NODE_PYTHON, 0, code << 32 | python->offset);
}

/* From the outermost frame inwards, each below its caller. */
static uint32_t intern(const struct capture *capture)
{
    struct scratch *scratch = capture->scratch;
    fill_native(capture);
    struct merge_input input = {scratch->native, capture->native_count, scratch->python, capture->python_count,
                                python_evaluator(), (uint64_t)(uintptr_t)__builtin_frame_address(0)};
    size_t count = merge_frames(&input, scratch->merged, NATIVE_MAX + PYTHON_MAX);
    uint32_t node = nodes_intern(0, STRAY_NODE_ROOT, capture->truncated ? STRAY_NODE_TRUNCATED : 0, defs_epoch());
    while (count > 0 && node != 0)
        node = intern_frame(capture, &scratch->merged[--count], node);
    return node;
}

static uint32_t capture_with(struct scratch *scratch, const void *caller)
{
    struct capture capture = {.scratch = scratch};
    bool python_truncated = false;
    unwind(&capture, caller);
    capture.python_count = python_active() ? python_capture(scratch->python, PYTHON_MAX, &python_truncated) : 0;
    capture.truncated |= python_truncated;
    uint64_t key = hash(&capture);
    uint32_t node = modules_stale() ? 0 : index_find(key);
    if (node != 0)
        return node;
    if (meets_unknown_module(&capture) && modules_refresh()) {
        native_flush();
        unwind(&capture, caller);
        key = hash(&capture);
    }
    node = intern(&capture);
    if (node != 0)
        index_put(key, node);
    return node;
}

__attribute__((noinline)) uint32_t capture_stack(const void *caller)
{
    if (!native_active() || thread_self.flags & THREAD_UNWINDING)
        return 0;
    struct scratch *scratch = scratch_take();
    if (!scratch)
        return 0;
    int kept = errno;
    errno = 0; /* libunwind repeats a read for as long as it finds EINTR there, whoever put it */
    thread_self.flags |= THREAD_UNWINDING;
    uint32_t node = capture_with(scratch, caller);
    thread_self.flags &= ~(uint32_t)THREAD_UNWINDING;
    errno = kept;
    scratch_give(scratch);
    return node;
}
