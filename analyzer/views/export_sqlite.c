/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables as a database of SQLite's. */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "safe.h"
#include "views/tables.h"

struct filling {
    sqlite3_stmt *insert;
    size_t width;
};

static void bind(sqlite3_stmt *insert, int index, const struct cell *cell)
{
    switch (cell->type) {
    case CELL_WHOLE:
    case CELL_TRUTH:
        sqlite3_bind_int64(insert, index, cell->whole);
        break;
    case CELL_REAL:
        sqlite3_bind_double(insert, index, cell->real);
        break;
    case CELL_TEXT:
        sqlite3_bind_text(insert, index, cell->text, -1, SQLITE_STATIC);
        break;
    default:
        sqlite3_bind_null(insert, index);
        break;
    }
}

static int insert_row(void *data, const struct cell *cells)
{
    struct filling *filling = data;
    for (size_t i = 0; i < filling->width; i++)
        bind(filling->insert, (int)i + 1, &cells[i]);
    int code = sqlite3_step(filling->insert);
    sqlite3_reset(filling->insert);
    return code == SQLITE_DONE ? 0 : code == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

static char *create_statement(const struct table *table)
{
    static const char *const types[] = {
        [CELL_WHOLE] = "INTEGER", [CELL_REAL] = "REAL", [CELL_TEXT] = "TEXT", [CELL_TRUTH] = "INTEGER"};
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "CREATE TABLE \"%s\" (", table->name);
    table_define_columns(table, types, "", " ", false, out);
    fputs(")", out);
    return memory_stream_end(out, &text);
}

static char *insert_statement(const struct table *table)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "INSERT INTO \"%s\" VALUES (", table->name);
    for (size_t i = 0; i < table_width(table); i++)
        fputs(i ? ", ?" : "?", out);
    fputs(")", out);
    return memory_stream_end(out, &text);
}

static int execute(sqlite3 *database, const char *statement)
{
    return sqlite3_exec(database, statement, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static int fill(const struct ledger *ledger, const struct export_options *options, const struct table *table,
                sqlite3 *database)
{
    char *create = create_statement(table), *insert = insert_statement(table);
    struct filling filling = {.width = table_width(table)};
    int result = create && insert ? execute(database, create) : -ENOMEM;
    if (result == 0 && sqlite3_prepare_v2(database, insert, -1, &filling.insert, NULL) != SQLITE_OK)
        result = -EIO;
    if (result == 0)
        result = table_give(table, ledger, options, &(struct table_sink){&filling, insert_row});
    sqlite3_finalize(filling.insert);
    free(create);
    free(insert);
    return result;
}

/* One transaction, and no journal: if it goes wrong there is nothing worth going back to. */
static int fill_all(const struct ledger *ledger, const struct export_options *options, sqlite3 *database)
{
    int result = execute(database, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN");
    for (const struct table *table = tables; result == 0 && table->name; table++)
        result = fill(ledger, options, table, database);
    if (result == 0)
        result = execute(database, "CREATE INDEX life_place ON life (place);"
                                   "CREATE INDEX place_stack ON place (stack);"
                                   "CREATE INDEX stack_frame_stack ON stack_frame (stack, depth); COMMIT");
    return result;
}

int export_sqlite(const struct ledger *ledger, const struct export_options *options, const char *path,
                  struct error *error)
{
    sqlite3 *database = NULL;
    int result = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK
                     ? fill_all(ledger, options, database)
                     : -EIO;
    if (result < 0)
        error_set(error, result, "%s: %s", path, database ? sqlite3_errmsg(database) : error_reason(-ENOMEM));
    sqlite3_close(database);
    return result;
}
