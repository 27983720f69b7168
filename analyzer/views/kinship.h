/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connections that went from process to process over fork. Traces are read one after the other, in any order; of each,
 * what may have been handed on is kept until all were read.
 *
 * Ownership: a struct kinship owns what it keeps. Not thread safe.
 */
#ifndef STRAY_VIEWS_KINSHIP_H
#define STRAY_VIEWS_KINSHIP_H

#include "views/report.h"

/* Keeps what `process` may have handed on or been handed. -ENOMEM. */
int kinship_add(struct report *report, const struct report_process *process, const struct lives *lives,
                const struct folds *folds, const struct report_stacks *stacks);
/* Adds the findings, once all processes are there. -ENOMEM. */
int kinship_judge(struct report *report);
/* NULL is accepted. */
void kinship_free(struct kinship *kinship);

#endif
