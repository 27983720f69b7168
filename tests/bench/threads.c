/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * threads COUNT BLOCKS: that many threads (the first one is main), each of which allocates and releases BLOCKS blocks, a thousand
 * alive at a time. They do so one after the other, so that the allocator's own memory is the same in each run. When all have
 * done so they wait, and "ready" is printed; when the input ends, so does the program.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 256
#define ALIVE   1000

static long blocks;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t done, over;

static __attribute__((noinline)) void *make(size_t size)
{
    void *volatile block = malloc(size);
    return block;
}

static void churn(void)
{
    void *alive[ALIVE] = {NULL};
    pthread_mutex_lock(&turn);
    for (long i = 0; i < blocks; i++) {
        free(alive[i % ALIVE]);
        alive[i % ALIVE] = make((size_t)(i % 61) * 8 + 1);
    }
    for (long i = 0; i < ALIVE; i++)
        free(alive[i]);
    pthread_mutex_unlock(&turn);
}

static void *work(void *data)
{
    churn();
    pthread_barrier_wait(&done);
    pthread_barrier_wait(&over);
    return data;
}

int main(int argc, char **argv)
{
    pthread_t ids[THREADS];
    char byte;
    long count = argc > 2 ? atol(argv[1]) : 0;
    if (count < 1 || count > THREADS)
        return 2;
    blocks = atol(argv[2]);
    pthread_barrier_init(&done, NULL, (unsigned)count);
    pthread_barrier_init(&over, NULL, (unsigned)count);
    for (long i = 1; i < count; i++)
        if (pthread_create(&ids[i], NULL, work, NULL) != 0)
            return 1;
    churn();
    pthread_barrier_wait(&done);
    if (write(STDOUT_FILENO, "ready\n", 6) != 6 || read(STDIN_FILENO, &byte, 1) < 0)
        return 1;
    pthread_barrier_wait(&over);
    for (long i = 1; i < count; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
