/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into any program by tests/e2e/test_unwind.py: in every n-th call of malloc, calloc, realloc and
 * free (STRAY_CHECK_EVERY, 1 if unset) takes the stack as the shim does and by libunwind, and compares. Where
 * they differ, libunwind is asked again, step by step: unw_backtrace() has shortcuts of its own that fail now
 * and then.
 *
 * Appends lines to the file STRAY_CHECK_REPORT: each kind of difference, and at the end of the process the
 * counts.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "gate.h"
#include "record/defs.h"
#include "stack/familiar.h"
#include "stack/modules.h"
#include "stack/native.h"
#include "stack/rules.h"
#include "sys.h"

#define EXPORT    __attribute__((visibility("default")))
#define LIMIT     200
#define REPORTED  20 /* differences told of a process */
#define KEPT      64 /* frames of a stack that is to be recognised */
#define CFA_EVERY 16 /* comparisons of frame addresses are that much rarer: they are slow */

/* Whichever allocator the program would have without us. */
static struct {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *block, size_t size);
    void (*free)(void *block);
    int (*dlclose)(void *object);
} next;

__thread struct thread thread_self; /* of the shim, for what is linked from it; none of its hooks is here */

struct thread_state {
    struct familiar familiar;
    void *addresses[UNWIND_MAX], *stepped[UNWIND_MAX];
    uint64_t cfas[UNWIND_MAX];
};

static __thread struct thread_state *state __attribute__((tls_model("initial-exec")));
static __thread unsigned calls __attribute__((tls_model("initial-exec")));
static __thread bool busy __attribute__((tls_model("initial-exec")));

static struct {
    unsigned long captures, frames, slow, lost, unknown, equal, further, shortcut, differ, cfas, cfa_differ,
        hash_differ, recalled, recall_differ;
} counts;
static unsigned every, reported, ready, epoch;
static char report_path[4096];

/* ---- what modules.c wants ---- */

uint32_t defs_add(uint16_t type, const struct iovec *parts, unsigned count)
{
    return 1;
}

uint32_t defs_epoch(void)
{
    return __atomic_load_n(&epoch, __ATOMIC_RELAXED);
}

void defs_next_epoch(void)
{
    __atomic_fetch_add(&epoch, 1, __ATOMIC_RELAXED);
}

/* ---- the report ---- */

static __attribute__((format(printf, 1, 2))) void report(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    int file = report_path[0] ? sys_open(report_path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    if (file < 0)
        return;
    sys_write(file, line, size < (int)sizeof(line) ? (size_t)size : sizeof(line));
    sys_close(file);
}

static void report_address(const char *who, size_t index, uint64_t ip, uint64_t sp)
{
    Dl_info info = {0};
    dladdr((void *)(ip - 1), &info);
    report("#   %s %zu %#lx sp %#lx %s+%#lx %s\n", who, index, ip, sp, info.dli_fname ? info.dli_fname : "?",
           ip - (uint64_t)(uintptr_t)info.dli_fbase, info.dli_sname ? info.dli_sname : "");
}

static void report_stacks(const char *what, const struct unwind_frame *frames, size_t count,
                          void *const *others, size_t other_count, size_t from)
{
    if (__atomic_fetch_add(&reported, 1, __ATOMIC_RELAXED) >= REPORTED)
        return;
    report("# %s: %d: frame %zu: ours %zu, libunwind's %zu\n", what, sys_getpid(), from, count, other_count);
    for (size_t i = from > 2 ? from - 2 : 0; i < count && i < from + 4; i++)
        report_address("ours", i, frames[i].ip, frames[i].sp);
    for (size_t i = from > 2 ? from - 2 : 0; i < other_count && i < from + 4; i++)
        report_address("libunwind", i, (uint64_t)(uintptr_t)others[i], 0);
}

/* ---- libunwind, step by step ---- */

static struct {
    int (*getcontext)(unw_context_t *);
    int (*init_local)(unw_cursor_t *, unw_context_t *);
    int (*step)(unw_cursor_t *);
    int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
} unw;

#define NAME_OF(function)          NAME_OF_EXPANDED(function)
#define NAME_OF_EXPANDED(function) #function

/* The copy that native_init() has loaded. */
static void find_steps(void)
{
    void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        abort();
    *(void **)&unw.getcontext = dlsym(library, "_Ux86_64_getcontext");
    *(void **)&unw.init_local = dlsym(library, NAME_OF(unw_init_local));
    *(void **)&unw.step = dlsym(library, NAME_OF(unw_step));
    *(void **)&unw.get_reg = dlsym(library, NAME_OF(unw_get_reg));
}

static size_t native_steps(void **addresses, uint64_t *cfas, size_t capacity)
{
    unw_context_t context;
    unw_cursor_t cursor;
    unw_word_t ip, sp;
    size_t count = 0;
    if (unw.getcontext(&context) != 0 || unw.init_local(&cursor, &context) != 0)
        return 0;
    while (count < capacity && unw.get_reg(&cursor, UNW_REG_IP, &ip) == 0 && ip != 0) {
        addresses[count] = (void *)ip;
        cfas[count++] = 0;
        if (unw.step(&cursor) <= 0 || unw.get_reg(&cursor, UNW_REG_SP, &sp) != 0)
            break;
        cfas[count - 1] = sp;
    }
    return count;
}

/* ---- comparison ---- */

static size_t skip_to(void *const *addresses, size_t count, const void *caller)
{
    size_t skip = 0;
    while (skip < count && addresses[skip] != caller)
        skip++;
    return skip;
}

/* Of what a signal interrupted, libunwind gives the instruction, and we one more. */
static bool interrupted(const struct unwind_frame *frames, size_t index)
{
    static const unsigned char sigreturn[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
    return index > 0 && memcmp((void *)frames[index - 1].ip, sigreturn, sizeof(sigreturn)) == 0;
}

static size_t common(const struct unwind_frame *frames, size_t count, void *const *others, size_t other_count)
{
    size_t same = 0;
    while (same < count && same < other_count &&
           frames[same].ip == (uint64_t)(uintptr_t)others[same] + interrupted(frames, same))
        same++;
    return same;
}

#define ADD(counter, value) __atomic_fetch_add(&counts.counter, (value), __ATOMIC_RELAXED)

/* Who is right, of two that differ? */
static void judge(const struct unwind_frame *frames, size_t count, size_t limit, const void *caller)
{
    void **stepped = state->stepped;
    size_t total = native_steps(stepped, state->cfas, UNWIND_MAX), skip = skip_to(stepped, total, caller);
    size_t stepped_count = total - skip < limit ? total - skip : limit;
    size_t same = common(frames, count, stepped + skip, stepped_count);
    if (same == count && same == stepped_count) {
        ADD(shortcut, 1);
    } else if (same == stepped_count) {
        ADD(further, 1);
        report_stacks("further", frames, count, stepped + skip, stepped_count, same);
    } else {
        ADD(differ, 1);
        report_stacks("differ", frames, count, stepped + skip, stepped_count, same);
    }
}

static void compare_cfas(const struct unwind_frame *frames, size_t count, const void *caller)
{
    size_t total = native_steps(state->stepped, state->cfas, UNWIND_MAX),
           skip = skip_to(state->stepped, total, caller);
    for (size_t i = 0; i < count && skip + i < total; i++) {
        if (state->stepped[skip + i] != (void *)(frames[i].ip - interrupted(frames, i)) ||
            frames[i + 1].sp == 0 || state->cfas[skip + i] == 0)
            return;
        /* Of a frame that it guesses, libunwind knows no CFA, nor of those outwards. */
        if (rules_find(rules_table(), modules_generation(), frames[i].ip) & RULE_NONE)
            return;
        ADD(cfas, 1);
        if (frames[i + 1].sp == state->cfas[skip + i])
            continue;
        ADD(cfa_differ, 1);
        report_stacks("cfa", frames, count, state->stepped + skip, total - skip, i);
        return;
    }
}

/* What is recognised must be what is there; what is not will be the next time. */
static void compare_recalled(const void *frame, uint32_t recalled, const struct unwind_frame *frames,
                             size_t count, bool whole)
{
    size_t kept = count < KEPT ? count : KEPT;
    uint32_t node = (uint32_t)unwind_hash(frames, kept) | 1;
    struct recall_start start = familiar_start(&state->familiar, frame, 0);
    if (recalled == 0)
        recall_keep(&state->familiar.recall, &start, frames, kept, whole && kept == count, node);
    else if (recalled == node)
        ADD(recalled, 1);
    else {
        ADD(recall_differ, 1);
        report_stacks("recalled", frames, count, state->addresses, 0, 0);
    }
}

static uint32_t recall(const void *frame)
{
    struct recall_start start = familiar_start(&state->familiar, frame, 0);
    return familiar_is_mine(&state->familiar) ? recall_find(&state->familiar.recall, &start) : 0;
}

static __attribute__((noinline)) void compare(const void *frame)
{
    struct unwind_frame *frames = NULL;
    enum unwind_end end;
    const uint64_t *words = frame;
    const void *caller = (const void *)words[1];
    struct arch_frame start = {words[1] - 1, (uint64_t)(uintptr_t)(words + 2), words[0]};
    uint32_t recalled = recall(frame);
    size_t count = unwind_frames(&state->familiar.unwinder, &start, (uint64_t)(uintptr_t)caller, LIMIT, &frames, &end),
           skip = 0;
    if (modules_stale() || end == UNWIND_UNKNOWN) {
        if (end == UNWIND_UNKNOWN)
            ADD(unknown, 1);
        modules_refresh();
        native_flush();
        count = unwind_frames(&state->familiar.unwinder, &start, (uint64_t)(uintptr_t)caller, LIMIT, &frames, &end);
    }
    ADD(captures, 1);
    if (end != UNWIND_COMPLETE && end != UNWIND_CUT) {
        ADD(slow, 1);
        return;
    }
    while (skip < count && frames[skip].ip != (uint64_t)(uintptr_t)caller)
        skip++;
    if (skip == count)
        ADD(lost, 1);
    frames += skip;
    count -= skip;
    ADD(frames, count);
    if (end == UNWIND_COMPLETE && count > 0 && frames->hash != unwind_hash(frames, count))
        ADD(hash_differ, 1);
    compare_recalled(frame, recalled, frames, count, end == UNWIND_COMPLETE);
    size_t total = native_backtrace(state->addresses, LIMIT),
           other_skip = skip_to(state->addresses, total, caller);
    size_t limit = end == UNWIND_CUT && count < total - other_skip ? count : total - other_skip;
    if (end == UNWIND_CUT && limit < count)
        count = limit; /* our own frames are not as many as libunwind's */
    size_t same = common(frames, count, state->addresses + other_skip, limit);
    if (same == count && same == limit)
        ADD(equal, 1);
    else
        judge(frames, count, end == UNWIND_CUT ? count : UNWIND_MAX, caller);
    if (counts.captures % CFA_EVERY == 0)
        compare_cfas(frames, count, caller);
}

static __attribute__((noinline)) void check(const void *frame)
{
    if (!ready || busy || every == 0 || ++calls % every != 0)
        return;
    int kept = errno;
    errno = 0;
    busy = true;
    if (!state)
        state = sys_memory(sizeof(*state));
    if (state)
        compare(frame);
    busy = false;
    errno = kept;
}

static __attribute__((constructor)) void begin(void)
{
    const char *path = getenv("STRAY_CHECK_REPORT"), *number = getenv("STRAY_CHECK_EVERY");
    busy = true;
    snprintf(report_path, sizeof(report_path), "%s", path ? path : "");
    every = number ? (unsigned)atoi(number) : 1;
    native_init();
    find_steps();
    rules_init();
    modules_refresh();
    busy = false;
    ready = 1;
}

static __attribute__((destructor)) void finish(void)
{
    busy = true;
    report("captures %lu frames %lu slow %lu lost %lu unknown %lu equal %lu shortcut %lu further %lu differ "
           "%lu cfas %lu "
           "cfa_differ %lu hash_differ %lu recalled %lu recall_differ %lu\n",
           counts.captures, counts.frames, counts.slow, counts.lost, counts.unknown, counts.equal,
           counts.shortcut, counts.further, counts.differ, counts.cfas, counts.cfa_differ,
           counts.hash_differ, counts.recalled, counts.recall_differ);
}

/* ---- the hooks ---- */

static void find_next(void)
{
    *(void **)&next.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next.free = dlsym(RTLD_NEXT, "free");
    *(void **)&next.dlclose = dlsym(RTLD_NEXT, "dlclose");
    *(void **)&next.malloc = dlsym(RTLD_NEXT, "malloc");
}

#define NEXT(name) (*(next.malloc ? (void)0 : find_next(), &next.name))

EXPORT void *malloc(size_t size)
{
    check(__builtin_frame_address(0));
    return NEXT(malloc)(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    check(__builtin_frame_address(0));
    return NEXT(calloc)(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
    check(__builtin_frame_address(0));
    return NEXT(realloc)(block, size);
}

EXPORT void free(void *block)
{
    check(__builtin_frame_address(0));
    NEXT(free)(block);
}

EXPORT int dlclose(void *object)
{
    int result = NEXT(dlclose)(object);
    modules_unloaded();
    return result;
}
