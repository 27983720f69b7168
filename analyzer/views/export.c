/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/export.h"

#include <inttypes.h>
#include <string.h>

bool export_wants(const struct export_options *options, unsigned resource)
{
    return options->resources == 0 || (options->resources >> resource & 1);
}

uint64_t export_value(const struct ledger_place *place, enum export_weight weight)
{
    switch (weight) {
    case WEIGHT_OPENED:
        return place->opened;
    case WEIGHT_OPEN:
        return place->alive;
    default:
        return place->alive_bytes;
    }
}

const char *export_weight_word(enum export_weight weight)
{
    static const char *const words[WEIGHT_COUNT] = {"opened", "open", "bytes"};
    return words[weight];
}

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash && slash[1] ? slash + 1 : path ? path : "?";
}

void export_frame_name(const struct report_frame *frame, char *text, size_t size)
{
    if (!frame->function)
        snprintf(text, size, "%s+0x%" PRIx64, base_name(frame->module), frame->offset);
    else if (frame->file)
        snprintf(text, size, "%s (%s:%" PRIu32 ")", frame->function, base_name(frame->file), frame->line);
    else
        snprintf(text, size, "%s", frame->function);
}
