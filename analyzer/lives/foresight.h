/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fetches what the next events of a batch will need before their turn comes: a heap of many blocks and sites does not fit
 * the processor's nearer caches, and each event touches a block, its site and the site's windows, one found by the other.
 * It changes nothing but the speed. Not thread safe.
 */
#ifndef STRAY_LIVES_FORESIGHT_H
#define STRAY_LIVES_FORESIGHT_H

#include "lives/lifetimes.h"
#include "read/merge.h"

/* What an event is about, as it looked a little earlier. */
struct expected {
    uint32_t site; /* LIVES_NONE: not known */
    uint32_t mark; /* of the birth of the block that it is about; LIVES_NONE: none */
};

struct foresight {
    const struct lives *lives;
    const struct merged *batch;
    size_t count;
    struct expected expected[MERGE_BATCH];
};

/* Whether there is so much that looking ahead saves more time than it takes. */
bool foresight_pays(const struct lives *lives);

void foresight_begin(struct foresight *foresight, const struct lives *lives, const struct merged *batch, size_t count);
/* To be called before the event at `index` is taken in, for each in turn. */
void foresight_at(struct foresight *foresight, size_t index);

#endif
