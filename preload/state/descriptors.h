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

struct descriptor {
    uint64_t identity; /* SO_COOKIE of a socket; of others device and inode, with the high bit set; 0: unknown */
    uint64_t last_use; /* event time; counts if uses > 0 */
    uint32_t uses;     /* how often it was read from or written to */
    uint32_t told;     /* ... as the trace says so far */
    uint32_t endpoint; /* definition of the peer; of a listening socket: its own address; 0: unknown */
    uint8_t resource;  /* enum stray_resource; 0: not tracked */
    uint8_t phase;     /* enum descriptor_phase */
    bool accepted;     /* a connection of which this process, or the one it was inherited from, is the server */
    uint8_t reserved;
};

bool descriptors_init(void);

/* The row of `fd`; NULL for numbers out of range. */
struct descriptor *descriptors_at(int fd);
/* The row if the descriptor is tracked, else NULL. */
struct descriptor *descriptors_tracked(int fd);

/* Whether `fd` is open and a socket. */
bool descriptors_is_socket(int fd);

/* Gives back a row that was taken away for a close, if what it was about is still open. */
bool descriptors_restore(int fd, const struct descriptor *row);

/* Notes a new descriptor (its identity is read). False: its number is beyond the table, and it is not to be recorded. */
bool descriptors_opened(int fd, uint8_t resource, uint8_t phase, uint32_t endpoint);

/* Finds out whether a connect under way has succeeded, without taking the pending error from the program. */
void descriptors_settle(int fd);
/* Emits the TCP state, the number of exchanges and the idle time of a connection. */
void descriptors_report(int fd);
/* Settles, reconciles and reports every tracked descriptor. */
void descriptors_sample(void);
/* Emits what an exec that succeeds will close. */
void descriptors_before_exec(void);
/* Emits, in a forked child or a new program, what is open from the start. */
void descriptors_inherited(void);

/* The definition of a socket address as text; 0 if it has none. */
uint32_t descriptors_endpoint(const void *address, uint32_t length);
uint32_t descriptors_local_endpoint(int fd);

#endif
