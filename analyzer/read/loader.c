/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/loader.h"

#include <errno.h>
#include <stdlib.h>

#include "read/inside.h"
#include "read/progress.h"

void loader_open(struct loader *loader, struct trace *trace)
{
    *loader = (struct loader){.trace = trace};
    stream_open(&loader->stream, trace);
    loader->ahead = ahead_open(trace);
}

void loader_close(struct loader *loader)
{
    ahead_close(loader->ahead);
    stream_close(&loader->stream);
    progress_end();
}

int loader_peek(struct loader *loader)
{
    if (loader->peeked || loader->ended)
        return loader->peeked;
    int result = loader->ahead ? ahead_peek(loader->ahead, &loader->upcoming)
                               : stream_next(&loader->stream, &loader->upcoming);
    loader->peeked = result > 0;
    loader->ended = result == 0;
    return result;
}

static int decode(struct loader *loader, struct stray_event **ret_events)
{
    if (!loader->ahead)
        return trace_load(loader->trace, &loader->upcoming, ret_events);
    int result = ahead_take(loader->ahead, ret_events);
    return trace_note(loader->trace, &loader->upcoming, result, *ret_events);
}

int loader_take(struct loader *loader, struct stray_event **ret_events)
{
    progress_tell("reading", loader->loaded++, loader->trace->index.ordinals);
    loader->peeked = false;
    *ret_events = NULL;
    int result = decode(loader, ret_events);
    return result == -ENOMEM ? result : 0;
}

void loader_give_back(struct loader *loader, uint32_t count, struct stray_event *events)
{
    if (loader->ahead)
        ahead_give_back(loader->ahead, count, events);
    else
        free(events);
}

int loader_each(struct trace *trace, loader_visit *visit, void *data)
{
    struct loader loader;
    int result;
    loader_open(&loader, trace);
    while ((result = loader_peek(&loader)) > 0) {
        uint32_t count = loader.upcoming.count;
        struct stray_event *events;
        result = loader_take(&loader, &events);
        if (result < 0)
            break;
        if (!events)
            continue;
        visit(data, events, count);
        loader_give_back(&loader, count, events);
    }
    loader_close(&loader);
    return result;
}
