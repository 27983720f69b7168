/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pass over one trace's events for views that want more than what is left at its end. */
#ifndef STRAY_VIEWS_PASS_H
#define STRAY_VIEWS_PASS_H

#include "lives/lifetimes.h"

/* Is shown each event right after the lives have taken it in. Negative errno ends the pass. */
typedef int pass_observer(void *data, const struct lives *lives, const struct stray_event *event);

/* What lives_read() does, with an observer. */
int pass_read(struct trace *trace, struct names *names, pass_observer *observer, void *data,
              struct lives **ret_lives, struct error *error);

#endif
