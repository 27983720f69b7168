/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of each descriptor: its kind, who it is, whether a connect is under way. Descriptors that no
 * hook opened are unknown and cost one look-up. Private memory: a forked child keeps the knowledge. Thread and signal
 * safe.
 */
#ifndef STRAY_PRELOAD_DESCRIPTORS_H
#define STRAY_PRELOAD_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

enum descriptor_phase { PHASE_PLAIN, PHASE_CONNECTING, PHASE_CONNECTED };

/* What a descriptor that somebody else opened turns out to be. A socket of a pair has a peer, and is no connection. */
enum descriptor_side { SIDE_NO_SOCKET, SIDE_UNCONNECTED, SIDE_CLIENT, SIDE_SERVER };

struct descriptor {
    uint64_t identity; /* by its bits from below: 47 of a socket's SO_COOKIE, or of others of device and inode; 1, set for
                        * others; 16 of the turn. Those of a socket are 0 until the first sample */
    uint64_t made;     /* event time */
    uint64_t last_use; /* event time; counts if uses > 0 */
    uint32_t uses;     /* how often it was read from or written to */
    uint32_t told;     /* ... as the trace says so far */
    uint32_t endpoint; /* definition of the peer; of a listening socket: its own address; 0: unknown */
    union {
        struct {
            uint8_t resource; /* enum stray_resource; 0: not tracked */
            uint16_t turn;    /* another one each time that the number is opened */
        };
        uint32_t word; /* of both, to be exchanged at one stroke */
    };
    uint8_t phase;     /* enum descriptor_phase */
    bool accepted;     /* a connection of which this process, or the one it was inherited from, is the server */
    bool shut;         /* this side has shut it down, for reading or as a whole */
};

/* At the start of a trace. */
bool descriptors_init(void);

/* Between two traces of one process. */
void descriptors_forget(void);

/* The row of `fd`; NULL for numbers out of range. */
struct descriptor *descriptors_at(int fd);
/* The row if the descriptor is tracked, else NULL. */
struct descriptor *descriptors_tracked(int fd);

/* Whether `fd` is open and a socket. */
bool descriptors_is_socket(int fd);

/* Gives back a row that was taken away for a close, if what it was about is still open. */
bool descriptors_restore(int fd, const struct descriptor *row);

/* Notes a new descriptor. To be called before its event is stamped: an earlier owner of the number that
 * went unseen may be found gone until then. False: its number is beyond the table, and it is not to be recorded. */
bool descriptors_opened(int fd, uint8_t resource, uint8_t phase, uint32_t endpoint);

/* Finds out whether a connect under way has succeeded, without taking the pending error from the program. */
void descriptors_settle(int fd);
/* Before a close: emits the state of a connection, if it is not too young to have one, and how often any socket was used if
 * that has changed. */
void descriptors_closing(int fd, struct descriptor *descriptor);
/* Settles, reconciles and reports every tracked descriptor. */
void descriptors_sample(void);
/* Emits what an exec that succeeds will close. */
void descriptors_before_exec(void);
/* Emits, in a forked child or a new program, what is open from the start. */
void descriptors_inherited(void);

/* Emits, in a program that was running before, what is open and was not opened under the hooks: inherited at `time`, which is before the
 * call. */
void descriptors_baseline(uint64_t time);

/* Asks the kernel. *ret_endpoint: of a client's side the peer's definition, of a server's side its own address; else 0.
 * Which side it is nobody says: a name at one end only tells it for Unix-domain sockets; an accepted Internet socket has
 * SO_REUSEADDR from its listener, and clients have no use for that. */
enum descriptor_side descriptors_side(int fd, uint32_t *ret_endpoint);

/* The definition of a socket address as text; 0 if it has none. */
uint32_t descriptors_endpoint(const void *address, uint32_t length);
uint32_t descriptors_local_endpoint(int fd);

#endif
