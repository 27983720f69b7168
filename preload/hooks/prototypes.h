/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wrappers' prototypes, from the hook table. Each is a C function stray_hook_NAME whose exported symbol is NAME, so
 * that the headers' own declarations of NAME do not get in the way.
 */
#ifndef STRAY_PRELOAD_PROTOTYPES_H
#define STRAY_PRELOAD_PROTOTYPES_H

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <threads.h>
#include <time.h>

#include "stray/hooks.h"

struct addrinfo;
struct epoll_event;
struct rusage;
struct termios;
struct winsize;
typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;
typedef void stray_signal_handler(int signal);
typedef struct pg_cancel PGcancel;
typedef struct pg_cancel_conn PGcancelConn;
typedef struct pg_conninfo_option PQconninfoOption;
typedef struct pg_notify PGnotify;
struct io_uring;
struct io_uring_params;
typedef int stray_main(int argc, char **argv, char **environment);

#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size)                      \
    ret stray_hook_##name params __asm__(#name) __attribute__((visibility("default")));
#include "stray/hooks.def"
#undef HOOK

#endif
