/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a packed file: its members, the traces among them with their spools, and the symbols. Checksums of its headers are
 * made right in two of three inputs (as its length says).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names/packed.h"
#include "read/pack.h"
#include "read/trace.h"
#include "reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRACES_MAX 8 /* so that no input takes long */

static void repair(uint8_t *bytes, size_t size)
{
    struct pack_header header;
    for (size_t at = 0; at + sizeof(header) <= size; at += PACK_BLOCK) {
        memcpy(&header, bytes + at, sizeof(header));
        if (memcmp(header.magic, "ustar", 5) != 0)
            continue;
        snprintf(header.checksum, sizeof(header.checksum), "%06o", pack_checksum(&header) & 0777777);
        memcpy(bytes + at, &header, sizeof(header));
    }
}

static void read_trace(const char *path)
{
    struct trace *trace;
    struct symbols *symbols;
    if (symbols_open(&symbols) < 0)
        return;
    packed_read_beside(symbols, path);
    for (const struct object *object = symbols_first(symbols); object; object = symbols_next(object))
        if (!object_path(object))
            abort();
    if (trace_open(path, &trace, NULL) == 0) {
        reading_all(trace);
        trace_close(trace);
    }
    symbols_close(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[80];
    char **paths;
    size_t count;
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    if (size % 3)
        repair(bytes, size);
    snprintf(name, sizeof(name), "%s.pack", reading_name());
    reading_save(name, bytes, size);
    free(bytes);
    if (trace_find(name, &paths, &count, NULL) < 0)
        return 0;
    for (size_t i = 0; i < count && i < TRACES_MAX; i++)
        read_trace(paths[i]);
    paths_free(paths, count);
    return 0;
}
