/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of the report for people, in their order; the findings stand between head and tables. */
#ifndef STRAY_VIEWS_TEXT_PARTS_H
#define STRAY_VIEWS_TEXT_PARTS_H

#include "views/text_lines.h"

/* Who was traced, for how long; what is missing. `verb` is who speaks. */
void text_heading(const struct page *page, const char *verb);
/* What was open before it was attached to. */
void text_before(const struct page *page);
/* Whether anything leaks, and when it will run out. */
void text_answer(const struct page *page);

/* What an event loop ran, where a finding's place is the line that runs the loop. */
void text_loop(const struct page *page, const struct report_finding *finding);

void text_processes(const struct page *page);
/* Where resident memory went. */
void text_memory(const struct page *page);
void text_connections(const struct page *page);
void text_sites(const struct page *page);
/* What only looks like a leak. */
void text_quiet(const struct page *page);

#endif
