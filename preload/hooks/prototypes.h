/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wrappers' prototypes, from the hook table. Each is a C function stray_hook_NAME whose exported symbol is NAME, so
 * that the headers' own declarations of NAME do not get in the way.
 */
#ifndef STRAY_PRELOAD_PROTOTYPES_H
#define STRAY_PRELOAD_PROTOTYPES_H

#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "stray/hooks.h"

typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;
struct io_uring;
struct io_uring_params;
typedef int stray_main(int argc, char **argv, char **environment);

#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size)                      \
    ret stray_hook_##name params __asm__(#name) __attribute__((visibility("default")));
#include "stray/hooks.def"
#undef HOOK

#endif
