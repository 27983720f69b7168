/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report for people: the answer first, causes before consequences, what is no leak at the end. No line is
 * wider than 110 columns. */
#ifndef STRAY_VIEWS_TEXT_H
#define STRAY_VIEWS_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "views/report.h"

#define TEXT_WIDTH 110

struct text_options {
    bool verbose; /* whole stacks and all evidence */
    bool sites;   /* the list of sites as well */
    bool color;
};

/* -ENOMEM, -EIO. */
int report_write_text(const struct report *report, const struct text_options *options, FILE *out);
/* What matters while a process runs: the answer, where memory goes, the report's sites, what was found; a line or two each.
 * Errors as above. */
int report_write_top(const struct report *report, const struct text_options *options, FILE *out);

#endif
