/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the seccomp filters of a process let pass what is made to happen in it: asked of the filters, not tried. */
#ifndef STRAY_ATTACH_SECCOMP_H
#define STRAY_ATTACH_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

/* What a filter says to a system call: SECCOMP_RET_*. A program that makes no sense kills. */
uint32_t seccomp_run(const struct sock_filter *program, size_t count, const struct seccomp_data *data);

/* 0, or the reason why not. Its main thread is stopped for the moment in which its filters are read. */
int seccomp_check(pid_t pid, struct error *error);

#endif
