/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/packing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "names/packed.h"
#include "names/stacks.h"
#include "read/merge.h"
#include "read/pack.h"
#include "safe.h"
#include "stray/hooks.h"

#define PIECE     65536
#define OCTAL_MAX ((UINT64_C(1) << 33) - 1) /* eleven digits */

/* Of a process that still runs, as it was when it was read: its files change. */
struct snapshot {
    bool running;
    uint64_t size; /* of the trace */
    struct source spool;
};

struct packing {
    char *const *paths;
    size_t count;
    struct snapshot *snapshots; /* one a path */
    struct symbols *symbols;
};

/* ---- what the traces need ---- */

/* Everything a report may ask: the frames of each stack that an event has, and who closed. */
static void ask_stack(void *data, const struct stray_event *event)
{
    struct names *names = data;
    if (event->stack == 0)
        return;
    names_stack(names, event->stack);
    if (event->action == STRAY_CLOSE || (event->action == STRAY_OPEN && event->resource != STRAY_HEAP))
        names_closer(names, event->stack);
}

static int take_snapshot(struct snapshot *snapshot, const struct trace *trace)
{
    snapshot->running = trace_process(trace)->running;
    snapshot->size = trace_size(trace);
    int result = snapshot->running ? trace_copy_spool(trace, &snapshot->spool) : 0;
    return result == -ENOENT ? 0 : result;
}

static int ask_trace(struct packing *packing, size_t index, struct trace *trace, struct error *error)
{
    struct names *names;
    int result = take_snapshot(&packing->snapshots[index], trace);
    if (result == 0)
        result = packed_read_beside(packing->symbols, trace_path(trace));
    if (result == 0)
        result = names_open(trace, packing->symbols, NULL, NULL, &names);
    if (result < 0)
        return error_set(error, result, "%s: %s", trace_path(trace), error_reason(result));
    result = merge_each(trace, ask_stack, names);
    names_close(names);
    return result < 0 ? error_set(error, result, "%s: %s", trace_path(trace), error_reason(result)) : 0;
}

static int ask_all(struct packing *packing, struct error *error)
{
    for (size_t i = 0; i < packing->count; i++) {
        struct trace *trace;
        int result = trace_open(packing->paths[i], &trace, error);
        if (result < 0)
            return result;
        result = ask_trace(packing, i, trace, error);
        trace_close(trace);
        if (result < 0)
            return result;
    }
    return 0;
}

int packing_make(char *const *paths, size_t count, struct packing **ret_packing, struct error *error)
{
    struct packing *packing = calloc(1, sizeof(*packing));
    int result = packing ? symbols_open(&packing->symbols) : -ENOMEM;
    if (result < 0) {
        free(packing);
        return error_set(error, result, "%s", error_reason(result));
    }
    packing->paths = paths;
    packing->count = count;
    packing->snapshots = calloc(count, sizeof(*packing->snapshots));
    for (size_t i = 0; packing->snapshots && i < count; i++)
        packing->snapshots[i].spool.fd = -1;
    result = packing->snapshots ? ask_all(packing, error) : error_set(error, -ENOMEM, "%s", error_reason(-ENOMEM));
    if (result < 0)
        packing_free(packing);
    else
        *ret_packing = packing;
    return result;
}

void packing_free(struct packing *packing)
{
    if (!packing)
        return;
    for (size_t i = 0; packing->snapshots && i < packing->count; i++)
        source_close(&packing->snapshots[i].spool);
    free(packing->snapshots);
    symbols_close(packing->symbols);
    free(packing);
}

/* ---- members ---- */

/* Octal digits and a NUL; what does not fit as the number itself, with the first bit set. */
static void put_number(char *field, size_t size, uint64_t number)
{
    bool large = number > OCTAL_MAX;
    unsigned shift = large ? 8 : 3;
    memset(field, 0, size);
    for (size_t i = large ? size : size - 1; i-- > 0; number >>= shift)
        field[i] = (char)(large ? number & 0xff : '0' + (number & 7));
    if (large)
        field[0] = (char)0x80;
}

/* No owner and no time: the same traces give the same bytes. */
static void begin_member(FILE *out, const char *name, uint64_t size)
{
    struct pack_header header = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
    snprintf(header.name, sizeof(header.name), "%.99s", name);
    put_number(header.mode, sizeof(header.mode), 0600);
    put_number(header.uid, sizeof(header.uid), 0);
    put_number(header.gid, sizeof(header.gid), 0);
    put_number(header.size, sizeof(header.size), size);
    put_number(header.mtime, sizeof(header.mtime), 0);
    put_number(header.checksum, sizeof(header.checksum) - 1, pack_checksum(&header));
    header.checksum[sizeof(header.checksum) - 1] = ' ';
    fwrite(&header, sizeof(header), 1, out);
}

static void put_zeros(FILE *out, uint64_t count)
{
    while (count-- > 0)
        fputc(0, out);
}

static void end_member(FILE *out, uint64_t size)
{
    put_zeros(out, (PACK_BLOCK - size % PACK_BLOCK) % PACK_BLOCK);
}

static void put_member(FILE *out, const char *name, const void *content, size_t size)
{
    begin_member(out, name, size);
    fwrite(content, 1, size, out);
    end_member(out, size);
}

static int put_source(FILE *out, const char *name, const struct source *source)
{
    char piece[PIECE];
    begin_member(out, name, source->size);
    for (uint64_t done = 0; done < source->size;) {
        size_t part = source->size - done < PIECE ? (size_t)(source->size - done) : PIECE;
        int result = source_read(source, done, piece, part);
        if (result < 0)
            return result;
        fwrite(piece, 1, part, out);
        done += part;
    }
    end_member(out, source->size);
    return 0;
}

/* ---- compressed members ---- */

struct compressing {
    ZSTD_CCtx *context;
    FILE *to;
    char *data;
    size_t size;
    char in[PIECE], out[PIECE];
};

static int compress_piece(struct compressing *compressing, size_t size, bool last)
{
    ZSTD_inBuffer input = {compressing->in, size, 0};
    size_t rest;
    do {
        ZSTD_outBuffer output = {compressing->out, sizeof(compressing->out), 0};
        rest =
            ZSTD_compressStream2(compressing->context, &output, &input, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(rest))
            return -ENOMEM;
        fwrite(compressing->out, 1, output.pos, compressing->to);
    } while (last ? rest > 0 : input.pos < input.size);
    return 0;
}

static int compress_source(struct compressing *compressing, const struct source *source)
{
    uint64_t done = 0;
    int result = 0;
    do {
        size_t part = source->size - done < PIECE ? (size_t)(source->size - done) : PIECE;
        result = source_read(source, done, compressing->in, part);
        done += part;
        if (result == 0)
            result = compress_piece(compressing, part, done == source->size);
    } while (result == 0 && done < source->size);
    return result;
}

/* A tar header has the size, so the content is made first. */
static int put_compressed(FILE *out, const char *name, const struct source *source)
{
    char full[100];
    struct compressing *compressing = calloc(1, sizeof(*compressing));
    if (!compressing)
        return -ENOMEM;
    compressing->context = ZSTD_createCCtx();
    compressing->to = open_memstream(&compressing->data, &compressing->size);
    int result = compressing->context && compressing->to ? compress_source(compressing, source) : -ENOMEM;
    char *made = compressing->to ? memory_stream_end(compressing->to, &compressing->data) : NULL;
    if (!made)
        result = -ENOMEM;
    snprintf(full, sizeof(full), "%.90s%s", name, PACK_COMPRESSED);
    if (result == 0)
        put_member(out, full, made, compressing->size);
    free(made);
    ZSTD_freeCCtx(compressing->context);
    free(compressing);
    return result;
}

/* ---- the file ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A name is kept where it fits, ends as a trace's does, and is the first of its kind. */
static void member_name(const struct packing *packing, size_t index, char *name, size_t size)
{
    static const size_t suffixes = sizeof(STRAY_SPOOL_SUFFIX) + sizeof(PACK_COMPRESSED) + sizeof(PACK_RUNNING);
    const char *base = base_name(packing->paths[index]);
    size_t length = strlen(base), suffix = strlen(STRAY_TRACE_SUFFIX);
    bool fits = length + suffixes < size && length > suffix &&
                strcmp(base + length - suffix, STRAY_TRACE_SUFFIX) == 0;
    for (size_t i = 0; fits && i < index; i++)
        fits = strcmp(base_name(packing->paths[i]), base) != 0;
    if (fits)
        snprintf(name, size, "%s", base);
    else
        snprintf(name, size, "trace-%zu%s", index + 1, STRAY_TRACE_SUFFIX);
}

static int put_spool_source(const char *name, const struct source *source, FILE *out)
{
    char member[128];
    snprintf(member, sizeof(member), "%s%s", name, STRAY_SPOOL_SUFFIX);
    return put_compressed(out, member, source);
}

static int put_spool(const char *path, const char *name, FILE *out)
{
    char *spool;
    struct source source;
    if (asprintf(&spool, "%s%s", path, STRAY_SPOOL_SUFFIX) < 0)
        return -ENOMEM;
    int result = source_open(spool, &source);
    free(spool);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    result = put_spool_source(name, &source, out);
    source_close(&source);
    return result;
}

/* A mark, and no more than was there when the spool was. */
static int put_snapshot(const struct snapshot *snapshot, const char *name, FILE *out)
{
    char mark[128];
    snprintf(mark, sizeof(mark), "%.99s" PACK_RUNNING, name);
    put_member(out, mark, "", 0);
    return snapshot->spool.fd < 0 ? 0 : put_spool_source(name, &snapshot->spool, out);
}

static int put_trace(const struct packing *packing, size_t index, FILE *out)
{
    char name[100];
    struct source source;
    member_name(packing, index, name, sizeof(name));
    int result = source_open(packing->paths[index], &source);
    if (result < 0)
        return result;
    const struct snapshot *snapshot = &packing->snapshots[index];
    if (snapshot->running && snapshot->size < source.size)
        source.size = snapshot->size;
    result = put_source(out, name, &source);
    source_close(&source);
    if (result == 0 && snapshot->running)
        return put_snapshot(snapshot, name, out);
    return result < 0 ? result : put_spool(packing->paths[index], name, out);
}

static int put_symbols(const struct packing *packing, FILE *out)
{
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return -ENOMEM;
    int result = packed_write(packing->symbols, to);
    char *made = memory_stream_end(to, &text);
    if (!made)
        return -ENOMEM;
    if (result == 0)
        put_member(out, PACK_SYMBOLS, made, size);
    free(made);
    return result;
}

int packing_write(const struct packing *packing, FILE *out)
{
    put_member(out, PACK_MARK, PACK_MARK_TEXT, strlen(PACK_MARK_TEXT));
    int result = put_symbols(packing, out);
    for (size_t i = 0; result == 0 && i < packing->count; i++)
        result = put_trace(packing, i, out);
    put_zeros(out, 2 * PACK_BLOCK);
    return result < 0 ? result : ferror(out) ? -EIO : 0;
}
