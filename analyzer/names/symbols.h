/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses in object files to functions, files and lines. An object file is used only if its build-id is
 * the one the trace recorded; of one that was replaced since, nothing is said rather than something wrong.
 * Separate debug files are found where GDB looks for them (.gnu_debuglink, /usr/lib/debug/.build-id), and by
 * debuginfod only if the user set DEBUGINFOD_URLS. Files are opened when an address in them is first asked
 * for, and every answer is kept.
 *
 * Ownership: everything belongs to the `struct symbols`. Not thread safe.
 */
#ifndef STRAY_NAMES_SYMBOLS_H
#define STRAY_NAMES_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names/image.h"
#include "names/python_types.h"

struct symbol {
    const char *function; /* NULL: unknown */
    const char *file;     /* NULL: unknown */
    uint32_t line;        /* 0: unknown */
};

/* What is at an address: the function it belongs to last, the functions inlined there before it. */
struct location {
    struct symbol *symbols;
    size_t count;            /* at least 1 */
    uint64_t function_start; /* of the last one, in the file's terms; 0: unknown */
    bool role_known;         /* see object_role() */
    enum python_role role;
};

struct symbols;
struct object;

int symbols_open(struct symbols **ret_symbols);
void symbols_close(struct symbols *symbols);

/* The object file of a module. `build_id_size` 0: the trace knows none, the file is taken as it is. NULL only
 * without memory; a file that cannot be used gives an object that locates nothing. */
struct object *symbols_object(struct symbols *symbols, const char *path, const uint8_t *build_id,
                              size_t build_id_size);

/* `offset`: address as in the file's program headers. NULL only without memory. */
const struct location *object_locate(struct object *object, uint64_t offset);
/* What CPython uses the function at `offset` for; NONE also without memory. */
enum python_role object_role(struct object *object, uint64_t offset);
/* The file itself (its debug file does not do); NULL if it is not the one traced, or is gone. */
const struct image *object_image(struct object *object);
/* The Python types in it; NULL: without memory, or no image. */
const struct python_types *object_types(struct object *object);

/* Gives an answer beforehand, as packed files do: it is used in the place of the object file's own. The location is copied,
 * its texts included. -ENOMEM. An answer that is there already stays. */
int object_teach(struct object *object, uint64_t offset, const struct location *location);

/* All object files asked about, from the first to the last, and of each the answers that say something, by offset. */
struct answer {
    uint64_t offset;
    const struct location *location;
};
const struct object *symbols_first(const struct symbols *symbols);
const struct object *symbols_next(const struct object *object);
const char *object_path(const struct object *object);
const uint8_t *object_build_id(const struct object *object, size_t *ret_size);
/* *ret_answers is freed by the caller. -ENOMEM. */
int object_answers(const struct object *object, struct answer **ret_answers, size_t *ret_count);

#endif
