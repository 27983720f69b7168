/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All verdicts on one process: from its lives, folded by the frame to blame, to findings. Causes are told
 * from their consequences: the PGconn of a leaked connection, and memory held by it, are not leaks of their
 * own.
 *
 * Ownership: a struct judged owns its arrays and refers to nothing. Not thread safe.
 */
#ifndef STRAY_VERDICTS_JUDGE_H
#define STRAY_VERDICTS_JUDGE_H

#include "lives/folds.h"
#include "verdicts/stats.h"
#include "verdicts/verdict.h"

#define FACTS_MAX 32

/* One piece of evidence. */
struct fact {
    const char *name; /* static: as in JSON */
    double value;
    bool count;  /* an exact number of things */
    bool summed; /* over processes; else it is that of the first */
};

struct finding {
    enum verdict verdict;
    enum severity severity;
    enum confidence confidence;
    uint32_t fold;
    uint32_t stack;
    uint64_t count, bytes;
    uint64_t own_bytes; /* of Python's small objects, those whose line is certain */
    bool estimated; /* both are, of samples */
    struct tally tally; /* ... what these stand for */
    double first_s, last_s; /* births of what it is about, since the process began */
    bool rated;
    struct interval rate_per_hour;
    struct fact facts[FACTS_MAX];
    size_t fact_count;
    uint64_t example; /* definition of a path, or 0 */
    uint32_t cause; /* index of the finding it follows from, or LIVES_NONE */
    uint64_t certain; /* of a suspect: see usage_suspect() */
    bool held;      /* by handles in use: as good as not there; none of these is left in struct judged either */
    bool small;     /* not worth a word, but where something follows from it; none of these is left in struct judged */
};

struct judged {
    struct finding *findings; /* in the order of folds */
    size_t count;
    struct finding *suspects; /* what would be leaked if there were more of it */
    size_t suspect_count;
    enum verdict *verdicts; /* one a fold: the word for lists of sites */
    bool *leaked;           /* one a life: a finding counts it as leaked */
};

/* The stack of a node; never NULL. */
typedef const struct stack *stack_named(void *data, uint32_t node);

/* `stack` names frames, to group memory under what holds it; `data` is passed to it. -ENOMEM. */
int judge(const struct lives *lives, const struct folds *folds, stack_named *stack, void *data, struct judged *ret_judged);
void judged_clear(struct judged *judged);

#endif
