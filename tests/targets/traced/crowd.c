/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * More threads at once than most programs have, on the smallest stacks there are: each allocates, waits until all live,
 * and goes on; some of them try to execute another program, in vain.
 *
 *     crowd [THREADS]
 */
#include "expect.h"

#include <limits.h>
#include <pthread.h>
#include <sys/socket.h>

#define BLOCKS 40

static pthread_barrier_t all_live;
static long opened;

SITE static void *block_of_thread(void)
{
    void *volatile block = malloc(16);
    return block;
}

static void allocate(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        void *block = block_of_thread();
        MUST(block);
        free(block);
        __atomic_fetch_add(&opened, 1, __ATOMIC_RELAXED);
    }
}

static void fail_to_execute(void)
{
    static char name[] = "absent";
    char *const argv[] = {name, NULL};
    MUST(execv("/nonexistent/absent", argv) == -1);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    MUST(fd >= 0 && close(fd) == 0);
}

static void *live(void *argument)
{
    allocate();
    pthread_barrier_wait(&all_live);
    if ((size_t)argument % 100 == 0)
        fail_to_execute();
    allocate();
    return NULL;
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? (size_t)atoi(argv[1]) : 200;
    pthread_t *threads = calloc(count, sizeof(*threads));
    pthread_attr_t attributes;
    MUST(threads && pthread_barrier_init(&all_live, NULL, (unsigned)count) == 0);
    MUST(pthread_attr_init(&attributes) == 0);
    MUST(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
    for (size_t i = 0; i < count; i++)
        MUST(pthread_create(&threads[i], &attributes, live, (void *)i) == 0);
    for (size_t i = 0; i < count; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    free(threads);
    expect("block_of_thread", "heap", opened, opened, 0);
    return 0;
}
