/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * threads MODE: threads of every kind of creation and end. What is said of a function is how many threads it made, and of
 * how many nothing is left.
 */
#include "alone.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>

#define MANY 40

static char token; /* what every thread is given, and gives back */
static void *volatile kept;
static int ended; /* threads that are done with their work */

static void *work(void *argument)
{
    free(malloc(10));
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
    return argument;
}
static int work_c11(void *argument)
{
    work(argument);
    return 7;
}
static void *exits(void *argument)
{
    work(argument);
    pthread_exit(argument);
}
static void *waits(void *argument)
{
    for (;;)
        pause();
    return argument;
}
static int stop;
static void *serves(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        usleep(1000);
    return work(argument);
}
static void *wakes(void *argument)
{
    for (;;) {
        free(malloc(100));
        usleep(5000);
    }
    return argument;
}
static void *detaches_itself(void *argument)
{
    MUST(pthread_detach(pthread_self()) == 0);
    return work(argument);
}
static void *keeps_on_a_small_stack(void *argument)
{
    kept = malloc(123);
    return work(argument);
}

/* The named functions: one thread each call. */
#define MAKER(name, attributes, start)                                                                        \
    static SITE pthread_t name(void)                                                                          \
    {                                                                                                         \
        pthread_t thread;                                                                                     \
        MUST(pthread_create(&thread, attributes, start, &token) == 0);                                          \
        return thread;                                                                                        \
    }
static pthread_attr_t detached, small;
MAKER(made_to_join, NULL, work)
MAKER(made_to_try, NULL, work)
MAKER(made_to_wait, NULL, work)
MAKER(made_to_detach, NULL, work)
MAKER(made_to_detach_late, NULL, work)
MAKER(made_to_detach_itself, NULL, detaches_itself)
MAKER(made_detached, &detached, work)
MAKER(made_to_exit, NULL, exits)
MAKER(made_to_cancel, NULL, waits)
MAKER(made_small, &small, keeps_on_a_small_stack)
MAKER(made_and_left, NULL, work)
MAKER(made_to_run, NULL, waits)
MAKER(made_to_serve, NULL, serves)
MAKER(made_to_wake, NULL, wakes)

static SITE thrd_t made_c11(void)
{
    thrd_t thread;
    MUST(thrd_create(&thread, work_c11, &token) == thrd_success);
    return thread;
}
static SITE thrd_t made_c11_to_detach(void)
{
    thrd_t thread;
    MUST(thrd_create(&thread, work_c11, NULL) == thrd_success);
    return thread;
}
static SITE void not_made(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    MUST(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, (size_t)1 << 46) == 0);
    MUST(pthread_create(&thread, &attributes, work, NULL) == EAGAIN);
}

static void *joined(pthread_t thread)
{
    void *result = NULL;
    MUST(pthread_join(thread, &result) == 0);
    return result;
}
static struct timespec in_a_minute(clockid_t clock)
{
    struct timespec now;
    MUST(clock_gettime(clock, &now) == 0);
    now.tv_sec += 60;
    return now;
}
static void try_to_join(pthread_t thread)
{
    int result;
    while ((result = pthread_tryjoin_np(thread, NULL)) == EBUSY)
        usleep(100);
    MUST(result == 0);
}
static void wait_to_join(pthread_t thread, int n)
{
    struct timespec past = {0, 0}, real = in_a_minute(CLOCK_REALTIME), monotonic = in_a_minute(CLOCK_MONOTONIC);
    int early = pthread_timedjoin_np(thread, NULL, &past);
    if (early == 0)
        return;
    MUST(early == ETIMEDOUT);
    if (n % 2)
        MUST(pthread_timedjoin_np(thread, NULL, &real) == 0);
    else
        MUST(pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &monotonic) == 0);
}

/* Until so many more are done with their work, and all that comes after it. */
static void wait_for(int before, int more)
{
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) < before + more)
        usleep(100);
    usleep(20000);
    until_alone();
}

static void joins(void)
{
    for (int i = 0; i < MANY; i++) {
        MUST(joined(made_to_join()) == &token);
        MUST(joined(made_to_exit()) == &token);
        try_to_join(made_to_try());
        wait_to_join(made_to_wait(), i);
        pthread_t thread = made_to_cancel();
        MUST(pthread_cancel(thread) == 0 && joined(thread) == PTHREAD_CANCELED);
        int result = 0;
        MUST(thrd_join(made_c11(), &result) == thrd_success && result == 7);
        MUST(joined(made_small()) == &token);
        not_made();
    }
    expect("made_to_join", "thread", MANY, MANY, -1);
    expect("made_to_exit", "thread", MANY, MANY, -1);
    expect("made_to_try", "thread", MANY, MANY, -1);
    expect("made_to_wait", "thread", MANY, MANY, -1);
    expect("made_to_cancel", "thread", MANY, MANY, -1);
    expect("made_c11", "thread", MANY, MANY, -1);
    expect("made_small", "thread", MANY, MANY, -1);
    expect("keeps_on_a_small_stack", "heap", MANY, 0, 123 * MANY);
    expect("not_made", "thread", 0, 0, -1);
}

static void detaches(void)
{
    int before = ended;
    for (int i = 0; i < MANY; i++) {
        made_detached();
        made_to_detach_itself();
        MUST(pthread_detach(made_to_detach()) == 0);
        MUST(thrd_detach(made_c11_to_detach()) == thrd_success);
    }
    wait_for(before, 4 * MANY);
    for (int i = 0; i < MANY; i++) { /* it has ended before it is detached */
        pthread_t thread = made_to_detach_late();
        while (pthread_kill(thread, 0) == 0 && __atomic_load_n(&ended, __ATOMIC_SEQ_CST) < before + 4 * MANY + i + 1)
            usleep(100);
        until_alone();
        MUST(pthread_detach(thread) == 0);
    }
    expect("made_detached", "thread", MANY, MANY, -1);
    expect("made_to_detach", "thread", MANY, MANY, -1);
    expect("made_to_detach_itself", "thread", MANY, MANY, -1);
    expect("made_to_detach_late", "thread", MANY, MANY, -1);
    expect("made_c11_to_detach", "thread", MANY, MANY, -1);
}

/* Threads that end and are never joined: one by one, as requests would make them. */
static void leaves(void)
{
    for (int i = 0; i < MANY; i++) {
        made_and_left();
        wait_for(i, 1);
    }
    expect("made_and_left", "thread", MANY, 0, -1);
}

/* A pool from the start, still there at the end, or told to stop and not joined. */
static void pool(void)
{
    for (int i = 0; i < MANY; i++)
        made_to_run();
    for (int i = 0; i < MANY; i++)
        joined(made_to_join());
    expect("made_to_run", "thread", MANY, 0, -1);
    expect("made_to_join", "thread", MANY, MANY, -1);
}
static void stopped_pool(void)
{
    for (int i = 0; i < MANY; i++)
        made_to_serve();
    usleep(20000);
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    wait_for(0, MANY);
    expect("made_to_serve", "thread", MANY, 0, -1);
}

/* One thread more with every request, for good. */
static void grows(void)
{
    for (int i = 0; i < 200; i++) {
        made_to_run();
        usleep(2000);
    }
    expect("made_to_run", "thread", 200, 0, -1);
}

/* ... that wakes up time and again. */
static void wakes_on(void)
{
    for (int i = 0; i < 100; i++) {
        made_to_wake();
        usleep(10000);
    }
    expect("made_to_wake", "thread", 100, 0, -1);
}

/* A fork in a thread: the child has one thread, and the rows of the others are the parent's. */
static void *forks(void *argument)
{
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        joined(made_to_join());
        expect("made_to_run", "thread", 0, 0, -1);
        expect("made_to_exit", "thread", 0, 0, -1);
        expect("made_to_join", "thread", 1, 1, -1);
        return argument; /* its last thread ends, and so does the child */
    }
    int status;
    MUST(waitpid(child, &status, 0) == child && status == 0);
    return argument;
}
static SITE pthread_t made_to_fork(void)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, forks, NULL) == 0);
    return thread;
}
static void forking(void)
{
    made_to_run();
    joined(made_to_exit());
    for (int i = 0; i < 5; i++)
        joined(made_to_fork());
    expect("made_to_run", "thread", 1, 0, -1);
    expect("made_to_exit", "thread", 1, 1, -1);
    expect("made_to_fork", "thread", 5, 5, -1);
    expect("made_to_join", "thread", 0, 0, -1);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"joins", joins},   {"detaches", detaches}, {"leaves", leaves}, {"pool", pool}, {"stopped_pool", stopped_pool},
                 {"grows", grows}, {"wakes_on", wakes_on}, {"forking", forking}};
    MUST(argc == 2);
    MUST(pthread_attr_init(&detached) == 0 && pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
    MUST(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 16384) == 0);
    for (unsigned i = 0; i < sizeof(modes) / sizeof(*modes); i++)
        if (!strcmp(argv[1], modes[i].name)) {
            modes[i].run();
            return 0;
        }
    return 99;
}
