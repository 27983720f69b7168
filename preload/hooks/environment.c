/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/environment.h"

#include <stdbool.h>
#include <stddef.h>

#include "state/incarnation.h"
#include "settings.h"
#include "sys.h"

#define ADDED_MAX 40
#define PAGE      4096 /* or a part of one */
#define PIECE     64 /* pointers looked at at once: the caller's stack may be small */
#define PRELOAD   "LD_PRELOAD="

static bool on_one_page(const char *one, const char *other)
{
    return (uintptr_t)one / PAGE == (uintptr_t)other / PAGE;
}

/* The first byte of each string. Most lie next to each other: a page is asked for once, as that is what takes the time. */
static bool strings_are_there(char *const *strings, unsigned count)
{
    char bytes[PIECE];
    struct iovec starts[PIECE];
    unsigned asked = 0;
    for (unsigned i = 0; i < count; i++)
        if (i == 0 || !on_one_page(strings[i], strings[i - 1]))
            starts[asked++] = (struct iovec){.iov_base = strings[i], .iov_len = 1};
    return sys_peek_each(bytes, starts, asked);
}

/* The quiet tracer may not ask, and must read it: silence(). */
bool environment_is_there(char *const *environment)
{
    char *strings[PIECE];
    unsigned count = PIECE;
    if (!environment || sys_quiet)
        return true;
    for (; count == PIECE; environment += count) {
        ssize_t copied = sys_peek(strings, environment, sizeof(strings));
        unsigned there = copied > 0 ? (unsigned)copied / sizeof(*strings) : 0;
        for (count = 0; count < there && strings[count];)
            count++;
        if ((count == there && there < PIECE) || !strings_are_there(strings, count))
            return false;
    }
    return true;
}

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

static const char *find(char *const *environment, const char *name)
{
    for (; environment && *environment; environment++)
        if (string_begins(*environment, name))
            return *environment + string_length(name);
    return NULL;
}

/* LD_PRELOAD's value is NULL where the variable is not set. */
static bool needs_preload(const char *list)
{
    return !list || !names_library(list);
}

size_t environment_text_room(char *const *environment)
{
    const char *list = find(environment, PRELOAD);
    size_t preload = string_length(settings_library()) + (list ? string_length(list) : 0) + sizeof(PRELOAD ":");
    return incarnation_description_room() + (needs_preload(list) ? preload : 0);
}

/* The text that was put into `store` from `begin` on, ended for good. */
static char *finish(struct text *store, size_t begin)
{
    store->used++; /* the NUL stays */
    return store->at + begin;
}

/* LD_PRELOAD with our library first. */
static char *make_preload(struct text *store, const char *list)
{
    size_t begin = store->used;
    text_string(store, PRELOAD);
    text_string(store, settings_library());
    if (list && *list) {
        text_byte(store, ':');
        text_string(store, list);
    }
    return finish(store, begin);
}

/* What follows must not make a system call either. */
static char *const *silence(char **patched, char *const *environment)
{
    static char silent[] = SETTINGS_SILENT "1";
    unsigned used = 0;
    if (!find(environment, PRELOAD) || settings_silent(environment))
        return environment;
    while (*environment)
        patched[used++] = *environment++;
    patched[used++] = silent;
    patched[used] = NULL;
    return patched;
}

/* What this process becomes is still the root. */
static char *const *name_root(char **patched, char *const *environment)
{
    unsigned used = 0;
    if (settings.follow || !settings_root() || has_name(environment, settings_root()))
        return environment;
    for (; environment && *environment; environment++)
        patched[used++] = *environment;
    patched[used++] = (char *)(uintptr_t)settings_root();
    patched[used] = NULL;
    return patched;
}

char *const *environment_patch(struct text *store, char **patched, char *const *environment)
{
    unsigned used = 0;
    const char *list = find(environment, PRELOAD);
    if (sys_quiet)
        return silence(patched, environment);
    if (!settings.follow || !settings_library()[0] || !incarnation_describe(store))
        return name_root(patched, environment);
    char *previous = finish(store, 0);
    for (; environment && *environment; environment++)
        if (!string_begins(*environment, "STRAY_PREVIOUS=") && !(needs_preload(list) && string_begins(*environment, PRELOAD)))
            patched[used++] = *environment;
    for (unsigned i = 0; settings_variable(i); i++) {
        patched[used] = NULL;
        if (!has_name(patched, settings_variable(i)))
            patched[used++] = (char *)(uintptr_t)settings_variable(i);
    }
    if (needs_preload(list))
        patched[used++] = make_preload(store, list);
    patched[used++] = previous;
    patched[used] = NULL;
    return patched;
}
