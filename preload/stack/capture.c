/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/capture.h"

#include <errno.h>

#include "gate.h"
#include "record/defs.h"
#include "record/index.h"
#include "record/nodes.h"
#include "stack/familiar.h"
#include "stack/merge_frames.h"
#include "stack/modules.h"
#include "stack/native.h"
#include "stack/python.h"
#include "stack/rules.h"
#include "stack/tables.h"
#include "real.h"
#include "settings.h"
#include "sys.h"

#define NATIVE_MAX UNWIND_MAX
#define PYTHON_MAX 128
#define RECENT     128
#define KEPT_OF    3 /* stacks that could be kept: one is */
#define OWN_FRAMES 8 /* of the tracer, between the unwinder and the hook's caller: never more */

enum scratch_use { SCRATCH_FREE, SCRATCH_SHARED, SCRATCH_TEMPORARY };

struct recent_stack {
    uint64_t key;
    uint32_t node;
};

/* Working memory of one thread, off its stack: some stacks are as small as 16 KiB. */
struct scratch {
    uint32_t taken; /* enum scratch_use, of those that are no lane's own */
    struct recent_stack recent[RECENT][2]; /* of the index, by the low bits of the key: the last one met and the one before */
    struct familiar familiar;
    struct unwind_frame slow[NATIVE_MAX + 1]; /* where libunwind was needed */
    void *addresses[NATIVE_MAX];
    uint64_t cfa[NATIVE_MAX];
    struct native_frame native[NATIVE_MAX];
    struct python_trail trail; /* of the Python frames that were read last, */
    struct python_stack trailed; /* and what they were */
    struct python_frame python[PYTHON_MAX];
    struct merge_run runs[PYTHON_MAX];
    struct merged_frame merged[NATIVE_MAX + PYTHON_MAX];
};

struct capture {
    struct scratch *scratch;
    struct arch_frame start;
    struct unwind_frame *frames; /* of the program; one more element is there */
    size_t skipped, native_count;
    struct python_stack python;
    bool slow, whole, truncated; /* whole: the frames reach to the end of the stack */
};

/* A thread that has a lane has the scratch of that number, too, and finds its last stack there. */
#define SCRATCHES 1024
#define SHARED    16
static struct scratch *scratches[SCRATCHES];
static struct scratch *shared; /* SHARED of them, for threads without; each is taken for the time of one capture */

void capture_init(void)
{
    if (!shared) {
        shared = sys_memory(SHARED * sizeof(struct scratch));
        native_init();
        rules_init();
        python_detect();
        if (!real_came_late())
            python_stays();
    }
    modules_begin();
    if (python_note())
        defs_string(STRAY_DEF_NOTE, python_note());
    if (!native_active())
        defs_string(STRAY_DEF_NOTE, "libunwind could not be loaded: some stacks are short");
}

void capture_forget(void)
{
    if (shared)
        sys_madvise(shared, SHARED * sizeof(struct scratch), MADV_DONTNEED); /* all zero again */
    for (unsigned i = 0; i < SCRATCHES; i++) {
        if (scratches[i])
            sys_munmap(scratches[i], sizeof(struct scratch));
        scratches[i] = NULL;
    }
    modules_forget();
    python_forget_definitions();
}

/* Threads remember where theirs is: the memory stays in place. */
void capture_clear(void)
{
    for (unsigned i = 0; i < SCRATCHES; i++)
        if (scratches[i])
            sys_madvise(scratches[i], sizeof(struct scratch), MADV_DONTNEED);
    tables_drop();
    modules_forget();
    python_forget_definitions();
}

bool capture_idle(void)
{
    bool idle = true;
    for (unsigned i = 0; shared && i < SHARED; i++)
        idle = idle && !__atomic_load_n(&shared[i].taken, __ATOMIC_ACQUIRE);
    return idle;
}

static struct scratch *scratch_share(void)
{
    for (unsigned i = 0; shared && i < SHARED; i++)
        if (!__atomic_load_n(&shared[i].taken, __ATOMIC_RELAXED) &&
            !__atomic_exchange_n(&shared[i].taken, SCRATCH_SHARED, __ATOMIC_ACQUIRE))
            return &shared[i];
    struct scratch *scratch = sys_memory(sizeof(*scratch)); /* more threads are at it than there are */
    if (scratch)
        scratch->taken = SCRATCH_TEMPORARY;
    return scratch;
}

static inline struct scratch *scratch_take(void)
{
    const struct stray_lane *lane = thread_self.lane;
    if (!lane || lane->number >= SCRATCHES)
        return scratch_share();
    if (__builtin_expect(!scratches[lane->number], 0))
        scratches[lane->number] = sys_memory(sizeof(struct scratch));
    struct scratch *scratch = scratches[lane->number];
    thread_self.stacks = scratch ? &scratch->familiar : NULL;
    thread_self.familiar = thread_self.libpq_depth == 0 ? thread_self.stacks : NULL;
    return scratch;
}

static inline void scratch_give(struct scratch *scratch)
{
    if (scratch->taken == SCRATCH_TEMPORARY)
        sys_munmap(scratch, sizeof(*scratch));
    else if (scratch->taken)
        __atomic_store_n(&scratch->taken, SCRATCH_FREE, __ATOMIC_RELEASE);
}

/* By libunwind, from here. It repeats a read for as long as it finds EINTR in errno, whoever put it there. */
static size_t unwind_slowly(struct capture *capture, size_t limit)
{
    struct scratch *scratch = capture->scratch;
    int kept = errno;
    errno = 0;
    size_t count = native_backtrace(scratch->addresses, limit);
    errno = kept;
    for (size_t i = 0; i < count; i++)
        scratch->slow[i] = (struct unwind_frame){.ip = (uint64_t)(uintptr_t)scratch->addresses[i]};
    scratch->slow[count] = (struct unwind_frame){0};
    capture->frames = scratch->slow;
    capture->slow = true;
    return count;
}

#define FRUITLESS_MAX 64u

/* By rules. Code of no known module has most often been loaded since the modules were looked at: to look again takes less than
 * libunwind does. Where that has not helped too often, it is left to whoever finds the stack to be new. */
static size_t unwind_by_rules(struct capture *capture, const void *caller, size_t limit, enum unwind_end *ret_end)
{
    static uint32_t fruitless;
    struct unwinder *unwinder = &capture->scratch->familiar.unwinder;
    size_t count = unwind_frames(unwinder, &capture->start, (uint64_t)(uintptr_t)caller, limit, &capture->frames, ret_end);
    if (__builtin_expect(*ret_end != UNWIND_UNKNOWN, 1) || __atomic_load_n(&fruitless, __ATOMIC_RELAXED) >= FRUITLESS_MAX ||
        !modules_refresh())
        return count;
    native_flush();
    count = unwind_frames(unwinder, &capture->start, (uint64_t)(uintptr_t)caller, limit, &capture->frames, ret_end);
    if (*ret_end == UNWIND_UNKNOWN)
        __atomic_fetch_add(&fruitless, 1, __ATOMIC_RELAXED);
    return count;
}

static void unwind(struct capture *capture, const void *caller)
{
    size_t limit = settings.depth + OWN_FRAMES < NATIVE_MAX ? settings.depth + OWN_FRAMES : NATIVE_MAX, skip = 0;
    enum unwind_end end;
    capture->slow = false;
    size_t count = unwind_by_rules(capture, caller, limit, &end);
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
    capture->whole = !capture->slow && end == UNWIND_COMPLETE && capture->native_count == count - skip;
}

static uint64_t hash(const struct capture *capture)
{
    uint64_t hash = capture->whole ? capture->frames->hash : unwind_hash(capture->frames, capture->native_count);
    return index_mix(hash + capture->python.key,
                     (uint64_t)defs_epoch() << 1 | (capture->truncated | capture->python.truncated));
}

/* The key is away while the node changes: a signal handler may jump out of here, and no key may be left with another's
 * node. */
static void put_recent(struct recent_stack *recent, uint64_t key, uint32_t node)
{
    __atomic_store_n(&recent->key, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    recent->node = node;
    __atomic_store_n(&recent->key, key, __ATOMIC_RELEASE);
}

/* Two have room, or each of a pair that comes round by turns would make the other one be forgotten, for good. */
static void remember_recent(struct recent_stack *both, uint64_t key, uint32_t node)
{
    put_recent(&both[1], both[0].key, both[0].node);
    put_recent(&both[0], key, node);
}

/* *ret_recent: it was met lately. */
static uint32_t find_node(struct scratch *scratch, uint64_t key, bool *ret_recent)
{
    struct recent_stack *both = scratch->recent[key % RECENT];
    unsigned which = both[0].key != key;
    *ret_recent = key != 0 && both[which].key == key;
    if (*ret_recent)
        return both[which].node;
    uint32_t node = index_find(key);
    if (node != 0)
        remember_recent(both, key, node);
    return node;
}

/* Whether a frame lies in code that was loaded since we looked; then what libunwind made of it is not to be trusted. Rules are
 * learnt in known modules only: by them, all but the last frame were left. */
static bool meets_unknown_module(const struct capture *capture)
{
    if (modules_stale())
        return true;
    for (size_t i = capture->slow ? 0 : capture->native_count - 1; i < capture->native_count; i++)
        if (!modules_know(capture->frames[i].ip - 1))
            return true;
    return false;
}

/* Where frames are matters to the order among Python's only; libunwind has to walk again for it. */
static size_t find_slow_cfas(const struct capture *capture)
{
    struct scratch *scratch = capture->scratch;
    if (capture->python.count == 0)
        return 0;
    int kept = errno;
    errno = 0;
    size_t count = native_frame_addresses(scratch->addresses, capture->skipped + capture->native_count, scratch->cfa);
    errno = kept;
    return count;
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

static uint32_t intern_root(const struct capture *capture)
{
    uint16_t flags = capture->truncated || capture->python.truncated ? STRAY_NODE_TRUNCATED : 0;
    return nodes_intern(0, STRAY_NODE_ROOT, flags, defs_epoch());
}

/* A stack of native frames that is there to its end: the nodes of those that were there the last time are beside them. */
static uint32_t intern_native(const struct capture *capture)
{
    size_t known = 0;
    while (known < capture->native_count && capture->frames[known].node == 0)
        known++;
    uint32_t node = known < capture->native_count ? capture->frames[known].node : intern_root(capture);
    while (known-- > 0 && node != 0)
        node = capture->frames[known].node = nodes_intern(node, STRAY_NODE_NATIVE, 0, capture->frames[known].ip);
    return node;
}

/* From the outermost frame inwards, each below its caller. Python's are read again, for they may have been known by their trail. */
static uint32_t intern_merged(const struct capture *capture)
{
    struct scratch *scratch = capture->scratch;
    bool truncated;
    size_t python = capture->python.count > 0 ? python_capture(scratch->python, PYTHON_MAX, &truncated) : 0;
    fill_native(capture);
    struct merge_input input = {scratch->native, capture->native_count, scratch->python, python, scratch->runs,
                                python_evaluator(), (uint64_t)(uintptr_t)__builtin_frame_address(0)};
    size_t count = merge_frames(&input, scratch->merged, NATIVE_MAX + PYTHON_MAX);
    uint32_t node = intern_root(capture);
    while (count > 0 && node != 0)
        node = intern_frame(capture, &scratch->merged[--count], node);
    return node;
}

static struct python_stack read_python(struct scratch *scratch)
{
    const struct python_frame *frames = scratch->python;
    struct python_stack python = {0};
    python.count = python_capture_trail(&scratch->trail, scratch->python, PYTHON_MAX, &python.truncated);
    for (size_t i = 0; i < python.count; i++)
        python.key += index_mix(frames[i].key << 1 | frames[i].entry, (i + 1) * 0x8ebc6af09c88c6e3u);
    scratch->trailed = python;
    python_trail_keep(&scratch->trail);
    return python;
}

static struct python_stack take_python(struct scratch *scratch)
{
    return __builtin_expect(python_trail_holds(&scratch->trail), 1) ? scratch->trailed : read_python(scratch);
}

static inline struct python_stack find_python(struct scratch *scratch)
{
    return __builtin_expect(python_active(), 0) ? take_python(scratch) : (struct python_stack){0};
}

/* The Python frames of a call that has not returned: they are walked once. */
static struct python_stack find_python_around(struct scratch *scratch, const struct recall_call *call)
{
    struct python_known *known = &scratch->familiar.python;
    if (known->call == call->number && python_is_at(&known->point))
        return known->stack;
    struct python_point here = python_here();
    struct python_stack stack = find_python(scratch);
    __atomic_store_n(&known->call, 0, __ATOMIC_RELEASE); /* a handler may jump out of here */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    known->point = here;
    known->stack = stack;
    __atomic_store_n(&known->call, call->number, __ATOMIC_RELEASE);
    return stack;
}

/* Sets *ret_recent if the stack was met lately. */
static uint32_t take_stack(struct capture *capture, const void *caller, bool *ret_recent)
{
    unwind(capture, caller);
    uint64_t key = hash(capture);
    uint32_t node = modules_stale() ? 0 : find_node(capture->scratch, key, ret_recent);
    if (node != 0)
        return node;
    if (meets_unknown_module(capture) && modules_refresh()) {
        native_flush();
        unwind(capture, caller);
        key = hash(capture);
    }
    bool native = capture->whole && capture->python.count == 0 && !capture->python.truncated;
    node = native ? intern_native(capture) : intern_merged(capture);
    if (node != 0)
        index_put(key, node);
    return node;
}

/* What is met for the second time in short may be kept. Not each time: where more stacks come round than there is room for, all
 * would go before they are met again, and so some stay. */
static inline bool is_kept(struct scratch *scratch, bool recent)
{
    return recent && ++scratch->familiar.met % KEPT_OF == 0;
}

static __attribute__((noinline)) uint32_t take_and_keep(struct scratch *scratch, struct recall_start *start,
                                                        const struct python_stack *python)
{
    struct capture capture = {.scratch = scratch, .start = {start->caller - 1, start->sp, start->bp}, .python = *python};
    bool recent = false;
    uint32_t node = take_stack(&capture, (const void *)start->caller, &recent);
    start->window = scratch->familiar.unwinder.window.number;
    if (is_kept(scratch, recent) && !capture.slow && start->modules == modules_now())
        recall_keep(&scratch->familiar.recall, start, capture.frames, capture.native_count, capture.whole, node);
    return node;
}

/* Where there is no working memory, above all in a signal handler that interrupted a capture. */
static uint32_t lone_caller(const void *caller)
{
    uint32_t root = nodes_intern(0, STRAY_NODE_ROOT, STRAY_NODE_TRUNCATED, defs_epoch());
    return nodes_intern(root, STRAY_NODE_NATIVE, 0, (uint64_t)(uintptr_t)caller);
}

/* For the time of a capture, during which handlers get no more than lone_caller(). NULL: there is none to be had. */
static inline struct scratch *begin(void)
{
    if (thread_self.flags & THREAD_UNWINDING)
        return NULL;
    thread_self.flags |= THREAD_UNWINDING;
    struct scratch *scratch = scratch_take();
    if (__builtin_expect(!scratch, 0))
        thread_self.flags &= ~(uint32_t)THREAD_UNWINDING;
    return scratch;
}

static inline void end(struct scratch *scratch)
{
    scratch_give(scratch);
    thread_self.flags &= ~(uint32_t)THREAD_UNWINDING;
}

__attribute__((noinline)) uint32_t capture_stack(const void *caller)
{
    struct capture capture = {.scratch = begin(), .start = arch_frame_here()};
    if (!capture.scratch)
        return lone_caller(caller);
    bool recent = false;
    capture.python = find_python(capture.scratch);
    uint32_t node = take_stack(&capture, caller, &recent);
    end(capture.scratch);
    return node;
}

/* A stack that was taken lately is recognised. */
static inline uint32_t take_caller_beside(struct scratch *scratch, const void *frame, const struct python_stack *python)
{
    struct recall_start start = familiar_start(&scratch->familiar, frame, familiar_python_key(python));
    uint32_t node = familiar_is_mine(&scratch->familiar) ? recall_find(&scratch->familiar.recall, &start) : 0;
    return __builtin_expect(node != 0, 1) ? node : take_and_keep(scratch, &start, python);
}

static inline uint32_t take_caller(struct scratch *scratch, const void *frame)
{
    struct python_stack python = find_python(scratch);
    return take_caller_beside(scratch, frame, &python);
}

/* Beneath the call, whose stack may have grown since: a stack that reaches further down than any that was taken belongs to it, if what
 * lies between can be read. */
static uint32_t find_beneath(struct scratch *scratch, const void *frame, const struct recall_call *call)
{
    struct familiar *familiar = &scratch->familiar;
    if (familiar->beneath.call != call->number || (python_active() && !python_is_at(&familiar->beneath.point)))
        return 0;
    struct beneath_code code;
    if (!beneath_find(((const uint64_t *)frame)[1], &code))
        return 0;
    __atomic_store_n(&familiar->beneath.code.size, 0, __ATOMIC_RELEASE); /* a handler may jump out of here */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    familiar->beneath.code.start = code.start;
    familiar->beneath.code.of = code.of;
    __atomic_store_n(&familiar->beneath.code.size, code.size, __ATOMIC_RELEASE);
    unwind_begin(&familiar->unwinder, (uint64_t)(uintptr_t)frame);
    return familiar_beneath_libpq(familiar, frame);
}

/* The same of something inside a call of libpq. */
static uint32_t take_caller_inside(struct scratch *scratch, const void *frame, const struct recall_call *call)
{
    uint32_t beneath = find_beneath(scratch, frame, call);
    if (beneath != 0)
        return beneath;
    struct python_stack python = find_python_around(scratch, call);
    struct recall_start start = familiar_start(&scratch->familiar, frame, familiar_python_key(&python));
    bool mine = familiar_is_mine(&scratch->familiar);
    uint32_t node = mine ? recall_find_inside(&scratch->familiar.recall, &start, call) : 0;
    if (__builtin_expect(node != 0, 1))
        return node;
    return take_and_keep(scratch, &start, &python);
}

uint32_t capture_caller(const void *frame)
{
    struct scratch *scratch = begin();
    if (!scratch)
        return lone_caller(((void *const *)frame)[1]);
    uint32_t node = take_caller(scratch, frame);
    end(scratch);
    return node;
}

static uint32_t take_block(struct scratch *scratch, const void *frame)
{
    struct recall_call call = thread_self.libpq_depth > 0 ? familiar_call(frame) : (struct recall_call){0};
    return call.number ? take_caller_inside(scratch, frame, &call) : take_caller(scratch, frame);
}

uint32_t capture_block(const void *frame)
{
    struct scratch *scratch = begin();
    if (!scratch)
        return lone_caller(((void *const *)frame)[1]);
    uint32_t node = take_block(scratch, frame);
    end(scratch);
    return node;
}

uint32_t capture_block_amid(const void *frame)
{
    struct scratch *scratch = scratch_take();
    if (!scratch)
        return lone_caller(((void *const *)frame)[1]);
    uint32_t node = take_block(scratch, frame);
    scratch_give(scratch);
    return node;
}

static uint32_t stack_beneath(struct familiar_beneath *beneath, uint64_t function, uint32_t outer)
{
    struct familiar_libpq_call *call = &beneath->calls[outer * 0x9e3779b97f4a7c15u >> 60];
    if (call->node != 0 && call->outer == outer && call->function == function)
        return call->node;
    uint32_t node = nodes_intern(outer, STRAY_NODE_NATIVE, 0, function + 1);
    __atomic_store_n(&call->node, 0, __ATOMIC_RELEASE); /* a handler may jump out of here */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    call->function = function;
    call->outer = outer;
    __atomic_store_n(&call->node, node, __ATOMIC_RELEASE);
    return node;
}
_Static_assert(FAMILIAR_CALLS == 1u << 4, "stack_beneath() takes 4 bits");

/* The call's number is away while the rest changes. */
static void keep_beneath(struct familiar *familiar, uint64_t function, uint32_t outer)
{
    struct familiar_beneath *beneath = &familiar->beneath;
    uint32_t node = stack_beneath(beneath, function, outer);
    __atomic_store_n(&beneath->call, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    beneath->window = familiar->unwinder.window.number;
    beneath->node = node;
    beneath->point = familiar->python.call == thread_self.libpq_call ? familiar->python.point : (struct python_point){0};
    __atomic_store_n(&beneath->call, thread_self.libpq_call, __ATOMIC_RELEASE);
}

uint32_t capture_libpq(const void *frame, const void *function)
{
    struct scratch *scratch = begin();
    if (!scratch)
        return lone_caller(((void *const *)frame)[1]);
    struct recall_call call = {thread_self.libpq_call, thread_self.libpq_frame};
    struct python_stack python = {0};
    if (python_active())
        python = find_python_around(scratch, &call);
    uint32_t outer = take_caller_beside(scratch, frame, &python);
    if (outer != 0 && !settings.full && __atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_HEAP)
        keep_beneath(&scratch->familiar, (uint64_t)(uintptr_t)function, outer);
    end(scratch);
    return outer;
}
