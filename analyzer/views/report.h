/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one in-memory report. Everything that text and JSON show stands here; views only render. Building it
 * takes the traces one after the other, so memory is that of the largest, not of all.
 *
 * Ownership: a struct report owns everything reachable from it. Not thread safe.
 */
#ifndef STRAY_VIEWS_REPORT_H
#define STRAY_VIEWS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "lives/lifetimes.h"
#include "names/arena.h"
#include "names/fingerprint.h"
#include "names/texts.h"
#include "verdicts/judge.h"
#include "verdicts/parts.h"

#define REPORT_NONE    SIZE_MAX
#define REPORT_HANDLES 64

struct report_frame {
    const char *function, *file, *module; /* NULL: unknown */
    uint32_t line;                        /* 0: unknown */
    uint64_t offset;                      /* native: where in the module; else 0 */
    uint64_t code;                        /* the same wherever the code lies (names/stacks.h); 0: unknown */
    bool python, user, inlined;
};

struct report_stack {
    struct report_frame *frames; /* innermost first */
    size_t count, blame;
    bool truncated;
};

/* Of what was open when a running process was attached to. */
struct report_before_peer {
    const char *text;
    bool server;
    uint64_t open, closed;
};

struct report_process {
    uint32_t pid, parent_pid;
    const char *exe;
    const char **command;
    size_t command_count;
    uint64_t start_realtime_ns; /* 0: unknown */
    double duration_s;
    const char *end; /* as in JSON */
    bool end_seen;   /* by the process itself, or it still runs */
    bool exit_known;
    uint32_t exit_status;
    uint64_t events, lost_events;
    bool complete;
    struct damage damage;
    struct book books[STRAY_USER_END];
    struct before before;
    struct report_before_peer *before_peers;
    size_t before_peer_count;
    uint8_t trace_id[16], parent_id[16]; /* zero: unknown */
    bool forked;                         /* `parent_id` is the process that forked it */
    bool began;                          /* as a program that was started or executed */
    uint64_t starttime_ticks;            /* the same after an exec; 0: unknown */
    uint64_t start_time, end_time;       /* event times; end_time UINT64_MAX: it is alive */
    uint32_t run;                        /* of report.run_names */
};

/* Of one process: which finding follows from which, as indexes. */
struct report_claim {
    size_t finding, cause;
};

/* Where connections were last used, of one finding. */
struct report_user {
    struct report_frame frame;
    uint64_t count;
    uint32_t run; /* where it was met first */
};

struct report_finding {
    char id[64];
    enum verdict verdict;
    enum severity severity;
    enum confidence confidence;
    unsigned resource;
    const char *message;
    struct report_stack stack;
    const struct report_frame *site; /* in the stack; NULL: unknown */
    uint64_t count, bytes;
    bool estimated;     /* both are, of samples */
    struct tally tally; /* ... what these stand for */
    const char *peer; /* NULL: none */
    bool server;      /* accepted: the peer is the local listening address */
    const char *statement; /* without literals; NULL: none, or not kept */
    const char *call;      /* function that kept an event loop; NULL: it is not about that */
    const char *example; /* path of one of the temporary files it is about; NULL: none */
    struct report_user *users; /* where its connections were last used */
    size_t user_count;
    struct report_frame last_user; /* where most of its connections were last used; counts if last_users > 0 */
    uint64_t last_users;           /* ... so many of them; 0: nowhere, not known, or where they were opened */
    bool rated;
    struct interval rate_per_hour;
    double first_s, last_s;
    struct fact facts[FACTS_MAX];
    size_t fact_count;
    size_t cause; /* index of the finding it follows from, or REPORT_NONE */
    uint32_t *pids;
    size_t pid_count;
    uint32_t *runs; /* where it was found, the first one first */
    size_t run_count;
};

/* Of a forked process: what may be a leak. */
struct report_suspect {
    struct report_finding finding; /* a leak; of no process yet */
    uint64_t certain;              /* see usage_suspect() */
    enum verdict quiet;            /* the word for its place so far */
    uint32_t pid, run;
    uint8_t parent_id[16];
    size_t number; /* in the order in which they came */
};

struct report_site {
    unsigned resource;
    struct report_frame site;
    bool known; /* `site` is */
    const char *peer;
    uint64_t opened, closed, open, bytes_open;
    double first_s, last_s;                         /* acquires, since the process began */
    uint64_t first_realtime_ns, last_realtime_ns;   /* the same by the calendar; 0: unknown */
    bool estimated;            /* all these are, of samples */
    struct tally born, living; /* ... that stand for so many */
    enum verdict verdict;
    uint64_t handles[REPORT_HANDLES]; /* of open ones, where lifetimes are kept */
    size_t handle_count;
    uint32_t *pids;
    size_t pid_count;
    uint32_t *runs; /* where it acquired something, the first one first */
    size_t run_count;
};

/* Where a statement is sent. */
struct report_sender {
    struct report_frame frame;
    bool known; /* `frame` is */
    uint64_t calls;
};

/* What was sent to databases and has one fingerprint. */
struct report_statement {
    char fingerprint[FINGERPRINT_SIZE];
    bool parsed;      /* the fingerprint is PostgreSQL's own; else that of the text */
    const char *text; /* one of them, "?" for literals; NULL: not kept */
    uint64_t calls, errors, rows, bytes, connections;
    double total_s, longest_s;
    uint64_t durations[DURATION_BUCKETS];
    double first_s, last_s;     /* since the process began */
    uint64_t first_ns, last_ns; /* the same by the calendar; 0: unknown */
    struct report_sender *senders;
    size_t sender_count;
    const char **peers; /* it was sent to; of each place and process the last one; of BEGIN and the like all of the process */
    size_t peer_count;
};

struct report_peer {
    const char *text;
    bool server;
    uint64_t open, peak, opened, closed, closed_by_finalizer, close_wait;
    uint64_t limit; /* 0: not known */
};

/* A process that its parent has waited for. */
struct report_death {
    uint64_t realtime_ns;
    uint32_t pid, status, by; /* by: pid of the parent */
    uint32_t run;
};

/* Growth between the first and the last sample. */
struct report_memory {
    bool known;
    bool told_apart; /* parts other than live heap, tracer and the rest are */
    bool heap_known; /* heap blocks were recorded */
    bool objects_known; /* Python's small objects were */
    uint64_t rss_start, rss_end;
    struct parts parts;
    struct slack slack; /* in the arenas of these */
    double span_s; /* how long the process it is about lived */
};

/* A limit that the user knows: of "memory", or of connections to the peer so named. */
struct report_limit {
    const char *name;
    uint64_t value;
};

enum forecast_kind { FORECAST_DESCRIPTORS, FORECAST_MEMORY, FORECAST_CONNECTIONS };

struct report_forecast {
    enum forecast_kind kind;
    uint32_t pid;     /* 0: of all processes */
    const char *peer; /* connections, else NULL */
    uint64_t limit;
    double now;
    struct interval per_hour, seconds; /* seconds: until it is reached, from the end of what was observed */
    const char *message;
};

struct report {
    const char *path; /* as given; several are joined by a space */
    bool complete;
    uint64_t events, lost_events;
    double duration_s;
    enum axis axis;
    uint64_t work; /* done, on that axis */
    struct report_process *processes;
    size_t process_count;
    struct report_finding *findings; /* most severe first, causes before consequences */
    size_t finding_count;
    struct report_claim *claims; /* until all processes have been added */
    size_t claim_count;
    struct report_suspect *suspects; /* until all processes have been added */
    size_t suspect_count;
    struct report_site *sites; /* all of them only if asked for */
    size_t site_count;
    uint64_t quiet[VERDICT_COUNT]; /* places by quiet verdict */
    struct report_peer *peers;
    size_t peer_count;
    bool with_statements; /* they were asked for */
    struct report_statement *statements;
    size_t statement_count;
    struct map statement_rows; /* by the hash of a statement */
    struct report_death *deaths; /* of one parent after the other, each in the order of time */
    size_t death_count;
    struct report_memory memory;
    const struct report_limit *limits; /* the caller's */
    size_t limit_count;
    struct report_forecast *forecasts; /* the soonest first */
    size_t forecast_count;
    struct places *places;   /* one by one (places.h); NULL: not asked for */
    struct kinship *kinship; /* what processes had in common, until report_end() */
    const char **notes; /* what the tracer said it could not see */
    size_t note_count;
    uint64_t heap_sampled; /* the heap's figures are estimates: bytes between two samples, the most of all traces; 0: they are not */
    const char **run_names; /* folders and packed files that the traces are from */
    size_t run_count;
    uint32_t run;         /* of what is added now */
    struct texts texts;   /* of all strings */
    struct arena arena;   /* of small arrays */
    struct arena scratch; /* of stacks, until report_add() has taken those that are needed */
};

/* Where report_add() gets stacks from: names_stack() and a struct names, or a test's own. */
struct report_stacks {
    void *data;
    const struct stack *(*stack)(void *data, uint32_t node); /* never NULL */
};

/* Is shown each process while its trace is open: all its events, then what they came to. */
struct report_visitor {
    void *data;
    lives_observer *event;
    int (*process)(void *data, const struct report_process *process, const struct lives *lives,
                   const struct report_stacks *stacks);
};

struct report_options {
    const char *const *library; /* NULL-ended globs; may be NULL */
    const char *const *mine;
    bool all;                             /* sites with nothing to say as well */
    bool statements;                      /* what was sent to databases, a row for each fingerprint */
    bool places;                          /* places one by one, and how what they acquired came and went */
    const struct report_visitor *visitor; /* may be NULL */
    const char *left_out;                 /* a trace that `given` means and that is not in `paths`, and why; NULL: all are */
    const struct report_limit *limits;    /* must outlive the report */
    size_t limit_count;
};

/* No place acquired often enough to be judged, so that nothing was found out. Of a report with all its processes. */
bool report_too_short(const struct report *report);
/* Reads and judges the traces at `paths` (files, not folders). `given` is what the user called them. */
int report_build(char *const *paths, size_t count, const char *given, const struct report_options *options,
                 struct report **ret_report, struct error *error);
/* The trace of a running process, of which all but the last seconds is read once, and the rest for each report. -ESTALE: that is
 * not possible. */
struct report_live;
int report_live_open(const char *path, double seconds, const struct report_options *options, struct report_live **ret_live);
/* NULL is accepted. */
void report_live_close(struct report_live *live);
/* What report_build() would make of the trace now. It uses up what was read: once, in a forked child. -ESTALE: something has changed
 * that was read before, and `live` is of no use any more. `options` as for report_live_open(), and `given` as for report_build(); no
 * places, limits or visitors. */
int report_live_build(struct report_live *live, const char *given, const struct report_options *options, struct report **ret_report);
/* NULL is accepted. */
void report_free(struct report *report);

/* Whether a finding that has this cause is a part of it: all but small objects that another function acquired, or another line
 * than other memory. Those only came with it, and their line is a hint. */
bool report_belongs(const struct report_finding *finding, const struct report_finding *cause);

/* The number of the run whose traces lie in the folder or packed file of `path`. -ENOMEM. */
int report_run(struct report *report, const char *path, uint32_t *ret_run);

/* The steps of report_build(), for one process after the other. */
int report_begin(const char *given, struct report **ret_report);
/* Places are to be kept one by one. To be called before the first report_add(). -ENOMEM. */
int report_want_places(struct report *report);
int report_add(struct report *report, const struct report_process *process, const struct lives *lives,
               const struct report_stacks *stacks, bool all);
/* Sorts and sums up. Nothing may be added afterwards. */
int report_end(struct report *report);

/* What cannot be known of a process that was attached to: a sentence. */
extern const char report_came_late[];

/* The process ended by `signal`. */
void report_killed_by(struct report_process *process, unsigned signal);
/* Frees what a row of statements has of its own. */
void report_statement_clear(struct report_statement *row);
/* A statement's text as people write it, "?" for literals: to be freed. NULL for NULL, for one that is not kept, and without memory. */
char *report_shown_statement(const char *text);
/* The limit of that name; 0: not known. */
uint64_t report_limit(const struct report *report, const char *name);
/* A piece of a finding's evidence; 0 where it has none of that name. */
double report_fact(const struct report_finding *finding, const char *name);

#endif
