/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/scopes.h"

#include <dwarf.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "names/dies.h"
#include "read/array.h"

#define NONE UINT32_MAX

/* Where entries stand in memory: those inside a scope lie behind its own and before its end. */
struct scope {
    const char *start, *end;
    uint32_t outer; /* index, or NONE */
};

struct unit {
    const void *key; /* libdw's */
    struct scope *scopes; /* by start */
    size_t count, capacity;
};

static int compare_units(const void *left, const void *right)
{
    const struct unit *a = left, *b = right;
    return ((uintptr_t)a->key > (uintptr_t)b->key) - ((uintptr_t)a->key < (uintptr_t)b->key);
}

static void free_unit(void *item)
{
    struct unit *unit = item;
    free(unit->scopes);
    free(unit);
}

void scopes_free(struct scopes *scopes)
{
    tdestroy(scopes->units, free_unit);
    scopes->units = NULL;
}

static bool is_qualifier(int tag)
{
    return tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
           tag == DW_TAG_union_type || tag == DW_TAG_subprogram;
}

static bool add_scope(struct unit *unit, const char *start, const char *end, uint32_t outer)
{
    struct scope *grown = array_grow(unit->scopes, &unit->capacity, unit->count, sizeof(*grown));
    if (!grown || unit->count >= NONE)
        return false;
    unit->scopes = grown;
    unit->scopes[unit->count++] = (struct scope){start, end, outer};
    return true;
}

/* Adds the scopes below `parent`, which ends at `end`; *ret_functions: there are functions as well. False without memory. */
static bool add_below(struct unit *unit, Dwarf_Die *parent, const char *end, uint32_t outer, unsigned depth,
                      bool *ret_functions)
{
    Dwarf_Die die, next;
    if (depth > DIES_MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return true;
    for (bool more = true; more; die = next) {
        int tag = dwarf_tag(&die);
        more = die_next(&die, &next);
        *ret_functions |= tag == DW_TAG_subprogram;
        if (!die_holds_functions(tag) || dwarf_haschildren(&die) != 1)
            continue;
        size_t before = unit->count;
        const char *die_end = more ? next.addr : end;
        bool qualifier = is_qualifier(tag), functions = false;
        if (qualifier && !add_scope(unit, die.addr, die_end, outer))
            return false;
        if (!add_below(unit, &die, die_end, qualifier ? (uint32_t)before : outer, depth + 1, &functions))
            return false;
        /* Most functions and many classes have only parameters and members. */
        if (!functions)
            unit->count = before;
        *ret_functions |= functions;
    }
    return true;
}

static struct unit *read_unit(Dwarf_Die *die)
{
    struct unit *unit = calloc(1, sizeof(*unit));
    Dwarf_Die root;
    bool functions = false;
    if (!unit)
        return NULL;
    unit->key = die->cu;
    if (dwarf_diecu(die, &root, NULL, NULL) &&
        !add_below(unit, &root, (const char *)UINTPTR_MAX, NONE, 0, &functions)) {
        free_unit(unit);
        return NULL;
    }
    return unit;
}

/* NULL without memory. */
static const struct unit *find_unit(struct scopes *scopes, Dwarf_Die *die)
{
    struct unit key = {.key = die->cu};
    struct unit *const *found = tfind(&key, &scopes->units, compare_units);
    if (found)
        return *found;
    struct unit *unit = read_unit(die);
    if (unit && !tsearch(unit, &scopes->units, compare_units)) {
        free_unit(unit);
        return NULL;
    }
    return unit;
}

/* The innermost scope around what stands at `place`. */
static uint32_t scope_around(const struct unit *unit, const char *place)
{
    size_t low = 0, high = unit->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (unit->scopes[middle].start < place)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t scope = low ? (uint32_t)(low - 1) : NONE;
    while (scope != NONE && place >= unit->scopes[scope].end)
        scope = unit->scopes[scope].outer;
    return scope;
}

static const char *scope_name(const struct scope *scope, Dwarf_Die *inside)
{
    Dwarf_Die die;
    if (!dwarf_die_addr_die(dwarf_cu_getdwarf(inside->cu), (void *)(uintptr_t)scope->start, &die))
        return "";
    const char *name = dwarf_diename(&die);
    if (name)
        return name;
    return dwarf_tag(&die) == DW_TAG_namespace ? "(anonymous namespace)" : "{lambda}";
}

static const char *put_before(struct arena *arena, const char *scope, const char *name)
{
    size_t length = strlen(scope);
    char *longer = arena_alloc(arena, length + strlen(name) + 3);
    if (longer) {
        memcpy(longer, scope, length);
        memcpy(longer + length, "::", 2);
        strcpy(longer + length + 2, name);
    }
    return longer;
}

const char *scopes_qualify(struct scopes *scopes, struct arena *arena, Dwarf_Die *die, const char *name)
{
    const struct unit *unit = find_unit(scopes, die);
    if (!unit)
        return NULL;
    for (uint32_t at = scope_around(unit, die->addr); at != NONE && name; at = unit->scopes[at].outer)
        name = put_before(arena, scope_name(&unit->scopes[at], die), name);
    return name;
}
