/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/signals.h"

#include <errno.h>
#include <stddef.h>

#include "gate.h"
#include "record/emit.h"
#include "state/incarnation.h"
#include "sys.h"

#define HANDLERS 32 /* of the program, for both signals; the signals of further ones go unrecorded */

typedef void full_handler(int signal, siginfo_t *info, void *context);

static void *inner[HANDLERS]; /* the program's, each forever in its place */

/* The kernel sets all three arguments up whatever the flags are. */
static void caught(unsigned place, int signal, siginfo_t *info, void *context)
{
    int kept = errno;
    full_handler *handler;
    if (gate_open(GATE_TRACED) && incarnation_is_self())
        emit_system(STRAY_SIGNAL, STRAY_SIGNAL_CAUGHT, (uint64_t)signal);
    errno = kept;
    *(void **)&handler = __atomic_load_n(&inner[place], __ATOMIC_ACQUIRE);
    handler(signal, info, context);
}

#define FOR_ALL(X)                                                                                                     \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19)      \
    X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
#define CATCHER(n)                                                                                                     \
    static void catcher_##n(int signal, siginfo_t *info, void *context)                                                \
    {                                                                                                                  \
        caught(n, signal, info, context);                                                                              \
    }
FOR_ALL(CATCHER)
#define ENTRY(n) catcher_##n,
static full_handler *const outer[HANDLERS] = {FOR_ALL(ENTRY)};

/* The place of our `handler`; HANDLERS: it is none of ours. */
static unsigned place_of(const void *handler)
{
    unsigned place = 0;
    while (place < HANDLERS && *(void *const *)&outer[place] != handler)
        place++;
    return place;
}

static bool is_function(const void *handler)
{
    return handler != (const void *)SIG_DFL && handler != (const void *)SIG_IGN && handler != (const void *)SIG_ERR;
}

void *signals_outer(int signal, void *handler)
{
    if ((signal != SIGTERM && signal != SIGINT) || !is_function(handler) || place_of(handler) < HANDLERS)
        return handler;
    for (unsigned place = 0; place < HANDLERS; place++) {
        void *there = NULL;
        if (__atomic_compare_exchange_n(&inner[place], &there, handler, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
            there == handler)
            return *(void *const *)&outer[place];
    }
    return handler;
}

void *signals_inner(void *handler)
{
    unsigned place = place_of(handler);
    return place < HANDLERS ? __atomic_load_n(&inner[place], __ATOMIC_ACQUIRE) : handler;
}

/* As the kernel has it, which is not as libc has it. */
struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static bool kills_by_default(int signal)
{
    switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return false;
    default:
        return signal > 0;
    }
}

bool signals_deadly(int signal)
{
    struct kernel_action action;
    return kills_by_default(signal) &&
           SYS6(SYS_rt_sigaction, signal, NULL, &action, sizeof(action.mask), 0, 0) == 0 &&
           action.handler == (void *)SIG_DFL;
}
