/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/python_memory.h"

#include <errno.h>

#include "hooks/wrap.h"
#include "record/young.h"
#include "settings.h"
#include "stack/python.h"
#include "stack/python_layout.h"
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
static uint32_t looking; /* atomic: a thread is at it */

static bool is_exact(void)
{
    return settings.python_memory == PYTHON_MEMORY_EXACT;
}

static __attribute__((noinline)) void record_made(uint16_t hook, void *block, size_t size, const void *frame)
{
    bool wanted = is_exact() || samples_hit(&python_samples_line, size, python_samples_mean);
    if (!wanted || !gate_open(GATE_TRACED))
        return;
    int kept = errno;
    note_finalizing();
    if (!is_exact())
        samples_add(&python_samples, block);
    struct stray_event event = {.time = young_acquired(handle_of(block)), .handle = handle_of(block), .hook = hook,
                                .action = STRAY_OPEN, .resource = STRAY_PYOBJECT};
    event.value = size | (is_exact() ? 0 : python_samples_weight(size) << 32);
    event.stack = capture_caller(frame);
    emit_acquire(&event);
    errno = kept;
}

INLINE void made(const struct layer *layer, unsigned part, void *block, size_t size, const void *frame)
{
    if (UNLIKELY(size - 1 >= layer->limit || !block))
        return;
    python_samples_mark(block);
    if (UNLIKELY((python_samples_line.left -= (int64_t)size) < 0))
        record_made((uint16_t)(layer->hook + part), block, size, frame);
}

/* Whether the end of `block` may have to be recorded. */
INLINE bool is_known(const struct layer *layer, const void *block)
{
    return layer->limit && (UNLIKELY(is_exact()) ? python_samples_marked(block) : samples_may_have(python_samples_counts, block));
}

/* Nobody else can get the address before who holds the interpreter's lock is back, so this may be after the release. */
static __attribute__((noinline)) void record_gone(uint16_t hook, const void *block)
{
    if ((!is_exact() && samples_remove(&python_samples, block) == SAMPLES_NONE) || !gate_open(GATE_TRACED))
        return;
    int kept = errno;
    note_finalizing();
    struct stray_event event = {.time = clock_before(), .handle = handle_of(block), .hook = hook, .action = STRAY_CLOSE,
                                .resource = STRAY_PYOBJECT};
    emit_release(&event);
    errno = kept;
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

static bool is_ours(const struct python_allocator *allocator)
{
    return allocator->malloc == stray_python_malloc;
}

static void put_before(const struct python_allocators *allocators, enum python_domain domain, struct layer *layer, size_t limit,
                       uint16_t hook)
{
    struct python_allocator ours = {layer, stray_python_malloc, stray_python_calloc, stray_python_realloc, stray_python_free};
    allocators->get(domain, &layer->below);
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

/* Where somebody came after us he calls ours: only the interpreter's own functions are ones that do not. */
static void look(const struct python_allocators *allocators)
{
    struct python_allocator now;
    allocators->get(PYTHON_DOMAIN_OBJECT, &now);
    const char *name = is_ours(&now) ? NULL : allocators->name();
    size_t limit = limit_of(name);
    if (is_ours(&now) || limit == 0 || (!name && layer_count > 0))
        return;
    struct layer *layer = layer_before(allocators, &now);
    if (!layer)
        return;
    put_before(allocators, PYTHON_DOMAIN_OBJECT, &layer[0], limit, STRAY_HOOK_python_object_malloc);
    put_before(allocators, PYTHON_DOMAIN_MEM, &layer[1], limit, STRAY_HOOK_python_mem_malloc);
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
    if (!allocators || __atomic_exchange_n(&looking, 1, __ATOMIC_ACQUIRE))
        return;
    __atomic_store_n(&python_samples_due, 0, __ATOMIC_RELAXED);
    look(allocators);
    __atomic_store_n(&looking, 0, __ATOMIC_RELEASE);
}

static void take_back(const struct python_allocators *allocators, enum python_domain domain)
{
    struct python_allocator now;
    allocators->get(domain, &now);
    if (is_ours(&now))
        allocators->set(domain, &((struct layer *)now.context)->below);
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
        take_back(allocators, PYTHON_DOMAIN_OBJECT);
        take_back(allocators, PYTHON_DOMAIN_MEM);
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
