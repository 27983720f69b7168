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
    bool child;         /* else a thread */
};

struct ended_judgement {
    enum verdict verdict; /* VERDICT_STEADY: nothing to say */
    enum severity severity;
    enum confidence confidence;
};

struct ended_judgement ended_judge(const struct ended_figures *figures);

#endif
