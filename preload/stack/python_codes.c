/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/python_codes.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "sys.h"
#include "record/defs.h"
#include "stray/format.h"

#define FIRST_BITS 10u /* of the smallest table */
#define TABLES     8u  /* each twice as large as the one before */
#define WINDOW     16u /* slots looked at before a larger table is made */
#define MAX_NAME       4096u      /* bytes of a file name or qualified name */
#define MAX_TABLE      (1u << 20) /* bytes of a line table */

/* Multiplicative hashing, Knuth, The Art of Computer Programming, volume 3, 6.4. */
#define GOLDEN_RATIO 0x9e3779b97f4a7c15ull

/* A slot's `code` only changes while its id is ID_PENDING, and by the thread that set that. Slots never
 * become empty again, so a search may end at an empty one. */
struct living {
    uint64_t code; /* 0: empty */
    uint32_t id;
    uint32_t unused;
};
enum { ID_PENDING = 0 };
#define ID_DEAD UINT32_MAX

struct content {
    uint64_t hash; /* 0: empty */
    uint32_t id;   /* 0: not known yet */
    uint32_t unused;
};

/* Tables of slots, made as they are wanted: what finds no room in one goes to the next. */
struct tables {
    size_t slot_size;
    void *table[TABLES];
};

static struct tables living = {.slot_size = sizeof(struct living)};
static struct tables contents = {.slot_size = sizeof(struct content)};

uint64_t python_codes_marks[PYTHON_CODES_MARKS];
uint64_t python_codes_changes;

typedef void (*dealloc_function)(void *object);
static dealloc_function real_dealloc;

struct text {
    const char *bytes;
    size_t size;
};

static size_t table_bytes(const struct tables *tables, unsigned table)
{
    return tables->slot_size << (FIRST_BITS + table);
}

/* The number of the first table that is not there. */
static unsigned table_count(const struct tables *tables)
{
    unsigned count = 0;
    while (count < TABLES && __atomic_load_n(&tables->table[count], __ATOMIC_ACQUIRE))
        count++;
    return count;
}

/* The loser of a race gives its memory back. */
static bool table_make(struct tables *tables, unsigned table)
{
    void *none = NULL, *slots = table < TABLES ? sys_memory(table_bytes(tables, table)) : NULL;
    if (!slots)
        return false;
    if (!__atomic_compare_exchange_n(&tables->table[table], &none, slots, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        sys_munmap(slots, table_bytes(tables, table));
    return true;
}

/* What takes new ones, or NULL: there is no memory for the first. */
static void *newest_table(struct tables *tables, unsigned *ret_table)
{
    unsigned count = table_count(tables);
    if (count == 0 && table_make(tables, 0))
        count = 1;
    *ret_table = count - 1;
    return count == 0 ? NULL : tables->table[count - 1];
}

static void *slot_of(const struct tables *tables, unsigned table, uint64_t hash, unsigned index)
{
    uint64_t place = ((hash >> (64 - FIRST_BITS - table)) + index) & (((uint64_t)1 << (FIRST_BITS + table)) - 1);
    return (char *)tables->table[table] + place * tables->slot_size;
}

static struct living *living_slot(unsigned table, uint64_t code, unsigned index)
{
    return slot_of(&living, table, code * GOLDEN_RATIO, index);
}

static uint32_t living_find_in(unsigned table, uint64_t code)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        struct living *slot = living_slot(table, code, i);
        uint64_t found = __atomic_load_n(&slot->code, __ATOMIC_ACQUIRE);
        if (found == 0)
            return 0;
        if (found != code)
            continue;
        uint32_t id = __atomic_load_n(&slot->id, __ATOMIC_ACQUIRE);
        /* Read again: a dead slot may have been given to another code object in between. */
        if (id != ID_PENDING && id != ID_DEAD && __atomic_load_n(&slot->code, __ATOMIC_RELAXED) == code)
            return id;
    }
    return 0;
}

static uint32_t living_find(uint64_t code)
{
    uint32_t id = 0;
    for (unsigned table = table_count(&living); id == 0 && table-- > 0;)
        id = living_find_in(table, code);
    return id;
}

/* Makes the slot this thread's own, with id ID_PENDING. */
static bool living_claim(struct living *slot, uint64_t code)
{
    uint64_t empty = 0;
    uint32_t dead = ID_DEAD;
    if (__atomic_compare_exchange_n(&slot->code, &empty, code, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return true;
    if (!__atomic_compare_exchange_n(&slot->id, &dead, ID_PENDING, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    __atomic_store_n(&slot->code, code, __ATOMIC_RELEASE);
    return true;
}

static bool living_add_to(unsigned table, uint64_t code, uint32_t id)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        struct living *slot = living_slot(table, code, i);
        if (living_claim(slot, code)) {
            __atomic_store_n(&slot->id, id, __ATOMIC_RELEASE);
            return true;
        }
    }
    return false;
}

/* Two threads may both enter the same code object: that costs a slot and does no harm. */
static void living_add(uint64_t code, uint32_t id)
{
    unsigned table;
    if (newest_table(&living, &table) && !living_add_to(table, code, id) && table_make(&living, table + 1))
        living_add_to(table + 1, code, id);
}

static bool living_kill_in(unsigned table, uint64_t code)
{
    bool killed = false;
    for (unsigned i = 0; i < WINDOW; i++) {
        struct living *slot = living_slot(table, code, i);
        uint64_t found = __atomic_load_n(&slot->code, __ATOMIC_ACQUIRE);
        if (found == 0)
            break;
        uint32_t id = __atomic_load_n(&slot->id, __ATOMIC_ACQUIRE);
        if (found != code || id == ID_PENDING || id == ID_DEAD)
            continue;
        __atomic_store_n(&slot->id, ID_DEAD, __ATOMIC_RELEASE);
        killed = true;
    }
    return killed;
}

static bool living_kill(uint64_t code)
{
    bool killed = false;
    for (unsigned table = table_count(&living); table-- > 0;)
        killed = living_kill_in(table, code) || killed;
    return killed;
}

static void watched_dealloc(void *object)
{
    uint64_t code = (uint64_t)object;
    if (living_kill(code)) {
        __atomic_fetch_add(python_codes_mark_slot(code), GOLDEN_RATIO, __ATOMIC_RELAXED);
        __atomic_fetch_add(&python_codes_changes, 1, __ATOMIC_RELAXED);
    }
    real_dealloc(object);
}

bool python_codes_watch(const struct python_runtime *runtime)
{
    dealloc_function *slot = (dealloc_function *)(runtime->code_type + PYTHON_TYPE_DEALLOC);
    dealloc_function current = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    uint64_t address = (uint64_t)current;
    if (current == watched_dealloc)
        return true;
    /* Somebody else's wrapper may lead to ours: to put ours in front again would be a circle. */
    if (address < runtime->module.start || address >= runtime->module.end)
        return real_dealloc != NULL;
    __atomic_store_n(&real_dealloc, current, __ATOMIC_RELEASE);
    __atomic_store_n(slot, watched_dealloc, __ATOMIC_RELEASE);
    return true;
}

void python_codes_unwatch(const struct python_runtime *runtime)
{
    dealloc_function *slot = (dealloc_function *)(runtime->code_type + PYTHON_TYPE_DEALLOC), ours = watched_dealloc;
    if (real_dealloc)
        __atomic_compare_exchange_n(slot, &ours, real_dealloc, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The slot of these contents, or an empty one for them; NULL: there is neither in this table. */
static struct content *content_slot_in(unsigned table, uint64_t hash)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        struct content *slot = slot_of(&contents, table, hash * GOLDEN_RATIO, i);
        uint64_t found = __atomic_load_n(&slot->hash, __ATOMIC_ACQUIRE);
        if (found == 0 || found == hash)
            return slot;
    }
    return NULL;
}

static struct content *content_find(uint64_t hash)
{
    for (unsigned table = table_count(&contents); table-- > 0;) {
        struct content *slot = content_slot_in(table, hash);
        if (slot && __atomic_load_n(&slot->hash, __ATOMIC_ACQUIRE) == hash)
            return slot;
    }
    return NULL;
}

/* Puts the hash where there is room for it in the newest table, or in one more. NULL: nowhere. */
static struct content *content_add(uint64_t hash)
{
    unsigned table;
    if (!newest_table(&contents, &table))
        return NULL;
    struct content *slot = content_slot_in(table, hash);
    if (!slot && table_make(&contents, table + 1))
        slot = content_slot_in(table + 1, hash);
    uint64_t empty = 0;
    bool claimed = slot && (__atomic_compare_exchange_n(&slot->hash, &empty, hash, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
                            empty == hash);
    return claimed ? slot : NULL;
}

/* 64 bits of the bytes: eight at a time, each step a multiplication and a fold, as in the wyhash family. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *cursor = bytes;
    hash ^= size;
    while (size > 0) {
        uint64_t word = 0;
        size_t step = size < 8 ? size : 8;
        memcpy(&word, cursor, step);
        unsigned __int128 product =
            (unsigned __int128)(hash ^ word ^ 0xa0761d6478bd642full) * 0xe7037ed1a0b428dbull;
        hash = (uint64_t)product ^ (uint64_t)(product >> 64);
        cursor += step;
        size -= step;
    }
    return hash;
}

/* How many bytes of UTF-8 the character takes; what cannot stand in a NUL-ended UTF-8 string is replaced. */
static size_t utf8_encode(uint32_t character, char out[4])
{
    if (character == 0 || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
        character = 0xfffd;
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    size_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    out[0] = (char)(lead[size] | character);
    return size;
}

static size_t utf8_from(const void *characters, size_t length, unsigned width, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t character = width == 1   ? ((const uint8_t *)characters)[i]
                             : width == 2 ? ((const uint16_t *)characters)[i]
                                          : ((const uint32_t *)characters)[i];
        char encoded[4];
        size_t step = utf8_encode(character, encoded);
        if (size + step > MAX_NAME)
            break;
        memcpy(out + size, encoded, step);
        size += step;
    }
    return size;
}

/* Scratch for the names that are not ASCII, two of MAX_NAME bytes: too much for the stack of a signal
 * handler. */
static char *scratch_open(void)
{
    return sys_memory(2 * MAX_NAME);
}

static void scratch_close(char *scratch)
{
    if (scratch)
        sys_munmap(scratch, 2 * MAX_NAME);
}

static bool is_of_type(uint64_t object, uint64_t type)
{
    return object != 0 && object % 8 == 0 && python_word(object + PYTHON_OBJECT_TYPE) == type;
}

static bool is_compact_ascii(uint64_t object)
{
    return (python_int(object + PYTHON_UNICODE_STATE) & 0x60) == 0x60;
}

/* Text of a str, in place where it is ASCII, else in `scratch` (which may be NULL: then "?"). */
static struct text text_of(const struct python_runtime *runtime, uint64_t object, char *scratch)
{
    struct text unknown = {"?", 1};
    if (!is_of_type(object, runtime->unicode_type))
        return unknown;
    uint64_t length = python_word(object + PYTHON_UNICODE_LENGTH);
    length = length > MAX_NAME ? MAX_NAME : length;
    uint32_t state = python_int(object + PYTHON_UNICODE_STATE);
    if (is_compact_ascii(object)) {
        const char *bytes = (const char *)(object + runtime->layout.ascii_size);
        const char *nul = memchr(bytes, 0, length);
        return (struct text){bytes, nul ? (size_t)(nul - bytes) : length};
    }
    unsigned width = state >> 2 & 7;
    if (!scratch || !(state & 0x20) || (width != 1 && width != 2 && width != 4))
        return unknown;
    const void *characters = (const void *)(object + runtime->layout.compact_size);
    return (struct text){scratch, utf8_from(characters, length, width, scratch)};
}

static struct text table_of(const struct python_runtime *runtime, uint64_t object)
{
    if (!is_of_type(object, runtime->bytes_type))
        return (struct text){"", 0};
    uint64_t size = python_word(object + PYTHON_VAROBJECT_SIZE);
    return (struct text){(const char *)(object + PYTHON_BYTES_DATA), size > MAX_TABLE ? MAX_TABLE : size};
}

static uint32_t define(const struct stray_def_code *head, struct text filename, struct text name,
                       struct text table)
{
    uint64_t hash = hash_bytes(head->first_line, filename.bytes, filename.size);
    hash = hash_bytes(hash, name.bytes, name.size);
    hash = hash_bytes(hash, table.bytes, table.size) | 1; /* 0 is an empty slot */
    struct content *known = content_find(hash);
    if (!known)
        known = content_add(hash);
    uint32_t id = known ? __atomic_load_n(&known->id, __ATOMIC_ACQUIRE) : 0;
    if (id != 0)
        return id;
    char nul = 0;
    const struct iovec parts[] = {
        {(void *)(uintptr_t)head, sizeof(*head)},
        {(void *)(uintptr_t)filename.bytes, filename.size},
        {&nul, 1},
        {(void *)(uintptr_t)name.bytes, name.size},
        {&nul, 1},
        {(void *)(uintptr_t)table.bytes, table.size},
    };
    id = defs_add(STRAY_DEF_CODE, parts, sizeof(parts) / sizeof(parts[0]));
    if (known && id != 0)
        __atomic_store_n(&known->id, id, __ATOMIC_RELEASE);
    return id;
}

static uint32_t define_code(const struct python_runtime *runtime, uint64_t code)
{
    const struct python_layout *layout = &runtime->layout;
    uint64_t filename = python_word(code + layout->code_filename),
             name = python_word(code + layout->code_name);
    bool plain = is_of_type(filename, runtime->unicode_type) && is_compact_ascii(filename) &&
                 is_of_type(name, runtime->unicode_type) && is_compact_ascii(name);
    char *scratch = plain ? NULL : scratch_open();
    struct text filename_text = text_of(runtime, filename, scratch);
    struct text name_text = text_of(runtime, name, scratch ? scratch + MAX_NAME : NULL);
    struct text table = table_of(runtime, python_word(code + layout->code_table));
    struct stray_def_code head = {
        .first_line = python_int(code + layout->code_first_line),
        .minor = layout->minor,
        .table_size = (uint32_t)table.size,
        .name_size = (uint32_t)name_text.size,
    };
    uint32_t id = define(&head, filename_text, name_text, table);
    scratch_close(scratch);
    return id;
}

uint32_t python_codes_id(const struct python_runtime *runtime, uint64_t code)
{
    uint32_t id = living_find(code);
    if (id != 0)
        return id;
    /* One without references is being destroyed: its names may be gone already. */
    if (!is_of_type(code, runtime->code_type) || python_word(code + PYTHON_OBJECT_REFCOUNT) == 0)
        return 0;
    id = define_code(runtime, code);
    if (id != 0)
        living_add(code, id);
    return id;
}

/* Whether the str at `object` is `text`, or ends with it, without a fault where nothing is. */
static bool text_ends(const struct python_runtime *runtime, uint64_t object, const char *text, bool whole)
{
    size_t size = strlen(text), header = runtime->layout.ascii_size;
    uint64_t length = 0;
    char end[32];
    if (sys_peek(&length, (const void *)(object + PYTHON_UNICODE_LENGTH), sizeof(length)) != sizeof(length) ||
        size > sizeof(end) || length < size || (whole && length != size))
        return false;
    return sys_peek(end, (const void *)(object + header + length - size), size) == (ssize_t)size &&
           memcmp(end, text, size) == 0;
}

bool python_codes_named(const struct python_runtime *runtime, uint64_t code, const char *name, const char *file)
{
    uint64_t its_name, its_file, type;
    const struct python_layout *layout = &runtime->layout;
    return sys_peek(&type, (const void *)(code + PYTHON_OBJECT_TYPE), 8) == 8 && type == runtime->code_type &&
           sys_peek(&its_name, (const void *)(code + layout->code_name), 8) == 8 &&
           sys_peek(&its_file, (const void *)(code + layout->code_filename), 8) == 8 &&
           text_ends(runtime, its_name, name, true) && text_ends(runtime, its_file, file, false);
}

static void forget_tables(const struct tables *tables)
{
    for (unsigned table = table_count(tables); table-- > 0;)
        if (sys_madvise(tables->table[table], table_bytes(tables, table), MADV_DONTNEED) != 0)
            memset(tables->table[table], 0, table_bytes(tables, table));
}

void python_codes_forget(void)
{
    forget_tables(&living);
    forget_tables(&contents);
}
