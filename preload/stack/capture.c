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
#include "stack/rules.h"
#include "stack/unwind.h"
#include "settings.h"
#include "sys.h"

#define NATIVE_MAX UNWIND_MAX
#define PYTHON_MAX 128
#define OWN_FRAMES 8 /* of the tracer, between the unwinder and the hook's caller: never more */

/* Working memory of one thread, off its stack: some stacks are as small as 16 KiB. */
struct scratch {
    uint64_t taken;  /* by which thread; 0: free */
    uint64_t thread; /* that had it last: the next capture of the same one finds its stack there */
    struct unwinder unwinder;
    struct unwind_frame slow[NATIVE_MAX + 1]; /* where libunwind was needed */
    void *addresses[NATIVE_MAX];
    uint64_t cfa[NATIVE_MAX];
    struct native_frame native[NATIVE_MAX];
    struct python_frame python[PYTHON_MAX];
    struct merged_frame merged[NATIVE_MAX + PYTHON_MAX];
};

struct capture {
    struct scratch *scratch;
    struct arch_frame start;
    const struct unwind_frame *frames; /* of the program; one more element is there */
    size_t skipped, native_count, python_count;
    bool slow, truncated;
};

#define SCRATCHES     256
#define SCRATCHES_TRY 16 /* places where a thread's may be */
static struct scratch *scratches; /* SCRATCHES of them; each is taken for the time of one capture */

void capture_init(void)
{
    if (!scratches) {
        scratches = sys_memory(SCRATCHES * sizeof(struct scratch));
        native_init();
        rules_init();
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
        scratches[i].taken = 0;
    modules_forget();
    python_forget_definitions();
}

/* One's own was left behind by a jump out of a signal handler. */
static bool scratch_try(struct scratch *scratch, uint64_t thread)
{
    uint64_t owner = __atomic_load_n(&scratch->taken, __ATOMIC_RELAXED);
    if (owner != thread && (owner != 0 || !__atomic_compare_exchange_n(&scratch->taken, &owner, thread, false,
                                                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
        return false;
    scratch->thread = thread;
    return true;
}

/* The one that the thread had last; else one that nobody had; else any; else, when more threads are at it than there are,
 * one for this time only. */
static struct scratch *scratch_take(void)
{
    uint64_t thread = arch_thread(), place = index_mix(thread, 0) % SCRATCHES;
    for (unsigned pass = 0; scratches && pass < 3; pass++)
        for (unsigned i = 0; i < SCRATCHES_TRY; i++) {
            struct scratch *scratch = &scratches[(place + i) % SCRATCHES];
            uint64_t owner = __atomic_load_n(&scratch->thread, __ATOMIC_RELAXED);
            if ((owner == (pass == 0 ? thread : 0) || pass == 2) && scratch_try(scratch, thread))
                return scratch;
        }
    return sys_memory(sizeof(struct scratch));
}

static void scratch_give(struct scratch *scratch)
{
    if (scratch >= scratches && scratch < scratches + SCRATCHES)
        __atomic_store_n(&scratch->taken, 0, __ATOMIC_RELEASE);
    else
        sys_munmap(scratch, sizeof(*scratch));
}

/* By libunwind, from here. */
static size_t unwind_slowly(struct capture *capture, size_t limit)
{
    struct scratch *scratch = capture->scratch;
    errno = 0; /* libunwind repeats a read for as long as it finds EINTR there, whoever put it */
    size_t count = native_backtrace(scratch->addresses, limit);
    for (size_t i = 0; i < count; i++)
        scratch->slow[i] = (struct unwind_frame){.ip = (uint64_t)(uintptr_t)scratch->addresses[i]};
    scratch->slow[count] = (struct unwind_frame){0};
    capture->frames = scratch->slow;
    capture->slow = true;
    return count;
}

static void unwind(struct capture *capture, const void *caller)
{
    size_t limit = settings.depth + OWN_FRAMES < NATIVE_MAX ? settings.depth + OWN_FRAMES : NATIVE_MAX, skip = 0;
    enum unwind_end end;
    capture->slow = false;
    size_t count = unwind_frames(&capture->scratch->unwinder, capture->start, limit, &capture->frames, &end);
    if (end != UNWIND_COMPLETE && end != UNWIND_CUT)
        count = unwind_slowly(capture, limit);
    while (skip < count && skip < OWN_FRAMES && capture->frames[skip].ip != (uint64_t)(uintptr_t)caller)
        skip++;
    if (skip == count || skip == OWN_FRAMES) { /* not to be unwound from here: the caller alone is certain */
        capture->scratch->slow[0] = (struct unwind_frame){.ip = (uint64_t)(uintptr_t)caller};
        capture->scratch->slow[1] = (struct unwind_frame){0};
        capture->frames = capture->scratch->slow;
        capture->slow = true;
        skip = 0;
        count = 1;
    }
    capture->truncated = count - skip > settings.depth || count == limit;
    capture->frames += skip;
    capture->skipped = skip;
    capture->native_count = count - skip < settings.depth ? count - skip : settings.depth;
}

static uint64_t hash(const struct capture *capture)
{
    uint64_t hash = unwind_hash(&capture->scratch->unwinder, capture->frames, capture->native_count);
    hash = index_mix(hash, (uint64_t)defs_epoch() << 1 | capture->truncated);
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
        if (!modules_know(capture->frames[i].ip - 1))
            return true;
    return false;
}

/* Where frames are matters to the order among Python's only; libunwind has to walk again for it. */
static size_t find_slow_cfas(const struct capture *capture)
{
    struct scratch *scratch = capture->scratch;
    if (capture->python_count == 0)
        return 0;
    return native_frame_addresses(scratch->addresses, capture->skipped + capture->native_count, scratch->cfa);
}

static void fill_native(const struct capture *capture)
{
    struct scratch *scratch = capture->scratch;
    size_t known = capture->slow ? find_slow_cfas(capture) : 0;
    for (size_t i = 0; i < capture->native_count; i++) {
        size_t place = capture->skipped + i;
        uint64_t slow_cfa = place < known ? scratch->cfa[place] : 0;
        scratch->native[i].ip = capture->frames[i].ip;
        scratch->native[i].cfa = capture->slow ? slow_cfa : capture->frames[i + 1].sp;
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

static uint32_t capture_with(struct scratch *scratch, struct arch_frame start, const void *caller)
{
    struct capture capture = {.scratch = scratch, .start = start};
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
    if (thread_self.flags & THREAD_UNWINDING)
        return 0;
    struct scratch *scratch = scratch_take();
    if (!scratch)
        return 0;
    int kept = errno;
    thread_self.flags |= THREAD_UNWINDING;
    uint32_t node = capture_with(scratch, arch_frame_here(), caller);
    thread_self.flags &= ~(uint32_t)THREAD_UNWINDING;
    errno = kept;
    scratch_give(scratch);
    return node;
}
