/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the report for people is made of: lines that are never too wide and command no terminal, rows of parts, and how a
 * frame is called. Texts are cut to `size`. */
#ifndef STRAY_VIEWS_TEXT_LINES_H
#define STRAY_VIEWS_TEXT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "views/report.h"
#include "views/text.h"

#define BOLD_RED    "\033[1;31m"
#define BOLD_YELLOW "\033[1;33m"
#define BOLD        "\033[1m"

struct page {
    const struct report *report;
    const struct text_options *options;
    FILE *out;
};

/* Puts a line, cut to TEXT_WIDTH; `style` is a sequence that colours, or NULL. */
void text_put(const struct page *page, const char *style, const char *line);
void text_line(const struct page *page, const char *style, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Text that grows part by part and is put as one line; a part that would not fit goes to the next one. */
struct row {
    const struct page *page;
    const char *indent;
    char text[1024];
};

void row_begin(struct row *row, const struct page *page, const char *indent, const char *start);
/* `separator` is left out where the part begins a line. */
void row_add(struct row *row, const char *separator, const char *part);
/* Word by word: a sentence may take more than one line. */
void row_words(struct row *row, const char *separator, const char *sentence);
/* An empty row is no line. */
void row_end(struct row *row);

/* "?" for NULL. */
const char *text_base_name(const char *path);
/* "~" before a figure that was made of samples, else "". */
const char *text_mark(bool estimated);
/* The end of a path says more than its beginning. */
const char *text_tail(const char *path, size_t columns);
/* How many blanks fill up the columns behind `text`, which may be shown escaped. */
int text_blank(const char *text, size_t columns);
void text_name_frame(const struct report_frame *frame, char *text, size_t size);
/* With file and line, where they are known. */
void text_frame(const struct report_frame *frame, char *text, size_t size);

#endif
