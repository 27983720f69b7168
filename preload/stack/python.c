/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/python.h"

#include <errno.h>
#include <signal.h>

#include "sys.h"
#include "stack/python_codes.h"
#include "stack/python_layout.h"
#include "stack/module_symbols.h"

static struct python_runtime runtime;
uint32_t python_state_found; /* enum python_state; atomic; published after `runtime` */
uint32_t python_suspended;   /* atomic */
static uint32_t detecting; /* atomic: a thread is in python_detect() */
static const char *note;   /* atomic */
static uint64_t first_thread; /* atomic: the state of the thread that began the program; 0: not met */
static uint64_t first_module; /* atomic: the code object that thread's outermost frame was last seen to execute */
static uint64_t staying;   /* the state of the interpreter that is never unloaded; 0: none */

#define PROOF_FRAMES    32
#define SHUTDOWN_FRAMES 16 /* of threading._shutdown() and what it calls */

static void set_unsupported(const char *sentence)
{
    __atomic_store_n(&note, sentence, __ATOMIC_RELEASE);
    __atomic_store_n(&python_state_found, PYTHON_STATE_UNSUPPORTED, __ATOMIC_RELEASE);
}

static bool same_runtime(const struct python_runtime *found)
{
    return runtime.state == found->state && runtime.layout.minor == found->layout.minor &&
           runtime.code_type == found->code_type;
}

#define NOTE_BUILD                                                                                           \
    "Python frames are not recorded: CPython 3.8 to 3.13 is known, this interpreter is another version or "  \
    "build"
#define NOTE_FRAMES                                                                                          \
    "Python frames are not recorded: this interpreter's frames are not laid out as those of its version"

static void adopt(const struct python_runtime *found)
{
    enum python_state now = __atomic_load_n(&python_state_found, __ATOMIC_RELAXED);
    bool known = now != PYTHON_STATE_ABSENT && same_runtime(found);
    /* One whose frames were not what they should be stays off. */
    if (known && now == PYTHON_STATE_UNSUPPORTED)
        return;
    if (!python_codes_watch(found)) {
        set_unsupported(NOTE_BUILD);
        return;
    }
    if (known)
        return;
    __atomic_store_n(&python_state_found, PYTHON_STATE_ABSENT, __ATOMIC_RELEASE);
    runtime = *found;
    __atomic_store_n(&python_state_found, PYTHON_STATE_FOUND, __ATOMIC_RELEASE);
}

void python_detect(void)
{
    if (__atomic_exchange_n(&detecting, 1, __ATOMIC_ACQUIRE))
        return;
    struct python_runtime found;
    unsigned minor = 0;
    switch (python_runtime_find(&found, &minor)) {
    case PYTHON_FOUND:
        adopt(&found);
        break;
    case PYTHON_UNSUPPORTED:
        set_unsupported(
            "Python frames are not recorded: CPython 3.8 to 3.13 is known, this interpreter is another "
            "version or build");
        break;
    case PYTHON_MISSING:
        __atomic_store_n(&python_state_found, PYTHON_STATE_ABSENT, __ATOMIC_RELEASE);
        break;
    }
    __atomic_store_n(&python_suspended, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&detecting, 0, __ATOMIC_RELEASE);
}

void python_stays(void)
{
    staying = runtime.state;
}

/* The calls of all threads are without Python frames meanwhile, so it is not done lightly. */
void python_suspend(void)
{
    if (staying != 0 && staying == runtime.state)
        return;
    __atomic_store_n(&python_suspended, 1, __ATOMIC_RELEASE);
}

void python_leave(void)
{
    if (python_active())
        python_codes_unwatch(&runtime);
}

bool python_call_soon(int (*call)(void *unused))
{
    enum { STATE, ADD, BEGUN, COUNT };
    struct module_symbol symbols[COUNT] = {
        [STATE] = {.name = "_PyRuntime"}, [ADD] = {.name = "Py_AddPendingCall"}, [BEGUN] = {.name = "Py_IsInitialized"}};
    struct module_range range;
    int (*add)(int (*)(void *), void *), (*begun)(void);
    if (!python_active() || !module_symbols_find(symbols, COUNT, &range) || symbols[STATE].address != runtime.state)
        return false;
    *(void **)&add = (void *)(uintptr_t)symbols[ADD].address;
    *(void **)&begun = (void *)(uintptr_t)symbols[BEGUN].address;
    return begun() && !python_finalizing() && add(call, NULL) == 0;
}

const char *python_note(void)
{
    return __atomic_load_n(&python_state_found, __ATOMIC_ACQUIRE) == PYTHON_STATE_UNSUPPORTED
               ? __atomic_load_n(&note, __ATOMIC_ACQUIRE)
               : NULL;
}

/* Whether eight bytes can be read: the kernel copies the mask before it looks at `how`, which is invalid and
 * so changes nothing. (The way of Abseil's AddressIsReadable,
 * absl/debugging/internal/address_is_readable.cc.) */
static bool readable(uint64_t address)
{
    return SYS6(SYS_rt_sigprocmask, -1, address & ~7ull, 0, 8, 0, 0) == -EINVAL;
}

/* A cursor on a chain of frames. With `careful`, every address is tried before it is read, and `broken` is
 * set where one cannot be; without, that costs nothing: everything is inlined for both cases. */
struct walk {
    struct python_layout layout; /* a copy, which the compiler can keep in registers */
    uint64_t frame;
    uint64_t cframe;
    bool broken;
    struct python_trail *trail; /* NULL: none is left */
};

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t walk_word(struct walk *walk, uint64_t address, bool careful)
{
    if (careful && (address % 8 != 0 || !readable(address))) {
        walk->broken = true;
        return 0;
    }
    return python_word(address);
}

INLINE uint8_t walk_marker(struct walk *walk, bool careful)
{
    uint64_t address = walk->frame + walk->layout.frame_marker;
    if (careful && !readable(address)) {
        walk->broken = true;
        return 0;
    }
    return python_byte(address);
}

INLINE struct walk walk_begin(const struct python_layout *layout, uint64_t thread, bool careful)
{
    struct walk walk = {.layout = *layout};
    walk.frame = walk_word(&walk, thread + layout->thread_frames, careful);
    if (layout->thread_has_cframe && walk.frame) {
        walk.cframe = walk.frame;
        walk.frame = walk_word(&walk, walk.cframe + layout->cframe_current, careful);
    }
    return walk;
}

/* To 3.10: `f_lasti` counts from the start of the bytecode; -1, not begun, counts as the first. */
INLINE void read_counted(struct walk *walk, struct python_frame *frame, bool careful)
{
    uint64_t code = walk_word(walk, walk->frame + walk->layout.frame_code, careful);
    int32_t last = (int32_t)walk_word(walk, walk->frame + walk->layout.frame_instruction, careful);
    uint32_t offset = last < 0 ? 0 : (uint32_t)last * walk->layout.instruction_scale;
    frame->code = code;
    frame->offset = offset;
    frame->key = (code * 0x9e3779b97f4a7c15ull + offset) ^ python_codes_mark(code);
}

/* From 3.11: a pointer to the instruction, which is before the first in a frame that has not begun. */
INLINE void read_pointed(struct walk *walk, struct python_frame *frame, bool careful)
{
    uint64_t code = walk_word(walk, walk->frame + walk->layout.frame_code, careful);
    uint64_t instruction = walk_word(walk, walk->frame + walk->layout.frame_instruction, careful);
    uint64_t first = code + walk->layout.code_bytes;
    frame->code = code;
    frame->offset = instruction < first ? 0 : (uint32_t)(instruction - first);
    frame->key = instruction ^ python_codes_mark(code);
}

/* One step too many makes a trail that cannot be kept. */
INLINE void leave_step(const struct walk *walk)
{
    struct python_trail *trail = walk->trail;
    if (trail->count++ < PYTHON_STEPS)
        trail->steps[trail->count - 1] =
            (struct python_step){walk->frame, python_word(walk->frame + walk->layout.frame_instruction)};
}

INLINE void walk_outwards(struct walk *walk, bool careful)
{
    if (walk->trail)
        leave_step(walk);
    walk->frame = walk_word(walk, walk->frame + walk->layout.frame_previous, careful);
}

/* To 3.10: every frame is a run of its own. */
INLINE size_t walk_objects(struct walk *walk, struct python_frame *frames, size_t capacity, bool careful)
{
    size_t count = 0;
    for (; walk->frame && count < capacity && !walk->broken; count++) {
        read_counted(walk, &frames[count], careful);
        frames[count].entry = true;
        frames[count].host = 0;
        walk_outwards(walk, careful);
    }
    return count;
}

/* 3.11: a run ends at its entry frame; the n-th run from inside belongs to the n-th _PyCFrame. */
INLINE size_t walk_cframes(struct walk *walk, struct python_frame *frames, size_t capacity, bool careful)
{
    size_t count = 0;
    for (; walk->frame && count < capacity && !walk->broken; count++) {
        read_pointed(walk, &frames[count], careful);
        bool entry = walk_marker(walk, careful) != 0;
        frames[count].entry = entry;
        frames[count].host = entry ? walk->cframe : 0;
        if (entry && walk->cframe)
            walk->cframe = walk_word(walk, walk->cframe + walk->layout.cframe_previous, careful);
        walk_outwards(walk, careful);
    }
    return count;
}

/* From 3.12: a run ends before a shim frame, which is a variable of the evaluator. An evaluator whose frame
 * is not linked yet shows as a shim alone. */
INLINE size_t walk_shims(struct walk *walk, struct python_frame *frames, size_t capacity, bool careful)
{
    size_t count = 0, steps = 2 * capacity + 2;
    for (; walk->frame && !walk->broken && steps > 0; steps--) {
        if (walk_marker(walk, careful) != PYTHON_OWNED_BY_CSTACK) {
            if (count == capacity)
                break;
            read_pointed(walk, &frames[count], careful);
            frames[count].entry = false;
            frames[count].host = 0;
            count++;
        } else if (count > 0 && !frames[count - 1].entry) {
            frames[count - 1].entry = true;
            frames[count - 1].host = walk->frame;
        }
        walk_outwards(walk, careful);
    }
    return count;
}

INLINE size_t walk_frames(struct walk *walk, struct python_frame *frames, size_t capacity, bool careful)
{
    switch (walk->layout.chain) {
    case PYTHON_CHAIN_OBJECTS:
        return walk_objects(walk, frames, capacity, careful);
    case PYTHON_CHAIN_CFRAME:
        return walk_cframes(walk, frames, capacity, careful);
    default:
        return walk_shims(walk, frames, capacity, careful);
    }
}

static bool has_type(uint64_t object, uint64_t type)
{
    return object && object % 8 == 0 && readable(object + PYTHON_OBJECT_TYPE) &&
           python_word(object + PYTHON_OBJECT_TYPE) == type;
}

/* Whether a frame that was read with care is one: what it executes is a code object with names, a table. */
static bool plausible(const struct python_frame *frame)
{
    const struct python_layout *layout = &runtime.layout;
    if (!has_type(frame->code, runtime.code_type) || !readable(frame->code + layout->code_table))
        return false;
    uint64_t units = python_word(frame->code + PYTHON_VAROBJECT_SIZE);
    if (layout->chain != PYTHON_CHAIN_OBJECTS && frame->offset > 2 * units)
        return false;
    return has_type(python_word(frame->code + layout->code_filename), runtime.unicode_type) &&
           has_type(python_word(frame->code + layout->code_name), runtime.unicode_type) &&
           has_type(python_word(frame->code + layout->code_table), runtime.bytes_type);
}

/* Tries the layout on the first frames that are met. True when captures may go on without care. */
static __attribute__((noinline)) bool prove(uint64_t thread)
{
    struct python_frame frames[PROOF_FRAMES];
    struct walk walk = walk_begin(&runtime.layout, thread, true);
    size_t count = walk_frames(&walk, frames, PROOF_FRAMES, true);
    bool good = !walk.broken;
    for (size_t i = 0; good && i < count; i++)
        good = plausible(&frames[i]);
    if (!good)
        set_unsupported(NOTE_FRAMES);
    else if (count > 0)
        __atomic_store_n(&python_state_found, PYTHON_STATE_PROVEN, __ATOMIC_RELEASE);
    if (good && sys_gettid() == sys_getpid())
        __atomic_store_n(&first_thread, thread, __ATOMIC_RELAXED);
    return good && count > 0;
}

static uint64_t finalizer(void)
{
    return python_word(runtime.state + runtime.layout.runtime_finalizing);
}

INLINE size_t capture(struct python_trail *trail, struct python_frame *frames, size_t capacity, bool *ret_truncated)
{
    *ret_truncated = false;
    enum python_state now = python_state();
    if (now < PYTHON_STATE_FOUND)
        return 0;
    uint64_t thread = (uint64_t)runtime.this_thread(), ending = finalizer();
    /* A thread that outlives the interpreter may still hold a pointer to its freed state. */
    if (!thread || (ending && ending != thread))
        return 0;
    if (now == PYTHON_STATE_FOUND && !prove(thread))
        return 0;
    struct walk walk = walk_begin(&runtime.layout, thread, false);
    walk.trail = trail;
    if (trail)
        trail->thread = thread;
    size_t count = walk_frames(&walk, frames, capacity, false);
    *ret_truncated = walk.frame != 0;
    return count;
}

size_t python_capture(struct python_frame *frames, size_t capacity, bool *ret_truncated)
{
    return capture(NULL, frames, capacity, ret_truncated);
}

size_t python_capture_trail(struct python_trail *trail, struct python_frame *frames, size_t capacity, bool *ret_truncated)
{
    __atomic_store_n(&trail->known, false, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    trail->count = 0;
    trail->codes = __atomic_load_n(&python_codes_changes, __ATOMIC_ACQUIRE);
    size_t count = capture(trail, frames, capacity, ret_truncated);
    if (*ret_truncated || runtime.layout.chain == PYTHON_CHAIN_OBJECTS)
        trail->count = 0;
    return count;
}

void python_trail_keep(struct python_trail *trail)
{
    __atomic_store_n(&trail->known, trail->count > 0 && trail->count <= PYTHON_STEPS, __ATOMIC_RELEASE);
}

static inline uint64_t innermost_frame(uint64_t thread)
{
    uint64_t frame = python_word(thread + runtime.layout.thread_frames);
    return runtime.layout.thread_has_cframe && frame ? python_word(frame + runtime.layout.cframe_current) : frame;
}

struct python_point python_here(void)
{
    struct python_point none = {0};
    if (python_state() != PYTHON_STATE_PROVEN || finalizer() != 0)
        return none;
    uint64_t thread = (uint64_t)runtime.this_thread();
    if (!thread)
        return none;
    uint64_t frame = innermost_frame(thread);
    return frame ? (struct python_point){thread, frame, python_word(frame + runtime.layout.frame_instruction)} : none;
}

INLINE uint64_t word_at(uint64_t frame, uint64_t offset)
{
    return __atomic_load_n((const uint64_t *)(uintptr_t)(frame + offset), __ATOMIC_RELAXED);
}

/* A frame is read where the trail says, once it is known to be there: so the reads need not wait for each other. */
static bool steps_hold(const struct python_trail *trail, uint64_t frame)
{
    const uint64_t instruction = runtime.layout.frame_instruction, previous = runtime.layout.frame_previous;
    const struct python_step *step = trail->steps, *end = step + trail->count;
    uint64_t differences = 0;
    for (; step < end; step++) {
        uint64_t at = step->frame;
        if (frame != at)
            return false;
        __asm__("" : "+r"(at)); /* or the compiler would take the one for the other */
        differences |= word_at(at, instruction) ^ step->instruction;
        frame = word_at(at, previous);
    }
    return frame == 0 && differences == 0;
}

bool python_trail_holds(const struct python_trail *trail)
{
    if (!trail->known || python_state() != PYTHON_STATE_PROVEN || finalizer() != 0 ||
        trail->codes != __atomic_load_n(&python_codes_changes, __ATOMIC_ACQUIRE))
        return false;
    uint64_t thread = (uint64_t)runtime.this_thread();
    return thread != 0 && thread == trail->thread && steps_hold(trail, innermost_frame(thread));
}

bool python_is_at(const struct python_point *point)
{
    return point->thread != 0 && python_active() && finalizer() == 0 && innermost_frame(point->thread) == point->frame &&
           python_word(point->frame + runtime.layout.frame_instruction) == point->instruction;
}

/* To 3.11 the current thread is the process's, later each thread's own: in both cases only who holds the lock has the same
 * answer twice. */
const struct python_allocators *python_allocators_held(void)
{
    if (!python_active() || finalizer() != 0 || !runtime.allocators.current_thread)
        return NULL;
    void *thread = runtime.this_thread();
    return thread && thread == runtime.allocators.current_thread() ? &runtime.allocators : NULL;
}

bool python_finalizing(void)
{
    return python_active() && finalizer() != 0;
}

/* 3.8 ends its executors by an exit handler instead. */
static bool is_shutdown(uint64_t code)
{
    return python_codes_named(&runtime, code, "_shutdown", "/threading.py") ||
           python_codes_named(&runtime, code, "_python_exit", "/concurrent/futures/thread.py");
}

/* Another thread's frames, which come and go meanwhile. What its outermost one executes hardly ever changes. */
bool python_awaits_threads(void)
{
    uint64_t thread = __atomic_load_n(&first_thread, __ATOMIC_RELAXED);
    if (python_state() != PYTHON_STATE_PROVEN || !thread || finalizer() != 0)
        return false;
    struct python_frame frames[SHUTDOWN_FRAMES];
    struct walk walk = walk_begin(&runtime.layout, thread, true);
    size_t count = walk_frames(&walk, frames, SHUTDOWN_FRAMES, true);
    if (walk.broken || walk.frame || count == 0)
        return false;
    uint64_t code = frames[count - 1].code;
    if (code == __atomic_load_n(&first_module, __ATOMIC_RELAXED))
        return false;
    if (is_shutdown(code))
        return true;
    __atomic_store_n(&first_module, code, __ATOMIC_RELAXED);
    return false;
}

uint32_t python_code_id(uint64_t code)
{
    return python_active() && code ? python_codes_id(&runtime, code) : 0;
}

void python_forget_definitions(void)
{
    python_codes_forget();
}

struct evaluator python_evaluator(void)
{
    if (!python_active())
        return (struct evaluator){0};
    return (struct evaluator){runtime.evaluator, runtime.evaluator_size};
}
