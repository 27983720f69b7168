/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command would execute, and whether a preloaded library would get into it; and which process is meant. */
#ifndef STRAY_COMMANDS_TARGET_H
#define STRAY_COMMANDS_TARGET_H

#include <sys/types.h>

#include "error.h"

/* The file that `name` means, searched in PATH like execvp: *ret_path is freed by the caller. -ENOENT;
 * -EACCES where something is found that cannot be executed; -ENOMEM. */
int target_find(const char *name, char **ret_path, struct error *error);

/* 0 if the program at `path`, or the interpreter of the script there, can be traced; else the reason: -ENOTSUP
 * for one that ignores a preloaded library (static, setuid) or is not traced with one (built with a sanitizer), -ELIBBAD for one whose loader would choke on it
 * (32-bit, musl, of another machine). What cannot be read is not refused. */
int target_check(const char *path, struct error *error);

/* The one PID on the rest of a command line, from argv[optind] on. STATUS_DONE, or another status after saying why. */
int target_pid(int argc, char **argv, pid_t *ret_pid);

/* Whether that process can be attached to, as far as one can see from here. STATUS_DONE, or STATUS_REFUSED after saying why. */
int target_check_process(pid_t pid);

#endif
