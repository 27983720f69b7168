/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "stray/pair.h"

#define RESOURCES (STRAY_USER_END - STRAY_USER_FIRST)
#define FUNCTIONS 4095u /* as many as hooks have numbers for, but for the last, which must stay below 65536 */

static struct {
    char label[STRAY_PAIR_LABEL + 1];
    char thing[STRAY_PAIR_LABEL + sizeof(" handle")];
    bool found;
} resources[RESOURCES];
static size_t resource_count;

#define PLACES 8192u /* a power of two, about twice as many as there may be functions */

static char *functions[FUNCTIONS];
static size_t function_count;
static uint16_t places[PLACES]; /* by the name's hash: its function's index and one; 0: free */

static bool is_label(const char *label, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!stray_pair_is_letter(label[i]) && !stray_pair_is_digit(label[i]) && label[i] != '.' && label[i] != '-' &&
            label[i] != '$')
            return false;
    return length > 0 && length <= STRAY_PAIR_LABEL && !stray_pair_is_built_in((struct stray_pair_text){label, length});
}

unsigned pairs_resource(const char *label, size_t length)
{
    size_t i = 0;
    if (!is_label(label, length))
        return STRAY_RESOURCE_NONE;
    while (i < resource_count && (strlen(resources[i].label) != length || memcmp(resources[i].label, label, length) != 0))
        i++;
    if (i == RESOURCES)
        return STRAY_RESOURCE_NONE;
    if (i == resource_count) {
        snprintf(resources[i].label, sizeof(resources[i].label), "%.*s", (int)length, label);
        snprintf(resources[i].thing, sizeof(resources[i].thing), "%.*s handle", (int)length, label);
        resource_count++;
    }
    return STRAY_USER_FIRST + (unsigned)i;
}

static bool is_resource(unsigned resource)
{
    return resource >= STRAY_USER_FIRST && resource - STRAY_USER_FIRST < resource_count;
}

void pairs_resource_found(unsigned resource)
{
    if (is_resource(resource))
        resources[resource - STRAY_USER_FIRST].found = true;
}

bool pairs_resource_is_found(unsigned resource)
{
    return is_resource(resource) && resources[resource - STRAY_USER_FIRST].found;
}

const char *pairs_resource_label(unsigned resource)
{
    return is_resource(resource) ? resources[resource - STRAY_USER_FIRST].label : NULL;
}

const char *pairs_resource_thing(unsigned resource)
{
    return is_resource(resource) ? resources[resource - STRAY_USER_FIRST].thing : NULL;
}

/* Where the function called so stands, or would stand. */
static uint16_t *place_of(const char *name)
{
    uint64_t hash = hash_text(HASH_BEGIN, name);
    size_t at = (size_t)(hash ^ hash >> 32) % PLACES;
    while (places[at] && strcmp(functions[places[at] - 1], name) != 0)
        at = (at + 1) % PLACES;
    return &places[at];
}

unsigned pairs_function(const char *name)
{
    if (strnlen(name, STRAY_PAIR_NAME + 1) > STRAY_PAIR_NAME)
        return STRAY_HOOK_NONE;
    uint16_t *place = place_of(name);
    if (*place == 0) {
        if (function_count == FUNCTIONS || !(functions[function_count] = strdup(name)))
            return STRAY_HOOK_NONE;
        *place = (uint16_t)++function_count;
    }
    return STRAY_HOOK_USER + *place - 1u;
}

const char *pairs_function_name(unsigned hook)
{
    return hook >= STRAY_HOOK_USER && hook - STRAY_HOOK_USER < function_count ? functions[hook - STRAY_HOOK_USER] : NULL;
}
