/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handlers of termination signals, and signals that a process sends to itself. */
#include "hooks/wrap.h"

#include <errno.h>
#include <signal.h>

#include "hooks/descriptors.h"
#include "state/signals.h"
#include "sys.h"

/* ---- handlers ---- */

static void *outer_handler(int signal, stray_signal_handler *handler)
{
    return gate_open(GATE_TRACED) ? signals_outer(signal, *(void **)&handler) : *(void **)&handler;
}

static stray_signal_handler *inner_handler(stray_signal_handler *handler)
{
    void *inner = signals_inner(*(void **)&handler);
    return *(stray_signal_handler **)&inner;
}

#define SIGACTION(name)                                                                                                \
    int stray_hook_##name(int signal, const struct sigaction *action, struct sigaction *old)                           \
    {                                                                                                                  \
        struct sigaction ours;                                                                                         \
        if (action) {                                                                                                  \
            ours = *action;                                                                                            \
            *(void **)&ours.sa_handler = outer_handler(signal, action->sa_handler);                                    \
        }                                                                                                              \
        int result = REAL(name)(signal, action ? &ours : NULL, old);                                                   \
        if (result == 0 && old)                                                                                        \
            old->sa_handler = inner_handler(old->sa_handler);                                                          \
        return result;                                                                                                 \
    }
SIGACTION(sigaction)
SIGACTION(__sigaction)

#define SIGNAL(name)                                                                                                   \
    stray_signal_handler *stray_hook_##name(int signal, stray_signal_handler *handler)                                 \
    {                                                                                                                  \
        void *outer = outer_handler(signal, handler);                                                                  \
        return inner_handler(REAL(name)(signal, *(stray_signal_handler **)&outer));                                    \
    }
SIGNAL(signal)
SIGNAL(bsd_signal)
SIGNAL(ssignal)
SIGNAL(sysv_signal)
SIGNAL(__sysv_signal)
SIGNAL(sigset)

/* ---- signals to oneself ---- */

/* Whether it is about to kill this process; then it is told. */
static bool tell_deadly(bool to_self, int signal)
{
    if (!to_self || !may_record() || !signals_deadly(signal))
        return false;
    emit_system(STRAY_SIGNAL, STRAY_SIGNAL_DEADLY, (uint64_t)signal);
    return true;
}

/* After all, the signal was blocked. Of one for another thread nobody here knows. */
static void tell_survived(bool told, int signal)
{
    if (told)
        emit_system(STRAY_SIGNAL, STRAY_SIGNAL_SURVIVED, (uint64_t)signal);
}

/* Where SIGABRT is handled, it is the handler that decides. */
void stray_hook_abort(void)
{
    tell_deadly(true, SIGABRT);
    REAL(abort)();
    __builtin_unreachable();
}

#define SEND(to_self, to_caller, signal, call)                                                                         \
    do {                                                                                                               \
        int kept = errno;                                                                                              \
        bool told = tell_deadly(to_self, signal);                                                                      \
        errno = kept;                                                                                                  \
        int result = (call);                                                                                           \
        kept = errno;                                                                                                  \
        tell_survived(told && (to_caller), signal);                                                                    \
        errno = kept;                                                                                                  \
        return result;                                                                                                 \
    } while (0)

int stray_hook_raise(int signal)
{
    SEND(true, true, signal, REAL(raise)(signal));
}

int stray_hook_kill(pid_t process, int signal)
{
    SEND(process == 0 || process == sys_getpid(), true, signal, REAL(kill)(process, signal));
}

int stray_hook_tgkill(pid_t process, pid_t thread, int signal)
{
    SEND(process == sys_getpid(), thread == sys_gettid(), signal, REAL(tgkill)(process, thread, signal));
}

int stray_hook_pthread_kill(pthread_t thread, int signal)
{
    SEND(true, (uint64_t)thread == arch_thread(), signal, REAL(pthread_kill)(thread, signal));
}
