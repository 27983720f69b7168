/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line on the terminal that says how far long work has come. */
#ifndef STRAY_COMMANDS_BAR_H
#define STRAY_COMMANDS_BAR_H

/* From here on reading that takes longer than a second shows a bar on standard error, where that is a terminal that can
 * go back to the beginning of a line. It is gone before anything else is written. No colours, no escape sequences. */
void bar_show(void);
/* For a verb whose output comes while it reads: no bar if standard output is a terminal as well. */
void bar_yield(void);

#endif
