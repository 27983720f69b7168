/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `stray attach` does in a process, done by the process itself: the shim is loaded by a thread of its own, which is then handed a
 * request and two open files.
 */
#ifndef TARGETS_ATTACH_H
#define TARGETS_ATTACH_H

#include "expect.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "stray/attach.h"

struct attach {
    const char *shim, *folder;
    const char *options; /* one more "NAME=value"; NULL: none */
    void (*asked)(struct stray_attach_request *request); /* called before it is handed over; NULL: none */
    int number;          /* of the trace, in its name; it goes up */
    int begun;           /* what the calls returned */
    int ended;
};

static inline void attach_add(struct stray_attach_request *request, const char *name, const char *value, const char *suffix)
{
    char *at = (char *)request + request->size - 1; /* over the last NUL */
    request->size += (uint32_t)sprintf(at, "%s=%s%s", name, value, suffix) + 1;
    *((char *)request + request->size - 1) = 0;
}

static inline void *attach_work(void *argument)
{
    struct attach *attach = argument;
    static _Alignas(8) char memory[16384];
    struct stray_attach_request *request = (struct stray_attach_request *)(void *)memory;
    char path[4096], spool[4200];
    int (*begin)(struct stray_attach_request *);
    void *shim = dlopen(attach->shim, RTLD_NOW | RTLD_LOCAL);
    MUST(shim || (fprintf(stderr, "%s\n", dlerror()), 0));
    *(void **)&begin = dlsym(shim, STRAY_ATTACH_BEGIN);
    MUST(begin);
    sprintf(path, "%s/attached-%d.%d.stray", attach->folder, ++attach->number, (int)getpid());
    sprintf(spool, "%s.spool", path);
    *request = (struct stray_attach_request){.version = STRAY_ATTACH_VERSION, .size = sizeof(*request) + 1};
    request->trace = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    request->spool = open(spool, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MUST(request->trace >= 0 && request->spool >= 0);
    attach_add(request, "STRAY_OUTPUT", attach->folder, "");
    attach_add(request, "STRAY_TRACE_PATH", path, "");
    attach_add(request, "STRAY_SPOOL_PATH", spool, "");
    if (attach->options) {
        char name[64];
        const char *value = strchr(attach->options, '=');
        sprintf(name, "%.*s", (int)(value - attach->options), attach->options);
        attach_add(request, name, value + 1, "");
    }
    if (attach->asked)
        attach->asked(request);
    attach->begun = begin(request);
    if (attach->begun != 0) {
        bool ours = attach->begun == -EPROTO; /* else they are the shim's, whatever it returns */
        MUST((close(request->trace) == 0) == ours && (close(request->spool) == 0) == ours);
        if (attach->begun != -ECANCELED)
            unlink(spool); /* else tests look what became of it */
        unlink(path);
    }
    return NULL;
}

static inline void *detach_work(void *argument)
{
    struct attach *attach = argument;
    int (*end)(void);
    void *shim = dlopen(attach->shim, RTLD_NOW | RTLD_LOCAL);
    MUST(shim);
    *(void **)&end = dlsym(shim, STRAY_ATTACH_END);
    MUST(end);
    attach->ended = end();
    return NULL;
}

/* Both return what the shim did. */
static inline int attach_begin(struct attach *attach)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, attach_work, attach) == 0 && pthread_join(thread, NULL) == 0);
    return attach->begun;
}

static inline int attach_end(struct attach *attach)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, detach_work, attach) == 0 && pthread_join(thread, NULL) == 0);
    return attach->ended;
}

#endif
