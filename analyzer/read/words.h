/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words for what stands in traces as a number, as the merge hands it out. All strings stay; unknown numbers give NULL.
 */
#ifndef STRAY_READ_WORDS_H
#define STRAY_READ_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "stray/format.h"
#include "stray/hooks.h"

/* What findings may be about besides the resources of a trace: names of prepared statements, which no event opens. */
#define RESOURCE_PREPARED ((unsigned)STRAY_USER_END)

const char *action_word(unsigned action);
const char *resource_label(unsigned resource);
const char *hook_name(unsigned hook);

/* What a handle of a known resource is; false for an unknown one. */
bool resource_key(unsigned resource, enum stray_key *ret_key);

/* The id of the definition that the event's value names; 0: none. */
uint64_t endpoint_in(const struct stray_event *event);

#endif
