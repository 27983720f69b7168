/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PGconns of a program that we came late to: one that is used and was not made under the hooks was there before, and is told with
 * its socket when it is met. Thread and signal safe, but for libpq_met_begin().
 */
#ifndef STRAY_PRELOAD_HOOKS_LIBPQ_MET_H
#define STRAY_PRELOAD_HOOKS_LIBPQ_MET_H

#include <stdbool.h>

#include "hooks/prototypes.h"

/* With each trace, none has been met. Until the first one, whoever asks is told that all have been. */
void libpq_met_begin(void);
/* Notes the connection. True: it was not met before. */
bool libpq_met_first(const PGconn *conn);
/* It is gone, and another may come to its address. */
void libpq_met_last(const PGconn *conn);

#endif
