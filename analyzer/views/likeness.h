/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether places that were met in different processes, perhaps of different hosts, are one and the same. Pure. */
#ifndef STRAY_VIEWS_LIKENESS_H
#define STRAY_VIEWS_LIKENESS_H

#include "views/report.h"

enum likeness { LIKE_NOTHING, LIKE_CODE, LIKE_PLACE };

/* Below, equal or above 0: files, lines, functions, modules and, of what has no name, offsets compared. NULL comes first. */
int report_frame_order(const struct report_frame *a, const struct report_frame *b);
/* Both frames are there, and of one function of one program (names/function.h). */
bool report_same_function(const struct report_frame *a, const struct report_frame *b);
/* Whether both are about the same frame. */
bool report_same_place(const struct report_finding *a, const struct report_finding *b);

/* Whether what is added now, at `b`, belongs to the place `a` that was met first in `run`. Within that run paths tell copies of
 * one code apart; from others they say only where it was installed, if nothing there has the same path. */
enum likeness likeness(const struct report *report, const struct report_frame *a, uint32_t run, const struct report_frame *b);

typedef enum likeness likeness_of(const struct report *report, size_t index, const void *wanted);

/* Index of the first of `count` that is most like what is wanted; REPORT_NONE: none is. */
size_t most_alike(const struct report *report, size_t count, likeness_of *of, const void *wanted);

#endif
