/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a trace with its spool. Input: 4 bytes (little-endian) that say how many of the rest are the
 * trace; what is left is the spool. Checksums of frames are made right in two of three inputs (as the trace's
 * length says), so that what lies behind them is reached as well.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read/trace.h"
#include "reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char trace_name[80], spool_name[96];

static void choose_names(void)
{
    snprintf(trace_name, sizeof(trace_name), "%s.stray", reading_name());
    snprintf(spool_name, sizeof(spool_name), "%s%s", trace_name, STRAY_SPOOL_SUFFIX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t length;
    struct trace *trace;
    if (size < sizeof(length))
        return 0;
    choose_names();
    memcpy(&length, data, sizeof(length));
    data += sizeof(length);
    size -= sizeof(length);
    size_t trace_size = length < size ? length : size;
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    if (length % 3)
        reading_repair(bytes, trace_size);
    reading_save(trace_name, bytes, trace_size);
    reading_save(spool_name, bytes + trace_size, size - trace_size);
    free(bytes);
    if (trace_open(trace_name, &trace, NULL) < 0)
        return 0;
    reading_all(trace);
    trace_close(trace);
    return 0;
}
