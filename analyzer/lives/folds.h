/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sites folded by the frame to blame: what a reader takes for one place, though many stacks lead there.
 *
 * Ownership: a struct folds owns its arrays; it refers to the lives it was made of. Not thread safe.
 */
#ifndef STRAY_LIVES_FOLDS_H
#define STRAY_LIVES_FOLDS_H

#include "lives/lifetimes.h"

struct fold {
    unsigned resource;
    uint32_t peer;  /* index, or LIVES_NONE */
    uint32_t stack; /* of the site that holds most, to show */
    uint64_t opened, closed, open, bytes_open;
    uint64_t alive, alive_bytes; /* at Tc */
    bool estimated;              /* all these are, of samples, which stand for: */
    struct tally born, living;
    uint64_t left, left_path;    /* TEMPFILE: as in struct site */
    uint64_t first, last;        /* births, event time */
    struct gone gone;            /* of all sites */
    uint32_t *sites;             /* indexes, in the order of first birth */
    size_t site_count;
    uint32_t *lives; /* indexes, in the order of birth */
    size_t life_count;
    /* private to folds.c */
    size_t site_room, life_room;
};

struct folds {
    struct fold *items; /* in the order of first appearance */
    size_t count;
};

/* The frame to blame for a node; NULL: unknown. */
typedef const struct frame *blame_of(void *data, uint32_t node);

/* Folds the sites of finished lives. Without `all`, places where no blocks ever piled up are left out, so that
 * their stacks need not be named: the figures of a fold of blocks are then those of the stacks that matter. -ENOMEM. */
int folds_build(const struct lives *lives, blame_of *blame, void *data, bool all, struct folds *ret_folds);
void folds_clear(struct folds *folds);

#endif
