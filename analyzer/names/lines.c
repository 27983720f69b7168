/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/lines.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "names/demangle.h"
#include "names/dies.h"
#include "names/scopes.h"
#include "read/array.h"
#include "scarce.h"

#define MAX_RANGES 65536
/* Ranges are nearly disjoint: one that holds the address is among the few that start before it. */
#define LOOK_BACK 32

struct range {
    Dwarf_Addr start, end;
    size_t index; /* of the unit or of the function */
};

struct ranges {
    struct range *items;
    size_t count, capacity;
};

struct unit {
    Dwarf_Die lines;     /* has the line table */
    Dwarf_Die functions; /* differs from `lines` in split DWARF */
    bool indexed;
    Dwarf_Die *bodies;
    size_t body_count, body_capacity;
    struct ranges ranges; /* index: in bodies */
};

struct lines {
    Dwarf *dwarf;
    struct arena *arena;
    struct scopes scopes;
    struct unit *units;
    size_t unit_count, unit_capacity;
    struct ranges ranges; /* index: in units */
};

/* Makes room for one more. */
static bool grow(void **items, size_t *capacity, size_t count, size_t item_size)
{
    void *grown = array_grow(*items, capacity, count, item_size);
    if (grown)
        *items = grown;
    return grown != NULL;
}

static bool add_range(struct ranges *ranges, Dwarf_Addr start, Dwarf_Addr end, size_t index)
{
    if (!grow((void **)&ranges->items, &ranges->capacity, ranges->count, sizeof(*ranges->items)))
        return false;
    ranges->items[ranges->count++] = (struct range){start, end, index};
    return true;
}

/* Adds the ranges of a unit or function; what the linker threw away stands at address 0. */
static bool add_die_ranges(struct ranges *ranges, Dwarf_Die *die, size_t index)
{
    Dwarf_Addr base, start, end;
    ptrdiff_t offset = 0;
    for (size_t i = 0; i < MAX_RANGES && (offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0; i++)
        if (start != 0 && start < end && !add_range(ranges, start, end, index))
            return false;
    return true;
}

static int compare_ranges(const void *left, const void *right)
{
    const struct range *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static const struct range *find_range(const struct ranges *ranges, Dwarf_Addr address)
{
    size_t low = 0, high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->items[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = 0; i < LOOK_BACK && low-- > 0; i++)
        if (address < ranges->items[low].end)
            return &ranges->items[low];
    return NULL;
}

static void sort_ranges(struct ranges *ranges)
{
    if (ranges->count)
        qsort(ranges->items, ranges->count, sizeof(*ranges->items), compare_ranges);
}

static bool add_unit(struct lines *lines, Dwarf_Die *lines_die, Dwarf_Die *functions_die)
{
    if (!grow((void **)&lines->units, &lines->unit_capacity, lines->unit_count, sizeof(*lines->units)))
        return false;
    lines->units[lines->unit_count] = (struct unit){.lines = *lines_die, .functions = *functions_die};
    return add_die_ranges(&lines->ranges, lines_die, lines->unit_count++);
}

/* libdw's own way to fail is a line that is not ours, and the status of findings. */
static void end_ours(Dwarf *dwarf)
{
    if (dwarf)
        dwarf_new_oom_handler(dwarf, scarce_end);
}

static bool index_units(struct lines *lines)
{
    Dwarf_CU *cu = NULL;
    Dwarf_Half version;
    uint8_t type;
    Dwarf_Die die, split;
    while (dwarf_get_units(lines->dwarf, cu, &cu, &version, &type, &die, &split) == 0) {
        bool is_split = type == DW_UT_skeleton && dwarf_tag(&split) == DW_TAG_compile_unit;
        if (is_split) /* stands in a file of its own */
            end_ours(dwarf_cu_getdwarf(split.cu));
        if (dwarf_tag(&die) != DW_TAG_compile_unit && !is_split)
            continue;
        if (!add_unit(lines, &die, is_split ? &split : &die))
            return false;
    }
    sort_ranges(&lines->ranges);
    return true;
}

int lines_open(Dwarf *dwarf, struct arena *arena, struct lines **ret_lines)
{
    struct lines *lines = calloc(1, sizeof(*lines));
    if (!lines)
        return -ENOMEM;
    lines->dwarf = dwarf;
    lines->arena = arena;
    end_ours(dwarf);
    end_ours(dwarf_getalt(dwarf));
    if (!index_units(lines)) {
        lines_close(lines);
        return -ENOMEM;
    }
    *ret_lines = lines;
    return 0;
}

void lines_close(struct lines *lines)
{
    if (!lines)
        return;
    for (size_t i = 0; i < lines->unit_count; i++) {
        free(lines->units[i].bodies);
        free(lines->units[i].ranges.items);
    }
    free(lines->units);
    free(lines->ranges.items);
    scopes_free(&lines->scopes);
    free(lines);
}

/* Declarations, and what is inlined everywhere, have no code and are most of a unit. */
static bool add_body(struct unit *unit, Dwarf_Die *die)
{
    size_t before = unit->ranges.count;
    if (!add_die_ranges(&unit->ranges, die, unit->body_count) ||
        !grow((void **)&unit->bodies, &unit->body_capacity, unit->body_count, sizeof(*unit->bodies))) {
        unit->ranges.count = before;
        return false;
    }
    if (unit->ranges.count > before)
        unit->bodies[unit->body_count++] = *die;
    return true;
}

static bool index_functions(struct unit *unit, Dwarf_Die *parent, unsigned depth)
{
    Dwarf_Die die;
    if (depth > DIES_MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return true;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_subprogram && !add_body(unit, &die))
            return false;
        if (die_holds_functions(tag) && !index_functions(unit, &die, depth + 1))
            return false;
    } while (die_next(&die, &die));
    return true;
}

static Dwarf_Die *find_body(struct unit *unit, Dwarf_Addr address)
{
    if (!unit->indexed) {
        unit->indexed = true;
        index_functions(unit, &unit->functions, 0);
        sort_ranges(&unit->ranges);
    }
    const struct range *range = find_range(&unit->ranges, address);
    return range ? &unit->bodies[range->index] : NULL;
}

/* Appends the inlined calls that hold `address` below `parent`, outermost first. */
static size_t find_inlined(Dwarf_Die *parent, Dwarf_Addr address, Dwarf_Die *calls, size_t capacity,
                           unsigned depth)
{
    Dwarf_Die die;
    if (capacity == 0 || depth > DIES_MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return 0;
    do {
        int tag = dwarf_tag(&die);
        bool call = tag == DW_TAG_inlined_subroutine;
        bool block = tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block;
        if (!call && !block)
            continue;
        bool without_range = !dwarf_hasattr(&die, DW_AT_low_pc) && !dwarf_hasattr(&die, DW_AT_ranges);
        if (dwarf_haspc(&die, address) != 1 && !(block && without_range))
            continue;
        if (call)
            *calls = die;
        size_t below = find_inlined(&die, address, calls + call, capacity - call, depth + 1);
        if (call || below)
            return call + below;
    } while (die_next(&die, &die));
    return 0;
}

static const char *linkage_name(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    if (!dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) &&
        !dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
        return NULL;
    return dwarf_formstring(&attribute);
}

/* The declaration inside the class or namespace, which only the origin of a body points to. */
static Dwarf_Die declaration(Dwarf_Die *die)
{
    Dwarf_Die result = *die;
    for (unsigned i = 0; i < DIES_MAX_DEPTH; i++) {
        Dwarf_Attribute attribute;
        Dwarf_Die next;
        if (!dwarf_attr(&result, DW_AT_abstract_origin, &attribute) &&
            !dwarf_attr(&result, DW_AT_specification, &attribute))
            break;
        if (!dwarf_formref_die(&attribute, &next))
            break;
        result = next;
    }
    return result;
}

static bool language_has_scopes(int language)
{
    switch (language) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case DW_LANG_Rust:
        return true;
    default:
        return false;
    }
}

static const char *function_name(struct lines *lines, struct unit *unit, Dwarf_Die *die)
{
    const char *mangled = linkage_name(die);
    if (mangled)
        return demangle(lines->arena, mangled);
    const char *name = dwarf_diename(die);
    if (!name || !language_has_scopes(dwarf_srclang(&unit->functions)))
        return name;
    Dwarf_Die inner = declaration(die);
    return scopes_qualify(&lines->scopes, lines->arena, &inner, name);
}

/* Removes "/." and "/.." steps, in place; compilers write the paths they were given. */
static void normalise(char *path)
{
    char *out = path;
    const char *in = path;
    while (*in == '/') {
        size_t length = strcspn(in + 1, "/");
        if (length == 2 && in[1] == '.' && in[2] == '.') {
            while (out > path && *--out != '/') {
            }
        } else if (length > 0 && !(length == 1 && in[1] == '.')) {
            memmove(out, in, length + 1);
            out += length + 1;
        }
        in += length + 1;
    }
    *out = '\0';
}

static const char *absolute(struct lines *lines, struct unit *unit, const char *file)
{
    if (!file)
        return NULL;
    size_t length = strlen(file), directory_length = 0;
    const char *directory = NULL;
    Dwarf_Attribute attribute;
    if (file[0] != '/' && dwarf_attr(&unit->lines, DW_AT_comp_dir, &attribute))
        directory = dwarf_formstring(&attribute);
    if (directory && directory[0] == '/')
        directory_length = strlen(directory) + 1;
    else if (file[0] != '/')
        return file;
    char *path = arena_alloc(lines->arena, directory_length + length + 1);
    if (!path)
        return file;
    if (directory_length) {
        memcpy(path, directory, directory_length - 1);
        path[directory_length - 1] = '/';
    }
    memcpy(path + directory_length, file, length);
    normalise(path);
    return path;
}

static void source_line(struct lines *lines, struct unit *unit, Dwarf_Addr address, struct symbol *symbol)
{
    Dwarf_Line *line = dwarf_getsrc_die(&unit->lines, address);
    int number;
    if (!line)
        return;
    symbol->file = absolute(lines, unit, dwarf_linesrc(line, NULL, NULL));
    if (dwarf_lineno(line, &number) == 0 && number > 0)
        symbol->line = (uint32_t)number;
}

static void call_line(struct lines *lines, struct unit *unit, Dwarf_Die *call, struct symbol *symbol)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    Dwarf_Files *files;
    size_t count;
    if (dwarf_attr(call, DW_AT_call_line, &attribute) && dwarf_formudata(&attribute, &value) == 0)
        symbol->line = (uint32_t)value;
    if (dwarf_attr(call, DW_AT_call_file, &attribute) && dwarf_formudata(&attribute, &value) == 0 &&
        dwarf_getsrcfiles(&unit->lines, &files, &count) == 0 && value < count)
        symbol->file = absolute(lines, unit, dwarf_filesrc(files, value, NULL, NULL));
}

static struct unit *find_unit(struct lines *lines, Dwarf_Addr address)
{
    const struct range *range = find_range(&lines->ranges, address);
    return range ? &lines->units[range->index] : NULL;
}

size_t lines_find(struct lines *lines, Dwarf_Addr address, struct symbol *symbols, size_t capacity,
                  struct symbol *ret_line)
{
    struct unit *unit = find_unit(lines, address);
    if (!unit || capacity == 0)
        return 0;
    struct symbol line = {0};
    source_line(lines, unit, address, &line);
    Dwarf_Die *body = find_body(unit, address);
    if (!body) {
        *ret_line = line;
        return 0;
    }

    Dwarf_Die calls[DIES_MAX_DEPTH];
    size_t limit = capacity - 1 < DIES_MAX_DEPTH ? capacity - 1 : DIES_MAX_DEPTH;
    size_t inlined = find_inlined(body, address, calls, limit, 0);
    for (size_t i = 0; i <= inlined; i++) {
        Dwarf_Die *function = i < inlined ? &calls[inlined - 1 - i] : body;
        symbols[i] = (struct symbol){0};
        if (i == 0)
            symbols[i] = line;
        else
            call_line(lines, unit, &calls[inlined - i], &symbols[i]);
        symbols[i].function = function_name(lines, unit, function);
    }
    return inlined + 1;
}
