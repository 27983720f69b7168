/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/tempfiles.h"

#include <errno.h>

#include "record/defs.h"
#include "record/emit.h"
#include "settings.h"
#include "sys.h"
#include "text.h"

#define NEAR        3u /* folders between a folder for temporary files and what is made there */
#define ROWS        4096u /* a power of two */
#define PROBES      64u
#define PATHS_MAX   1024u /* definitions of paths in one trace */
#define PATHS_FIRST 256u  /* ... of which so many go to whatever is made first, and the others to what stays */
#define PATHS_TOLD  4u    /* at one sample */
#define ROW_PATH    240

/* Handles that are none. */
#define EMPTY       0u
#define REMOVED     1u
#define CLAIMED     2u
#define HANDLES     3u

/* `count`: one name may be removed by one thread and made again by another before the first has said so. */
struct row {
    uint64_t handle;
    int32_t count;
    uint32_t definition; /* of the path; 0: not told so far */
    char path[ROW_PATH]; /* empty: too long to be looked after */
};

static struct row *table;   /* ROWS of them; NULL: no temporary file was made so far */
static bool crowded;        /* some found no row: what is not there may have been */
static uint32_t defined;    /* paths */
static char chosen[PATH_MAX]; /* TMPDIR; empty: none */

void tempfiles_init(char *const *environment)
{
    for (; *environment; environment++) {
        if (!string_begins(*environment, "TMPDIR=/"))
            continue;
        struct text text = TEXT(chosen);
        text_string(&text, *environment + sizeof("TMPDIR=") - 1);
        while (text.used > 0 && chosen[text.used - 1] == '/')
            chosen[--text.used] = 0;
    }
}

void tempfiles_forget(void)
{
    if (table) /* it stays in place, for who comes late */
        sys_madvise(table, ROWS * sizeof(*table), MADV_DONTNEED);
    crowded = false;
    defined = 0;
}

bool tempfiles_any(void)
{
    return __atomic_load_n(&table, __ATOMIC_ACQUIRE) != NULL;
}

/* ---- names ---- */

static void drop_component(struct text *name)
{
    while (name->used > 0 && name->at[--name->used] != '/')
        ;
    name->at[name->used] = 0;
}

static void add_component(struct text *name, const char *component, size_t length)
{
    if (length == 0 || (length == 1 && component[0] == '.'))
        return;
    if (length == 2 && component[0] == '.' && component[1] == '.') {
        drop_component(name);
        return;
    }
    text_byte(name, '/');
    text_bytes(name, component, length);
}

static void add_components(struct text *name, const char *path)
{
    while (*path) {
        size_t length = 0;
        while (path[length] && path[length] != '/')
            length++;
        add_component(name, path, length);
        path += length + (path[length] == '/');
    }
}

/* Where an open folder, or the working one, lies. False: it cannot be told. */
static bool add_folder(struct text *name, int folder)
{
    char link[32];
    struct text where = TEXT(link);
    text_string(&where, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/");
    if (folder != AT_FDCWD)
        text_number(&where, (uint64_t)(uint32_t)folder);
    ssize_t length = sys_readlink(link, name->at, name->size - 1);
    if (length <= 0 || name->at[0] != '/')
        return false;
    name->used = length == 1 ? 0 : (size_t)length; /* the root is the empty beginning */
    name->at[name->used] = 0;
    return name->used + 2 < name->size;
}

/* The part of `name` that lies below `folder`; NULL: it does not. */
static const char *below(const char *name, const char *folder)
{
    size_t length = string_length(folder);
    return length > 0 && string_begins(name, folder) && name[length] == '/' && name[length + 1] ? name + length + 1 : NULL;
}

static const char *below_any(const char *name)
{
    const char *const folders[] = {chosen, "/tmp", "/var/tmp", "/dev/shm"};
    const char *rest = NULL;
    for (unsigned i = 0; i < sizeof(folders) / sizeof(*folders) && !rest; i++)
        rest = below(name, folders[i]);
    return rest;
}

bool tempfiles_is_near(const char *name, bool folder)
{
    unsigned folders = 0;
    for (const char *at = below_any(name); at && *at; at++)
        folders += *at == '/';
    return folders <= (folder ? 0 : NEAR);
}

uint64_t tempfiles_name(int folder, const char *path, char ret_name[TEMPFILE_PATH])
{
    struct text name = {.at = ret_name, .size = TEMPFILE_PATH};
    ret_name[0] = 0;
    if (path[0] != '/' && !add_folder(&name, folder))
        return 0;
    add_components(&name, path);
    if (name.cut || !below_any(ret_name))
        return 0;
    uint64_t handle = string_hash(ret_name);
    return handle < HANDLES ? HANDLES : handle;
}

/* ---- the table ---- */

static struct row *table_made(void)
{
    struct row *made = sys_memory(ROWS * sizeof(*made)), *none = NULL;
    if (made && !__atomic_compare_exchange_n(&table, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        sys_munmap(made, ROWS * sizeof(*made));
        return none;
    }
    return made;
}

static struct row *row_at(struct row *rows, uint64_t handle, unsigned probe)
{
    return &rows[(handle + probe) & (ROWS - 1)];
}

static struct row *row_find(struct row *rows, uint64_t handle)
{
    for (unsigned i = 0; i < PROBES; i++) {
        struct row *row = row_at(rows, handle, i);
        uint64_t found = __atomic_load_n(&row->handle, __ATOMIC_ACQUIRE);
        if (found == handle)
            return row;
        if (found == EMPTY)
            return NULL;
    }
    return NULL;
}

/* A row that is free, and now the caller's to fill; NULL: none near enough. */
static struct row *row_claim(struct row *rows, uint64_t handle)
{
    for (unsigned i = 0; i < PROBES; i++) {
        struct row *row = row_at(rows, handle, i);
        uint64_t found = __atomic_load_n(&row->handle, __ATOMIC_RELAXED);
        if (found <= REMOVED &&
            __atomic_compare_exchange_n(&row->handle, &found, CLAIMED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return row;
    }
    return NULL;
}

static void row_fill(struct row *row, uint64_t handle, const char *name, uint32_t definition)
{
    struct text path = TEXT(row->path);
    text_string(&path, name);
    if (path.cut)
        row->path[0] = 0;
    row->count = 1;
    row->definition = definition;
    __atomic_store_n(&row->handle, handle, __ATOMIC_RELEASE);
}

/* 0: `limit` paths were defined before. */
static uint32_t define(const char *path, uint32_t limit)
{
    if (__atomic_load_n(&defined, __ATOMIC_RELAXED) >= limit)
        return 0;
    __atomic_fetch_add(&defined, 1, __ATOMIC_RELAXED);
    return defs_string(STRAY_DEF_PATH, path);
}

uint32_t tempfiles_add(uint64_t handle, const char *name)
{
    uint32_t definition = define(name, PATHS_FIRST);
    struct row *rows = tempfiles_any() ? table : table_made();
    struct row *row = rows ? row_find(rows, handle) : NULL;
    if (row)
        __atomic_fetch_add(&row->count, 1, __ATOMIC_ACQ_REL);
    else if (rows && (row = row_claim(rows, handle)))
        row_fill(row, handle, name, definition);
    else
        crowded = true;
    return definition;
}

bool tempfiles_remove(uint64_t handle)
{
    struct row *row = tempfiles_any() ? row_find(table, handle) : NULL;
    if (!row)
        return crowded;
    if (__atomic_sub_fetch(&row->count, 1, __ATOMIC_ACQ_REL) == 0)
        __atomic_store_n(&row->handle, REMOVED, __ATOMIC_RELEASE);
    return true;
}

static bool tell_path(struct row *row, uint64_t handle)
{
    if (row->definition != 0 || (row->definition = define(row->path, PATHS_MAX)) == 0)
        return false;
    emit_now(STRAY_ENDPOINT, STRAY_TEMPFILE, 0, handle, row->definition, 0);
    return true;
}

/* `left`: paths that may still be told. */
static void row_sample(struct row *row, unsigned *left)
{
    uint64_t handle = __atomic_load_n(&row->handle, __ATOMIC_ACQUIRE);
    if (handle < HANDLES || !row->path[0])
        return;
    if (sys_exists(row->path))
        *left -= *left > 0 && tell_path(row, handle);
    else if (__atomic_compare_exchange_n(&row->handle, &handle, REMOVED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        emit_now(STRAY_RECONCILED, STRAY_TEMPFILE, 0, handle, 0, 0);
}

void tempfiles_sample(void)
{
    unsigned left = PATHS_TOLD;
    for (unsigned i = 0; tempfiles_any() && i < ROWS; i++)
        row_sample(&table[i], &left);
}
