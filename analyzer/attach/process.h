/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel says of a process, and whether it can be attached to. */
#ifndef STRAY_ATTACH_PROCESS_H
#define STRAY_ATTACH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "error.h"

#define PROCESS_NAME_SIZE 80

struct process_status {
    pid_t pid, group, tracer; /* group: of its threads; tracer: 0 if there is none */
    char state;               /* R, S, D, T, t, Z ... */
    uid_t user;               /* effective */
    unsigned long flags;      /* of the kernel's PF_* */
};

/* 0; -ESRCH: there is none. */
int process_read(pid_t pid, struct process_status *ret_process, struct error *error);

/* 0 if it looks as if it can be attached to; else the reason: itself, ended, a thread of another, stopped, traced, of the kernel, of another
 * processor, not permitted. */
int process_check(const struct process_status *process, struct error *error);

/* Why ptrace() was refused, and what would help. Returns `code`. */
int process_explain(const struct process_status *process, int code, struct error *error);

/* Its children that run now, at most `capacity`; how many are kept. 0 where the kernel does not tell. */
size_t process_children(pid_t pid, pid_t *children, size_t capacity);

/* Whether Go's linker made its program: its runtime makes system calls by itself. */
bool process_is_go(pid_t pid);

/* What traces of it are called, as the shim would call them. */
void process_name(pid_t pid, char name[PROCESS_NAME_SIZE]);

#endif
