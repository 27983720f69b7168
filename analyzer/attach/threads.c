/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/threads.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The letter of its state; 0: it is gone. */
static char state_of(pid_t pid, pid_t tid)
{
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    const char *end = file && fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
    char state = end && end[1] == ' ' ? end[2] : 0;
    if (file)
        fclose(file);
    return state;
}

static int add(struct threads *threads, pid_t tid, size_t at)
{
    pid_t *more = reallocarray(threads->ids, threads->count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    threads->ids = more;
    memmove(more + at + 1, more + at, (threads->count - at) * sizeof(*more));
    more[at] = tid;
    threads->count++;
    return 0;
}

int threads_read(pid_t pid, struct threads *ret_threads)
{
    char path[64];
    struct threads threads = {0};
    size_t asleep = 0;
    int result = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ? -ESRCH : -errno;
    for (const struct dirent *entry; result == 0 && (entry = readdir(folder)) != NULL;) {
        pid_t tid = (pid_t)atoi(entry->d_name);
        char state = tid > 0 ? state_of(pid, tid) : 0;
        threads.all += state && state != 'Z' && state != 'X';
        if (state == 'S')
            result = add(&threads, tid, asleep++);
        else if (state == 'R')
            result = add(&threads, tid, threads.count);
    }
    closedir(folder);
    if (result < 0)
        threads_free(&threads);
    else
        *ret_threads = threads;
    return result;
}

void threads_free(struct threads *threads)
{
    free(threads->ids);
    *threads = (struct threads){0};
}

/* The last number of "NSpid: 4711 12 3": what it is in the innermost namespace. */
static pid_t own_number(pid_t pid, pid_t tid)
{
    char path[64], line[256];
    pid_t number = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    while (file && number == 0 && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "NSpid:", 6) == 0 && strrchr(line, '\t'))
            number = (pid_t)atoi(strrchr(line, '\t'));
    }
    if (file)
        fclose(file);
    return number;
}

pid_t threads_find(pid_t pid, pid_t own)
{
    char path[64];
    pid_t found = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (const struct dirent *entry; !found && (entry = readdir(folder)) != NULL;) {
        pid_t tid = (pid_t)atoi(entry->d_name);
        if (tid > 0 && own_number(pid, tid) == own)
            found = tid;
    }
    closedir(folder);
    return found;
}
