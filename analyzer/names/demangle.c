/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/demangle.h"

#include <libiberty/demangle.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* libiberty also knows D, Ada and others, whose schemes plain C names can match by accident. */
static bool is_mangled(const char *name)
{
    return strncmp(name, "_Z", 2) == 0 || strncmp(name, "_R", 2) == 0 || strncmp(name, "___Z", 4) == 0;
}

/* Rust's older scheme is one of C++'s, too. Not cplus_demangle(): of the schemes that only it knows some end the process where
 * memory runs out. */
static char *plain_name(const char *name)
{
    char *plain = rust_demangle(name, DMGL_NO_OPTS);
    return plain ? plain : cplus_demangle_v3(name, DMGL_NO_OPTS);
}

/* Removes every "[abi:...]" and " [clone ...]", in place. */
static void drop_marks(char *name)
{
    static const char *const marks[] = {"[abi:", " [clone "};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        char *mark;
        while ((mark = strstr(name, marks[i]))) {
            char *end = strchr(mark, ']');
            if (!end)
                break;
            memmove(mark, end + 1, strlen(end + 1) + 1);
        }
    }
}

static size_t length_without_suffix(const char *name)
{
    static const char *const suffixes[] = {".part.", ".isra.",     ".constprop.", ".cold",
                                           ".llvm.", ".lto_priv.", ".localalias", "@"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        const char *suffix = strstr(name, suffixes[i]);
        if (suffix && suffix != name && (size_t)(suffix - name) < length)
            length = (size_t)(suffix - name);
    }
    return length;
}

const char *demangle(struct arena *arena, const char *name)
{
    char *plain = is_mangled(name) ? plain_name(name) : NULL;
    const char *result;
    if (plain) {
        drop_marks(plain);
        result = arena_copy(arena, plain, strlen(plain));
        free(plain);
    } else {
        size_t length = length_without_suffix(name);
        result = name[length] ? arena_copy(arena, name, length) : name;
    }
    return result ? result : name;
}
