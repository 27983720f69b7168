/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of places that acquired something. */
#ifndef STRAY_VIEWS_SITES_H
#define STRAY_VIEWS_SITES_H

#include "views/listing.h"

/* Names of columns, as in --sort; NULL-ended. */
extern const char *const sites_columns[];

/* Its figures; "~41823" where they are estimates. */
struct site_words {
    char opened[24], closed[24], open[24], bytes[72];
};
void site_words(struct site_words *words, const struct report_site *site);

/* Leaves in the report those of its sites that `filter` wants, in its order. -ENOMEM. */
int sites_select(struct report *report, const struct listing_filter *filter);
/* One line a site. -ENOMEM, -EIO. */
int sites_write_text(const struct report *report, FILE *out);

#endif
