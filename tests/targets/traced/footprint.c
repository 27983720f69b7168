/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * footprint FOLDER THREADS: how much memory the tracer takes. Each thread allocates below some twenty depths of stack, enough to
 * fill its lane several times. FOLDER/start, FOLDER/end and FOLDER/child are what the kernel says of the mappings: at the
 * start, when all threads have done their work and are still there, and in a forked child.
 */
#include "expect.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 64
#define KEPT        3000
#define TIMES       20000

static pthread_barrier_t worked, seen;

static void *deep(int depth, size_t size)
{
    void *volatile block = depth == 0 ? malloc(size) : deep(depth - 1, size);
    return block;
}

static void *work(void *argument)
{
    void *kept[KEPT] = {NULL};
    for (int i = 0; i < TIMES; i++) {
        free(kept[i % KEPT]);
        kept[i % KEPT] = deep(i % 20, (size_t)(i % 61) * 8 + 1);
    }
    for (int i = 0; i < KEPT; i++)
        free(kept[i]);
    pthread_barrier_wait(&worked);
    pthread_barrier_wait(&seen);
    return argument;
}

static void look(const char *folder, const char *name)
{
    char path[512], buffer[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *from = fopen("/proc/self/smaps", "r"), *to = fopen(path, "w");
    MUST(from && to);
    for (size_t size; (size = fread(buffer, 1, sizeof(buffer), from)) > 0;)
        MUST(fwrite(buffer, 1, size, to) == size);
    MUST(fclose(from) == 0 && fclose(to) == 0);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    int count = argc == 3 ? atoi(argv[2]) : 0;
    MUST(count > 0 && count <= THREADS_MAX);
    look(argv[1], "start");
    MUST(pthread_barrier_init(&worked, NULL, (unsigned)count + 1) == 0);
    MUST(pthread_barrier_init(&seen, NULL, (unsigned)count + 1) == 0);
    for (int i = 0; i < count; i++)
        MUST(pthread_create(&threads[i], NULL, work, NULL) == 0);
    pthread_barrier_wait(&worked);
    look(argv[1], "end");
    pthread_barrier_wait(&seen);
    for (int i = 0; i < count; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    int status;
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        look(argv[1], "child");
        _exit(0);
    }
    MUST(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}
