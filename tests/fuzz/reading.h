/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What fuzz targets of files share: the files, and reading all that a trace hands out. */
#ifndef STRAY_TESTS_READING_H
#define STRAY_TESTS_READING_H

#include <stddef.h>
#include <stdint.h>

struct trace;

/* A name below which this process may make files, in memory; the same each time. */
const char *reading_name(void);
/* Removed when the process ends. At most four names; `path` must last. */
void reading_save(const char *path, const uint8_t *bytes, size_t size);
/* Makes the checksums of a trace's frames right, so that what lies behind them is reached. */
void reading_repair(uint8_t *bytes, size_t size);
/* Follows every pointer, and aborts where events are out of order or stacks a circle. */
void reading_all(struct trace *trace);

#endif
