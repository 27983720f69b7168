/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A terminal's other screen, drawn again and again. Whatever ends the process gives the terminal back as it was: its return,
 * exit(), and signals that end programs; only SIGKILL does not. SIGTSTP gives it back until SIGCONT.
 *
 * There is one screen a process. Not thread safe.
 */
#ifndef STRAY_COMMANDS_SCREEN_H
#define STRAY_COMMANDS_SCREEN_H

#include <stdbool.h>

/* Standard output, which must be a terminal. */
void screen_begin(void);
void screen_end(void);
/* Shows `text`, cut to the terminal's size; lines may hold sequences that colour them. */
void screen_show(const char *text);
/* Waits for `seconds`, or until a key is pressed or the size changes. What came. */
enum screen_event { SCREEN_NOTHING, SCREEN_QUIT, SCREEN_REDRAW };
enum screen_event screen_wait(double seconds);

#endif
