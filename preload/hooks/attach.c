/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `stray attach` calls in a program that was running before we were loaded, on a thread made for it. */
#include "stray/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "hooks/journal.h"
#include "hooks/libpq_met.h"
#include "hooks/python_memory.h"
#include "lock.h"
#include "settings.h"
#include "stack/python.h"
#include "state/incarnation.h"
#include "state/pairs_bind.h"
#include "sys.h"
#include "text.h"

#define VARIABLES_MAX 64
#define NAP_NS 20000000
#define NAPS   250u /* five seconds: longer than any attach or detach takes */

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int stray_attach_begin(struct stray_attach_request *request);
EXPORTED int stray_attach_end(void);

static uint32_t lock;

static void nap(void)
{
    struct timespec time = {.tv_nsec = NAP_NS};
    SYS3(SYS_nanosleep, &time, NULL, 0);
}

/* False: whoever is at it does not come to an end; in a child that was forked meanwhile, it is not there. */
static bool take(void)
{
    bool taken = lock_try(&lock);
    for (unsigned naps = 0; !taken && naps < NAPS; naps++) {
        nap();
        taken = lock_try(&lock);
    }
    return taken;
}

static const char *value_of(const char *variable, const char *name, const char *otherwise)
{
    return string_begins(variable, name) ? variable + string_length(name) : otherwise;
}

/* False: there are too many, or there is no end to them. */
static bool read_variables(const struct stray_attach_request *request, char *variables[VARIABLES_MAX + 1])
{
    const char *end = (const char *)request + request->size, *at = request->environment;
    unsigned count = 0;
    while (at < end && *at && count < VARIABLES_MAX) {
        size_t length = strnlen(at, (size_t)(end - at));
        variables[count++] = (char *)(uintptr_t)at;
        at += length + 1;
    }
    variables[count] = NULL;
    return at < end && !*at;
}

static void name_files(char *const *variables, struct incarnation_files *files)
{
    for (; *variables; variables++) {
        files->trace_path = value_of(*variables, SETTINGS_TRACE_PATH, files->trace_path);
        files->spool_path = value_of(*variables, SETTINGS_SPOOL_PATH, files->spool_path);
    }
}

/* A return from main() is an exit() that no hook sees here, and its status is told to such handlers only. It is done before those that
 * the program has set, and stays for good. */
static void exiting(int status, void *unused)
{
    (void)unused;
    incarnation_set_status(status);
    incarnation_end_begins(STRAY_ENDING_EXIT);
}

static void watch_exit(void)
{
    static bool watching;
    uint32_t flags = gate_enter();
    if (!watching)
        watching = on_exit(exiting, NULL) == 0;
    gate_leave(flags);
}

static int bind_hooks(void)
{
    uint32_t flags = gate_enter();
    bool bound = journal_bind();
    pairs_bind();
    gate_leave(flags);
    return bound ? 0 : -ENOMEM;
}

/* A thread that was binding a call for the first time meanwhile, and was held up, has put the function where the hook was. The service
 * does not wait for us here. */
static void bind_stragglers(void)
{
    bind_hooks();
    nap();
    bind_hooks();
}

static void take_hooks_back(void)
{
    uint32_t flags = gate_enter();
    pairs_release();
    journal_unbind();
    python_memory_left();
    python_leave();
    gate_leave(flags);
}

static int leave(void)
{
    return incarnation_leave(take_hooks_back);
}

/* Closes the descriptors unless it fails. */
static int begin(const struct stray_attach_request *request)
{
    char *variables[VARIABLES_MAX + 1];
    struct incarnation_files files = {.trace = request->trace, .spool = request->spool};
    if (request->size <= sizeof(*request) || !read_variables(request, variables))
        return -EINVAL;
    name_files(variables, &files);
    if (!files.trace_path || !files.spool_path)
        return -EINVAL;
    libpq_met_begin();
    int result = incarnation_attach(&files, variables);
    if (result == 0 && (result = bind_hooks()) < 0)
        leave();
    if (result < 0)
        return result;
    sys_close(files.trace);
    sys_close(files.spool);
    incarnation_baseline();
    watch_exit();
    python_memory_attached();
    bind_stragglers();
    return 0;
}

static bool is_withdrawn(const struct stray_attach_request *request)
{
    return __atomic_load_n(&request->withdrawn, __ATOMIC_SEQ_CST);
}

/* Nothing changes any more but by the injector's own doing. False: it waits no longer. */
static bool settle(struct stray_attach_request *request)
{
    __atomic_store_n(&request->answered, 1, __ATOMIC_SEQ_CST);
    return !is_withdrawn(request);
}

static int give_up(struct stray_attach_request *request, int result)
{
    sys_close(request->trace);
    sys_close(request->spool);
    return settle(request) ? result : -ECANCELED;
}

/* It may take long, where a library is being loaded for a minute: then nobody waits any more, and the files are gone. */
static int begin_unless_withdrawn(struct stray_attach_request *request)
{
    int result = is_withdrawn(request) ? -ECANCELED : begin(request);
    if (result < 0)
        return give_up(request, result);
    if (settle(request))
        return 0;
    leave();
    return -ECANCELED;
}

int stray_attach_begin(struct stray_attach_request *request)
{
    int kept = errno, result;
    if (request->version != STRAY_ATTACH_VERSION)
        return -EPROTO;
    if (take()) {
        result = begin_unless_withdrawn(request);
        lock_release(&lock);
    } else {
        result = give_up(request, -EBUSY);
    }
    errno = kept;
    return result;
}

int stray_attach_end(void)
{
    int kept = errno, result = -EBUSY;
    if (take()) {
        result = leave();
        lock_release(&lock);
    }
    errno = kept;
    return result;
}
