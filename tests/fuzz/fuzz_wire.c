/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a row of varints: each that is taken is within bounds, and comes back when it is written anew.
 */
#include <stdlib.h>
#include <string.h>

#include "stray/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(uint64_t value)
{
    uint8_t bytes[STRAY_VARINT_MAX];
    const uint8_t *in = bytes, *end = stray_varint_put(bytes, value);
    uint64_t again;
    if (!stray_varint_get(&in, end, &again) || again != value || in != end)
        abort();
    if (stray_unzigzag(stray_zigzag(value)) != value)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size + 1); /* a block of its own size: reads beyond its end are seen */
    uint64_t value;
    if (!bytes)
        return 0;
    uint8_t *row = bytes + 1;
    memcpy(row, data, size);
    for (const uint8_t *in = row, *end = row + size; stray_varint_get(&in, end, &value);) {
        if (in > end)
            abort();
        check(value);
    }
    free(bytes);
    return 0;
}
