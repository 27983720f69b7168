/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions behind the hooks. Those of libc are the next definition after ours, found once; in a program that was running
 * already, the first one that there is. Those of libpq are the
 * ones that the calling object would have reached without us: with libpq loaded privately by an extension module, or two
 * of them in one process, there is no single "next" one. See docs/INTERPOSITION.md.
 */
#ifndef STRAY_PRELOAD_REAL_H
#define STRAY_PRELOAD_REAL_H

#include <stdbool.h>
#include <stdint.h>

#include "arch.h"
#include "hooks/prototypes.h"

struct real {
#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size) ret(*name) params;
#include "stray/hooks.def"
#undef HOOK
};

extern struct real real ARCH_NEAR;

/* Fills `real` for libc's functions. May be called again; not signal safe before it has succeeded once. */
void real_init(void);

/* Whether this library was loaded into a program that was running already, and so stands before nobody. Not signal safe. */
bool real_came_late(void);

/* While real_init() is at work, the dynamic linker may allocate: from here. The blocks are never returned. */
#define REAL_BOOT_SIZE (16u << 10)
extern char real_boot[REAL_BOOT_SIZE] ARCH_NEAR;
void *real_boot_memory(size_t size);
static inline bool real_is_boot_memory(const void *block)
{
    return (uintptr_t)block - (uintptr_t)real_boot < REAL_BOOT_SIZE;
}

/* libc's `name`, also before real_init(). */
#define REAL(name) (__builtin_expect(real.name != NULL, 1) ? real.name : (real_init(), real.name))

/* What one libpq offers beyond the hooked functions; a NULL member: that libpq is too old. */
struct libpq {
    int (*PQsocket)(const PGconn *);
    int (*PQstatus)(const PGconn *);
    int (*PQtransactionStatus)(const PGconn *);
    char *(*PQhost)(const PGconn *);
    char *(*PQport)(const PGconn *);
    char *(*PQdb)(const PGconn *);
    char *(*PQuser)(const PGconn *);
    size_t (*PQresultMemorySize)(const PGresult *);
    int (*PQresultStatus)(const PGresult *);
    int (*PQntuples)(const PGresult *);
    char *(*PQcmdTuples)(PGresult *);
    char *(*PQresultErrorField)(const PGresult *, int field);
};

struct libpq_call {
    void *function;            /* NULL: the caller's libpq has none of that name */
    const struct libpq *libpq; /* never NULL */
    bool inner;                /* the caller is libpq itself: the outer call may have come by a way that no hook sees */
};

/* The real function for hook `id`, called `name`, when called from `caller`. Cached by call site. */
struct libpq_call real_libpq(unsigned id, const char *name, const void *caller);
/* The same for a call inside another one of libpq, of which nothing but the function is wanted: NULL for none. One that libpq has not made
 * itself, but something that it has called back, leaves the thread without thread_self.libpq_call. */
void *real_libpq_function(unsigned id, const char *name, const void *caller);
/* Whether a call of `name` from `caller` would reach any function. Not signal safe, like the next. */
bool real_libpq_exists(const char *name, const void *caller);
/* What the object that defines `function` offers; without PQstatus, it is no libpq. Never NULL. */
const struct libpq *real_library_of(const void *function);
/* Forgets the call sites: some object was unloaded. */
void real_libpq_forget(void);

#endif
