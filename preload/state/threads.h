/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads of the program, from their creation to the moment when nothing of them is left.
 *
 * What is known of a thread stands in its own thread_self, which others reach through its pthread_t: that is the address
 * of the thread's control block, and thread_self lies at the same distance from it in every thread. It can be read for
 * as long as the pthread_t may be used. Thread and signal safe; no locks, no allocation.
 */
#ifndef STRAY_PRELOAD_THREADS_H
#define STRAY_PRELOAD_THREADS_H

#include <pthread.h>
#include <stdbool.h>

#include "gate.h"

/* What a thread needs to begin, and its creator to tell of it. */
struct birth {
    uint32_t state; /* enum birth_state */
    uint32_t stack;
    uint64_t time;   /* from before the creation */
    uint64_t number; /* of the thread in this process: tells threads apart whose ids are the same */
    void *start, *argument;
    uint16_t hook;
    bool detached;
};

/* Takes a birth and numbers it. NULL: too many threads are being created at once. */
struct birth *threads_conceive(uint16_t hook, uint64_t time, uint32_t stack);
/* The creation failed. */
void threads_abort(struct birth *birth);

/* Called by the creator, once its call has returned, and by the new thread, at its very start. Whichever comes first
 * records the creation; whoever comes second gives the birth back. The thread gets a copy. */
void threads_created(struct birth *birth, pthread_t thread);
struct birth threads_begin(struct birth *birth);
/* The calling thread is about to end. Does nothing in a thread that no hook has made. */
void threads_end(void);

/* A thread as its handle knows it; number 0: it is none of ours. */
struct thread_name {
    uint64_t number;
    uint32_t tid;
};
struct thread_name threads_name(pthread_t thread);
/* It was joined. */
void threads_joined(uint16_t hook, const struct thread_name *name);
/* It is about to be detached. */
void threads_detach(uint16_t hook, pthread_t thread);

/* In a forked child: the others are not there. */
void threads_forget(void);

#endif
