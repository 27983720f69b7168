/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_memory.h"

#include <stdlib.h>

#include "safe.h"

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

json_t *json_text(const char *text)
{
    if (!text)
        return json_null();
    char *valid = json_memory_malloc(UTF8_ROOM(text));
    if (!valid)
        return NULL;
    utf8_copy(valid, text);
    json_t *made = json_string(valid);
    free(valid);
    return made;
}

json_t *json_safe(const char *text)
{
    if (!text)
        return json_null();
    char *clean = safe_text(text);
    json_t *made = clean ? json_string(clean) : NULL;
    failed |= !clean;
    free(clean);
    return made;
}

json_t *json_whole(uint64_t number)
{
    return json_integer(number < INT64_MAX ? (json_int_t)number : INT64_MAX);
}
