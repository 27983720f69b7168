/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables as text: JSON Lines, and a folder of files in PostgreSQL's COPY form with what creates and loads
 * them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json_memory.h"
#include "outfile.h"
#include "views/tables.h"

/* ---- JSON Lines ---- */

struct lines {
    const struct table *table;
    size_t width;
    FILE *out;
};

static json_t *cell_json(const struct cell *cell)
{
    switch (cell->type) {
    case CELL_WHOLE:
        return json_integer(cell->whole);
    case CELL_REAL:
        return json_real(cell->real);
    case CELL_TEXT:
        return json_string(cell->text);
    case CELL_TRUTH:
        return json_boolean(cell->whole);
    default:
        return json_null();
    }
}

static int json_row(void *data, const struct cell *cells)
{
    struct lines *lines = data;
    json_t *object = json_pack("{s:s}", "table", lines->table->name);
    for (size_t i = 0; i < lines->width; i++)
        json_object_set_new(object, lines->table->columns[i].name, cell_json(&cells[i]));
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(object);
    int result = json_memory_failed() || !text ? -ENOMEM : 0;
    if (result == 0 && (fputs(text, lines->out) == EOF || fputc('\n', lines->out) == EOF))
        result = -EIO;
    free(text);
    return result;
}

int export_jsonl(const struct ledger *ledger, const struct export_options *options, FILE *out)
{
    json_memory_watch();
    int result = 0;
    for (const struct table *table = tables; result == 0 && table->name; table++) {
        struct lines lines = {table, table_width(table), out};
        result = table_give(table, ledger, options, &(struct table_sink){&lines, json_row});
    }
    return result;
}

/* ---- COPY ---- */

/* Backslashes are all there is to escape: tabs and newlines do not occur. */
static void copy_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void copy_cell(FILE *out, const struct cell *cell)
{
    switch (cell->type) {
    case CELL_WHOLE:
    case CELL_TRUTH:
        fprintf(out, "%" PRId64, cell->whole);
        break;
    case CELL_REAL:
        fprintf(out, "%.9f", cell->real);
        break;
    case CELL_TEXT:
        copy_text(out, cell->text);
        break;
    default:
        fputs("\\N", out);
        break;
    }
}

static int copy_row(void *data, const struct cell *cells)
{
    struct lines *lines = data;
    for (size_t i = 0; i < lines->width; i++) {
        if (i > 0)
            fputc('\t', lines->out);
        copy_cell(lines->out, &cells[i]);
    }
    return fputc('\n', lines->out) == EOF ? -EIO : 0;
}

/* ---- schemas ---- */

static void postgresql_schema(FILE *out)
{
    static const char *const types[] = {[CELL_WHOLE] = "bigint",
                                        [CELL_REAL] = "double precision",
                                        [CELL_TEXT] = "text",
                                        [CELL_TRUTH] = "boolean"};
    fputs("-- psql -f schema.postgresql.sql, in this folder\n", out);
    for (const struct table *table = tables; table->name; table++) {
        fprintf(out, "CREATE TABLE IF NOT EXISTS stray_%s (", table->name);
        table_define_columns(table, types, "\n    ", "\n    ", true, out);
        fprintf(out, "\n);\n\\copy stray_%s FROM '%s.tsv'\n", table->name, table->name);
    }
}

static void clickhouse_schema(FILE *out)
{
    static const char *const types[] = {
        [CELL_WHOLE] = "Int64", [CELL_REAL] = "Float64", [CELL_TEXT] = "String", [CELL_TRUTH] = "UInt8"};
    fputs("-- clickhouse-client --queries-file schema.clickhouse.sql, in this folder\n", out);
    for (const struct table *table = tables; table->name; table++) {
        fprintf(out, "CREATE TABLE IF NOT EXISTS stray_%s (", table->name);
        for (size_t i = 0; i < table_width(table); i++) {
            const struct table_column *column = &table->columns[i];
            fprintf(out, column->nullable ? "%s\n    `%s` Nullable(%s)" : "%s\n    `%s` %s", i ? "," : "",
                    column->name, types[column->type]);
        }
        fprintf(out,
                "\n) ENGINE = MergeTree ORDER BY (`label`, `%s`);\nINSERT INTO stray_%s FROM INFILE '%s.tsv' FORMAT "
                "TabSeparated;\n",
                table->columns[0].name, table->name, table->name);
    }
}

/* ---- the folder ---- */

/* In a folder that is open, so that its path is looked up once. */
static int open_in(int fd, const char *folder, const char *name, struct outfile *file, struct error *error)
{
    int result = outfile_open(file, openat(fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    return result < 0 ? error_set(error, result, "%s/%s: %s", folder, name, error_reason(result)) : 0;
}

/* What went wrong with the file says more than that something did. */
static int close_file(struct outfile *file, const char *folder, const char *name, int result, struct error *error)
{
    int closed = outfile_close(file);
    result = closed < 0 ? closed : result;
    return result < 0 ? error_set(error, result, "%s/%s: %s", folder, name, error_reason(result)) : 0;
}

static int write_schema(int fd, const char *folder, const char *name, void (*schema)(FILE *out),
                        struct error *error)
{
    struct outfile file;
    int result = open_in(fd, folder, name, &file, error);
    if (result < 0)
        return result;
    schema(file.stream);
    return close_file(&file, folder, name, 0, error);
}

static int write_table(const struct ledger *ledger, const struct export_options *options,
                       const struct table *table, int fd, const char *folder, struct error *error)
{
    char name[64];
    struct outfile file;
    snprintf(name, sizeof(name), "%s.tsv", table->name);
    int result = open_in(fd, folder, name, &file, error);
    if (result < 0)
        return result;
    struct lines lines = {table, table_width(table), file.stream};
    result = table_give(table, ledger, options, &(struct table_sink){&lines, copy_row});
    return close_file(&file, folder, name, result, error);
}

int export_tsv(const struct ledger *ledger, const struct export_options *options, const char *folder,
               struct error *error)
{
    int fd =
        mkdir(folder, 0700) < 0 && errno != EEXIST ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, -errno, "%s: %s", folder, error_reason(-errno));
    int result = 0;
    for (const struct table *table = tables; result == 0 && table->name; table++)
        result = write_table(ledger, options, table, fd, folder, error);
    if (result == 0)
        result = write_schema(fd, folder, "schema.postgresql.sql", postgresql_schema, error);
    if (result == 0)
        result = write_schema(fd, folder, "schema.clickhouse.sql", clickhouse_schema, error);
    close(fd);
    return result;
}
