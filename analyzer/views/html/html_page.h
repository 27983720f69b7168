/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The page before and after its data, as embed.py made it of the files beside it. */
#ifndef STRAY_VIEWS_HTML_PAGE_H
#define STRAY_VIEWS_HTML_PAGE_H

#include <stddef.h>

extern const unsigned char html_page_head[], html_page_tail[];
extern const size_t html_page_head_size, html_page_tail_size;

#endif
