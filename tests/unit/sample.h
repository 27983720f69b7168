/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traces that several tests want, and a folder to keep them in. */
#ifndef STRAY_TEST_SAMPLE_H
#define STRAY_TEST_SAMPLE_H

#include "read/trace.h"
#include "trace_writer.h"

/* A small trace of everything: two lanes, three threads, all kinds of definitions, Python and native nodes, a
 * late event. Complete and sound. */
struct trace_writer *sample_trace(void);
/* The same as the shim writes it now, in GROUPED and INDEXED frames. */
struct trace_writer *sample_grouped(void);
/* The same without its end: half of the events still wait in the spool. */
struct trace_writer *sample_unfinished(void);
/* The tiny trace of FORMAT.md's annotated dump. */
struct trace_writer *sample_tiny(void);

/* A new folder, the same during one test; removed with all it holds when the test's process ends. */
const char *sample_folder(void);
/* `name` in it; valid until the next call but seven. */
const char *sample_path(const char *name);

/* Saves it as `name` in that folder and opens it; a failure to do so ends the test. To be closed. */
struct trace *sample_open(const struct trace_writer *writer, const char *name);
/* The events that can be read of it. */
uint64_t sample_events(struct trace *trace);

/* All that can be observed of the trace at `path`, as text to be freed; of one that cannot be opened: the
 * error. */
char *sample_describe(const char *path);

/* Runs a verb with `arguments` (NULL-ended, the first its name) in a process of its own, whose standard
 * output goes to `output`, or where that is NULL is caught in *ret_output; returns its exit status, or -1 if
 * it crashed. The caught texts are to be freed. */
int sample_run(int (*command)(int argc, char **argv), const char *const *arguments, const char *output,
               char **ret_output, char **ret_errors);

/* The contents of a file, with a NUL behind them; to be freed. NULL: it cannot be read. */
char *sample_read(const char *path, size_t *ret_size);

#endif
