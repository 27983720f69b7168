/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What single processes say of which finding follows from which. They may disagree, and come in any order: so nothing is believed
 * before all have spoken.
 *
 * Ownership: the claims are the report's. Not thread safe.
 */
#ifndef STRAY_VIEWS_CLAIMS_H
#define STRAY_VIEWS_CLAIMS_H

#include "views/report.h"

/* One process found that `finding` follows from `cause`; both are indexes. -ENOMEM. */
int claims_add(struct report *report, size_t finding, size_t cause);
/* Gives each finding the weightiest cause that was claimed for it and does not itself follow from it: the same one, whatever order
 * the processes came in. Comes after the last finding was merged, and before any is moved. -ENOMEM. */
int claims_settle(struct report *report);

#endif
