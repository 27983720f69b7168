/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/python_types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names/pointers.h"
#include "read/array.h"

/* PyTypeObject on 64-bit platforms, the same from CPython 3.8 on. */
enum type_offset {
    TYPE_SIZE = 16,
    TYPE_NAME = 24,
    TYPE_BASICSIZE = 32,
    TYPE_ITEMSIZE = 40,
    TYPE_DEALLOC = 48,
    TYPE_REPR = 88,
    TYPE_HASH = 120,
    TYPE_CALL = 128,
    TYPE_STR = 136,
    TYPE_TRAVERSE = 184,
    TYPE_CLEAR = 192,
    TYPE_DEL = 376,
    TYPE_FINALIZE = 392,
};

/* PyType_Spec, and the ids of typeslots.h. */
enum spec_offset { SPEC_BASICSIZE = 8, SPEC_ITEMSIZE = 12, SPEC_SLOTS = 24 };
enum slot_id { SLOT_DEALLOC = 52, SLOT_DEL = 53, SLOT_FINALIZE = 80, SLOT_LIMIT = 128 };

#define MAX_NAME       255
#define IMMORTAL       0x30000000u
#define MIN_BASICSIZE  16 /* reference count and type */
#define MAX_BASICSIZE  (1u << 20)
#define MAX_ITEMSIZE   (1u << 16)
#define MAX_REFERENCES 16
#define MAX_THUNK      64 /* bytes of code, with the padding to the next function */

/* What the collector prints under gc.DEBUG_STATS: since Python 2, and in nothing else. */
static const char collector_message[] = "gc: collecting generation %d";

struct role {
    uint64_t address;
    enum python_role role;
};

struct python_types {
    struct role *roles;
    size_t count, capacity;
};

static int add_role(struct python_types *types, uint64_t address, enum python_role role)
{
    struct role *roles = array_grow(types->roles, &types->capacity, types->count, sizeof(*roles));
    if (!roles)
        return -ENOMEM;
    types->roles = roles;
    types->roles[types->count++] = (struct role){address, role};
    return 0;
}

static int compare_roles(const void *left, const void *right)
{
    const struct role *a = left, *b = right;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    return (int)b->role - (int)a->role;
}

/* "socket", "psycopg2.extensions.connection" */
static bool is_type_name(const char *text)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.";
    if (!text || !strchr(first, text[0]) || text[0] == '\0')
        return false;
    size_t length = strspn(text, rest);
    return text[length] == '\0' && length <= MAX_NAME;
}

/* A slot that holds a function, of this file or another, or nothing. */
static bool is_function_or_empty(const struct image *image, const struct pointers *pointers, uint64_t slot)
{
    uint64_t value;
    if (pointers_find(pointers, slot, &value))
        return value == 0 || image_executable(image, value);
    return image_word(image, slot, &value) && value == 0;
}

/* The reference count of an object that was never allocated: 1, or from 3.12 on a very high one. */
static bool is_static_count(uint64_t count)
{
    return count == 1 || (uint32_t)count >= IMMORTAL;
}

static bool is_type(const struct image *image, const struct pointers *pointers, uint64_t type)
{
    static const uint16_t functions[] = {TYPE_DEALLOC, TYPE_REPR,     TYPE_HASH, TYPE_CALL,
                                         TYPE_STR,     TYPE_TRAVERSE, TYPE_CLEAR};
    static const uint16_t numbers[] = {TYPE_SIZE, TYPE_BASICSIZE, TYPE_ITEMSIZE};
    uint64_t references, size, basicsize, itemsize;
    if (!image_word(image, type, &references) || !image_word(image, type + TYPE_SIZE, &size) ||
        !image_word(image, type + TYPE_BASICSIZE, &basicsize) ||
        !image_word(image, type + TYPE_ITEMSIZE, &itemsize))
        return false;
    if (!is_static_count(references) || size != 0 || basicsize > MAX_BASICSIZE || itemsize > MAX_ITEMSIZE)
        return false;
    /* A type may inherit its size, but then it has at least a destructor: zeros alone are no type. */
    if (basicsize < MIN_BASICSIZE && !pointers_find(pointers, type + TYPE_DEALLOC, &size))
        return false;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (!image->fixed && pointers_find(pointers, type + numbers[i], &size))
            return false;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (!is_function_or_empty(image, pointers, type + functions[i]))
            return false;
    return true;
}

static int add_destructor(const struct image *image, const struct pointers *pointers, struct python_types *types,
                          uint64_t slot)
{
    uint64_t value;
    if (!pointers_find(pointers, slot, &value) || !image_executable(image, value))
        return 0;
    return add_role(types, value, PYTHON_ROLE_DESTRUCTOR);
}

static int add_type(const struct image *image, const struct pointers *pointers, struct python_types *types,
                    uint64_t type)
{
    static const uint16_t slots[] = {TYPE_DEALLOC, TYPE_DEL, TYPE_FINALIZE};
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
        if (add_destructor(image, pointers, types, type + slots[i]) != 0)
            return -ENOMEM;
    return 0;
}

/* Walks a PyType_Slot array; with `types` NULL only says whether it is one. 1: it is. */
static int walk_slots(const struct image *image, const struct pointers *pointers, uint64_t slots,
                      struct python_types *types)
{
    for (size_t i = 0; i < SLOT_LIMIT; i++, slots += 16) {
        uint64_t id, value;
        if (!image_word(image, slots, &id) || id >= SLOT_LIMIT)
            return 0;
        if (id == 0)
            return i > 0;
        if (!pointers_find(pointers, slots + 8, &value) && (!image_word(image, slots + 8, &value) || value != 0))
            return 0;
        bool destructor = id == SLOT_DEALLOC || id == SLOT_DEL || id == SLOT_FINALIZE;
        if (types && destructor && add_destructor(image, pointers, types, slots + 8) != 0)
            return -ENOMEM;
    }
    return 0;
}

static int add_spec(const struct image *image, const struct pointers *pointers, struct python_types *types,
                    uint64_t spec)
{
    const uint8_t *bytes = image_at(image, spec, SPEC_SLOTS);
    uint64_t slots;
    int32_t basicsize, itemsize;
    if (!bytes || !pointers_find(pointers, spec + SPEC_SLOTS, &slots))
        return 0;
    memcpy(&basicsize, bytes + SPEC_BASICSIZE, sizeof(basicsize));
    memcpy(&itemsize, bytes + SPEC_ITEMSIZE, sizeof(itemsize));
    if (basicsize < -(int)MAX_BASICSIZE || basicsize > (int)MAX_BASICSIZE || itemsize < 0 ||
        itemsize > (int)MAX_ITEMSIZE || walk_slots(image, pointers, slots, NULL) != 1)
        return 0;
    return walk_slots(image, pointers, slots, types) < 0 ? -ENOMEM : 0;
}

static int find_types(const struct image *image, const struct pointers *pointers, struct python_types *types)
{
    for (size_t i = 0; i < pointers->count; i++) {
        uint64_t slot = pointers->items[i].slot;
        if (!is_type_name(image_string(image, pointers->items[i].value)))
            continue;
        int result = is_type(image, pointers, slot - TYPE_NAME) ? add_type(image, pointers, types, slot - TYPE_NAME)
                                                             : add_spec(image, pointers, types, slot);
        if (result != 0)
            return result;
    }
    return 0;
}

static int32_t read_i32(const uint8_t *bytes)
{
    int32_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

/* The function that a jump in `start`'s code at `at` leads into the middle of; 0: none, or `start` itself. */
static uint64_t jump_target(const struct image *image, uint64_t start, uint64_t at)
{
    const uint8_t *code = image_at(image, at, 5);
    if (!code || at == start)
        return 0;
    bool jump = code[0] == 0xe9, branch = code[-1] == 0x0f && (code[0] & 0xf0) == 0x80;
    if (!jump && !branch)
        return 0;
    uint64_t target = at + 5 + (uint64_t)(int64_t)read_i32(code + 1);
    uint64_t function = image_function(image, target, NULL);
    return function == start || function == target ? 0 : function;
}

/* The printing of statistics is rarely run and often moved out into a function of its own, from which all
 * jumps lead back: the function that most of them lead to is the one it was part of. 0: there is none. */
static uint64_t hot_part(const struct image *image, uint64_t start, uint64_t end)
{
    uint64_t best = 0;
    size_t votes = 0, all = 0, for_best = 0;
    for (uint64_t at = start; at < end; at++) {
        uint64_t function = jump_target(image, start, at);
        if (function == 0)
            continue;
        all++;
        if (votes == 0)
            best = function;
        votes += function == best ? 1 : (size_t)-1;
    }
    for (uint64_t at = start; best && at < end; at++)
        for_best += jump_target(image, start, at) == best;
    return for_best >= 2 && for_best * 2 > all ? best : 0;
}

static int add_collector_at(const struct image *image, struct python_types *types, uint64_t code)
{
    uint64_t end, start = image_function(image, code, &end);
    if (start == 0)
        return 0;
    if (end - start > 65536)
        end = start + 65536;
    if (add_role(types, start, PYTHON_ROLE_COLLECTOR) != 0)
        return -ENOMEM;
    uint64_t hot = hot_part(image, start, end);
    return hot ? add_role(types, hot, PYTHON_ROLE_COLLECTOR) : 0;
}

/* Adds the functions whose code refers to `target`, relative to the next instruction or by its address. */
static int find_references(const struct image *image, struct python_types *types, uint64_t target)
{
    size_t found = 0;
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        if (!segment->executable)
            continue;
        const uint8_t *bytes = image->bytes + segment->offset;
        for (uint64_t at = 0; at + 4 <= segment->size && found < MAX_REFERENCES; at++) {
            int64_t value = read_i32(bytes + at);
            uint64_t code = segment->address + at;
            bool refers = code + 4 + (uint64_t)value == target || (image->fixed && (uint64_t)value == target);
            found += refers;
            if (refers && add_collector_at(image, types, code) != 0)
                return -ENOMEM;
        }
    }
    return 0;
}

static int find_collector(const struct image *image, struct python_types *types)
{
    if (image->machine != EM_X86_64)
        return 0;
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        const uint8_t *bytes = image->bytes + segment->offset;
        const uint8_t *found = memmem(bytes, segment->size, collector_message, sizeof(collector_message) - 1);
        if (found)
            return find_references(image, types, segment->address + (uint64_t)(found - bytes));
    }
    return 0;
}

/* From 3.13 on Py_FinalizeEx only checks a flag and jumps to the function that Py_RunMain calls directly. */
static int find_finalizer(const struct image *image, struct python_types *types, uint64_t finalize)
{
    uint64_t end, start = image_function(image, finalize, &end);
    if (image->machine != EM_X86_64 || start != finalize || end - start > MAX_THUNK)
        return 0;
    for (uint64_t at = start; at + 5 <= end; at++) {
        const uint8_t *code = image_at(image, at, 5);
        if (!code || code[0] != 0xe9)
            continue;
        uint64_t target = at + 5 + (uint64_t)(int64_t)read_i32(code + 1);
        if (image_function(image, target, NULL) == target &&
            add_role(types, target, PYTHON_ROLE_FINALIZER) != 0)
            return -ENOMEM;
    }
    return 0;
}

int python_types_read(const struct image *image, uint64_t finalize, struct python_types **ret_types)
{
    struct pointers pointers = {0};
    struct python_types *types = calloc(1, sizeof(*types));
    int result = types ? pointers_read(image, &pointers) : -ENOMEM;
    if (result == 0)
        result = find_types(image, &pointers, types);
    if (result == 0)
        result = find_collector(image, types);
    if (result == 0 && finalize)
        result = find_finalizer(image, types, finalize);
    free(pointers.items);
    if (result != 0) {
        python_types_free(types);
        return result;
    }
    if (types->count)
        qsort(types->roles, types->count, sizeof(*types->roles), compare_roles);
    *ret_types = types;
    return 0;
}

void python_types_free(struct python_types *types)
{
    if (types)
        free(types->roles);
    free(types);
}

enum python_role python_types_role(const struct python_types *types, uint64_t address)
{
    size_t low = 0, high = types->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (types->roles[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < types->count && types->roles[low].address == address ? types->roles[low].role
                                                                      : PYTHON_ROLE_NONE;
}

size_t python_types_count(const struct python_types *types)
{
    return types->count;
}
