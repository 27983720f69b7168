/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One trace: the file of one process incarnation and, where the process left one, its spool. Everything read
 * is validated; nothing in a file can make the reader crash, hang, or allocate without bound.
 *
 * Ownership: a trace owns all memory reachable from it; pointers stay valid until trace_close().
 * Threads: one trace may be used by one thread at a time.
 */
#ifndef STRAY_READ_TRACE_H
#define STRAY_READ_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "stray/format.h"

struct source;

struct module {
    uint64_t start, end, file_offset, bias;
    uint32_t epoch; /* valid from this module epoch on */
    bool gone;      /* from `epoch` on the range is not this module */
    const uint8_t *build_id;
    uint32_t build_id_size;
    const char *path;
};

struct code {
    uint32_t id; /* the definition's id, as in PYTHON nodes */
    uint32_t first_line;
    uint16_t minor;
    const char *filename, *name; /* name: qualified */
    const uint8_t *table;
    uint32_t table_size;
};

/* What the trace says of its process. Unknown: 0 or NULL. */
/* A DEF_STATEMENT. */
struct statement_text {
    uint64_t id;
    uint64_t hash;    /* of the normalised text; the same in every process */
    uint32_t flags;   /* enum stray_statement_flag */
    const char *text; /* normalised, but for STRAY_STATEMENT_RAW */
};

struct process {
    uint32_t pid, parent_pid;
    const char *exe;
    const char *const *command; /* NULL-ended */
    uint64_t start_realtime_ns;
    uint64_t start_monotonic_ns;
    uint64_t start_time; /* event time */
    uint64_t starttime_ticks; /* with the pid, the identity of the process, which execs keep; 0: unknown */
    bool running;        /* the very same process is alive on this host, now */
};

/* What reading found wrong or missing. Known when the trace is open, but for what shows only when a frame is decoded
 * (its lost events, content that belies its checksum): that is added during the first pass of a merge. */
struct damage {
    uint64_t frames_read;
    uint64_t frames_damaged;  /* checksum or content wrong: skipped */
    uint64_t bytes_skipped;   /* searched for the next frame */
    uint64_t offset;          /* of the first frame that is damaged or cut short; 0: none is */
    uint64_t frames_missing;  /* gaps in the lanes' sequence numbers */
    uint64_t events_recovered; /* taken from the spool */
    uint64_t lost_events;     /* counted by the shim as not recorded */
    bool truncated;           /* the file ends inside a frame whose content no spool holds */
    bool header_damaged;      /* the file header's checksum is wrong: pid, ids and flags are unknown (0) */
    bool spool_damaged;       /* a spool is there, but cannot be read as a whole */
    bool complete;            /* none of the above is wrong, and the process's end (or the spool, or the process itself,
                               * still running) is there; events_recovered is nothing wrong */
};

struct trace;

/* Opens the trace at `path`. -ENOENT and friends, -EBADMSG for a file that is no trace or of which nothing can be read,
 * -ENOTSUP for a trace of a newer format. A damaged one opens, with what is wrong in trace_damage(). */
int trace_open(const char *path, struct trace **ret_trace, struct error *error);
/* 0 if that would open something, else as it says; a look at the file's header where that is sound. */
int trace_check(const char *path, struct error *error);
/* NULL is accepted. */
void trace_close(struct trace *trace);

/* Bytes of the trace's file when it was opened. */
uint64_t trace_size(const struct trace *trace);
/* What the spool of the opened trace held, as a spool of its own, in memory: with the first trace_size() bytes of the trace it is
 * the same trace, whatever the process writes since. -ENOENT: there is none that is sound. To be closed by the caller. */
int trace_copy_spool(const struct trace *trace, struct source *ret_source);

const char *trace_path(const struct trace *trace);
const struct stray_file_header *trace_header(const struct trace *trace);
const struct process *trace_process(const struct trace *trace);
const struct damage *trace_damage(const struct trace *trace);

/* Ticks to seconds since the process start; calibrated from the clock pairs in the trace. */
double trace_seconds(const struct trace *trace, uint64_t time);
/* Number of seconds in a difference of event times. */
double trace_span_seconds(const struct trace *trace, uint64_t ticks);

/* So many events were lost, whatever single frames say: of a trace that is not read from its beginning. */
void trace_set_lost(struct trace *trace, uint64_t lost);

/* Time of the last event; 0: there is none. */
uint64_t trace_last_time(const struct trace *trace);

/* Stack table. NULL for an id the trace does not define. A node's parent is always smaller than its id. */
const struct stray_node *trace_node(const struct trace *trace, uint32_t id);
uint32_t trace_node_count(const struct trace *trace); /* largest id */

/* Definitions by id; NULL if there is none of that kind. */
const struct code *trace_code(const struct trace *trace, uint32_t id);
const struct statement_text *trace_statement(const struct trace *trace, uint64_t id);
const char *trace_endpoint(const struct trace *trace, uint64_t id); /* ENDPOINT, DATABASE or PATH text */

/* All module records in the order they were made. */
size_t trace_modules(const struct trace *trace, const struct module **ret_modules);
/* NOTE and OPTION texts. */
size_t trace_notes(const struct trace *trace, const char *const **ret_notes);
size_t trace_options(const struct trace *trace, const char *const **ret_options);
/* Bytes between two samples of the heap, in the mean; 0: its blocks are no samples. */
uint64_t trace_sampled(const struct trace *trace);

/* The trace files below `path`: itself if it is a file, else the *.stray files in the folder, sorted by name.
 * *ret_paths and the strings are freed by paths_free(). -ENOENT also for a folder without traces. */
int trace_find(const char *path, char ***ret_paths, size_t *ret_count, struct error *error);
void paths_free(char **paths, size_t count);

#endif
