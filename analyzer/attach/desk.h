/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the injector and the code it brings into the target (stub_*.S) have in common: a block in the target's memory. Byte offsets, for
 * the assembler as well.
 */
#ifndef STRAY_ATTACH_DESK_H
#define STRAY_ATTACH_DESK_H

#define DESK_FUNCTION 0   /* of the call that is asked for; 0: none, the message only brings descriptors */
#define DESK_ARGUMENTS 8  /* six */
#define DESK_RESULT 56    /* ... and before the first one a number by which the injector knows the socket */
#define DESK_STATE 64     /* 0: it begins; DESK_READY, DESK_POLLED */
#define DESK_CLONE 68     /* thread id of the raw clone; 0: there is none, or it is gone */
#define DESK_CREATED 72   /* what pthread_create() said; DESK_PENDING: nothing yet */
#define DESK_THREAD_ID 76 /* of the server, for the kernel */
#define DESK_SOCKETS 80   /* the server's end; the injector's, -1 once it has been closed there */
#define DESK_MASK 88      /* signals that the server blocks */
#define DESK_HEADER 96    /* struct msghdr of what comes in, */
#define DESK_VECTOR 152   /* its iovec, */
#define DESK_CONTROL 168  /* and its control message */
#define DESK_CONTROL_SIZE 64
#define DESK_CREATE 232   /* address of pthread_create(), */
#define DESK_SERVER 240   /* of stub_server, */
#define DESK_UNMAP 248    /* of munmap() */
#define DESK_THREAD 256   /* pthread_t of the server */
#define DESK_BASE 264     /* of everything that was mapped for this, */
#define DESK_LENGTH 272   /* and its size */
#define DESK_TIMEOUT 280  /* struct timeval: how long the server waits for a message */
#define DESK_NAP 296      /* struct timespec: between two looks of a server without sockets, */
#define DESK_NAPS 312     /* and how many of them it waits */
#define DESK_TURN 316     /* whose it is where there are no sockets: DESK_TURN_... */
#define DESK_WHY 320      /* DESK_POLLED: the error with which there are no sockets */
#define DESK_SIZE 328

#define DESK_HEADER_CONTROL_LENGTH 136 /* of struct msghdr, in DESK_HEADER */

#define DESK_PENDING (-1)

#define DESK_READY 1  /* it has sockets, */
#define DESK_POLLED 2 /* or cannot have them */

#define DESK_TURN_INJECTOR 0
#define DESK_TURN_SERVER 1
#define DESK_TURN_OVER 2

#ifndef __ASSEMBLER__

#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

struct desk {
    uint64_t function, arguments[6], result;
    int32_t state, clone, created, thread_id;
    int32_t sockets[2];
    uint64_t mask;
    struct msghdr header;
    struct iovec vector;
    uint8_t control[DESK_CONTROL_SIZE];
    uint64_t create, server, unmap, thread, base, length;
    struct timeval timeout;
    struct timespec nap;
    int32_t naps, turn, why, padding;
};

#define DESK_HOLDS(field, offset)                                                                             \
    _Static_assert(__builtin_offsetof(struct desk, field) == (offset), "offset of " #field)
DESK_HOLDS(function, DESK_FUNCTION);
DESK_HOLDS(arguments, DESK_ARGUMENTS);
DESK_HOLDS(result, DESK_RESULT);
DESK_HOLDS(state, DESK_STATE);
DESK_HOLDS(clone, DESK_CLONE);
DESK_HOLDS(created, DESK_CREATED);
DESK_HOLDS(thread_id, DESK_THREAD_ID);
DESK_HOLDS(sockets, DESK_SOCKETS);
DESK_HOLDS(mask, DESK_MASK);
DESK_HOLDS(header, DESK_HEADER);
DESK_HOLDS(header.msg_controllen, DESK_HEADER_CONTROL_LENGTH);
DESK_HOLDS(vector, DESK_VECTOR);
DESK_HOLDS(control, DESK_CONTROL);
DESK_HOLDS(create, DESK_CREATE);
DESK_HOLDS(server, DESK_SERVER);
DESK_HOLDS(unmap, DESK_UNMAP);
DESK_HOLDS(thread, DESK_THREAD);
DESK_HOLDS(base, DESK_BASE);
DESK_HOLDS(length, DESK_LENGTH);
DESK_HOLDS(timeout, DESK_TIMEOUT);
DESK_HOLDS(nap, DESK_NAP);
DESK_HOLDS(naps, DESK_NAPS);
DESK_HOLDS(turn, DESK_TURN);
DESK_HOLDS(why, DESK_WHY);
_Static_assert(sizeof(struct desk) == DESK_SIZE, "size of the desk");

#endif
#endif
