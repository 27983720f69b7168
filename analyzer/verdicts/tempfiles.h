/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verdicts on temporary files: what counts is what still lies there when the process is gone, its exit handlers
 * included. A pure function from the figures of one place.
 */
#ifndef STRAY_VERDICTS_TEMPFILES_H
#define STRAY_VERDICTS_TEMPFILES_H

#include <stdbool.h>
#include <stdint.h>

#include "verdicts/verdict.h"

struct tempfile_figures {
    uint64_t opened, left; /* left: there after the last event */
    bool exits;            /* the process ended by itself: nothing was under way any more */
    bool goes_on;          /* as another program, which may still remove them */
};

struct tempfile_judgement {
    enum verdict verdict;
    enum severity severity;
    enum confidence confidence;
};

struct tempfile_judgement tempfile_judge(const struct tempfile_figures *figures);

#endif
