/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ledger and its report as tables of a relational database: one description for SQLite, PostgreSQL,
 * ClickHouse and JSON Lines. Ids count from 0 in the order of rows. The last column of every table is the label of
 * the export, by which exports of many hosts are told apart in one database. Columns are only ever added, before that one.
 */
#ifndef STRAY_VIEWS_TABLES_H
#define STRAY_VIEWS_TABLES_H

#include "views/export.h"

#define TABLE_COLUMNS 24

enum cell_type { CELL_NULL, CELL_WHOLE, CELL_REAL, CELL_TEXT, CELL_TRUTH };

struct cell {
    enum cell_type type;
    int64_t whole; /* CELL_TRUTH: 0 or 1 */
    double real;
    const char *text; /* in what a sink is given UTF-8 without control characters; valid until the row has been taken */
};

struct table_column {
    const char *name; /* NULL: there are no more */
    enum cell_type type;
    bool nullable;
};

struct table_sink {
    void *data;
    int (*row)(void *data, const struct cell *cells); /* negative errno ends it */
};

struct table {
    const char *name; /* NULL ends the list */
    bool keyed;       /* the first column tells rows of one export apart */
    struct table_column columns[TABLE_COLUMNS + 1];
    /* Gives all rows to `sink`, without the label: for table_give() alone. */
    int (*rows)(const struct ledger *ledger, const struct export_options *options,
                const struct table_sink *sink);
};

extern const struct table tables[];

/* The number of columns, with the label. */
size_t table_width(const struct table *table);

/* Gives all rows to `sink`. */
int table_give(const struct table *table, const struct ledger *ledger, const struct export_options *options,
               const struct table_sink *sink);

/* The columns as standard SQL defines them, of `types` by enum cell type: `first` before the first, a comma and `next` before
 * each other. Of a keyed one the key is the first column, with the label or without. */
void table_define_columns(const struct table *table, const char *const *types, const char *first, const char *next, bool label_in_key,
                          FILE *out);

#endif
