/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/packed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "read/pack.h"

#define HEADING      "stray-symbols/1"
#define TEXT_MAX     (UINT64_C(1) << 30)
#define BUILD_ID_MAX 64
#define INLINED_MAX  64
#define FIELDS       4
#define UNKNOWN      "\\N"

/* ---- writing ---- */

/* Tabs and newlines separate. */
static void put_text(FILE *out, const char *text)
{
    fputc('\t', out);
    if (!text)
        fputs(UNKNOWN, out);
    for (; text && *text; text++) {
        if (*text == '\\' || *text == '\t' || *text == '\n')
            fputc('\\', out);
        fputc(*text == '\t' ? 't' : *text == '\n' ? 'n' : *text, out);
    }
}

static void put_location(FILE *out, uint64_t offset, const struct location *location)
{
    fprintf(out, "A\t%" PRIx64 "\t%" PRIx64 "\t", offset, location->function_start);
    if (location->role_known)
        fprintf(out, "%d\n", (int)location->role);
    else
        fputs(UNKNOWN "\n", out);
    for (size_t i = 0; i < location->count; i++) {
        fprintf(out, "S\t%" PRIu32, location->symbols[i].line);
        put_text(out, location->symbols[i].function);
        put_text(out, location->symbols[i].file);
        fputc('\n', out);
    }
}

static int put_object(FILE *out, const struct object *object)
{
    struct answer *answers;
    size_t count, size;
    const uint8_t *build_id = object_build_id(object, &size);
    int result = object_answers(object, &answers, &count);
    if (result < 0)
        return result;
    if (count > 0) {
        fputs("M\t", out);
        for (size_t i = 0; i < size; i++)
            fprintf(out, "%02x", build_id[i]);
        put_text(out, object_path(object));
        fputc('\n', out);
    }
    for (size_t i = 0; i < count; i++)
        put_location(out, answers[i].offset, answers[i].location);
    free(answers);
    return 0;
}

int packed_write(const struct symbols *symbols, FILE *out)
{
    int result = 0;
    fputs(HEADING "\n", out);
    for (const struct object *object = symbols_first(symbols); result == 0 && object;
         object = symbols_next(object))
        result = put_object(out, object);
    return result;
}

/* ---- reading ---- */

struct reading {
    struct symbols *symbols;
    struct object *object; /* NULL: none so far */
    uint64_t offset;
    struct location location; /* count 0: none under way */
    bool pending;
    struct symbol frames[INLINED_MAX];
};

/* Splits at tabs, in place; returns how many fields there are, at most FIELDS. */
static size_t split(char *line, char **fields)
{
    size_t count = 0;
    char *field;
    while (count < FIELDS && (field = strsep(&line, "\t")))
        fields[count++] = field;
    return line ? 0 : count;
}

/* Undoes put_text(), in place; NULL: unknown. */
static char *text_of(char *field)
{
    char *to = field;
    if (strcmp(field, UNKNOWN) == 0)
        return NULL;
    for (const char *from = field; *from; from++) {
        if (*from == '\\' && from[1]) {
            from++;
            *to++ = (char)(*from == 't' ? '\t' : *from == 'n' ? '\n' : *from);
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return field;
}

static bool number_of(const char *field, int base, uint64_t limit, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    *ret_number = strtoull(field, &end, base);
    return strchr("0123456789abcdef", field[0]) && field[0] && !*end && errno == 0 && *ret_number <= limit;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_build_id(const char *field, uint8_t *build_id, size_t *ret_size)
{
    size_t length = strlen(field);
    if (length % 2 || length > 2 * BUILD_ID_MAX)
        return false;
    for (size_t i = 0; i < length; i += 2) {
        int high = hex_digit(field[i]), low = hex_digit(field[i + 1]);
        if (high < 0 || low < 0)
            return false;
        build_id[i / 2] = (uint8_t)(high << 4 | low);
    }
    *ret_size = length / 2;
    return true;
}

/* The location under way is whole when something else begins. */
static int flush(struct reading *reading)
{
    int result = 0;
    if (reading->pending && reading->object && reading->location.count > 0) {
        reading->location.symbols = reading->frames;
        result = object_teach(reading->object, reading->offset, &reading->location);
    }
    reading->pending = false;
    return result;
}

static int take_object(struct reading *reading, char **fields, size_t count)
{
    uint8_t build_id[BUILD_ID_MAX];
    size_t size;
    reading->object = NULL;
    char *path = count == 3 ? text_of(fields[2]) : NULL;
    if (!path || !parse_build_id(fields[1], build_id, &size))
        return 0;
    reading->object = symbols_object(reading->symbols, path, build_id, size);
    return reading->object ? 0 : -ENOMEM;
}

static void take_location(struct reading *reading, char **fields, size_t count)
{
    uint64_t role = 0;
    reading->location = (struct location){0};
    if (count != 4 || !number_of(fields[1], 16, UINT64_MAX, &reading->offset) ||
        !number_of(fields[2], 16, UINT64_MAX, &reading->location.function_start))
        return;
    reading->location.role_known = number_of(fields[3], 10, PYTHON_ROLE_FINALIZER, &role);
    reading->location.role = (enum python_role)role;
    reading->pending = true;
}

static void take_symbol(struct reading *reading, char **fields, size_t count)
{
    uint64_t line;
    if (count != 4 || reading->location.count == INLINED_MAX || !number_of(fields[1], 10, UINT32_MAX, &line))
        return;
    reading->frames[reading->location.count++] =
        (struct symbol){.function = text_of(fields[2]), .file = text_of(fields[3]), .line = (uint32_t)line};
}

static int take_line(struct reading *reading, char *line)
{
    char *fields[FIELDS];
    size_t count = split(line, fields);
    if (count == 0 || strlen(fields[0]) != 1)
        return 0;
    if (fields[0][0] == 'S') {
        take_symbol(reading, fields, count);
        return 0;
    }
    int result = flush(reading);
    if (result == 0 && fields[0][0] == 'M')
        result = take_object(reading, fields, count);
    else if (result == 0 && fields[0][0] == 'A')
        take_location(reading, fields, count);
    return result;
}

int packed_read(struct symbols *symbols, char *text)
{
    struct reading reading = {.symbols = symbols};
    char *rest = text, *line = strsep(&rest, "\n");
    int result = 0;
    if (strcmp(line, HEADING) != 0)
        return 0;
    while (result == 0 && (line = strsep(&rest, "\n")))
        result = take_line(&reading, line);
    return result < 0 ? result : flush(&reading);
}

static int read_source(struct symbols *symbols, const struct source *source)
{
    char *text = source->size <= TEXT_MAX ? malloc((size_t)source->size + 1) : NULL;
    if (!text)
        return source->size <= TEXT_MAX ? -ENOMEM : 0;
    int result = source_read(source, 0, text, (size_t)source->size);
    text[result == 0 ? source->size : 0] = '\0';
    result = packed_read(symbols, text);
    free(text);
    return result;
}

int packed_read_beside(struct symbols *symbols, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *beside;
    struct source source;
    if (asprintf(&beside, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, PACK_SYMBOLS) < 0)
        return -ENOMEM;
    int result = source_open(beside, &source);
    free(beside);
    if (result < 0)
        return result == -ENOMEM ? result : 0;
    result = read_source(symbols, &source);
    source_close(&source);
    return result;
}
