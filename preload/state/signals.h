/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The moment at which somebody asked the program to end. A program that handles SIGTERM or SIGINT is given a handler of
 * ours that records the signal and calls the program's own, with what the kernel handed over. The program never sees ours.
 *
 * A handler of the program has one of ours for good, so nothing that changes is read while a signal arrives, and a vfork
 * child that sets handlers changes nothing of its parent's. Thread and signal safe.
 */
#ifndef STRAY_PRELOAD_SIGNALS_H
#define STRAY_PRELOAD_SIGNALS_H

#include <stdbool.h>

/* What to install for `handler` of the program: a handler, SIG_DFL or SIG_IGN. The same where nothing is to be recorded. */
void *signals_outer(int signal, void *handler);
/* What the program takes the installed `handler` for. */
void *signals_inner(void *handler);

/* Whether `signal` kills a process that has done nothing about it. Asks the kernel. */
bool signals_deadly(int signal);

#endif
