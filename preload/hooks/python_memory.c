/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/python_memory.h"

#include <errno.h>

#include "hooks/wrap.h"
#include "lock.h"
#include "record/young.h"
#include "settings.h"
#include "stack/python.h"
#include "stack/python_layout.h"
#include "state/foreign.h"
#include "state/python_samples.h"
#include "text.h"

#define SMALL       512u /* Objects/obmalloc.c: SMALL_REQUEST_THRESHOLD */
#define DEBUG_EXTRA 24u  /* ... what its debug hooks add to each request */
#define LAYERS      8u   /* times that ours may be set; never used again, since others may have saved them */

#define INLINE static inline __attribute__((always_inline))

/* One domain's allocator as it was when ours was put before it. */
struct layer {
    struct python_allocator below;
    size_t limit;  /* requests of 1 to so many bytes are served by the small-object allocator; 0: not ours to record */
    uint16_t hook; /* the domain's first */
};

enum { PART_MALLOC, PART_CALLOC, PART_REALLOC, PART_FREE }; /* a hook, from the domain's first on */

static struct layer layers[LAYERS][2];
static uint32_t layer_count;
LOCK(looking);

static bool is_exact(void)
{
    return settings.python_memory == PYTHON_MEMORY_EXACT;
}

/* The block of an object that is wanted, and stands for `weight` sixteenths of one; the gate is open. */
static void record_sample(uint16_t hook, void *block, size_t size, uint64_t weight, const void *frame)
{
    int kept = errno;
    note_finalizing();
    if (!is_exact())
        samples_add(&python_samples, block);
    struct stray_event event = {.time = young_acquired(handle_of(block)), .handle = handle_of(block), .hook = hook,
                                .action = STRAY_OPEN, .resource = STRAY_PYOBJECT};
    event.value = size | weight << 32;
    event.stack = capture_caller(frame);
    emit_acquire(&event);
    errno = kept;
}

static __attribute__((noinline)) void record_made(uint16_t hook, void *block, size_t size, const void *frame)
{
    uint64_t weight = is_exact() ? 0 : python_samples_hit(size);
    if ((is_exact() || weight > 0) && gate_open(GATE_TRACED))
        record_sample(hook, block, size, weight, frame);
}

INLINE void made(const struct layer *layer, unsigned part, void *block, size_t size, const void *frame)
{
    if (UNLIKELY(size - 1 >= layer->limit || !block))
        return;
    python_samples_mark(block);
    if (UNLIKELY(is_exact()) || UNLIKELY((python_samples_line.left -= (int64_t)size) < 0))
        record_made((uint16_t)(layer->hook + part), block, size, frame);
}

/* Whether the end of `block` may have to be recorded. */
INLINE bool is_known(const struct layer *layer, const void *block)
{
    return layer->limit && (UNLIKELY(is_exact()) ? python_samples_marked(block) : samples_may_have(python_samples_counts, block));
}

/* Nobody else can get the address before who holds the interpreter's lock is back, so this may be after the release. Returns what
 * `block` was. */
static __attribute__((noinline)) enum samples_found record_gone(uint16_t hook, const void *block)
{
    enum samples_found found = is_exact() ? SAMPLES_ONE : samples_remove(&python_samples, block);
    if (found == SAMPLES_NONE || !gate_open(GATE_TRACED))
        return found;
    int kept = errno;
    note_finalizing();
    struct stray_event event = {.time = clock_before(), .handle = handle_of(block), .hook = hook, .action = STRAY_CLOSE,
                                .resource = STRAY_PYOBJECT};
    emit_release(&event);
    errno = kept;
    return found;
}

static void *stray_python_malloc(void *context, size_t size)
{
    const struct layer *layer = context;
    void *block = layer->below.malloc(layer->below.context, size);
    made(layer, PART_MALLOC, block, size, FRAME());
    return block;
}

static void *stray_python_calloc(void *context, size_t count, size_t size)
{
    const struct layer *layer = context;
    void *block = layer->below.calloc(layer->below.context, count, size);
    made(layer, PART_CALLOC, block, count * size, FRAME()); /* a product that overflows has given no block */
    return block;
}

static void stray_python_free(void *context, void *block)
{
    const struct layer *layer = context;
    if (is_known(layer, block))
        record_gone((uint16_t)(layer->hook + PART_FREE), block);
    layer->below.free(layer->below.context, block);
}

/* Where all are recorded a resize is one, as of a heap block. */
static void record_resize(const struct layer *layer, const void *old, uint64_t before, const void *new, size_t size)
{
    uint16_t hook = (uint16_t)(layer->hook + PART_REALLOC);
    if (size - 1 >= layer->limit) {
        record_gone(hook, old);
        return;
    }
    int kept = errno;
    python_samples_mark(new);
    struct stray_event from = {before, handle_of(old), 0, 0, hook, STRAY_MOVE_FROM, STRAY_PYOBJECT};
    struct stray_event to = {young_acquired(handle_of(new)), handle_of(new), size, 0, hook, STRAY_MOVE_TO, STRAY_PYOBJECT};
    if (new == old)
        to.action = STRAY_RESIZE;
    emit_move(&from, &to);
    errno = kept;
}

static void *resize_exactly(const struct layer *layer, void *old, size_t size)
{
    uint64_t before = gate_open(GATE_TRACED) ? emit_before_move(handle_of(old), STRAY_PYOBJECT) : 0;
    void *new = layer->below.realloc(layer->below.context, old, size);
    if (new && before && gate_open(GATE_TRACED))
        record_resize(layer, old, before, new, size);
    return new;
}

/* A big block that is made small stays malloc's. In samples, a resize is the end of one block and the beginning of another:
 * each is hit with the probability of its own size. */
static void *stray_python_realloc(void *context, void *old, size_t size)
{
    const struct layer *layer = context;
    bool small = !old || python_samples_marked(old);
    if (UNLIKELY(is_exact()) && old && small && layer->limit)
        return resize_exactly(layer, old, size);
    void *new = layer->below.realloc(layer->below.context, old, size);
    if (UNLIKELY(!new))
        return NULL;
    if (is_known(layer, old) && !is_exact())
        record_gone((uint16_t)(layer->hook + PART_REALLOC), old);
    if (small)
        made(layer, PART_REALLOC, new, size, FRAME());
    return new;
}

/* ---- samples put aside ----
 *
 * Where the interpreter's own allocator comes next, a sample is asked of it as a block that is too big for it, which it takes
 * from malloc and gives back to free: so its end is seen there, and releases of objects, which are as many as there are objects,
 * need no function of ours. What is no sample is passed on by a jump.
 */

#define ASIDE (SMALL + 1)

static void free_aside(const struct layer *layer, void *block)
{
    uint32_t flags = gate_enter();
    layer->below.free(layer->below.context, block);
    gate_leave(flags);
}

static void *resize_aside(const struct layer *layer, void *block, size_t size)
{
    uint32_t flags = gate_enter();
    void *resized = layer->below.realloc(layer->below.context, block, size);
    gate_leave(flags);
    return resized;
}

/* What a sample takes: a few sizes, since what is left over of each is kept by libc for every thread. */
static size_t room_of(size_t size)
{
    static const uint16_t rooms[] = {56, 120, 248}; /* with libc's own word: 64, 128, 256 */
    for (unsigned i = 0; i < sizeof(rooms) / sizeof(*rooms); i++)
        if (size <= rooms[i])
            return rooms[i];
    return ASIDE;
}

/* Gives back what of the block is not needed: it stays malloc's. False: the interpreter's realloc, and with it its free, does not
 * come by our hooks, where another allocator stands before them or they are not bound yet. */
static bool is_seen(const struct layer *layer, void **block, size_t size)
{
    uint32_t resizes = python_samples_resizes;
    void *resized = resize_aside(layer, *block, room_of(size));
    *block = resized ? resized : *block;
    return python_samples_resizes != resizes;
}

/* The block behind is no heap block of the program's. One whose end nobody would see is not taken: what comes to lie there would be
 * taken for it. */
static void *take_aside(const struct layer *layer, size_t size)
{
    uint32_t flags = gate_enter();
    void *block = layer->below.malloc(layer->below.context, ASIDE);
    gate_leave(flags);
    if (!block || is_seen(layer, &block, size))
        return block;
    free_aside(layer, block);
    return NULL;
}

/* Hooks of free look for samples only where an interpreter may be: one whose frames are found not to be what they should counts as none
 * from then on. */
static bool ends_are_told(void)
{
    return python_possible() && gate_open(GATE_TRACED);
}

/* Whether the next `size` bytes may hold a point. */
INLINE bool reaches_point(const struct layer *layer, size_t size)
{
    return size - 1 < layer->limit && UNLIKELY((python_samples_line.left -= (int64_t)size) < 0);
}

/* A point may have been reached by `size` bytes. NULL: they are no sample. */
static void *make_sample(const struct layer *layer, unsigned part, size_t size, const void *frame)
{
    uint64_t weight = python_samples_hit(size);
    if (weight == 0 || !ends_are_told())
        return NULL;
    void *block = take_aside(layer, size);
    if (block)
        record_sample((uint16_t)(layer->hook + part), block, size, weight, frame);
    return block;
}

static __attribute__((noinline)) void *malloc_at_point(void *context, size_t size)
{
    const struct layer *layer = context;
    void *block = make_sample(layer, PART_MALLOC, size, FRAME());
    if (!block)
        block = layer->below.malloc(layer->below.context, size);
    STAY();
    return block;
}

static void *stray_python_malloc_aside(void *context, size_t size)
{
    const struct layer *layer = context;
    return reaches_point(layer, size) ? malloc_at_point(context, size) : layer->below.malloc(layer->below.context, size);
}

static __attribute__((noinline)) void *calloc_at_point(void *context, size_t count, size_t size)
{
    const struct layer *layer = context;
    void *block = make_sample(layer, PART_CALLOC, count * size, FRAME());
    if (block)
        __builtin_memset(block, 0, count * size);
    else
        block = layer->below.calloc(layer->below.context, count, size);
    STAY();
    return block;
}

static void *stray_python_calloc_aside(void *context, size_t count, size_t size)
{
    const struct layer *layer = context;
    size_t total;
    bool reached = !__builtin_mul_overflow(count, size, &total) && reaches_point(layer, total);
    return reached ? calloc_at_point(context, count, size) : layer->below.calloc(layer->below.context, count, size);
}

/* A resize is the end of one block and the beginning of another, which is a sample with the probability of its own size. */
static void *move_sample(const struct layer *layer, void *old, size_t size, const void *frame)
{
    void *new = reaches_point(layer, size) ? make_sample(layer, PART_REALLOC, size, frame) : NULL;
    if (!new && !(new = layer->below.malloc(layer->below.context, size)))
        return NULL;
    record_gone((uint16_t)(layer->hook + PART_REALLOC), old);
    size_t copied = size < ASIDE ? size : ASIDE;
    void *all = resize_aside(layer, old, copied); /* how much of it there is nobody has kept */
    if (!all) {
        layer->below.free(layer->below.context, new);
        return NULL;
    }
    __builtin_memcpy(new, all, copied);
    free_aside(layer, all);
    return new;
}

/* What was resized has become a sample, perhaps. */
static void *move_aside(const struct layer *layer, void *block, size_t size, const void *frame)
{
    void *sample = make_sample(layer, PART_REALLOC, size, frame);
    if (!sample)
        return block;
    __builtin_memcpy(sample, block, size);
    layer->below.free(layer->below.context, block);
    return sample;
}

/* A big block that is made small stays malloc's: the hook of realloc was called. What is known of samples holds only while the hooks
 * are there to see them released. */
static void *stray_python_realloc_aside(void *context, void *old, size_t size)
{
    const struct layer *layer = context;
    bool perhaps = samples_may_have(python_samples_counts, old);
    if (perhaps && ends_are_told() && samples_has(&python_samples, old))
        return move_sample(layer, old, size, FRAME());
    uint32_t resizes = python_samples_resizes;
    void *new = layer->below.realloc(layer->below.context, old, size);
    if (new && perhaps)
        record_gone((uint16_t)(layer->hook + PART_REALLOC), old);
    bool small = new && python_samples_resizes == resizes;
    return small && reaches_point(layer, size) ? move_aside(layer, new, size, FRAME()) : new;
}

bool python_memory_freed(const void *block)
{
    return record_gone(STRAY_HOOK_python_object_free, block) == SAMPLES_ONE;
}

static bool is_ours(const struct python_allocator *allocator)
{
    return allocator->malloc == stray_python_malloc || allocator->malloc == stray_python_malloc_aside;
}

/* `aside`: the interpreter's own functions come next; these look at no context. */
static struct python_allocator ours_before(struct layer *layer, bool aside)
{
    if (aside)
        return (struct python_allocator){layer, stray_python_malloc_aside, stray_python_calloc_aside, stray_python_realloc_aside,
                                         layer->below.free};
    return (struct python_allocator){layer, stray_python_malloc, stray_python_calloc, stray_python_realloc, stray_python_free};
}

static void put_before(const struct python_allocators *allocators, enum python_domain domain, struct layer *layer, size_t limit,
                       uint16_t hook, bool aside)
{
    allocators->get(domain, &layer->below);
    struct python_allocator ours = ours_before(layer, aside);
    layer->limit = limit;
    layer->hook = hook;
    allocators->set(domain, &ours);
}

/* By the interpreter's name for its allocators. NULL: somebody's functions come before them, tracemalloc's perhaps. */
static size_t limit_of(const char *name)
{
    if (!name || string_length(name) < 8 || !string_begins(name, "pymalloc"))
        return name ? 0 : SMALL;
    return name[8] ? SMALL - DEBUG_EXTRA : SMALL;
}

static bool is_same(const struct python_allocator *a, const struct python_allocator *b)
{
    return a->context == b->context && a->malloc == b->malloc && a->calloc == b->calloc && a->realloc == b->realloc && a->free == b->free;
}

/* One that was before these functions already may be so again. NULL: there is none left. */
static struct layer *layer_before(const struct python_allocators *allocators, const struct python_allocator *objects)
{
    struct python_allocator memory;
    allocators->get(PYTHON_DOMAIN_MEM, &memory);
    for (unsigned i = 0; i < layer_count; i++)
        if (is_same(&layers[i][0].below, objects) && is_same(&layers[i][1].below, &memory))
            return layers[i];
    return layer_count < LAYERS ? layers[layer_count++] : NULL;
}

static void take_back(const struct python_allocators *allocators, enum python_domain domain)
{
    struct python_allocator now;
    allocators->get(domain, &now);
    if (is_ours(&now))
        allocators->set(domain, &((struct layer *)now.context)->below);
}

static void take_all_back(const struct python_allocators *allocators)
{
    take_back(allocators, PYTHON_DOMAIN_OBJECT);
    take_back(allocators, PYTHON_DOMAIN_MEM);
}

/* Those of an earlier trace that took samples, where all are to be told. */
static bool are_others(const struct python_allocator *ours)
{
    return is_exact() && ours->malloc == stray_python_malloc_aside;
}

/* Where somebody came after us he calls ours: only the interpreter's own functions are ones that do not. */
static void look(const struct python_allocators *allocators)
{
    struct python_allocator now;
    allocators->get(PYTHON_DOMAIN_OBJECT, &now);
    if (are_others(&now)) {
        take_all_back(allocators);
        allocators->get(PYTHON_DOMAIN_OBJECT, &now);
    }
    const char *name = is_ours(&now) ? NULL : allocators->name();
    size_t limit = limit_of(name);
    if (is_ours(&now) || limit == 0 || (!name && layer_count > 0))
        return;
    struct layer *layer = layer_before(allocators, &now);
    if (!layer)
        return;
    bool aside = !is_exact() && name && string_equal(name, "pymalloc") && !foreign_definer();
    put_before(allocators, PYTHON_DOMAIN_OBJECT, &layer[0], limit, STRAY_HOOK_python_object_malloc, aside);
    put_before(allocators, PYTHON_DOMAIN_MEM, &layer[1], limit, STRAY_HOOK_python_mem_malloc, aside);
}

void python_memory_look(void)
{
    if (settings.python_memory == PYTHON_MEMORY_OFF) {
        __atomic_store_n(&python_samples_due, 0, __ATOMIC_RELAXED);
        return;
    }
    if (real_came_late()) {
        __atomic_store_n(&python_samples_due, 0, __ATOMIC_RELAXED);
        return;
    }
    const struct python_allocators *allocators = python_allocators_held();
    if (!allocators || !lock_try(&looking))
        return;
    __atomic_store_n(&python_samples_due, 0, __ATOMIC_RELAXED);
    look(allocators);
    lock_release(&looking);
}

/* By the time that it is called the trace may have ended, or another begun. */
static int settle(void *unused)
{
    const struct python_allocators *allocators = python_allocators_held();
    (void)unused;
    if (!allocators)
        return 0;
    if (gate_open(GATE_TRACED) && settings.python_memory != PYTHON_MEMORY_OFF) {
        look(allocators);
    } else {
        take_all_back(allocators);
    }
    return 0;
}

void python_memory_attached(void)
{
    if (settings.python_memory != PYTHON_MEMORY_OFF)
        python_call_soon(settle);
}

void python_memory_left(void)
{
    if (layer_count > 0)
        python_call_soon(settle);
}
