/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report as JSON, schema "stray-report/1": docs/report.schema.json says what each field is. */
#ifndef STRAY_VIEWS_JSON_H
#define STRAY_VIEWS_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "views/report.h"

/* Writes the report and a newline. `sites`: the list of sites as well. -ENOMEM, -EIO. */
int report_write_json(const struct report *report, bool sites, FILE *out);

/* The parts, for other views; new references. */
json_t *report_json_real(double number);                     /* what is not finite: null */
json_t *report_json_moment(uint64_t realtime_ns);            /* RFC 3339; 0: null */
json_t *report_json_frame(const struct report_frame *frame); /* NULL: an unknown one */
json_t *report_json_whole(const struct report *report, bool sites);
json_t *report_json_trace(const struct report *report);
json_t *report_json_finding(const struct report *report, const struct report_finding *finding);
/* Writes `value`, which may be NULL without memory, as the report is written, and a newline; releases it. */
int report_json_write(json_t *value, FILE *out);

#endif
