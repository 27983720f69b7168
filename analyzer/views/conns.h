/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of lifetimes: connections, or what else has them. */
#ifndef STRAY_VIEWS_CONNS_H
#define STRAY_VIEWS_CONNS_H

#include "views/ledger.h"
#include "views/listing.h"

/* A bit for each resource whose lives are kept one by one. */
#define CONNS_RESOURCES                                                                                                \
    (UINT64_C(1) << STRAY_CONNECTION | UINT64_C(1) << STRAY_SOCKET | UINT64_C(1) << STRAY_FILE |                       \
     UINT64_C(1) << STRAY_PGCONN | ~UINT64_C(0) << STRAY_USER_FIRST)

/* Names of columns, as in --sort; NULL-ended. */
extern const char *const conns_columns[];

/* The indexes of the lives that `filter` wants, in its order; without kinds in the filter, connections. To be
 * freed. -ENOMEM. */
int conns_select(const struct ledger *ledger, const struct listing_filter *filter, size_t **ret_rows,
                 size_t *ret_count);

/* One line a lifetime, or schema "stray-conns/1". -ENOMEM, -EIO. */
int conns_write_text(const struct ledger *ledger, const size_t *rows, size_t count, FILE *out);
int conns_write_json(const struct ledger *ledger, const size_t *rows, size_t count, FILE *out);

#endif
