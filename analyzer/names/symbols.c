/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/symbols.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "names/arena.h"
#include "names/debuginfod.h"
#include "names/demangle.h"
#include "names/lines.h"
#include "scarce.h"

#define MAX_INLINED 64
#define PATIENCE    10           /* seconds */
#define DELETED     " (deleted)" /* what the kernel appends to the path of a mapped file that was removed */
/* A sized symbol that holds an address is among the few that start before it. */
#define LOOK_BACK 16

struct entry {
    uint64_t address, size;
    const char *name;
    int rank; /* of several at one address the lowest is the name people know */
};

struct known {
    uint64_t offset;
    struct location location;
};

struct object {
    struct symbols *symbols;
    struct arena arena;
    const char *path;
    const uint8_t *build_id;
    size_t build_id_size;

    Dwfl *dwfl;
    Dwfl_Module *module;
    GElf_Addr bias; /* libdwfl's address less the file's */
    struct image image;
    bool opened, has_image;
    struct entry *entries;
    size_t entry_count;
    bool entries_read;
    struct lines *lines;
    Dwarf_Addr lines_bias;
    bool lines_read;
    struct python_types *types;
    bool types_read;

    struct known **table; /* by hash of the offset, open addressing */
    size_t known_count, table_size;
    struct object *next;
};

struct symbols {
    struct object *objects, *last; /* in the order they were asked about */
    bool servers_are_slow; /* debuginfod */
};

int symbols_open(struct symbols **ret_symbols)
{
    struct symbols *symbols = calloc(1, sizeof(*symbols));
    if (!symbols)
        return -ENOMEM;
    *ret_symbols = symbols;
    return 0;
}

static void object_free(struct object *object)
{
    lines_close(object->lines);
    python_types_free(object->types);
    image_close(&object->image);
    if (object->dwfl)
        dwfl_end(object->dwfl);
    free(object->entries);
    free(object->table);
    arena_free(&object->arena);
    free(object);
}

void symbols_close(struct symbols *symbols)
{
    if (!symbols)
        return;
    while (symbols->objects) {
        struct object *object = symbols->objects;
        symbols->objects = object->next;
        object_free(object);
    }
    free(symbols);
}

static bool is_object(const struct object *object, const char *path, const uint8_t *build_id, size_t size)
{
    return strcmp(object->path, path) == 0 && object->build_id_size == size &&
           (size == 0 || memcmp(object->build_id, build_id, size) == 0);
}

struct object *symbols_object(struct symbols *symbols, const char *path, const uint8_t *build_id,
                              size_t build_id_size)
{
    for (struct object *object = symbols->objects; object; object = object->next)
        if (is_object(object, path, build_id, build_id_size))
            return object;
    struct object *object = calloc(1, sizeof(*object));
    if (!object)
        return NULL;
    object->path = arena_copy(&object->arena, path, strlen(path));
    object->build_id =
        (uint8_t *)arena_copy(&object->arena, build_id_size ? (const char *)build_id : "", build_id_size);
    if (!object->path || !object->build_id) {
        object_free(object);
        return NULL;
    }
    object->symbols = symbols;
    object->build_id_size = build_id_size;
    if (symbols->last)
        symbols->last->next = object;
    else
        symbols->objects = object;
    symbols->last = object;
    return object;
}

/* A regular file only: the path is the trace's word, and opening a device or a pipe can have effects or
 * block. */
static int open_file(const char *path)
{
    char copy[4096];
    size_t length = strlen(path), suffix = strlen(DELETED);
    if (length > suffix && strcmp(path + length - suffix, DELETED) == 0)
        length -= suffix;
    if (path[0] != '/' || length >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, path, length);
    copy[length] = '\0';

    int descriptor = open(copy, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (descriptor < 0)
        return -errno;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(descriptor);
        return -EINVAL;
    }
    return descriptor;
}

static bool has_build_id(Dwfl_Module *module, const struct object *object)
{
    const unsigned char *bits;
    GElf_Addr address;
    int size = dwfl_module_build_id(module, &bits, &address);
    return object->build_id_size == 0 || (size > 0 && (size_t)size == object->build_id_size &&
                                          memcmp(bits, object->build_id, (size_t)size) == 0);
}

/* debuginfod is asked only where the user named servers. One that did not answer in time is not asked again:
 * a report must not take a time-out for every library. */
static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, GElf_Addr base,
                          const char *file, const char *link, GElf_Word crc, char **ret_path)
{
    struct symbols *symbols = *userdata;
    if (symbols->servers_are_slow)
        return dwfl_build_id_find_debuginfo(module, userdata, name, base, file, link, crc, ret_path);
    time_t start = time(NULL);
    int descriptor = dwfl_standard_find_debuginfo(module, userdata, name, base, file, link, crc, ret_path);
    symbols->servers_are_slow = descriptor < 0 && time(NULL) - start > PATIENCE;
    return descriptor;
}

/* Opens the file at `path` if it is the one traced. */
static bool open_candidate(struct object *object, const char *path)
{
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = find_debuginfo,
        .section_address = dwfl_offline_section_address,
    };
    int descriptor = open_file(path);
    if (descriptor < 0)
        return false;
    Dwfl *dwfl = dwfl_begin(&callbacks);
    Dwfl_Module *module = dwfl ? dwfl_report_offline(dwfl, path, path, descriptor) : NULL;
    GElf_Addr bias;
    if (!module) {
        close(descriptor);
        dwfl_end(dwfl);
        return false;
    }
    dwfl_report_end(dwfl, NULL, NULL);
    if (!dwfl_module_getelf(module, &bias) || !has_build_id(module, object)) {
        dwfl_end(dwfl);
        return false;
    }
    void **userdata;
    dwfl_module_info(module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
    *userdata = object->symbols;
    object->dwfl = dwfl;
    object->module = module;
    object->bias = bias;
    return true;
}

/* The debug file installed for a build-id can stand in for a file that was replaced since. */
static bool open_debug_file(struct object *object)
{
    char path[512];
    size_t used = (size_t)snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/");
    if (object->build_id_size < 2 || object->build_id_size > 64)
        return false;
    for (size_t i = 0; i < object->build_id_size; i++)
        used += (size_t)snprintf(path + used, sizeof(path) - used, i == 0 ? "%02x/" : "%02x",
                                 object->build_id[i]);
    snprintf(path + used, sizeof(path) - used, ".debug");
    return open_candidate(object, path);
}

/* Of a file that is not here, a server may have the debug information. */
static bool open_fetched(struct object *object)
{
    struct symbols *symbols = object->symbols;
    if (symbols->servers_are_slow)
        return false;
    time_t start = time(NULL);
    char *path = debuginfod_fetch(object->build_id, object->build_id_size);
    bool opened = path && open_candidate(object, path);
    symbols->servers_are_slow = !path && time(NULL) - start > PATIENCE;
    free(path);
    return opened;
}

static bool open_object(struct object *object)
{
    if (!object->opened) {
        object->opened = true;
        if (open_candidate(object, object->path)) {
            GElf_Addr bias;
            Elf *elf = dwfl_module_getelf(object->module, &bias);
            object->has_image = image_open(elf, &object->image) == 0;
        } else {
            if (!open_debug_file(object))
                open_fetched(object);
        }
    }
    return object->module != NULL;
}

const struct image *object_image(struct object *object)
{
    open_object(object);
    return object->has_image ? &object->image : NULL;
}

/* Fewer underscores first ("connect", not "__connect"), then what is visible from outside. */
static int rank_of(const char *name, int binding)
{
    int underscores = (int)strspn(name, "_");
    return underscores * 4 + (binding == STB_GLOBAL ? 0 : binding == STB_WEAK ? 1 : 2);
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank - b->rank;
    return strcmp(a->name, b->name);
}

static bool is_function(const GElf_Sym *symbol, const char *name)
{
    int type = GELF_ST_TYPE(symbol->st_info);
    if (!name || !name[0] || symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS)
        return false;
    return type == STT_FUNC || type == STT_GNU_IFUNC ||
           (type == STT_NOTYPE && name[0] != '$' && name[0] != '.');
}

static void read_entries(struct object *object)
{
    int count = dwfl_module_getsymtab(object->module);
    object->entries_read = true;
    if (count <= 0)
        return;
    object->entries = calloc((size_t)count, sizeof(*object->entries));
    for (int i = 0; object->entries && i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        const char *name = dwfl_module_getsym_info(object->module, i, &symbol, &address, NULL, NULL, NULL);
        if (!is_function(&symbol, name))
            continue;
        object->entries[object->entry_count++] = (struct entry){
            .address = address - object->bias,
            .size = symbol.st_size,
            .name = name,
            .rank = rank_of(name, GELF_ST_BIND(symbol.st_info)),
        };
    }
    if (object->entry_count)
        qsort(object->entries, object->entry_count, sizeof(*object->entries), compare_entries);
}

/* A symbol without size (from assembly) holds what the unwind table does not give to another function. */
static bool holds(const struct entry *entry, uint64_t offset, uint64_t function_start)
{
    if (entry->size)
        return offset - entry->address < entry->size;
    return function_start && entry->address >= function_start;
}

static const struct entry *find_entry(struct object *object, uint64_t offset, uint64_t function_start)
{
    if (!object->entries_read)
        read_entries(object);
    size_t low = 0, high = object->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (object->entries[middle].address <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    const struct entry *found = NULL;
    for (size_t i = 0; i < LOOK_BACK && low-- > 0; i++) {
        const struct entry *entry = &object->entries[low];
        if (found && entry->address != found->address)
            break;
        if (holds(entry, offset, function_start))
            found = entry;
    }
    return found;
}

static uint64_t symbol_address(struct object *object, const char *name)
{
    if (!object->entries_read)
        read_entries(object);
    for (size_t i = 0; i < object->entry_count; i++)
        if (strcmp(object->entries[i].name, name) == 0)
            return object->entries[i].address;
    return 0;
}

const struct python_types *object_types(struct object *object)
{
    const struct image *image = object_image(object);
    if (image && !object->types_read) {
        object->types_read = true;
        if (python_types_read(image, symbol_address(object, "Py_FinalizeEx"), &object->types) != 0)
            object->types = NULL;
    }
    return object->types;
}

static struct lines *object_lines(struct object *object)
{
    if (!object->lines_read) {
        object->lines_read = true;
        Dwarf *dwarf = dwfl_module_getdwarf(object->module, &object->lines_bias);
        if (dwarf && lines_open(dwarf, &object->arena, &object->lines) != 0)
            object->lines = NULL;
    }
    return object->lines;
}

/* Fills `symbols`, innermost first; returns how many, at least 1. */
static size_t find_symbols(struct object *object, uint64_t offset, struct symbol *symbols,
                           uint64_t *ret_start)
{
    uint64_t start = object->has_image ? image_function(&object->image, offset, NULL) : 0;
    struct lines *lines = object_lines(object);
    struct symbol line = {0};
    size_t count = 0;
    if (lines)
        count = lines_find(lines, offset + object->bias - object->lines_bias, symbols, MAX_INLINED, &line);
    const struct entry *entry = find_entry(object, offset, start);
    if (count == 0) {
        symbols[0] = line;
        count = 1;
    }
    if (entry && !symbols[count - 1].function)
        symbols[count - 1].function = demangle(&object->arena, entry->name);
    *ret_start = start ? start : entry ? entry->address : 0;
    return count;
}

static size_t slot_of(const struct object *object, uint64_t offset)
{
    size_t slot = (size_t)((offset * 0x9e3779b97f4a7c15u) >> 32) & (object->table_size - 1);
    while (object->table[slot] && object->table[slot]->offset != offset)
        slot = (slot + 1) & (object->table_size - 1);
    return slot;
}

/* Keeps the table at most half full. */
static bool make_room(struct object *object)
{
    if (object->known_count * 2 < object->table_size)
        return true;
    struct known **old = object->table;
    size_t old_size = object->table_size, size = old_size ? old_size * 2 : 64;
    struct known **table = calloc(size, sizeof(struct known *));
    if (!table)
        return false;
    object->table = table;
    object->table_size = size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i])
            table[slot_of(object, old[i]->offset)] = old[i];
    free(old);
    return true;
}

static struct known *locate_new(struct object *object, uint64_t offset)
{
    struct symbol symbols[MAX_INLINED] = {0};
    size_t count = 1;
    uint64_t start = 0;
    scarce_check();
    if (open_object(object))
        count = find_symbols(object, offset, symbols, &start);
    struct known *known = arena_alloc(&object->arena, sizeof(*known));
    struct symbol *copy = arena_alloc(&object->arena, count * sizeof(*copy));
    if (!known || !copy)
        return NULL;
    memcpy(copy, symbols, count * sizeof(*copy));
    known->offset = offset;
    known->location = (struct location){.symbols = copy, .count = count, .function_start = start};
    return known;
}

/* NULL without memory. */
static struct known **find_slot(struct object *object, uint64_t offset)
{
    return make_room(object) ? &object->table[slot_of(object, offset)] : NULL;
}

static struct known *find_known(struct object *object, uint64_t offset)
{
    struct known **slot = find_slot(object, offset);
    if (slot && !*slot) {
        *slot = locate_new(object, offset);
        object->known_count += *slot != NULL;
    }
    return slot ? *slot : NULL;
}

const struct location *object_locate(struct object *object, uint64_t offset)
{
    struct known *known = find_known(object, offset);
    return known ? &known->location : NULL;
}

enum python_role object_role(struct object *object, uint64_t offset)
{
    struct known *known = find_known(object, offset);
    if (!known)
        return PYTHON_ROLE_NONE;
    struct location *location = &known->location;
    if (!location->role_known) {
        const struct python_types *types = location->function_start ? object_types(object) : NULL;
        location->role = types ? python_types_role(types, location->function_start) : PYTHON_ROLE_NONE;
        location->role_known = true;
    }
    return location->role;
}

/* ---- answers of other machines ---- */

static bool copy_symbol(struct object *object, const struct symbol *from, struct symbol *to)
{
    *to = *from;
    if (from->function)
        to->function = arena_copy(&object->arena, from->function, strlen(from->function));
    if (from->file)
        to->file = arena_copy(&object->arena, from->file, strlen(from->file));
    return (!from->function || to->function) && (!from->file || to->file);
}

int object_teach(struct object *object, uint64_t offset, const struct location *location)
{
    struct known **slot = find_slot(object, offset);
    if (slot && *slot)
        return 0;
    struct known *known = slot ? arena_alloc(&object->arena, sizeof(*known)) : NULL;
    struct symbol *symbols = known ? arena_alloc(&object->arena, location->count * sizeof(*symbols)) : NULL;
    if (!symbols)
        return -ENOMEM;
    for (size_t i = 0; i < location->count; i++)
        if (!copy_symbol(object, &location->symbols[i], &symbols[i]))
            return -ENOMEM;
    known->offset = offset;
    known->location = *location;
    known->location.symbols = symbols;
    *slot = known;
    object->known_count++;
    return 0;
}

const struct object *symbols_first(const struct symbols *symbols)
{
    return symbols->objects;
}

const struct object *symbols_next(const struct object *object)
{
    return object->next;
}

const char *object_path(const struct object *object)
{
    return object->path;
}

const uint8_t *object_build_id(const struct object *object, size_t *ret_size)
{
    *ret_size = object->build_id_size;
    return object->build_id;
}

static bool says_something(const struct location *location)
{
    return location->function_start || location->count > 1 || location->symbols[0].function ||
           location->symbols[0].file;
}

static int answer_order(const void *left, const void *right)
{
    const struct answer *a = left, *b = right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

int object_answers(const struct object *object, struct answer **ret_answers, size_t *ret_count)
{
    struct answer *answers = calloc(object->known_count + 1, sizeof(*answers));
    size_t count = 0;
    if (!answers)
        return -ENOMEM;
    for (size_t i = 0; i < object->table_size; i++)
        if (object->table[i] && says_something(&object->table[i]->location))
            answers[count++] = (struct answer){object->table[i]->offset, &object->table[i]->location};
    if (count > 1)
        qsort(answers, count, sizeof(*answers), answer_order);
    *ret_answers = answers;
    *ret_count = count;
    return 0;
}
