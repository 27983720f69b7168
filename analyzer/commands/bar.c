/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/bar.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monotonic.h"
#include "read/progress.h"

#define PATIENCE_MS 1000 /* work that is done by then shows no bar */
#define REDRAW_MS   100
#define CELLS       40
#define LINE        60 /* fits every terminal */

static struct {
    int64_t begun; /* when the first work was told of; 0: not yet */
    int64_t drawn; /* when the bar was drawn last */
    bool visible;
} bar;

static int64_t now_ms(void)
{
    return (int64_t)(monotonic_ns() / 1000000);
}

static void put_line(const char *line)
{
    fprintf(stderr, "\r%-*s", LINE, line);
}

static void erase(void)
{
    if (!bar.visible)
        return;
    put_line("");
    fputc('\r', stderr);
    fflush(stderr);
    bar.visible = false;
}

static void draw(const char *what, uint64_t done, uint64_t whole)
{
    char line[LINE + 1], cells[CELLS + 1];
    double share = whole && done < whole ? (double)done / (double)whole : 1;
    memset(cells, ' ', CELLS);
    memset(cells, '#', (size_t)(share * CELLS));
    cells[CELLS] = '\0';
    snprintf(line, sizeof(line), "%s [%s] %3d %%", what, cells, (int)(share * 100));
    put_line(line);
    fflush(stderr);
    bar.visible = true;
}

static void watch(const char *what, uint64_t done, uint64_t whole)
{
    if (!what) {
        erase();
        return;
    }
    int64_t now = now_ms();
    if (bar.begun == 0)
        bar.begun = now;
    if (now - bar.begun < PATIENCE_MS || now - bar.drawn < REDRAW_MS)
        return;
    bar.drawn = now;
    draw(what, done, whole);
}

void bar_show(void)
{
    const char *term = getenv("TERM");
    if (isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0)
        progress_watch(watch);
}

void bar_yield(void)
{
    if (isatty(STDOUT_FILENO))
        progress_watch(NULL);
}
