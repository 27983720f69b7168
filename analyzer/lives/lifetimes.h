/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From time-ordered events to figures: per resource (books), per place of birth (sites), and, for
 * connections, sockets, files and PGconns, per lifetime. One pass; memory grows with what is open, with sites
 * and with the lifetimes of connections and PGconns, never with events.
 *
 * Counting rules, each with its test in tests/unit/test_lifetimes.c:
 *  - Counts (books, sites, peers) run to the last event. Verdicts are censored at Tc, the first of
 * END_BEGINS, a caught SIGNAL that was obeyed, END, a lasting EXEC and the last event: a life that ends later, or whose closing stack
 * is that of an exit handler, is open at Tc.
 *  - A realloc keeps its block: one chain, counted once, with the place and time of its birth.
 *  - A release of what is not known to be open changes nothing but `unknown`. A block acquired at the address
 *    of an open one, or a descriptor at the number of an open one, ends the old one (implicitly).
 *  - A mapping counts once a call and is open until its last page is unmapped; its bytes are those still mapped.
 *  - A socket that connects is taken back as a socket and counted as a connection, at the connecting frame.
 *  - Blocks of the heap and Python's small objects may be samples. Sites count the samples, which is what statistics need, and
 *    say what they stand for; books say that only. A sampled block that is resized is drawn again: it counts once, with the
 *    weight of its last size, at the place where it was last drawn after it had been none.
 *  - What was inherited is counted as `inherited`; closing it changes nothing. A PGconn that is used and was
 *    never seen opened counts as nothing, but is kept: its use may be that of another process's connection.
 *  - What was open when a running process was attached to is counted in `before`, and as nothing else; so is a PGconn that is used
 *    and was never seen opened there.
 *
 * Ownership: a struct lives owns everything reachable from it. Not thread safe.
 */
#ifndef STRAY_LIVES_LIFETIMES_H
#define STRAY_LIVES_LIFETIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lives/activity.h"
#include "lives/ages.h"
#include "lives/blocks.h"
#include "lives/busy.h"
#include "lives/map.h"
#include "lives/mappings.h"
#include "lives/marks.h"
#include "lives/resident.h"
#include "lives/statements.h"
#include "lives/tally.h"
#include "lives/windows.h"
#include "names/stacks.h"
#include "stray/format.h"
#include "stray/hooks.h"

#define LIVES_NONE UINT32_MAX

/* What the pass must ask of others. */
struct lives_source {
    void *data;
    const char *(*endpoint)(void *data, uint64_t id); /* NULL: unknown */
    enum closer (*closer)(void *data, uint32_t node);
    double (*seconds)(void *data, uint64_t time); /* since the process began */
    double (*span)(void *data, uint64_t ticks);   /* seconds in a difference of times */
    uint32_t (*place)(void *data, uint32_t stack); /* as in struct statements_source; may be NULL */
    const char *(*statement)(void *data, uint64_t id); /* a statement's text; NULL: unknown. May be NULL */
    uint64_t (*statement_hash)(void *data, uint64_t id); /* ... of it, the same in all processes; 0: unknown. May be NULL */
    uint64_t end;                                 /* time of the last event; 0: not known */
    bool births;      /* windows tell them: half a KiB a site, which nobody needs but for the course of a place */
    double heap_mean; /* bytes between two samples of the heap, in the mean; 0: its blocks are no samples */
    uint32_t (*statement_flags)(void *data, uint64_t id); /* of a statement: enum stray_statement_flag. May be NULL */
};

struct book {
    uint64_t opened, closed, open, peak;
    uint64_t bytes_open, peak_bytes; /* sizes asked for */
    uint64_t inherited;
    uint64_t unknown; /* releases of what was not known to be open */
    /* Where samples were taken: from lives_finish() on the counts above are estimates, made of these. */
    bool estimated;
    struct tally born, living, most; /* `most`: the highest that `living` ever was */
};

enum life_end { LIFE_OPEN, LIFE_CLOSED, LIFE_IMPLICIT, LIFE_RECONCILED, LIFE_EXEC };

/* One descriptor or PGconn, from acquire to release. */
struct life {
    uint64_t handle;
    uint64_t birth, death; /* event times; death counts unless end is LIFE_OPEN */
    uint64_t last_use;     /* at least birth */
    uint64_t busy;         /* ticks spent in timed calls */
    uint64_t connect;      /* ticks spent connecting */
    uint64_t definition;   /* descriptor: endpoint of a connect under way; PGconn: its database; 0: none */
    uint64_t close_wait_first, close_wait_last; /* samples that saw CLOSE_WAIT */
    uint32_t close_wait;                        /* how many in a row, up to the last sample */
    uint32_t connecting_stack;
    uint32_t site;
    uint32_t peer; /* index, or LIVES_NONE */
    uint32_t closing_stack;
    uint32_t thread; /* that acquired it */
    uint32_t mark;
    uint32_t partner; /* PGconn: its connection; connection: its PGconn; index of a life, or LIVES_NONE */
    uint64_t quiet;   /* longest silence between two uses, ticks */
    uint32_t uses;
    uint32_t sent;    /* pieces of data sent, by the samples */
    uint32_t moved;   /* calls of this process that moved data on it; PGconn: calls on it */
    uint64_t moved_last; /* time of the last of these, whether the end had begun or not */
    uint8_t resource; /* enum stray_resource */
    uint8_t end;      /* enum life_end */
    uint8_t closer;   /* enum closer, after lives_finish() */
    bool born_late;   /* acquired after Tc */
    bool ended_late;  /* released after Tc, or by an exit handler (after lives_finish()) */
    bool failed;      /* PGconn whose attempt to connect failed */
    bool used_known;  /* last_use was observed, not merely presumed */
    bool sampled;     /* ... by a sample, which is no exact clock */
    bool pipe;        /* one end of a pipe */
    bool copy;        /* a dup: what samples say of the socket is said of its original */
    bool inherited;   /* stands for a descriptor open from the start: not counted */
    bool before;      /* ... because the process was attached to later */
    bool server;      /* accepted */
    bool stream;      /* a sample found a state: not made for datagrams */
    bool shut;        /* this side has shut it down */
    bool handed_on;   /* released by another thread than acquired it */
    bool parting;     /* its PGconn said good-bye to the server: what is sent now is no use */
    bool gone;        /* its row is to be used again (retire.c); never after lives_finish() */
    bool overlaps;    /* while it was open its thread opened another at the same site, which is gone */
    uint64_t next_birth; /* of the next one of its thread and kind, if that one is gone; else 0 */
};

/* What the releases and the survivors of a site look like that ever had 32 resources or 64 KiB open, or had
 * many births. */
struct growth {
    uint64_t in_runs; /* releases in runs of at least 32 without an acquire between: of those that are over */
    uint64_t resized; /* bytes by which resizing made its resources grow, all added up */
    struct windows windows;
    uint32_t *released; /* ages at release, AGE_BUCKETS; of all sites close together, because each release counts in one */
    uint32_t surviving[AGE_BUCKETS]; /* ages of the survivors at Tc */
    uint32_t by_work[LIVES_WINDOWS]; /* survivors' births, in equal parts of the work from
                                        lives_growth_from() to Tc */
    uint32_t by_time[LIVES_WINDOWS]; /* ... of the time from the first birth on */
};

#define RECENT_LIVES 32
#define SITE_LINE    64 /* bytes */
#define OWED         32 /* releases */

/* Files, plain sockets and user-defined handles of a site that ended, and of which no life is kept. */
struct gone {
    uint64_t count, finalized; /* finalized: by a destructor or the garbage collector */
    uint64_t first, last;      /* births */
    uint32_t first_mark;
    bool overlapped; /* one was open while its thread opened another there */
    uint64_t ended;  /* all that ended, the recent ones included */
};

/* A place where resources of one kind are born: a stack and, for connections, a peer. */
struct site {
    /* What every event touches, in one line of the cache, and in another what acquires touch besides. */
    _Alignas(SITE_LINE) uint32_t *released; /* as in `growth`; NULL where there is none */
    uint64_t opened, closed, open, bytes_open;
    struct window window; /* of `growth` */
    uint32_t run;         /* length of the run of releases under way, of those that `growth` knows */
    uint8_t resource;
    struct growth *growth; /* NULL: never grew so far */
    uint64_t peak, peak_bytes;
    uint64_t last;  /* time of the last birth */
    uint64_t first; /* ... and of the first */
    uint32_t first_mark;
    uint32_t peer; /* index, or LIVES_NONE */
    uint32_t stack;
    uint64_t opened_by_tc; /* from Tc on */
    uint64_t alive, alive_bytes; /* open at Tc */
    uint64_t own_bytes;          /* ... of Python's small objects, those that no list for reuse has room for */
    bool estimated;                     /* the counts are those of samples; bytes are estimates */
    struct tally born, living, at_end; /* ... that stand for so many; at_end: at Tc */
    uint64_t ended;        /* threads and children: ended before Tc, and not joined or waited for by then */
    uint64_t overtaken;    /* ... of these: another was made here later */
    uint64_t in_turn;      /* ... of these: none that was made here later was waited for, though others were */
    uint32_t waited;       /* children waited for: the latest birth, as a mark and one; 0: none */
    uint64_t in_use;       /* threads: alive at Tc, and at work since the last one was made here */
    uint64_t warm;         /* of the survivors: born in the first tenth of the process's work */
    struct gone gone;
    uint32_t *recent;      /* the RECENT_LIVES lives that ended last, a ring; NULL: none */
    uint64_t left;         /* TEMPFILE: open after the last event */
    uint64_t left_path;    /* ... the definition of the oldest one's path; 0: none */
    struct resident_site resident; /* MMAP */
};

struct peer {
    char *text;
    bool server; /* `text` is the local listening address */
    uint64_t opened, closed, open, peak;
    uint64_t closed_by_finalizer, close_wait;
    struct busy *busy; /* timed calls on its connections, from first_time on; NULL: there was none */
    uint64_t before, before_closed; /* open when a running process was attached to, and how many of them were closed since: they are
                                     * nowhere else in these figures */
};

/* A child that was forked, and when. */
struct forked {
    uint32_t pid;
    uint64_t time;
};

/* How the process ended, as far as its events say. */
enum ending { ENDING_UNSEEN, ENDING_EXIT, ENDING_SIGNAL, ENDING_EXEC, ENDING_DETACHED };

/* A child that was waited for, when and with which status. */
struct waited {
    uint64_t time;
    uint32_t pid, status;
};

/* What there was when a running process was attached to. PGconns are known by their first use. */
struct before {
    bool attached; /* else it was traced from its start, and all this is 0 */
    uint64_t threads;
    uint64_t heap; /* bytes in use; UINT64_MAX: not known */
    uint64_t open[STRAY_USER_END], closed[STRAY_USER_END]; /* closed: of those, since */
};

struct memory {
    uint64_t samples;
    uint64_t first_rss, last_rss, first_tracer, last_tracer;
    uint64_t first_heap, last_heap; /* bytes open when the sample was taken */
    double first_variance, last_variance; /* ... of these, where they are estimates */
};

struct lives {
    struct lives_source source;
    void *owned; /* freed with the lives */
    struct book books[STRAY_USER_END];
    struct site *sites;
    size_t site_count;
    struct life *lives;
    size_t life_count;
    struct peer *peers;
    size_t peer_count;
    struct waited *deaths;
    size_t death_count;
    struct forked *forks;
    size_t fork_count;
    struct marks marks;
    struct memory memory;
    struct statements statements;
    struct residents residents;
    uint64_t held, peak_held; /* what libc's allocator takes for the open heap blocks */
    uint64_t descriptor_limit, memory_limit; /* the last ones told; UINT64_MAX: none; 0: not told */

    struct before before;

    uint64_t events, strange; /* strange: of an unknown kind, skipped */
    uint64_t lost;            /* as the events say */
    uint64_t first_time, last_time;
    uint64_t tc;        /* after lives_finish() */
    uint32_t tc_thread; /* thread that began the end; 0: unknown */
    bool voluntary;     /* the end was begun by the program itself, not by a signal */
    enum ending ending;
    uint32_t deadly; /* after lives_finish(): signal that the process sent to itself, and died of; 0: none */
    uint64_t deadly_time;
    bool exit_known;
    uint32_t exit_status;
    bool starved;      /* memory ran out for what functions could not tell; lives_finish() does */
    enum axis axis;    /* after lives_finish(): the work axis of the process */
    struct mark at_tc; /* ... and how far each axis had come at Tc */

    /* private to lifetimes.c, descriptors.c, mapping_events.c and survivors.c */
    struct mark now;     /* how far each axis has come */
    uint64_t since_mark; /* events since the latest mark */
    uint64_t mark_ticks; /* a mark is made at least this often */
    struct age_table ages;
    uint32_t **shelves; /* of RELEASED_SITES sites each: where what `released` points to lies */
    size_t shelf_count, shelf_room, grown_count;
    uint32_t *owed[OWED]; /* counters of ages at release, each to be raised by one; NULL: none */
    size_t owed_at;
    struct blocks blocks[STRAY_USER_END];
    struct map handles[STRAY_USER_END - STRAY_USER_FIRST]; /* of user-defined pairs: index of the life, LIVES_NONE: ended */
    struct moving *moving; /* by lane: realloc between its two events */
    size_t moving_count;
    struct mappings mappings;
    struct moving_pieces *moving_pieces; /* by lane: mremap between its two events */
    size_t moving_pieces_count;
    uint32_t *node_sites; /* heap site by node */
    size_t node_site_count;
    struct map site_map, peer_map, conn_map;
    struct activity activity; /* up to Tc */
    struct map end_map;    /* by thread: index into thread_ends */
    uint64_t *thread_ends; /* when the latest thread of that id ended */
    size_t thread_end_count, thread_end_room;
    uint32_t *fds; /* life by descriptor */
    size_t gone_count; /* lives whose rows are to be used again */
    size_t fd_count;
    size_t site_room, life_room, peer_room, death_room, fork_room;
    bool ended;   /* Tc was reached */
    bool awaited; /* the program's first thread waits for the others to end */
    struct stray_event *leaving; /* ends of threads since then, and since anything else began */
    size_t leaving_count, leaving_room;
    bool exec_pending;
    uint64_t exec_time;
};

/* When the thread that acquired `life` ended; UINT64_MAX: not that anybody knows. */
uint64_t life_thread_end(const struct lives *lives, const struct life *life);

/* `source` is copied; what its data points to must outlive the lives. */
int lives_open(const struct lives_source *source, struct lives **ret_lives);
/* NULL is accepted. */
void lives_close(struct lives *lives);
/* The next event in time order; `since`: what a sum tells came about from then on. Events that make no sense are counted, not
 * refused; fails with -ENOMEM only. */
int lives_feed(struct lives *lives, const struct stray_event *event, uint32_t lane, uint32_t thread, uint64_t since);
/* After the last event: settles Tc, survivors and closers. Nothing may be fed afterwards. */
int lives_finish(struct lives *lives);

/* Is shown each event right after the lives have taken it in. Negative errno ends the pass. */
typedef int lives_observer(void *data, const struct lives *lives, const struct stray_event *event);

/* Opens, feeds all events of `trace` and finishes. `observer` may be NULL; `data` is passed to it. `births`: as in struct
 * lives_source. `trace` and `names` must outlive the lives. */
int lives_read(struct trace *trace, struct names *names, bool births, lives_observer *observer, void *data,
               struct lives **ret_lives, struct error *error);

struct resume;

/* The same in two steps, for a trace that is written still, with what is made ready in the first kept for many of the second: feeds the events
 * up to `until`; then, where nothing before has changed, those that a trace opened later holds besides, and finishes. `trace` and
 * `names` of both must outlive the lives. -ESTALE: it must be read anew. */
int lives_read_until(struct trace *trace, struct names *names, uint64_t until, struct lives **ret_lives, struct resume *ret_resume);
int lives_read_on(struct lives *lives, struct trace *trace, struct names *names, const struct resume *resume);

/* Open when the end began: what verdicts are about. */
bool life_open_at_tc(const struct life *life);
/* How many samples in a row, up to the last one, saw it wait for a close() though its peer had hung up; 0 if they began after the end of the
 * run had begun: what this side takes leave of, a quick peer closes first. */
uint32_t life_waits(const struct lives *lives, const struct life *life);
/* Where the cohorts of a site begin on the process's axis: at its first birth, and where the axis is a load,
 * no earlier than the warm-up ends. */
double lives_growth_from(const struct lives *lives, const struct site *site);
/* The work done by `mark` on the process's axis. */
double lives_work(const struct lives *lives, uint32_t mark);
/* ... and by the next mark: what came about after `mark` was done before this. */
double lives_work_by(const struct lives *lives, uint32_t mark);

/* Kinds of which there may be very many, and whose bytes are memory that the program asked for. */
static inline bool is_memory(unsigned resource)
{
    return resource == STRAY_HEAP || resource == STRAY_PYOBJECT;
}

#endif
