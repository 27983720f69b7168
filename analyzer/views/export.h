/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ledger in the formats of other tools; docs/EXPORTS.md says what stands in each. The same ledger gives the
 * same bytes. The ledger must have been built with all places.
 */
#ifndef STRAY_VIEWS_EXPORT_H
#define STRAY_VIEWS_EXPORT_H

#include <stdio.h>

#include "error.h"
#include "views/ledger.h"

/* What a stack counts. */
enum export_weight {
    WEIGHT_OPENED, /* acquires */
    WEIGHT_OPEN,   /* of these, open when the end began */
    WEIGHT_BYTES,  /* their bytes */
    WEIGHT_COUNT
};

struct export_options {
    uint64_t resources; /* a bit for each kind wanted; 0: all */
    enum export_weight weight;
    const char *label; /* a column of all tables; NULL: empty */
};

/* One format that is a stream. -ENOMEM, -EIO. */
typedef int export_stream(const struct ledger *ledger, const struct export_options *options, FILE *out);

export_stream export_folded, export_speedscope, export_pprof, export_perfetto, export_jsonl,
    export_openmetrics;

/* A database file that exists, is empty, and may be written. */
int export_sqlite(const struct ledger *ledger, const struct export_options *options, const char *path,
                  struct error *error);
/* A folder, made with mode 0700 if it is not there. */
int export_tsv(const struct ledger *ledger, const struct export_options *options, const char *folder,
               struct error *error);

/* ---- what exporters share ---- */

bool export_wants(const struct export_options *options, unsigned resource);
uint64_t export_value(const struct ledger_place *place, enum export_weight weight);
/* "opened", "open", "bytes" */
const char *export_weight_word(enum export_weight weight);
/* "function (file.py:42)", "library.so+0x12". */
void export_frame_name(const struct report_frame *frame, char *text, size_t size);

#endif
