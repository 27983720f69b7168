/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the data of a page has beyond the report's: private to html.c. New references; NULL or less without memory, which
 * json_memory_failed() tells. */
#ifndef STRAY_VIEWS_HTML_PARTS_H
#define STRAY_VIEWS_HTML_PARTS_H

#include <jansson.h>

#include "views/diff.h"
#include "views/ledger.h"
#include "views/places.h"
#include "views/timelines.h"

/* Cuts long texts anywhere in `value`, which must not be one itself. */
void html_shorten(json_t *value);
/* Its number; a root is null. */
json_t *html_node(uint32_t node);
/* "frames", and the nodes as "parents" and "node_frames". */
void html_tree(json_t *page, const struct tree *tree);
/* How many findings there are of each weight, listed on the page or not; "symptoms" follow from others. */
json_t *html_tally(const struct report *report);
/* Places by quiet verdict. */
json_t *html_quiet(const struct report *report);
/* How things stood over time, process by process. */
json_t *html_series(const struct ledger *ledger);
/* What resident memory consisted of, process by process. */
json_t *html_moments(const struct ledger *ledger);
/* "windows", "places" and "stacks". */
void html_places(json_t *page, const struct places *places, json_t *left_out);
/* "timelines". */
void html_timelines(json_t *page, const struct ledger *ledger, const struct timelines *timelines, json_t *left_out);
/* "stacks" and the tree: what was acquired and kept, before and after. -ENOMEM. */
int html_diff_flame(json_t *page, const struct diff *diff);

#endif
