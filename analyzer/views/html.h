/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The report, and the comparison of two, as one HTML page that needs nothing else: style, script and data are in it. The data is
 * the JSON of the report ("stray-report/1") or of the comparison ("stray-diff/1") with one object more, "page". Long names are cut
 * and long lists end early, with how much was left out, so that a page stays small.
 */
#ifndef STRAY_VIEWS_HTML_H
#define STRAY_VIEWS_HTML_H

#include <jansson.h>
#include <stdio.h>

#include "views/diff.h"
#include "views/ledger.h"

/* The ledger's report must have been built with its places and statements. `sites`: the list of all places as well. -ENOMEM, -EIO. */
int html_write_report(struct ledger *ledger, bool sites, FILE *out);
/* Both ledgers must have been built with all places. -ENOMEM, -EIO. */
int html_write_diff(const struct diff *diff, FILE *out);

/* Writes `value` as JSON that can stand in a script element: nothing in a text can end it. -ENOMEM, -EIO. */
int html_write_data(const json_t *value, FILE *out);

#endif
