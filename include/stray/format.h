/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * On-disk structures of a trace and of its spool. Nothing else lives here. FORMAT.md is normative; a test
 * holds the two together. All numbers are little-endian; all structures are naturally aligned and have no
 * hidden padding.
 */
#ifndef STRAY_FORMAT_H
#define STRAY_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define STRAY_TRACE_MAGIC   "STRAYTR1" /* first 8 bytes of a trace */
#define STRAY_SPOOL_MAGIC   "STRAYSP1" /* first 8 bytes of a spool */
#define STRAY_FRAME_MAGIC   0x4d524653u /* "SFRM" */
#define STRAY_DEF_MAGIC     0x4644u     /* "DF" */
#define STRAY_TRACE_SUFFIX  ".stray"
#define STRAY_SPOOL_SUFFIX  ".spool" /* appended to the trace's whole name */
#define STRAY_PAGE          4096u
#define STRAY_LANE_EVENTS   1024u   /* events in one buffer of a lane */
#define STRAY_FRAME_PLAIN   (64u << 20) /* most bytes of a payload once decompressed */
#define STRAY_FRAME_EVENTS_MAX 65536u /* most events in one frame */
#define STRAY_ACCEPTED  (UINT64_C(1) << 32) /* in the value of INHERITED: a server's side */
#define STRAY_LANE_LATE     0xffffffffu /* lane number of events written one by one: after the final flush, or for want of a slot */

/* File header, at offset 0 of every trace. Frames follow at `header_size`. */
struct stray_file_header {
    uint8_t magic[8];
    uint32_t header_size;    /* of this header; frames begin there */
    uint32_t compat_flags;   /* unknown ones may be ignored */
    uint32_t incompat_flags; /* unknown ones: refuse the file */
    uint32_t pid;
    uint8_t trace_id[16];   /* random, unique to this incarnation */
    uint8_t parent_id[16];  /* of the trace it was forked or executed from; zero: none */
    uint32_t parent_pid;
    uint32_t origin;        /* enum stray_origin */
    uint64_t reserved[1];
    uint32_t clock_kind;    /* enum stray_clock: what event times are */
    uint32_t crc;           /* CRC-32C of the bytes before this field */
};
_Static_assert(sizeof(struct stray_file_header) == 80, "stray_file_header");

enum stray_origin { STRAY_ORIGIN_START = 0, STRAY_ORIGIN_FORK = 1, STRAY_ORIGIN_EXEC = 2, STRAY_ORIGIN_ATTACH = 3 };
enum stray_clock { STRAY_CLOCK_NS = 0 /* CLOCK_MONOTONIC ns */, STRAY_CLOCK_TSC = 1 /* invariant TSC ticks */ };

enum stray_frame_type {
    STRAY_FRAME_EVENTS = 1, /* as early versions wrote them; read, and no longer written */
    STRAY_FRAME_NODES = 2,  /* the same */
    STRAY_FRAME_DEFS = 3,
    STRAY_FRAME_GROUPED = 4, /* events by kind */
    STRAY_FRAME_INDEXED = 5, /* nodes, by the place of their values among those of the frame */
};
enum stray_codec { STRAY_CODEC_RAW = 0, STRAY_CODEC_ZSTD = 1 };

enum stray_incompat { STRAY_INCOMPAT_GROUPED = 1 /* has frames of types 4 and 5 */ };

/* Precedes every frame's payload. Unknown types are skipped by stored_size. */
struct stray_frame_header {
    uint32_t magic;
    uint16_t type;
    uint8_t codec;
    uint8_t flags;
    uint32_t stored_size; /* payload bytes that follow this header */
    uint32_t plain_size;  /* payload bytes once decompressed */
    uint32_t lane;        /* EVENTS: lane number. Others 0 */
    uint32_t count;       /* EVENTS: events; NODES: nodes; DEFS: 0 */
    uint64_t first;       /* EVENTS: sequence number in the lane; NODES: first node's id; DEFS: byte offset */
    uint64_t first_time;  /* EVENTS: smallest time. Others 0 */
    uint64_t last_time;   /* EVENTS: largest time. Others 0 */
    uint32_t reserved;
    uint32_t crc;         /* CRC-32C of this header before this field, then of the stored payload */
};
_Static_assert(sizeof(struct stray_frame_header) == 56, "stray_frame_header");

/* What happened. The commit word is written last: an event whose `action` is 0 does not exist. */
struct stray_event {
    uint64_t time;
    uint64_t handle;
    uint64_t value;
    uint32_t stack;   /* node id; 0: none was taken */
    uint16_t hook;    /* enum stray_hook_id; 0: not a hooked call */
    uint8_t action;   /* enum stray_action */
    uint8_t resource; /* enum stray_resource */
};
_Static_assert(sizeof(struct stray_event) == 32, "stray_event");
_Static_assert(offsetof(struct stray_event, stack) == 24, "commit word");

enum stray_action {
    STRAY_OPEN = 1,       /* handle acquired; value: bytes asked for (heap, mmap; pyobject: and a sample's weight), else 0; CONNECTION by accept: value = endpoint
                             definition; TEMPFILE: value = path definition or 0. CHILD, THREAD: time is from before the call;
                             THREAD: value = number of the thread in its process, here and in CLOSE and EXITED */
    STRAY_CLOSE = 2,      /* handle released; time is from before the release. CHILD: value = wait status; CHILD, THREAD: time from after;
                             MMAP: value = bytes from `handle` on that are no longer mapped, in part or over several maps */
    STRAY_MOVE_FROM = 3,  /* a realloc that moved: the old block, time from before. The lane's next MOVE_TO completes it;
                             MMAP: value = bytes that moved */
    STRAY_MOVE_TO = 4,    /* ... the new block; value: new size */
    STRAY_RESIZE = 5,     /* realloc in place; value: new size. MMAP: the map that holds `handle` goes on for value bytes */
    STRAY_USE = 6,        /* handle used; value: duration in ticks of the call */
    STRAY_CONNECTING = 7, /* non-blocking connect begun; value: endpoint definition; stack: the connect call */
    STRAY_CONNECTED = 8,  /* connect done; value: endpoint definition (0: that of CONNECTING); stack: the connect call or 0 */
    STRAY_REFUSED = 9,    /* connect failed; value: errno */
    STRAY_DUP = 10,       /* handle: new descriptor, a copy of descriptor `value`; resource: as the shim knew it */
    STRAY_IMPLICIT = 11,  /* descriptor closed by dup2/dup3 onto it */
    STRAY_RECONCILED = 12,/* descriptor found closed or replaced, no hook saw it; time: when found */
    STRAY_LINK = 13,      /* PGconn `handle` uses descriptor `value` (UINT64_MAX: none) */
    STRAY_ENDPOINT = 14,  /* PGconn or descriptor `handle` talks to endpoint definition `value`; TEMPFILE: its path definition */
    STRAY_SAMPLE = 15,    /* descriptor `handle`, value: state<<56 | uses(24 bits)<<32 | idle milliseconds; all ones: not known */
    STRAY_INHERITED = 16, /* open in this process from its start; value: endpoint definition or 0, | 1<<32 if accepted */
    STRAY_DURATION = 17,  /* value: ticks that the call `hook` on `handle` took (connects) */
    STRAY_SHUTDOWN = 18,  /* shutdown(handle, value) */
    STRAY_EXEC_CLOSED = 19, /* close-on-exec descriptor closed by the exec that ends this incarnation */
    STRAY_FAILED = 20,    /* PGconn `handle`: the connection attempt failed (status bad) */
    STRAY_ELIDED = 21,    /* short lives that are told only in sum: handle: their number | b<<56, where their ages in ticks
                             lie in [2^b, 2^(b+1)); value: bytes asked for; stack, hook: of the acquires; time: of the last
                             release */
    STRAY_EXITED = 22,    /* THREAD or CHILD `handle` has ended, and waits to be joined or waited for */
    STRAY_USED = 23,      /* descriptor `handle` has been used value>>40 times, last (value & (2^40-1)) microseconds before
                             `time` */
    STRAY_LEFT = 24,      /* HEAP: a sampled block was resized, time from before, and is no sample any more; it lives on */

    STRAY_STATEMENT = 30, /* PGconn `handle`: the call `hook` begins, and sends this statement; value: its definition (0: not known) |
                             its length in bytes << 32. What follows it up to USE has the same hook */
    STRAY_NAMED = 31,     /* ... value: hash of the name of the prepared statement or portal that it is about */
    STRAY_MEMBERS = 32,   /* ... value: members of its longest list, where they are many */
    STRAY_KEY = 33,       /* ... value: keyed hash of what its last WHERE clause asks to be equal */
    STRAY_RESULT = 34,    /* PGconn `handle`: a result has come: see STRAY_RESULT_ below */
    STRAY_WAITED = 35,    /* this thread has waited for events in `hook`; value: how often since it last said so */
    STRAY_ANSWERED = 39,  /* PGconn `handle`: the call that sent the STATEMENT before it in this lane is over, with this result: stands
                             for a RESULT of the same value and a USE, whose duration is what has passed since that STATEMENT */
    STRAY_AT_ONCE = 40,   /* PGconn `handle`: another call that took less than a millisecond, with this result: stands for a RESULT of
                             the same value and a USE whose duration is not told */
    STRAY_AWAITED = 38,   /* this thread has waited for another one in the call `hook`, for `value` ticks; stack. Only once a PGconn
                             has been opened, and outside libpq */
    STRAY_WORK = 37,      /* value: heap blocks whose sums this thread has moved away since its WORK before: they are told later, in
                             lanes that nobody owns */
    STRAY_BLOCKED = 36,   /* ... and was kept by the call `hook` for `value` ticks; handle: descriptor, UINT64_MAX: none; stack */

    STRAY_OWNER = 64,     /* this lane now belongs to thread id `handle` */
    STRAY_CLOCK_PAIR = 65,/* handle: CLOCK_MONOTONIC ns, value: CLOCK_REALTIME ns, both at `time` */
    STRAY_MEMORY = 66,    /* handle: resident bytes, value: bytes the tracer maps */
    STRAY_END_BEGINS = 67,/* value: enum stray_ending; what is released from here on is not the service's own doing */
    STRAY_END = 68,       /* value: enum stray_ending, handle: exit status, as the program gave it: see STRAY_EXIT_STATUS */
    STRAY_FORK = 69,      /* handle: child's pid */
    STRAY_EXEC = 70,      /* about to exec; undone by a later EXEC_FAILED */
    STRAY_EXEC_FAILED = 71,
    STRAY_LOST = 72,      /* value: events that could not be recorded, since the previous LOST */
    STRAY_SIGNAL = 73,    /* signal `value` seen; handle: enum stray_signal_fate */
    STRAY_PART = 74,      /* of resident memory. handle: address of a map | enum stray_part, value: its pages << 32 | those of
                             them that are resident; address 0: the maps not told one by one, resident pages only. Such events
                             stand between one of PART_BEGIN and one of PART_END, by one thread */
    STRAY_LIMIT = 75,     /* handle: enum stray_limit, value: the limit from here on; UINT64_MAX: none */
    STRAY_END_AWAITED = 76, /* the thread that began the program has come to its end, and waits for the others to end: value:
                             enum stray_ending of what follows then */
    STRAY_BASELINE = 77,  /* what was open before a running process was attached to is told between one whose value is 0 and one whose value
                             is the number of threads that there were; handle of that: bytes of heap blocks in use; UINT64_MAX:
                             not known */
};

/* Of the handle of an END that is an exit: what its parent is told. */
#define STRAY_EXIT_STATUS(handle) ((uint32_t)((handle)&0xff))

/* The value of RESULT, from the lowest bit on: rows (returned or, of other statements, touched); of an error, its SQLSTATE,
 * five digits of base 36. Memory of the result, in units. Transaction status. Status of the result. Numbers that do not fit
 * are as large as can be. */
#define STRAY_RESULT_ROWS_BITS   30
#define STRAY_RESULT_BYTES_BITS  26
#define STRAY_RESULT_BYTES_UNIT  64u
#define STRAY_RESULT_TRANSACTION 56 /* shift of 4 bits: PGTransactionStatusType */
#define STRAY_RESULT_STATUS      60 /* shift of 4 bits: ExecStatusType; 15: none came, the command is over */
#define STRAY_RESULT_NONE        15u

/* What a map is, as far as the process can tell from the list of its maps. */
enum stray_part {
    STRAY_PART_BEGIN = 1,
    STRAY_PART_HEAP = 2,      /* what brk() made */
    STRAY_PART_ANONYMOUS = 3, /* private memory without a name */
    STRAY_PART_STACK = 4,     /* of threads */
    STRAY_PART_FILE = 5,      /* of files, libraries with their zeroed data among them */
    STRAY_PART_TRACER = 6,    /* the tracer's own */
    STRAY_PART_OTHER = 7,     /* generated code, say */
    STRAY_PART_END = 8,       /* value: maps told one by one */
};

enum stray_limit {
    STRAY_LIMIT_DESCRIPTORS = 1, /* RLIMIT_NOFILE, the soft one */
    STRAY_LIMIT_MEMORY = 2,      /* bytes, of the control group or of one around it */
};

enum stray_signal_fate {
    STRAY_SIGNAL_CAUGHT = 0,   /* SIGTERM or SIGINT, about to be handled by the program */
    STRAY_SIGNAL_DEADLY = 1,   /* the process sends it to itself, and will die of it */
    STRAY_SIGNAL_SURVIVED = 2, /* ... it did not, for the signal was blocked */
};

enum stray_ending {
    STRAY_ENDING_EXIT = 1,    /* exit() or return from main */
    STRAY_ENDING_QUICK = 2,   /* _exit, _Exit, quick_exit */
    STRAY_ENDING_PYTHON = 3,  /* Python interpreter finalizing */
    STRAY_ENDING_EXEC = 4,
    STRAY_ENDING_SIGNAL = 5,
    STRAY_ENDING_DETACH = 6,
};

/* An entry of the stack table. Node ids count from 1; node i stands at index i - 1. A node with kind 0 is unfinished. */
struct stray_node {
    uint64_t value;  /* NATIVE: return address; PYTHON: code definition << 32 | instruction offset; ROOT: epoch */
    uint32_t parent; /* the caller's node id, always smaller than this one's; 0 for a ROOT */
    uint16_t kind;   /* enum stray_node_kind */
    uint16_t flags;  /* enum stray_node_flag */
};
_Static_assert(sizeof(struct stray_node) == 16, "stray_node");

enum stray_node_kind {
    STRAY_NODE_ROOT = 1,   /* every stack hangs below one; value: module epoch */
    STRAY_NODE_NATIVE = 2,
    STRAY_NODE_PYTHON = 3,
};
enum stray_node_flag {
    STRAY_NODE_TRUNCATED = 1, /* ROOT: outer frames are missing (depth limit) */
    STRAY_NODE_EXACT = 2,     /* NATIVE: value is the instruction itself, not a return address */
};

/* Definitions: an append-only area of records, each aligned to 16 bytes. A definition's id is its byte offset / 16 + 1. */
struct stray_def_header {
    uint16_t magic; /* STRAY_DEF_MAGIC; written last */
    uint16_t type;  /* enum stray_def_type */
    uint32_t size;  /* payload bytes, without this header and without the padding to 16 */
    uint32_t crc;   /* CRC-32C of type, size and payload */
    uint32_t epoch; /* module epoch in which it was made */
};
_Static_assert(sizeof(struct stray_def_header) == 16, "stray_def_header");

enum stray_def_type {
    STRAY_DEF_PROCESS = 1,  /* fields of struct stray_def_process, then NUL-ended strings: exe, cwd-relative command words ... */
    STRAY_DEF_MODULE = 2,   /* struct stray_def_module, build-id bytes, path, NUL */
    STRAY_DEF_CODE = 3,     /* struct stray_def_code, filename, NUL, qualified name, NUL, line table bytes */
    STRAY_DEF_ENDPOINT = 4, /* "127.0.0.1:5432", "[::1]:80", "unix:/path", "unix:@name"; NUL */
    STRAY_DEF_DATABASE = 5, /* "host:port/database user"; NUL: what PQhost, PQport, PQdb, PQuser said */
    STRAY_DEF_NOTE = 6,     /* a sentence for the report: something could not be seen; NUL */
    STRAY_DEF_OPTION = 7,   /* "NAME=value" of one STRAY_ setting in force; NUL */
    STRAY_DEF_PATH = 8,     /* an absolute path; NUL */
    STRAY_DEF_SAMPLED = 9,  /* the heap's blocks are samples: bytes between two of them in the mean, decimal; NUL */
    STRAY_DEF_STATEMENT = 12, /* struct stray_def_statement, text, NUL */
    STRAY_DEF_RESOURCE = 20,  /* struct stray_def_pair, label, NUL: a resource that the user has defined */
    STRAY_DEF_FUNCTION = 21,  /* struct stray_def_pair, name, NUL: one of the functions that acquire or release it */
};

struct stray_def_process {
    uint64_t start_realtime_ns;
    uint64_t start_monotonic_ns;
    uint64_t start_time;    /* same instant, in event time */
    uint64_t starttime_ticks; /* field 22 of /proc/PID/stat: with the pid, the identity of the process */
    uint8_t boot_id[16];
    uint32_t pid;
    uint32_t parent_pid;
    uint32_t words;         /* command words after the executable's path */
    uint32_t reserved;
};
_Static_assert(sizeof(struct stray_def_process) == 64, "stray_def_process");

struct stray_def_module {
    uint64_t start;       /* first address of the executable mapping */
    uint64_t end;         /* one past its last */
    uint64_t file_offset; /* of `start` in the file */
    uint64_t bias;        /* run-time address minus the address in the file's program headers */
    uint32_t build_id_size; /* bytes, 0: none */
    uint32_t gone;        /* not 0: this range is no longer this module, from this epoch on */
};
_Static_assert(sizeof(struct stray_def_module) == 40, "stray_def_module");

struct stray_def_code {
    uint32_t first_line;
    uint16_t minor;        /* CPython 3.minor: decides the line table's encoding */
    uint16_t reserved;
    uint32_t table_size;   /* bytes of line table */
    uint32_t name_size;    /* bytes of qualified name, without the NUL */
};
_Static_assert(sizeof(struct stray_def_code) == 16, "stray_def_code");

struct stray_def_statement {
    uint64_t hash;  /* of the normalised text, which may be cut; the same in every process */
    uint32_t flags; /* enum stray_statement_flag */
    uint32_t reserved;
};
_Static_assert(sizeof(struct stray_def_statement) == 16, "stray_def_statement");

enum stray_statement_flag {
    STRAY_STATEMENT_RAW = 1,    /* the text is one example as it was sent, literals and all */
    STRAY_STATEMENT_HIDDEN = 2, /* there is no text: the user wanted none */
    STRAY_STATEMENT_CUT = 4,    /* the text is the beginning only */
    STRAY_STATEMENT_PREPARES = 8,     /* it is a PREPARE; its name is told by NAMED, and "$?" in the text */
    STRAY_STATEMENT_EXECUTES = 16,    /* ... an EXECUTE */
    STRAY_STATEMENT_DEALLOCATES = 32, /* ... a DEALLOCATE; without a NAMED of all of them, as DISCARD ALL is */
};

struct stray_def_pair {
    uint16_t id;       /* of the resource, or of the function as a hook */
    uint16_t resource; /* FUNCTION: what it acquires or releases. RESOURCE: 0 */
    uint32_t flags;    /* FUNCTION: enum stray_function_flag. RESOURCE: 0 */
};
_Static_assert(sizeof(struct stray_def_pair) == 8, "stray_def_pair");

enum stray_function_flag {
    STRAY_FUNCTION_CLOSES = 1, /* else it opens */
};

/* The spool: a file mapped by the traced process, holding what is not yet in the trace. */
struct stray_spool_header {
    uint8_t magic[8];
    uint32_t header_size;  /* STRAY_PAGE */
    uint32_t state;        /* enum stray_spool_state */
    uint8_t trace_id[16];  /* the trace it belongs to */
    uint64_t nodes_offset, nodes_capacity; /* byte offset; entries */
    uint64_t defs_offset, defs_capacity;   /* byte offset; bytes */
    uint64_t lanes_offset, lanes_capacity; /* byte offset; lanes, each struct stray_lane */
    uint64_t node_count;   /* ids handed out; the last ones may be unfinished */
    uint64_t defs_used;    /* bytes handed out; holes are possible after a kill */
    uint64_t lane_count;   /* lanes ever used */
    uint64_t lost_events;  /* not recorded for want of space or because the disk was full */
    uint64_t moves;        /* odd while sums move from one buffer to another; else it has changed if they did */
    uint64_t reserved[1];
};
_Static_assert(sizeof(struct stray_spool_header) == 128, "stray_spool_header");

enum stray_spool_state { STRAY_SPOOL_LIVE = 1, STRAY_SPOOL_CLOSED = 2, STRAY_SPOOL_EXECING = 3 };

/* One of the two buffers of a lane. Events with action 0 are unwritten. */
struct stray_buffer {
    uint64_t sequence; /* frames of this lane with this number supersede the buffer if they hold as many events */
    uint64_t used;     /* slots handed out, may exceed STRAY_LANE_EVENTS */
};

struct stray_lane {
    uint32_t number;
    uint32_t owner; /* thread id; 0: free */
    uint32_t active; /* index of the buffer in use */
    uint32_t reserved;
    struct stray_buffer buffer[2];
    uint8_t padding[STRAY_PAGE - 48];
    struct stray_event events[2][STRAY_LANE_EVENTS];
};
_Static_assert(sizeof(struct stray_lane) == STRAY_PAGE + 2 * STRAY_LANE_EVENTS * 32, "stray_lane");

#endif
