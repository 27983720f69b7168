/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verdicts on threads and children that have ended while nobody asked for their result: the thread's stack and the
 * child's entry in the process table stay. Pure functions.
 */
#ifndef STRAY_VERDICTS_ENDED_H
#define STRAY_VERDICTS_ENDED_H

#include <stdbool.h>
#include <stdint.h>

#include "verdicts/verdict.h"

struct ended_figures {
    uint64_t ended;     /* before Tc, and not joined or waited for by then */
    uint64_t overtaken; /* of these: another was made at the place after it had ended */
    uint64_t in_turn;   /* children, of these: younger than any that was waited for, where some were */
    bool child;         /* else a thread */
};

struct ended_judgement {
    enum verdict verdict; /* VERDICT_STEADY: nothing to say */
    enum severity severity;
    enum confidence confidence;
    uint64_t count; /* that the verdict is about */
};

struct ended_judgement ended_judge(const struct ended_figures *figures);

#endif
