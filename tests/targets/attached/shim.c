/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stands where the shim would be loaded, and only notes that it was called, in the descriptors it is given: so what goes wrong with
 * it is the injector's fault. It must be called on a thread of its own, that has everything a thread has.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stray/attach.h"
#include "stray/format.h"

#ifdef OLDER
#define VERSION (STRAY_ATTACH_VERSION - 1)
#else
#define VERSION STRAY_ATTACH_VERSION
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool active;
    int trace, spool;
    char spool_path[4096];
} state;

/* A variable that only a thread with storage of its own has. */
static __thread unsigned calls = 1;

#define EXPORT __attribute__((visibility("default")))

static bool is_thread_of_its_own(void)
{
    pthread_attr_t attributes;
    size_t size = 0;
    void *memory = malloc(100), *stack = NULL;
    bool good = calls++ == 1 && memory && syscall(SYS_gettid) != getpid() &&
                pthread_getattr_np(pthread_self(), &attributes) == 0 && pthread_attr_getstack(&attributes, &stack, &size) == 0;
    good = good && (char *)&good > (char *)stack && (char *)&good < (char *)stack + size;
    free(memory);
    return good;
}

static void say(int fd, const char *what)
{
    char line[128];
    int length = snprintf(line, sizeof(line), "%s %d\n", what, (int)getpid());
    if (write(fd, line, (size_t)length) != length)
        abort();
}

static const char *find(const char *block, const char *name)
{
    size_t length = strlen(name);
    for (; *block; block += strlen(block) + 1)
        if (strncmp(block, name, length) == 0 && block[length] == '=')
            return block + length + 1;
    return "";
}

static void mark(uint32_t spool_state)
{
    struct stray_spool_header header = {.magic = STRAY_SPOOL_MAGIC, .state = spool_state};
    if (pwrite(state.spool, &header, sizeof(header), 0) != sizeof(header))
        abort();
}

static int begin(const struct stray_attach_request *request)
{
    if (state.active)
        return -EALREADY;
    if (!is_thread_of_its_own())
        return -EINVAL;
    state.trace = request->trace;
    state.spool = request->spool;
    state.active = true;
    snprintf(state.spool_path, sizeof(state.spool_path), "%s", find(request->environment, "STRAY_SPOOL_PATH"));
    mark(STRAY_SPOOL_LIVE);
    for (const char *variable = request->environment; *variable; variable += strlen(variable) + 1)
        dprintf(state.trace, "%s\n", variable);
    say(state.trace, "begin");
    return 0;
}

static int end(void)
{
    if (!state.active)
        return -ESRCH;
    say(state.trace, "end");
    mark(STRAY_SPOOL_CLOSED);
    unlink(state.spool_path);
    close(state.trace);
    close(state.spool);
    state.active = false;
    return 0;
}

/* As the shim does: nobody's calls come here, but it looks like an allocator. */
void *__libc_malloc(size_t size);

EXPORT void *malloc(size_t size)
{
    return __libc_malloc(size);
}

EXPORT int stray_attach_begin(struct stray_attach_request *request)
{
    if (request->version != VERSION)
        return -EPROTO;
    pthread_mutex_lock(&lock);
    int result = begin(request);
    pthread_mutex_unlock(&lock);
    request->answered = 1;
    if (result < 0) {
        close(request->trace);
        close(request->spool);
    }
    return result;
}

EXPORT int stray_attach_end(void)
{
    pthread_mutex_lock(&lock);
    int result = end();
    pthread_mutex_unlock(&lock);
    return result;
}
