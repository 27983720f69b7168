/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who this process is: its command, without secrets, and the folder its trace goes to.
 */
#ifndef STRAY_PRELOAD_COMMAND_H
#define STRAY_PRELOAD_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* The command's name, fit for a file name. */
void command_put_name(struct text *text);
/* Makes the folder of the settings (default: stray.<command>.<pid> here) if it is missing; absolute from then on. */
bool command_find_folder(void);
/* Adds the PROCESS definition. */
void command_define(uint32_t parent_pid);

#endif
