/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Findings that somebody knows of and does not want to be told again.
 *
 * The file is LeakSanitizer's: a line "PREFIX:PATTERN", '#' begins a comment line. `leak` is for findings of
 * every kind; the name of a resource or of a verdict is for findings with that one. In a pattern '*' stands
 * for any text, '^' at the beginning and '$' at the end tie it to the whole text; else a part does. It is
 * compared with function, file and module of each frame of the stack, and, but for `leak`, with the peer and
 * the finding's id.
 *
 * A suppression may end: "PREFIX:PATTERN  # until 2026-12-31", or, for a file that LeakSanitizer reads as
 * well, a line
 * "# until 2026-12-31" before it. After that day, in UTC and by the time of the trace's end, it suppresses
 * nothing.
 *
 * Ownership: a struct suppressions owns everything reachable from it. Not thread safe.
 */
#ifndef STRAY_VIEWS_SUPPRESS_H
#define STRAY_VIEWS_SUPPRESS_H

#include "error.h"
#include "views/report.h"

struct suppression {
    const char *text;    /* "PREFIX:PATTERN" */
    const char *pattern; /* its second part */
    const char *file;    /* as it was named */
    unsigned line;
    int resource, verdict; /* -1: any */
    bool frames_only;      /* `leak` */
    const char *until;     /* "2026-12-31"; NULL: for ever */
    uint64_t ends_ns;      /* first moment after it; 0: never */
    size_t used;           /* findings it suppressed */
};

struct suppressions {
    struct suppression *items; /* in the order of the files */
    size_t count, room;
    char **contents; /* of each file */
    size_t file_count;
};

/* Adds those in `content` (with a NUL behind it), which was read from `name`, whose text must last as long. `suppressions` was
 * zeroed at first. -EINVAL for what is no suppression, with the line: then what was added before it stays. */
int suppressions_add(const char *name, const char *content, struct suppressions *suppressions, struct error *error);
void suppressions_clear(struct suppressions *suppressions);

/* The first one that suppresses `finding` at `now_ns`; NULL: none. */
struct suppression *suppressions_find(const struct suppressions *suppressions,
                                      const struct report_finding *finding, uint64_t now_ns);
bool suppression_expired(const struct suppression *suppression, uint64_t now_ns);

/* LeakSanitizer's patterns. Pure. */
bool suppression_matches(const char *pattern, const char *text);

/* A line that suppresses `finding` and others of its resource with the same function; to be freed. NULL
 * without memory. */
char *suppression_for(const struct report_finding *finding);

#endif
