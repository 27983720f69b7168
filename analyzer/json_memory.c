/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_memory.h"

#include <jansson.h>
#include <stdlib.h>

static bool failed;

void *json_memory_malloc(size_t size)
{
    void *block = malloc(size);
    failed |= !block;
    return block;
}

void json_memory_watch(void)
{
    json_set_alloc_funcs(json_memory_malloc, free);
    failed = false;
}

bool json_memory_failed(void)
{
    return failed;
}
