/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The creation of threads, and the ways to be done with them. */
#include "hooks/wrap.h"

#include <errno.h>

#include "state/threads.h"

static void end(void *unused)
{
    int kept = errno;
    (void)unused;
    threads_end();
    errno = kept;
}

/* In place of the program's start routine. The cleanup runs at pthread_exit() and at cancellation, too; an exception goes
 * through this frame as if it were not there. */
static void *run_posix(void *argument)
{
    struct birth birth = threads_begin(argument);
    void *(*start)(void *);
    void *result;
    *(void **)&start = birth.start;
    pthread_cleanup_push(end, NULL);
    result = start(birth.argument);
    pthread_cleanup_pop(1);
    return result;
}

static int run_c11(void *argument)
{
    struct birth birth = threads_begin(argument);
    thrd_start_t start;
    int result;
    *(void **)&start = birth.start;
    pthread_cleanup_push(end, NULL);
    result = start(birth.argument);
    pthread_cleanup_pop(1);
    return result;
}

/* NULL: the thread is to begin without us. */
static struct birth *conceive(uint16_t hook, void *start, void *argument, const void *caller)
{
    if (!gate_open(GATE_TRACED))
        return NULL;
    int kept = errno;
    note_finalizing();
    uint64_t time = clock_before();
    struct birth *birth = threads_conceive(hook, time, capture_stack(caller));
    if (birth) {
        birth->start = start;
        birth->argument = argument;
    }
    errno = kept;
    return birth;
}

static void created(struct birth *birth, bool success, pthread_t thread)
{
    int kept = errno;
    if (success)
        threads_created(birth, thread);
    else
        threads_abort(birth);
    errno = kept;
}

int stray_hook_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    int how = PTHREAD_CREATE_JOINABLE;
    struct birth *birth = conceive(STRAY_HOOK_pthread_create, *(void **)&start, argument, CALLER());
    if (!birth)
        return REAL(pthread_create)(thread, attributes, start, argument);
    birth->detached = attributes && pthread_attr_getdetachstate(attributes, &how) == 0 && how == PTHREAD_CREATE_DETACHED;
    int result = REAL(pthread_create)(thread, attributes, run_posix, birth);
    created(birth, result == 0, result == 0 ? *thread : 0);
    return result;
}

int stray_hook_thrd_create(thrd_t *thread, thrd_start_t start, void *argument)
{
    struct birth *birth = conceive(STRAY_HOOK_thrd_create, *(void **)&start, argument, CALLER());
    if (!birth)
        return REAL(thrd_create)(thread, start, argument);
    int result = REAL(thrd_create)(thread, run_c11, birth);
    created(birth, result == thrd_success, result == thrd_success ? *thread : 0);
    return result;
}

/* Who the thread is must be known before the call: afterwards nothing is left of it. */
#define JOIN(name, success, call)                                                                                      \
    do {                                                                                                               \
        bool recording = gate_open(GATE_TRACED);                                                                       \
        struct thread_name joined = {0};                                                                               \
        if (recording)                                                                                                 \
            joined = threads_name(thread);                                                                             \
        int outcome = (call);                                                                                          \
        int kept = errno;                                                                                              \
        if (recording && outcome == (success))                                                                         \
            threads_joined(STRAY_HOOK_##name, &joined);                                                                \
        errno = kept;                                                                                                  \
        return outcome;                                                                                                \
    } while (0)

int stray_hook_pthread_join(pthread_t thread, void **result)
{
    JOIN(pthread_join, 0, REAL(pthread_join)(thread, result));
}

int stray_hook_pthread_tryjoin_np(pthread_t thread, void **result)
{
    JOIN(pthread_tryjoin_np, 0, REAL(pthread_tryjoin_np)(thread, result));
}

int stray_hook_pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *until)
{
    JOIN(pthread_timedjoin_np, 0, REAL(pthread_timedjoin_np)(thread, result, until));
}

int stray_hook_pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock, const struct timespec *until)
{
    JOIN(pthread_clockjoin_np, 0, REAL(pthread_clockjoin_np)(thread, result, clock, until));
}

int stray_hook_thrd_join(thrd_t thread, int *result)
{
    JOIN(thrd_join, thrd_success, REAL(thrd_join)(thread, result));
}

static void detach(uint16_t hook, pthread_t thread)
{
    int kept = errno;
    if (gate_open(GATE_TRACED))
        threads_detach(hook, thread);
    errno = kept;
}

int stray_hook_pthread_detach(pthread_t thread)
{
    detach(STRAY_HOOK_pthread_detach, thread);
    return REAL(pthread_detach)(thread);
}

int stray_hook_thrd_detach(thrd_t thread)
{
    detach(STRAY_HOOK_thrd_detach, thread);
    return REAL(thrd_detach)(thread);
}
