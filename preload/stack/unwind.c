/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/unwind.h"

#include "record/defs.h"
#include "record/index.h"
#include "stack/rules.h"
#include "sys.h"
#include "stray/format.h"

#define PAGES_AT_ONCE SYS_READABLE_MAX
#define FRAME_MAX     ((uint64_t)1 << 20) /* bytes of a frame that we look for the end of */

struct walk {
    struct unwinder *unwinder;
    struct rules_view rules;
    uint64_t ip, sp, bp; /* of the frame that comes next */
    size_t count;        /* frames in unwinder->fresh */
    size_t goal;         /* frames wanted; the outermost of so many is not left */
    size_t next;         /* in unwinder->known: the first that may be met from here */
    size_t joined;       /* in unwinder->known: what comes after the fresh ones; `last`: nothing */
};

/* What the walk consists of is one function, so that its registers stay in registers. */
#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t word(uint64_t address)
{
    return *(const volatile uint64_t *)address;
}

/* ---- what may be read ---- */

/*
 * All reads are between the stack pointer and the end of the window. A thread's stack does not shrink while it runs in
 * it, so that a page of it, once seen readable, stays so. Stacks that a program makes itself (coroutines) may go
 * and leave a window behind; a wrong table would then have to lead to just there.
 */
static bool window_reaches(struct unwind_window *window, uint64_t end)
{
    while (window->high < end) {
        uint64_t pages = (end - window->high + STRAY_PAGE - 1) / STRAY_PAGE;
        if (pages > FRAME_MAX / STRAY_PAGE)
            return false;
        size_t wanted = pages < PAGES_AT_ONCE ? pages : PAGES_AT_ONCE, readable = sys_readable(window->high, wanted);
        window->high += readable * STRAY_PAGE;
        if (readable < wanted)
            return false;
    }
    return true;
}

/* Lets the window begin at `sp`. False: it is another one now. */
static bool window_begin(struct unwind_window *window, uint64_t sp)
{
    uint64_t thread = arch_thread(), page = sp & ~(uint64_t)(STRAY_PAGE - 1);
    if (__builtin_expect(window->thread == thread && sp >= window->low && sp < window->high, 1))
        return true;
    struct unwind_window grown = {thread, page, page + STRAY_PAGE}; /* the page that we stand on */
    bool below = window->thread == thread && sp < window->low && window_reaches(&grown, window->low);
    window->high = below ? window->high : grown.high;
    window->low = grown.low;
    window->thread = thread;
    return below;
}

/* ---- one frame ---- */

INLINE bool is_below(struct unwind_window *window, uint64_t sp, uint64_t end)
{
    return end >= sp + sizeof(uint64_t) && (__builtin_expect(end <= window->high, 1) || window_reaches(window, end));
}

/* The CFA that a function which aligned its frame has put down there; 0: nowhere. */
static uint64_t noted_cfa(struct unwind_window *window, uint64_t sp, uint64_t place, uint64_t rule)
{
    bool readable = place >= sp && is_below(window, sp, place + sizeof(uint64_t));
    return readable ? word(place) + rule_added(rule) : 0;
}

/* To the frame's caller. */
INLINE bool leave(struct walk *walk, struct unwind_frame *frame, uint64_t rule)
{
    struct unwind_window *window = &walk->unwinder->window;
    uint64_t cfa = (rule & RULE_CFA_BP ? walk->bp : walk->sp) + (uint64_t)rule_offset(rule);
    if (__builtin_expect(rule & RULE_CFA_WORD, 0))
        cfa = noted_cfa(window, walk->sp, cfa, rule);
    if (!is_below(window, walk->sp, cfa))
        return false;
    if (rule & (RULE_BP_AT_CFA | RULE_BP_AT_BP)) {
        uint64_t slot = (rule & RULE_BP_AT_BP ? walk->bp : cfa) + (uint64_t)rule_bp_offset(rule);
        if (slot < walk->sp || slot > cfa - 2 * sizeof(uint64_t))
            return false;
        frame->bp_slot = slot;
        walk->bp = word(slot);
    }
    frame->flags = (rule & (RULE_CFA_BP | RULE_BP_AT_BP) ? UNWIND_READS_BP : 0) | (rule & RULE_RARE ? UNWIND_STRANGE : 0);
    walk->ip = word(cfa - sizeof(uint64_t));
    walk->sp = cfa;
    return true;
}

enum progress { ON, COMPLETE, UNKNOWN, SLOW };

/* By the ABI, the outermost frame's RBP is zero where nothing else marks it. */
static enum progress stop(struct unwind_frame *frame, uint64_t rule)
{
    if (rule == 0)
        return UNKNOWN;
    frame->flags = rule & RULE_MISSING ? UNWIND_READS_BP : 0;
    return rule & RULE_END || (rule & RULE_MISSING && frame->bp == 0) ? COMPLETE : SLOW;
}

INLINE enum progress step(struct walk *walk, struct unwind_frame *frame)
{
    uint64_t rule = rules_find(&walk->rules, walk->ip);
    if (__builtin_expect(rule == 0, 0)) {
        rule = rules_learn(walk->rules.epoch, walk->ip);
        walk->rules = rules_view();
    }
    if (__builtin_expect(rule == 0 || rule & (RULE_END | RULE_MISSING | RULE_OTHER), 0))
        return stop(frame, rule);
    if (__builtin_expect(!leave(walk, frame, rule), 0))
        return SLOW;
    return walk->ip == 0 ? COMPLETE : ON;
}

/* ---- the last stack ---- */

INLINE bool meets_known(struct walk *walk)
{
    const struct unwinder *unwinder = walk->unwinder;
    while (walk->next < unwinder->last && unwinder->known[walk->next].sp < walk->sp)
        walk->next++;
    const struct unwind_frame *frame = &unwinder->known[walk->next];
    return walk->next < unwinder->last && frame->sp == walk->sp && frame->ip == walk->ip &&
           (frame->bp == walk->bp || !(frame->flags & UNWIND_NEEDS_BP));
}

/* The outermost of the frames from `at` on, up to `to`, that are still there. */
INLINE size_t follow(const struct unwinder *unwinder, size_t at, size_t to)
{
    const struct unwind_frame *frame = &unwinder->known[at], *outermost = &unwinder->known[to];
    while (frame < outermost && word(frame[1].sp - sizeof(uint64_t)) == frame[1].ip &&
           word(frame->check_slot) == frame->check_value)
        frame++;
    return (size_t)(frame - unwinder->known);
}

/* Walks over frames known[next .. until), as they are still there; known[until] comes next. */
INLINE void take_known(struct walk *walk, size_t until)
{
    struct unwinder *unwinder = walk->unwinder;
    for (; walk->next < until; walk->next++) {
        const struct unwind_frame *known = &unwinder->known[walk->next];
        struct unwind_frame *frame = &unwinder->fresh[walk->count++];
        frame->ip = known->ip;
        frame->sp = known->sp;
        frame->bp = walk->bp;
        frame->bp_slot = known->bp_slot;
        frame->flags = known->flags;
        if (frame->bp_slot != 0)
            walk->bp = word(frame->bp_slot);
    }
    walk->ip = unwinder->known[until].ip;
    walk->sp = unwinder->known[until].sp;
    walk->next = until + 1;
}

/* A stack that ended at a return address of 0 is known only while it does. */
INLINE bool still_ends(const struct unwinder *unwinder)
{
    uint64_t outermost = unwinder->known[unwinder->last].sp;
    return unwinder->end == UNWIND_COMPLETE && (outermost == 0 || word(outermost - sizeof(uint64_t)) == 0);
}

/* Whether the rest of the walk is the rest of the last stack. If only a part is, walks over it. */
INLINE bool joins_known(struct walk *walk)
{
    struct unwinder *unwinder = walk->unwinder;
    size_t wanted = walk->goal - walk->count, have = unwinder->last - walk->next;
    size_t to = walk->next + (have < wanted ? have : wanted) - 1, until = follow(unwinder, walk->next, to);
    if (until == to && (have >= wanted || still_ends(unwinder)) && walk->next >= walk->count) {
        walk->joined = walk->next;
        return true;
    }
    take_known(walk, until);
    return false;
}

/* Puts down a frame, and what of it depends on the next outer one. Word by word: what was just written as words would
 * be slow to read in larger pieces. */
INLINE void put_down(struct unwind_frame *to, const struct unwind_frame *from, const struct unwind_frame *next)
{
    uint64_t flags = from->flags & (UNWIND_READS_BP | UNWIND_STRANGE), strange = flags & UNWIND_STRANGE;
    bool by_bp = from->bp_slot != 0 && next->flags & UNWIND_NEEDS_BP && !strange;
    to->ip = from->ip;
    to->sp = from->sp;
    to->bp = from->bp;
    to->bp_slot = from->bp_slot;
    to->check_slot = by_bp ? from->bp_slot : next->sp - sizeof(uint64_t);
    to->check_value = by_bp ? next->bp : strange ? ~next->ip : next->ip;
    to->hash = index_mix(next->hash, from->ip);
    if (flags & UNWIND_READS_BP || (from->bp_slot == 0 && next->flags & UNWIND_NEEDS_BP))
        flags |= UNWIND_NEEDS_BP;
    to->flags = flags;
}

/* What lies outside of the outermost frame. RBP is needed where there is more than was walked. */
static void begin_anew(struct walk *walk, enum unwind_end end)
{
    struct unwinder *unwinder = walk->unwinder;
    unwinder->end = end;
    walk->joined = unwinder->last = (UNWIND_KNOWN + walk->count) / 2;
    unwinder->known[unwinder->last] = (struct unwind_frame){.hash = 1};
    if (end == UNWIND_CUT)
        unwinder->known[unwinder->last].flags = UNWIND_NEEDS_BP;
    else if (walk->ip == 0)
        unwinder->known[unwinder->last].sp = walk->sp;
}

/* The fresh frames and, where the walk joined it, the rest of the last stack become the last stack. */
INLINE void conclude(struct walk *walk, enum unwind_end end)
{
    struct unwinder *unwinder = walk->unwinder;
    if (walk->joined == unwinder->last)
        begin_anew(walk, end);
    unwinder->first = walk->joined - walk->count;
    struct unwind_frame *next = &unwinder->known[walk->joined];
    for (size_t i = walk->count; i-- > 0; next--)
        put_down(next - 1, &unwinder->fresh[i], next);
}

INLINE enum unwind_end walk_outwards(struct walk *walk)
{
    struct unwinder *unwinder = walk->unwinder;
    for (;;) {
        if (meets_known(walk) && joins_known(walk))
            return unwinder->end;
        struct unwind_frame *frame = &unwinder->fresh[walk->count++];
        frame->ip = walk->ip;
        frame->sp = walk->sp;
        frame->bp = walk->bp;
        frame->bp_slot = frame->flags = 0;
        if (walk->count == walk->goal)
            return UNWIND_CUT;
        enum progress progress = step(walk, frame);
        if (__builtin_expect(progress != ON, 0))
            return progress == COMPLETE ? UNWIND_COMPLETE : progress == UNKNOWN ? UNWIND_UNKNOWN : UNWIND_SLOW;
    }
}

size_t unwind_frames(struct unwinder *unwinder, struct arch_frame start, size_t limit,
                     const struct unwind_frame **ret_frames, enum unwind_end *ret_end)
{
    struct walk walk = {.unwinder = unwinder, .rules = rules_view(), .goal = limit + 1};
    walk.ip = start.ip + 1;
    walk.sp = start.sp;
    walk.bp = start.bp;
    if (!window_begin(&unwinder->window, start.sp) || unwinder->epoch != walk.rules.epoch)
        unwinder->first = unwinder->last = 0;
    unwinder->epoch = walk.rules.epoch;
    walk.next = unwinder->first;
    walk.joined = unwinder->last;
    enum unwind_end end = walk_outwards(&walk);
    *ret_end = end;
    if (end != UNWIND_COMPLETE && end != UNWIND_CUT)
        return 0;
    conclude(&walk, end);
    size_t count = unwinder->last - unwinder->first;
    *ret_frames = &unwinder->known[unwinder->first];
    *ret_end = count > limit ? UNWIND_CUT : UNWIND_COMPLETE;
    return count < limit ? count : limit;
}

uint64_t unwind_hash(const struct unwinder *unwinder, const struct unwind_frame *frames, size_t count)
{
    if (unwinder->end == UNWIND_COMPLETE && frames + count == unwinder->known + unwinder->last)
        return frames->hash;
    uint64_t even = 1, odd = count;
    for (size_t i = 0; i + 1 < count; i += 2) { /* two chains, so that multiplications overlap */
        even = index_mix(even, frames[i].ip);
        odd = index_mix(odd, frames[i + 1].ip);
    }
    return index_mix(count % 2 ? index_mix(even, frames[count - 1].ip) : even, odd);
}
