/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a seccomp filter may answer to a system call. The program of the filter is run with what is known (the number and
 * the architecture); where it asks for anything else, both ways are taken. Pure: no system call, no state.
 */
#ifndef STRAY_PRELOAD_FILTER_H
#define STRAY_PRELOAD_FILTER_H

#include <linux/filter.h>
#include <stdint.h>

#define FILTER_PENDING 512u /* branches that are still to be taken, at most */

enum filter_answer {
    FILTER_ALLOWS = 1,  /* also where it is logged */
    FILTER_REFUSES = 2, /* with an error */
    FILTER_HARMS = 4,   /* kills, traps, asks a tracer or another process, pretends success; or it cannot be told */
};

struct filter_state {
    uint32_t pc, known; /* known: a bit for each of the 18 values below */
    uint32_t a, x, memory[BPF_MEMWORDS];
};

/* Working memory: too much for a small stack. */
struct filter_work {
    uint32_t count;
    struct filter_state pending[FILTER_PENDING];
};

/* The answers that the `length` instructions of `program` may give to system call `number`, as bits. */
unsigned filter_answers(const struct sock_filter *program, uint32_t length, uint32_t architecture, uint32_t number,
                        struct filter_work *work);

#endif
