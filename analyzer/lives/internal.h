/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of lives/ share among themselves. */
#ifndef STRAY_LIVES_INTERNAL_H
#define STRAY_LIVES_INTERNAL_H

#include "lives/lifetimes.h"

/* What is known of one lane. */
struct moving {
    struct block block; /* realloc, mremap; handle 0: none under way, or of unknown origin */
    uint8_t resource;   /* of the block */
    bool taken, works;  /* by a thread, some time; it has told WORK */
    uint32_t worked, worked_before; /* marks of its last two WORKs, or since when there was none */
    uint64_t since;     /* that the latest sum came with */
    uint32_t since_mark;
};

/* Grows an array to hold `wanted` items of `size` bytes; what is new is zeroed. `array` is the address of the
 * pointer to it. -ENOMEM leaves it as it was. */
int room_for(void *array, size_t *room, size_t wanted, size_t size);

/* What counts as work on the axis of allocations. Samples of objects do not: of most of them sums alone tell, which tell no time.
 * Those of the heap are each a number of bytes that were asked for, which is as good a measure. */
static inline bool is_allocation(const struct stray_event *event)
{
    return event->resource == STRAY_HEAP || (event->resource == STRAY_PYOBJECT && event->value >> 32 == 0);
}

/* The site of (resource, stack, peer), made if new. */
int site_find(struct lives *lives, unsigned resource, uint32_t stack, uint32_t peer, uint32_t *ret_site);
/* The one of (resource, stack), which has no peer. Heap sites are asked for once an allocation: an array by node, no hashing. */
static inline int site_of_blocks(struct lives *lives, unsigned resource, uint32_t stack, uint32_t *ret_site)
{
    if (resource != STRAY_HEAP || stack >= lives->node_site_count || lives->node_sites[stack] == 0)
        return site_find(lives, resource, stack, LIVES_NONE, ret_site);
    *ret_site = lives->node_sites[stack] - 1;
    return 0;
}
/* What counting.h does now and then: a site that grew comes to another window, a site has grown; changes of a peer's figures. */
void growth_move(struct lives *lives, struct site *site);
void growth_begin(struct lives *lives, struct site *site);
void peer_count(struct lives *lives, uint32_t index, int opened, int open);

/* Descriptors (descriptors.c), and PGconns (pgconns.c). -ENOMEM. */
int descriptor_event(struct lives *lives, const struct stray_event *event, uint32_t thread);
int pgconn_event(struct lives *lives, const struct stray_event *event, uint32_t thread);
bool is_descriptor(unsigned resource);
/* What is open under that number; NULL: nothing that is known. */
struct life *fd_life(struct lives *lives, uint64_t fd);
/* A life that begins, is counted at a site, and ends. -ENOMEM. */
int life_add(struct lives *lives, const struct stray_event *event, uint32_t thread, struct life **ret_life);
int life_count(struct lives *lives, struct life *life, uint32_t stack);
void life_end(struct lives *lives, struct life *life, enum life_end how, const struct stray_event *event);
/* A use that took `took` ticks up to `time`. What happens once the end has begun (a farewell to the server, say) is no use. */
void life_used(struct lives *lives, struct life *life, uint64_t time, uint64_t took, uint32_t uses);
/* One that was open when a running process was attached to has ended; of others nothing is noted. */
void before_end(struct lives *lives, const struct life *life);
/* Handles of user-defined pairs (handles.c). */
int handle_event(struct lives *lives, const struct stray_event *event, uint32_t thread);
static inline bool is_user_defined(unsigned resource)
{
    return resource >= STRAY_USER_FIRST && resource < STRAY_USER_END;
}
/* A life that has just ended may become a figure of its site, at once or later (retire.c). Moves lives about:
 * pointers to them are void afterwards, and indexes but those that renumber_all() knows. -ENOMEM. */
int life_retire(struct lives *lives, uint32_t index);
/* Closes the gaps that lives which are gone have left. -ENOMEM leaves them. */
int lives_close_up(struct lives *lives);
/* Whether a USE by this hook sends a statement (a connect or a poll does not). */
bool is_statement(unsigned hook);

/* What a block stands for, by the value of its event: more than itself, if it is a sample. */
static inline double weight_of(const struct lives *lives, unsigned resource, uint64_t value)
{
    if (resource == STRAY_HEAP && lives->source.heap_mean > 0)
        return tally_weight_of(value, lives->source.heap_mean);
    return resource == STRAY_PYOBJECT ? tally_weight(value) : 1;
}

/* The bytes of all that an open block stands for; 0 for kinds that have none. */
static inline uint64_t bytes_of(const struct lives *lives, unsigned resource, uint64_t value)
{
    if (resource == STRAY_HEAP && lives->source.heap_mean > 0)
        return tally_times(value, weight_of(lives, resource, value));
    if (resource == STRAY_PYOBJECT)
        return tally_times(value & UINT32_MAX, tally_weight(value));
    return resource == STRAY_HEAP || resource == STRAY_MMAP ? value : 0;
}

/* Whether sites tell what blocks of a kind stand for. */
static inline bool is_weighed(const struct lives *lives, unsigned resource)
{
    return resource == STRAY_PYOBJECT || (resource == STRAY_HEAP && lives->source.heap_mean > 0);
}

static inline struct tally tally_of_block(const struct lives *lives, unsigned resource, uint64_t value)
{
    return tally_of(weight_of(lives, resource, value), (double)bytes_of(lives, resource, value));
}

/* All kinds that are known by an address, and whose closing stack does not matter (block_events.c). */
int block_event(struct lives *lives, const struct stray_event *event, uint32_t lane, uint32_t thread, uint64_t since);
/* The two most frequent ones: an OPEN and a CLOSE of the heap. */
int heap_open(struct lives *lives, const struct stray_event *event);
void heap_close(struct lives *lives, const struct stray_event *event);
/* OWNER: what its thread did before anything is told of it, it did since then. -ENOMEM. */
int lane_taken(struct lives *lives, uint32_t lane);
/* WORK: what the lane's other buffer had gathered, from which the WORK before the last took; before the first, since the latest
 * sum. -ENOMEM. */
int work_told(struct lives *lives, const struct stray_event *event, uint32_t lane);
/* Takes threads that ended while they were waited for as done with. -ENOMEM. */
int threads_left(struct lives *lives);

/* What concerns the process as a whole (process_events.c). */
int process_event(struct lives *lives, const struct stray_event *event, uint32_t thread);
/* Tc is reached, if it was not before: `thread` ends the process, of its own will if `voluntary`. -ENOMEM. */
int end_begins(struct lives *lives, uint64_t time, uint32_t thread, bool voluntary);
/* Whether this is a release by an exit handler, with which the end begins. */
bool closes_at_exit(const struct lives *lives, const struct stray_event *event);
/* Whether something begins that is no memory, nor the exit's own doing. */
bool is_new_work(const struct lives *lives, const struct stray_event *event);

/* Mappings (mapping_events.c). */
int mapping_event(struct lives *lives, const struct stray_event *event, uint32_t lane);
/* Frees what lives keep of them. */
void mappings_end(struct lives *lives);

/* Notes what is open in the block tables, now that Tc is reached (survivors.c). */
int survivors_note(struct lives *lives);
/* Between two marks, at most. */
uint64_t lives_mark_ticks(const struct lives_source *source);
/* Notes the temporary files that are there after the last event. */
void survivors_left(struct lives *lives);
/* `count` releases of an age in [2^octave, 2^(octave + 1)) ticks. */
void growth_elided(const struct lives *lives, struct site *site, unsigned octave, uint64_t count);

#endif
