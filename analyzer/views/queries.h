/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of statements that were sent to databases: how often, from where, how long it took, what came back. */
#ifndef STRAY_VIEWS_QUERIES_H
#define STRAY_VIEWS_QUERIES_H

#include <jansson.h>

#include "views/listing.h"

/* Names of columns, as in --sort; NULL-ended. */
extern const char *const queries_columns[];

/* Leaves in the report those of its statements that `filter` wants, in its order; without one, by total time. -ENOMEM. */
int queries_select(struct report *report, const struct listing_filter *filter);
/* -ENOMEM, -EIO. */
int queries_write_text(const struct report *report, FILE *out);
int queries_write_json(const struct report *report, FILE *out);
/* One row of it; a new reference. */
json_t *queries_json(const struct report_statement *statement);

#endif
