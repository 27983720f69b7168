/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the user asked for, from STRAY_* variables; read once when the program starts, kept over fork, and put back
 * into the environment of what the program executes.
 */
#ifndef STRAY_PRELOAD_SETTINGS_H
#define STRAY_PRELOAD_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "sys.h"
#include "text.h"

enum sql_texts { SQL_NORMALISED, SQL_TEXT, SQL_OFF };
enum python_memory { PYTHON_MEMORY_OFF, PYTHON_MEMORY_SAMPLED, PYTHON_MEMORY_EXACT };

struct settings {
    char folder[PATH_MAX];  /* absolute; where traces go */
    char spool[PATH_MAX];   /* absolute; where spools go; empty: beside the trace */
    uint64_t max_bytes;     /* of one trace; 0: no limit */
    uint64_t interval_ns;   /* between samples */
    uint32_t depth;         /* native frames of a stack */
    uint64_t only;          /* bit per enum stray_resource; all ones: everything */
    bool heap, follow;
    uint64_t sample; /* bytes between two samples of the heap, in the mean; 0: all blocks are recorded, or none */
    uint32_t python_memory; /* enum python_memory */
    uint32_t sql;           /* enum sql_texts: what is kept of statements */
    bool full; /* no short life is told in sum only */
    uint8_t previous_id[16]; /* trace that executed this program; zero: none */
    uint64_t previous_pid;   /* of the process that executed or spawned it; 0: none */
    char previous_spool[PATH_MAX]; /* its spool; empty: none */
};

extern struct settings settings;

/* What an attaching injector says beside the settings: what the files are called that it hands over. */
#define SETTINGS_TRACE_PATH "STRAY_TRACE_PATH="
#define SETTINGS_SPOOL_PATH "STRAY_SPOOL_PATH="

/* Reads the environment block; what it does not say is as if it had never been said. False: not to be traced (a child under --no-follow). */
bool settings_read(char *const *environment);

/* Whether this program runs where the tracer may make no system call: under a filter that an earlier program set up. */
bool settings_silent(char *const *environment);
/* Makes settings_silent() true of whoever inherits `environment`: in place, for it may be the program's own. */
void settings_silence(char *const *environment);
/* The entry that says so, where there is none to change. */
#define SETTINGS_SILENT "STRAY_SILENT="

/* The variables in force ("NAME=value"), to hand on over exec; NULL past the last. */
const char *settings_variable(unsigned index);
/* Whether the value of that variable was none, and a sentence that says so. */
bool settings_mistake(unsigned index, struct text *note);
/* "STRAY_ROOT=PID" where children are left out and nobody but this process has said so, to hand on over exec; NULL: nothing is. */
const char *settings_root(void);
/* The preload list that brought us here ("/path/libstray.so"), first entry that is ours. */
const char *settings_library(void);

#endif
