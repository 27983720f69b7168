/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/environment.h"

#include <stdbool.h>
#include <stddef.h>

#include "state/incarnation.h"
#include "settings.h"

#define ADDED_MAX 40

static unsigned count_entries(char *const *environment)
{
    unsigned count = 0;
    while (environment && environment[count])
        count++;
    return count;
}

unsigned environment_room(char *const *environment)
{
    return count_entries(environment) + ADDED_MAX;
}

/* Whether `entry` sets the variable that `variable` ("NAME=...") sets. */
static bool same_name(const char *entry, const char *variable)
{
    while (*entry && *entry == *variable && *entry != '=')
        entry++, variable++;
    return *entry == '=' && *variable == '=';
}

static bool has_name(char *const *environment, const char *variable)
{
    for (; environment && *environment; environment++)
        if (same_name(*environment, variable))
            return true;
    return false;
}

static bool names_library(const char *list)
{
    for (const char *at = list; *at; at++)
        if (string_begins(at, settings_library()))
            return true;
    return false;
}

/* LD_PRELOAD with our library first, where the program's own list does not have it. */
static char *preload_entry(struct environment_store *store, char *given)
{
    if (given && names_library(given))
        return given;
    struct text text = TEXT(store->preload);
    text_string(&text, "LD_PRELOAD=");
    text_string(&text, settings_library());
    if (given && given[sizeof("LD_PRELOAD=") - 1]) {
        text_byte(&text, ':');
        text_string(&text, given + sizeof("LD_PRELOAD=") - 1);
    }
    return text.cut ? given : store->preload;
}

char *const *environment_patch(struct environment_store *store, char **patched, char *const *environment)
{
    struct text previous = TEXT(store->previous);
    unsigned used = 0;
    char *preload = NULL;
    store->previous[0] = 0;
    incarnation_describe(&previous);
    if (!settings.follow || !store->previous[0] || !settings_library()[0])
        return environment;
    for (; environment && *environment; environment++) {
        if (string_begins(*environment, "LD_PRELOAD="))
            preload = *environment;
        else if (!string_begins(*environment, "STRAY_PREVIOUS="))
            patched[used++] = *environment;
    }
    for (unsigned i = 0; settings_variable(i); i++) {
        patched[used] = NULL;
        if (!has_name(patched, settings_variable(i)))
            patched[used++] = (char *)(uintptr_t)settings_variable(i);
    }
    if ((preload = preload_entry(store, preload)))
        patched[used++] = preload;
    patched[used++] = store->previous;
    patched[used] = NULL;
    return patched;
}
