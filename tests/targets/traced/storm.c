/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storm TIMES: again and again, threads that allocate and make and join threads, while others fork, vfork, spawn and
 * wait; the children do the same in turn, or become another program. Every count is exact, whatever was going on.
 */
#include "alone.h"

#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define FORKERS  2
#define MAKERS   2
#define CHILDREN 3 /* of each forker, in each storm */
#define THREADS  8 /* of each maker, in each storm */
#define KEPT     5 /* blocks of each child */

extern char **environ;
static char *const words[] = {(char[]){"true"}, NULL};
static int stop;

static void *allocates(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        free(malloc(333));
    return argument;
}

static void *works(void *argument)
{
    free(malloc(100));
    return argument;
}
static SITE void makes_threads(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, works, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        MUST(i % 2 ? pthread_detach(threads[i]) == 0 : pthread_join(threads[i], NULL) == 0);
}
static SITE void makes_threads_in_child(void)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, works, NULL) == 0 && pthread_join(thread, NULL) == 0);
}
static void *volatile kept[KEPT];
static SITE void keeps_in_child(void)
{
    for (int i = 0; i < KEPT; i++)
        kept[i] = malloc(50);
}

static void child(int how)
{
    makes_threads_in_child();
    keeps_in_child();
    if (how == 0)
        _exit(0);
    if (how == 1)
        exit(0);
    execl("/bin/true", "true", (char *)NULL);
    _exit(98);
}
static SITE void makes_children(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        int status;
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0)
            child(i % 3);
        MUST(waitpid(pid, &status, 0) == pid && status == 0);
    }
}
static SITE void spawns_children(void)
{
    int status;
    pid_t pid;
    MUST(posix_spawn(&pid, "/bin/true", NULL, NULL, words, environ) == 0);
    MUST(waitpid(pid, &status, 0) == pid && status == 0);
    pid = vfork();
    MUST(pid >= 0);
    if (pid == 0) {
        execv("/bin/true", words);
        _exit(98);
    }
    MUST(waitpid(pid, &status, 0) == pid && status == 0);
}

static void *forks(void *argument)
{
    makes_children();
    spawns_children();
    return argument;
}
static void *makes(void *argument)
{
    makes_threads();
    return argument;
}

static SITE void begin(pthread_t *thread, void *(*start)(void *))
{
    MUST(pthread_create(thread, NULL, start, NULL) == 0);
}

static void storm(void)
{
    pthread_t threads[FORKERS + MAKERS];
    for (int i = 0; i < FORKERS; i++)
        begin(&threads[i], forks);
    for (int i = 0; i < MAKERS; i++)
        begin(&threads[FORKERS + i], makes);
    for (int i = 0; i < FORKERS + MAKERS; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
}

int main(int argc, char **argv)
{
    pthread_t noise;
    MUST(argc == 2);
    int times = atoi(argv[1]);
    begin(&noise, allocates);
    for (int i = 0; i < times; i++)
        storm();
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    MUST(pthread_join(noise, NULL) == 0);
    until_alone(); /* the detached ones come to their ends */
    expect("begin", "thread", times * (FORKERS + MAKERS) + 1, times * (FORKERS + MAKERS) + 1, -1);
    expect("makes_threads", "thread", times * MAKERS * THREADS, times * MAKERS * THREADS, -1);
    expect("makes_children", "child", times * FORKERS * CHILDREN, times * FORKERS * CHILDREN, -1);
    expect("spawns_children", "child", times * FORKERS * 2, times * FORKERS * 2, -1);
    /* Of all children together. */
    expect("makes_threads_in_child", "thread", times * FORKERS * CHILDREN, times * FORKERS * CHILDREN, -1);
    expect("keeps_in_child", "heap", times * FORKERS * CHILDREN * KEPT, 0, times * FORKERS * CHILDREN * KEPT * 50);
    return 0;
}
