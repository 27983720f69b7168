/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as what people write or carry along: a file of suppressions, pairs, the symbols of a packed file. The first byte says which. */
#include <stdlib.h>
#include <string.h>

#include "names/packed.h"
#include "stray/pair.h"
#include "views/suppress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each pattern is tried on the text of the others. */
static void suppress(const char *text)
{
    struct suppressions suppressions = {0};
    suppressions_add("file", text, &suppressions, NULL);
    for (size_t i = 0; i < suppressions.count; i++) {
        struct suppression *one = &suppressions.items[i];
        suppression_matches(one->pattern, suppressions.items[0].text);
        if (suppression_expired(one, one->ends_ns) != (one->ends_ns != 0))
            abort();
    }
    suppressions_clear(&suppressions);
}

static void pair(const char *text)
{
    static struct stray_pairs pairs;
    const char *at;
    pairs.function_count = pairs.resource_count = 0;
    if (stray_pairs_parse(&pairs, text, &at) && (at < text || at > text + strlen(text)))
        abort();
}

static void symbolize(char *text)
{
    struct symbols *symbols;
    if (symbols_open(&symbols) < 0)
        return;
    packed_read(symbols, text);
    symbols_close(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = size ? strndup((const char *)data + 1, size - 1) : NULL;
    if (!text)
        return 0;
    switch (data[0] % 3) {
    case 0:
        suppress(text);
        break;
    case 1:
        pair(text);
        break;
    default:
        symbolize(text);
    }
    free(text);
    return 0;
}
