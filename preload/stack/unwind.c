/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/unwind.h"

#include "record/index.h"
#include "stack/modules.h"
#include "stack/rules.h"
#include "sys.h"
#include "stray/format.h"

#define FRAME_MAX  ((uint64_t)1 << 20) /* bytes of a frame that we look for the end of */
#define GUESS_MAX  0x4000u             /* bytes of a frame that is guessed, as in libunwind */
#define GROWTH_MAX 0x4000u             /* bytes between two stack pointers that may be in one stack */

struct walk {
    struct unwind_window *window;
    struct unwind_stack *known;
    struct unwind_frame *fresh;
    const struct rules_table *rules;
    uint64_t start_bp;
    uint64_t ip, sp, bp; /* of the frame that comes next */
    size_t count; /* frames walked over: first `same` that are where they were, then those in fresh[] */
    size_t same;
    size_t goal;   /* frames wanted; the outermost of so many is not left */
    size_t next;   /* of the known frames, the first that may be met from here */
    size_t joined; /* of the known frames, what comes after the fresh ones; `last`: nothing */
};

/* What the walk consists of is one function, so that its registers stay in registers. */
#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t word(uint64_t address)
{
    return *(const volatile uint64_t *)address;
}

/* ---- what may be read ---- */

/*
 * All reads are between the stack pointer and the end of the window, whose pages were read by a call that
 * cannot fault. A thread's stack does not shrink while it runs in it, so that a page of it, once seen
 * readable, stays so. Stacks that a program makes itself (coroutines) may go, and a smaller one may come to
 * their place; then a wrong table would have to lead to just where the old one was to do harm.
 */

static bool page_known(struct unwind_window *window, uint64_t page)
{
    uint64_t *seen = &window->pages[page / STRAY_PAGE % UNWIND_PAGES];
    if (*seen != page && sys_readable(page))
        *seen = page;
    return *seen == page;
}

/* How far the pages are readable from `from` on, up to `to` at most. */
static uint64_t readable_until(struct unwind_window *window, uint64_t from, uint64_t to)
{
    while (from < to && page_known(window, from))
        from += STRAY_PAGE;
    return from;
}

static bool window_reaches(struct unwind_window *window, uint64_t end)
{
    if (end > window->high && end - window->high <= FRAME_MAX)
        window->high = readable_until(window, window->high, end);
    return end <= window->high;
}

/* Lets the window begin at `sp`, as another one unless it is a little below. No thread's while it changes: a
 * signal handler may jump out of here, and what it leaves behind must not be taken for whole. */
static void window_move(struct unwind_window *window, uint64_t thread, uint64_t sp)
{
    uint64_t page = sp & ~(uint64_t)(STRAY_PAGE - 1), next = page + STRAY_PAGE;
    bool same = window->thread == thread && window->low != 0;
    __atomic_store_n(&window->thread, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (!same)
        __builtin_memset(window->pages, 0, sizeof(window->pages));
    if (!same || sp >= window->low || window->low - sp > GROWTH_MAX ||
        readable_until(window, next, window->low) < window->low) {
        window->high = next;
        window->number++;
    }
    window->low = page;
    __atomic_store_n(&window->thread, thread, __ATOMIC_RELEASE);
}

INLINE void window_begin(struct unwind_window *window, uint64_t sp)
{
    if (__builtin_expect(!unwind_holds(window, sp), 0))
        window_move(window, arch_thread(), sp);
}

/* ---- one frame ---- */

/* Where a frame is left to. */
struct way_out {
    uint64_t cfa;     /* 0: by no way that we know */
    uint64_t bp_slot; /* 0: RBP is the same */
    uint64_t ip_slot;
};

INLINE bool is_below(struct unwind_window *window, uint64_t sp, uint64_t end)
{
    return end >= sp + sizeof(uint64_t) &&
           (__builtin_expect(end <= window->high, 1) || window_reaches(window, end));
}

/* Frames that were aligned and put down their CFA somewhere, and those of signals. */
static __attribute__((noinline)) struct way_out rare_way_out(struct unwind_window *window, uint64_t sp,
                                                             uint64_t bp, uint64_t rule)
{
    struct way_out none = {0}, way;
    way.cfa = (rule & RULE_CFA_BP ? bp : sp) + (uint64_t)rule_offset(rule);
    way.ip_slot = way.cfa + sizeof(uint64_t);
    if (rule & RULE_CFA_WORD) {
        if (way.cfa < sp || !is_below(window, sp, way.cfa + 2 * sizeof(uint64_t)))
            return none;
        way.cfa = word(way.cfa) + rule_added(rule);
    }
    way.ip_slot = rule & RULE_SIGNAL ? way.ip_slot : way.cfa - sizeof(uint64_t);
    uint64_t base = rule & RULE_SIGNAL ? sp : rule & RULE_BP_AT_BP ? bp : way.cfa;
    bool saved = rule & (RULE_SIGNAL | RULE_BP_AT_BP | RULE_BP_AT_CFA);
    way.bp_slot = saved ? base + (uint64_t)rule_bp_offset(rule) : 0;
    return way;
}

INLINE struct way_out way_out(struct unwind_window *window, uint64_t sp, uint64_t bp, uint64_t rule)
{
    if (__builtin_expect(rule & RULE_RARE, 0))
        return rare_way_out(window, sp, bp, rule);
    uint64_t cfa = (rule & RULE_CFA_BP ? bp : sp) + (uint64_t)rule_offset(rule);
    uint64_t slot = rule & RULE_BP_AT_CFA ? cfa + (uint64_t)rule_bp_offset(rule) : 0;
    return (struct way_out){cfa, slot, cfa - sizeof(uint64_t)};
}

/* To the frame's caller. */
INLINE bool leave(struct walk *walk, struct unwind_frame *frame, uint64_t rule)
{
    struct way_out way = way_out(walk->window, walk->sp, walk->bp, rule);
    if (!is_below(walk->window, walk->sp, way.cfa))
        return false;
    if (way.bp_slot != 0) {
        if (way.bp_slot < walk->sp || way.bp_slot > way.cfa - 2 * sizeof(uint64_t))
            return false;
        frame->bp_slot = way.bp_slot;
        walk->bp = word(way.bp_slot);
    }
    frame->flags = (rule & (RULE_CFA_BP | RULE_BP_AT_BP) ? UNWIND_READS_BP : 0) |
                   (rule & RULE_RARE ? UNWIND_STRANGE : 0);
    /* What a signal interrupted is not behind a call: with one added, the call and it are looked up alike. */
    walk->ip = word(way.ip_slot) + (rule & RULE_SIGNAL ? 1 : 0);
    walk->sp = way.cfa;
    return true;
}

/* The rule of code that keeps frame pointers. */
#define BY_FRAME_POINTER                                                                                     \
    (RULE_ANY | RULE_CFA_BP | RULE_BP_AT_CFA | (uint64_t)16 << 32 | (uint64_t)(uint16_t)-16 << 16)

/* Whether RBP looks like the frame pointer of code that nothing describes, and its caller like code. */
static __attribute__((noinline)) bool has_frame_pointer(struct unwind_window *window, uint64_t sp,
                                                        uint64_t bp, uint32_t generation)
{
    if (bp % sizeof(uint64_t) != 0 || bp < sp || !is_below(window, sp, bp + 2 * sizeof(uint64_t)))
        return false;
    uint64_t outer = word(bp), ip = word(bp + sizeof(uint64_t));
    if (outer != 0 && (outer <= bp || outer - bp > GUESS_MAX))
        return false;
    return ip != 0 && (rules_find(rules_table(), generation, ip) != 0 || rules_learn(generation, ip) != 0);
}

enum progress { ON, COMPLETE, UNKNOWN, SLOW };

/* Where no rule says where the frame is left to. By the ABI, RBP of the outermost frame is zero if nothing
 * else marks it. */
INLINE enum progress step_without(struct walk *walk, struct unwind_frame *frame, uint64_t rule)
{
    if (rule == 0)
        return UNKNOWN;
    if (rule_added(rule) == RULE_END)
        return COMPLETE;
    frame->flags = UNWIND_READS_BP;
    if (rule_added(rule) != RULE_MISSING)
        return SLOW;
    if (walk->bp == 0)
        return COMPLETE;
    bool guessed = has_frame_pointer(walk->window, walk->sp, walk->bp, walk->known->generation);
    return guessed && leave(walk, frame, BY_FRAME_POINTER) ? ON : SLOW;
}

INLINE enum progress step(struct walk *walk, struct unwind_frame *frame)
{
    uint32_t generation = walk->known->generation;
    uint64_t rule = rules_find(walk->rules, generation, walk->ip);
    if (__builtin_expect(rule == 0, 0)) {
        rule = rules_learn(generation, walk->ip);
        walk->rules = rules_table();
    }
    if (__builtin_expect(rule == 0 || rule & RULE_NONE, 0))
        return step_without(walk, frame, rule);
    if (__builtin_expect(!leave(walk, frame, rule), 0))
        return SLOW;
    return walk->ip == 0 ? COMPLETE : ON;
}

/* ---- the last stack ---- */

INLINE bool meets_known(struct walk *walk)
{
    const struct unwind_stack *known = walk->known;
    while (walk->next < known->last && known->frames[walk->next].sp < walk->sp)
        walk->next++;
    const struct unwind_frame *frame = &known->frames[walk->next];
    return walk->next < known->last && frame->sp == walk->sp && frame->ip == walk->ip &&
           (frame->bp == walk->bp || !(frame->flags & UNWIND_NEEDS_BP));
}

/* The outermost of the frames from `at` on, up to `to`, that are still there. */
INLINE size_t follow(const struct unwind_stack *known, size_t at, size_t to)
{
    const struct unwind_frame *frame = &known->frames[at], *outermost = &known->frames[to];
    while (frame < outermost && word(frame[1].sp - sizeof(uint64_t)) == frame[1].ip &&
           word(frame->check_slot) == frame->check_value)
        frame++;
    return (size_t)(frame - known->frames);
}

INLINE void move_to(struct walk *walk, size_t place)
{
    walk->ip = walk->known->frames[place].ip;
    walk->sp = walk->known->frames[place].sp;
    walk->next = place + 1;
}

/* Makes fresh ones of `count` known frames, with what RBP is now: where it did not matter, it may have
 * changed. Returns RBP past them. Word by word: see put_down(). */
INLINE uint64_t copy_known(const struct walk *walk, size_t from, size_t to, size_t count, uint64_t bp)
{
    for (size_t i = 0; i < count; i++) {
        const struct unwind_frame *known = &walk->known->frames[from + i];
        struct unwind_frame *frame = &walk->fresh[to + i];
        frame->ip = known->ip;
        frame->sp = known->sp;
        frame->bp = bp;
        frame->bp_slot = known->bp_slot;
        frame->flags = known->flags;
        if (known->bp_slot != 0)
            bp = word(known->bp_slot);
    }
    return bp;
}

/* A stack that ended at a return address of 0 is known only while it does. */
INLINE bool still_ends(const struct unwind_stack *known)
{
    uint64_t outermost = known->frames[known->last].sp;
    return known->end == UNWIND_COMPLETE && (outermost == 0 || word(outermost - sizeof(uint64_t)) == 0);
}

/* The known frame, from `next` outwards, up to which nothing changed; *ret_rest: nothing at all, as far as
 * wanted. */
INLINE size_t follow_known(const struct walk *walk, bool *ret_rest)
{
    const struct unwind_stack *known = walk->known;
    size_t wanted = walk->goal - walk->count, have = known->last - walk->next;
    size_t to = walk->next + (have < wanted ? have : wanted) - 1, until = follow(known, walk->next, to);
    *ret_rest = until == to && (have >= wanted || still_ends(known)) && walk->next >= walk->count;
    return until;
}

/* Whether the rest of the walk is the rest of the last stack. If only a part is, walks over it. */
INLINE bool joins_known(struct walk *walk)
{
    bool rest;
    size_t until = follow_known(walk, &rest), count = until - walk->next;
    if (rest) {
        walk->joined = walk->next;
        return true;
    }
    walk->bp = copy_known(walk, walk->next, walk->count, count, walk->bp);
    walk->count += count;
    move_to(walk, until);
    return false;
}

/* The same at the start of the walk, where it is often only the tracer's own frames that did not change. They
 * stay where they are. */
INLINE bool starts_as_known(struct walk *walk)
{
    const struct unwind_frame *frames = walk->known->frames;
    bool rest;
    size_t until = follow_known(walk, &rest);
    if (rest) {
        walk->joined = walk->next;
        return true;
    }
    for (size_t i = walk->next; i < until; i++)
        if (frames[i].bp_slot != 0)
            walk->bp = word(frames[i].bp_slot);
    walk->count = walk->same = until - walk->next;
    move_to(walk, until);
    return false;
}

/* Sums of these, one a frame, are the hashes: each is multiplied on its own, so that the processor need not
 * wait. */
INLINE uint64_t hash_of(uint64_t ip, size_t place)
{
    return index_mix(ip, place * 0xa0761d6478bd642fu);
}

/* Puts down a frame, and what of it depends on the next outer one. Word by word: what was just written as
 * words would be slow to read in larger pieces. */
INLINE void put_down(struct unwind_stack *known, size_t place, const struct unwind_frame *from)
{
    struct unwind_frame *to = &known->frames[place];
    const struct unwind_frame *next = to + 1;
    uint32_t flags = from->flags & (UNWIND_READS_BP | UNWIND_STRANGE), strange = flags & UNWIND_STRANGE;
    bool by_bp = from->bp_slot != 0 && next->flags & UNWIND_NEEDS_BP && !strange;
    to->ip = from->ip;
    to->sp = from->sp;
    to->bp = from->bp;
    to->bp_slot = from->bp_slot;
    to->check_slot = by_bp ? from->bp_slot : next->sp - sizeof(uint64_t);
    to->check_value = by_bp ? next->bp : strange ? ~next->ip : next->ip;
    to->hash = next->hash + hash_of(from->ip, known->last - place);
    if (flags & UNWIND_READS_BP || (from->bp_slot == 0 && next->flags & UNWIND_NEEDS_BP))
        flags |= UNWIND_NEEDS_BP;
    to->flags = flags;
    to->node = 0;
}

/* Puts down fresh frames, outermost first. */
INLINE void put_down_all(const struct walk *walk, size_t first, size_t from, size_t to)
{
    for (size_t i = to; i-- > from;)
        put_down(walk->known, first + i, &walk->fresh[i]);
}

/* The frames that the walk began with, which did not change, are where they have to be. Their hashes grow by
 * as much as that of the next one. False: more of them changes than that. */
INLINE bool keeps_same(const struct walk *walk)
{
    struct unwind_frame *first = &walk->known->frames[walk->known->first], *next = first + walk->same;
    uint64_t hash = next->hash;
    uint32_t needs = next->flags & UNWIND_NEEDS_BP;
    put_down_all(walk, walk->known->first, walk->same, walk->count);
    if ((next->flags & UNWIND_NEEDS_BP) != needs)
        return false;
    for (; first < next; first++) {
        first->hash += next->hash - hash;
        first->node = 0;
    }
    return true;
}

/* Makes room for `count` frames, with as much of it inwards as outwards. What lies outwards needs RBP if
 * there is more than was walked. */
static void begin_anew(struct unwind_stack *known, size_t count, enum unwind_end end, uint64_t outermost_cfa)
{
    known->end = end;
    known->last = (UNWIND_KNOWN + count) / 2;
    known->frames[known->last] =
        (struct unwind_frame){.sp = outermost_cfa, .flags = end == UNWIND_CUT ? UNWIND_NEEDS_BP : 0};
}

/* Puts down all that was walked over, before what it joined or as a whole. */
INLINE void put_down_anew(struct walk *walk, enum unwind_end end)
{
    struct unwind_stack *known = walk->known;
    copy_known(walk, known->first, 0, walk->same, walk->start_bp);
    if (walk->joined == known->last) {
        begin_anew(known, walk->count, end, end == UNWIND_COMPLETE && walk->ip == 0 ? walk->sp : 0);
        walk->joined = known->last;
    }
    known->first = walk->joined - walk->count;
    put_down_all(walk, known->first, 0, walk->count);
}

/* The fresh frames and, where the walk joined it, the rest of the last stack become the last stack. */
INLINE void conclude(struct walk *walk, enum unwind_end end)
{
    struct unwind_stack *known = walk->known;
    bool stays = walk->joined != known->last && walk->joined - walk->count == known->first;
    if (walk->count == 0) { /* all of it is known, perhaps as the outer part of a deeper stack */
        known->first = walk->joined;
        return;
    }
    uint64_t window = known->window;
    __atomic_store_n(&known->window, 0, __ATOMIC_RELEASE); /* as in window_move(), while it changes */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (!stays || !keeps_same(walk))
        put_down_anew(walk, end);
    __atomic_store_n(&known->window, window, __ATOMIC_RELEASE);
}

/* ---- the walk ---- */

INLINE enum unwind_end walk_outwards(struct walk *walk)
{
    if (meets_known(walk) && walk->next == walk->known->first && starts_as_known(walk))
        return walk->known->end;
    walk->rules = rules_table();
    for (;;) {
        if (meets_known(walk) && joins_known(walk))
            return walk->known->end;
        struct unwind_frame *frame = &walk->fresh[walk->count++];
        frame->ip = walk->ip;
        frame->sp = walk->sp;
        frame->bp = walk->bp;
        frame->bp_slot = frame->flags = 0;
        if (walk->count == walk->goal)
            return UNWIND_CUT;
        enum progress progress = step(walk, frame);
        if (__builtin_expect(progress != ON, 0))
            return progress == COMPLETE  ? UNWIND_COMPLETE
                   : progress == UNKNOWN ? UNWIND_UNKNOWN
                                         : UNWIND_SLOW;
    }
}

/* The last stack of such a hint, emptied if it is of no use any more. */
INLINE struct unwind_stack *stack_of(struct unwinder *unwinder, uint64_t hint)
{
    struct unwind_stack *known = &unwinder->stacks[(hint * 0x9e3779b97f4a7c15u >> 32) % UNWIND_STACKS];
    uint32_t generation = modules_generation();
    if (__builtin_expect(known->window != unwinder->window.number || known->generation != generation, 0))
        known->first = known->last = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    known->window = unwinder->window.number;
    known->generation = generation;
    return known;
}

void unwind_begin(struct unwinder *unwinder, uint64_t sp)
{
    window_begin(&unwinder->window, sp);
}

size_t unwind_frames(struct unwinder *unwinder, const struct arch_frame *start, uint64_t hint, size_t limit,
                     struct unwind_frame **ret_frames, enum unwind_end *ret_end)
{
    window_begin(&unwinder->window, start->sp);
    struct unwind_stack *known = stack_of(unwinder, hint);
    struct walk walk = {
        .window = &unwinder->window,
        .known = known,
        .fresh = unwinder->fresh,
        .start_bp = start->bp,
        .goal = limit + 1,
        .ip = start->ip + 1,
        .sp = start->sp,
        .bp = start->bp,
        .next = known->first,
        .joined = known->last,
    };
    enum unwind_end end = walk_outwards(&walk);
    *ret_end = end;
    if (end != UNWIND_COMPLETE && end != UNWIND_CUT)
        return 0;
    conclude(&walk, end);
    size_t count = known->last - known->first;
    *ret_frames = &known->frames[known->first];
    *ret_end = count > limit ? UNWIND_CUT : UNWIND_COMPLETE;
    return count < limit ? count : limit;
}

uint64_t unwind_hash(const struct unwind_frame *frames, size_t count)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++)
        hash += hash_of(frames[i].ip, count - i);
    return hash;
}
