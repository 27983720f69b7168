/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report as JSON, schema "stray-report/1": docs/report.schema.json says what each field is. */
#ifndef STRAY_VIEWS_JSON_H
#define STRAY_VIEWS_JSON_H

#include <stdio.h>

#include "views/report.h"

/* Writes the report and a newline. `sites`: the list of sites as well. -ENOMEM, -EIO. */
int report_write_json(const struct report *report, bool sites, FILE *out);

#endif
