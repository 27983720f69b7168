/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/delivery.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/injection.h"
#include "attach/memory.h"
#include "attach/process.h"
#include "stray/attach.h"

#define SECOND_NS 1e9

/* Ctrl-Z, or a job in the background that has something to say, stops this process before or after, never between two steps: the
 * thread in the other process waits for the next one. */
static void hold_stops(sigset_t *ret_before)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTSTP);
    sigaddset(&stops, SIGTTIN);
    sigaddset(&stops, SIGTTOU);
    sigprocmask(SIG_BLOCK, &stops, ret_before);
}

/* ---- which shim there is ---- */

/* Address of a function of the shim in the process; 0: it is not loaded. */
static int shim_function(pid_t pid, int memory, const char *name, uint64_t *ret_address, struct error *error)
{
    struct objects objects;
    int result = objects_read(pid, memory, &objects);
    if (result < 0)
        return error_set(error, result, "%d: %s", (int)pid, error_reason(result));
    const struct object *shim = symbol_definer(&objects, name);
    *ret_address = shim ? symbol_address(&objects, shim, name) : 0;
    objects_free(&objects);
    return 0;
}

/* ---- getting it there ---- */

/* Whether the descriptor `number` of the process is that file of ours. */
static bool same_file(pid_t pid, int number, const struct stat *ours)
{
    char theirs[64];
    struct stat there;
    snprintf(theirs, sizeof(theirs), "/proc/%d/fd/%d", (int)pid, number);
    return stat(theirs, &there) == 0 && there.st_dev == ours->st_dev && there.st_ino == ours->st_ino;
}

/* Whether the process, with its rights and in its file system, finds the shim where we do. */
static int finds_shim(struct injection *injection, const char *shim, uint64_t address, bool *ret_finds, struct error *error)
{
    uint64_t number;
    struct stat ours;
    int result = injection_call(injection, injection->libc.open, (const uint64_t[6]){address, O_RDONLY | O_CLOEXEC}, &number, error);
    *ret_finds = result == 0 && (int)number >= 0 && stat(shim, &ours) == 0 && same_file(injection->pid, (int)number, &ours);
    if (result == 0 && (int)number >= 0)
        result = injection_call(injection, injection->libc.close, (const uint64_t[6]){number}, NULL, error);
    return result;
}

static int load(struct injection *injection, uint64_t path, struct error *error)
{
    uint64_t handle, message;
    char text[512];
    int result = injection_call(injection, injection->libc.dlopen, (const uint64_t[6]){path, RTLD_NOW | RTLD_LOCAL}, &handle, error);
    if (result < 0 || handle)
        return result;
    result = injection_call(injection, injection->libc.dlerror, (const uint64_t[6]){0}, &message, error);
    if (result < 0)
        return result;
    memory_string(injection->memory, message, text, sizeof(text));
    return error_set(error, -ELIBACC, "%d: the library cannot be loaded in it: %s", (int)injection->pid, text);
}

/* A copy of the file in memory. */
static int copy_of(const char *path)
{
    struct stat info;
    off_t at = 0;
    int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create(strrchr(path, '/') ? strrchr(path, '/') + 1 : path, MFD_CLOEXEC);
    bool whole = from >= 0 && to >= 0 && fstat(from, &info) == 0;
    while (whole && at < info.st_size)
        whole = sendfile(to, from, &at, (size_t)(info.st_size - at)) > 0;
    int result = whole ? to : -errno;
    if (from >= 0)
        close(from);
    if (!whole && to >= 0)
        close(to);
    return result;
}

/* In a chroot, maybe not. */
static bool sees_proc(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/root/proc/self/fd", (int)pid);
    return access(path, F_OK) == 0;
}

static int load_copy(struct injection *injection, const char *shim, struct error *error)
{
    char path[64];
    uint64_t address;
    if (!sees_proc(injection->pid))
        return error_set(error, -ENOENT, "%d: sees neither %s nor a /proc: mount one in its root folder", (int)injection->pid, shim);
    int number, copy = copy_of(shim);
    if (copy < 0)
        return error_set(error, copy, "%s: %s", shim, error_reason(copy));
    int result = injection_give(injection, &copy, 1, &number, error);
    close(copy);
    if (result < 0)
        return result;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
    result = injection_put(injection, 0, path, strlen(path) + 1, &address, error);
    if (result == 0)
        result = load(injection, address, error);
    struct error ignored;
    int closed = injection_call(injection, injection->libc.close, (const uint64_t[6]){(uint64_t)number}, NULL, &ignored);
    return result < 0 ? result : closed;
}

/* By its path where it finds it, so that debuggers and profilers find it, too; else as a copy, which needs no file. */
static int load_shim(struct injection *injection, const char *shim, struct error *error)
{
    uint64_t address;
    bool finds = false;
    int result = injection_put(injection, 0, shim, strlen(shim) + 1, &address, error);
    if (result == 0)
        result = finds_shim(injection, shim, address, &finds, error);
    if (result < 0)
        return result;
    return finds ? load(injection, address, error) : load_copy(injection, shim, error);
}

static int find_or_load(struct injection *injection, const char *shim, uint64_t *ret_begin, struct error *error)
{
    int result = shim_function(injection->pid, injection->memory, STRAY_ATTACH_BEGIN, ret_begin, error);
    if (result < 0 || *ret_begin)
        return result;
    result = load_shim(injection, shim, error);
    if (result == 0)
        result = shim_function(injection->pid, injection->memory, STRAY_ATTACH_BEGIN, ret_begin, error);
    if (result == 0 && !*ret_begin)
        return error_set(error, -ELIBACC, "%s: this is no shim that can be attached", shim);
    return result;
}

/* ---- the request ---- */

static size_t block_size(char *const *variables)
{
    size_t size = 1;
    for (; *variables; variables++)
        size += strlen(*variables) + 1;
    return size;
}

static int put_request(struct injection *injection, char *const *variables, const int numbers[2], uint64_t *ret_address,
                       struct error *error)
{
    size_t size = sizeof(struct stray_attach_request) + block_size(variables), at = sizeof(struct stray_attach_request);
    struct stray_attach_request head = {
        .version = STRAY_ATTACH_VERSION, .size = (uint32_t)size, .trace = numbers[0], .spool = numbers[1]};
    char *bytes = calloc(1, size);
    if (!bytes)
        return error_set(error, -ENOMEM, "%d: %s", (int)injection->pid, error_reason(-ENOMEM));
    memcpy(bytes, &head, sizeof(head));
    for (; *variables; at += strlen(*variables++) + 1)
        memcpy(bytes + at, *variables, strlen(*variables));
    int result = injection_put(injection, 0, bytes, size, ret_address, error);
    free(bytes);
    return result;
}

static int refusal(pid_t pid, int code, struct error *error)
{
    switch (code) {
    case -EALREADY:
        return error_set(error, code, "%d: already traced", (int)pid);
    case -EPROTO:
        return error_set(error, code, "%d: the library of another version of stray is in it: attach with that version, or restart it",
                         (int)pid);
    case -ECANCELED:
        return error_set(error, code, "%d: took more than a minute to begin (does it load a library?); it is not traced", (int)pid);
    default:
        return error_set(error, code, "%d: tracing did not begin in it: %s", (int)pid, error_reason(code));
    }
}

/* It has not answered for long. Whatever it may do yet, it then undoes; unless it had done all just now, and is about to say so. */
static int withdraw(struct injection *injection, uint64_t request, uint64_t *ret_answer, struct error *error)
{
    const uint32_t withdrawn = 1;
    uint32_t answered = 0;
    if (memory_write(injection->memory, request + offsetof(struct stray_attach_request, withdrawn), &withdrawn, sizeof(withdrawn)) < 0)
        return error_set(error, -ESRCH, "%d: has ended", (int)injection->pid);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memory_read(injection->memory, request + offsetof(struct stray_attach_request, answered), &answered, sizeof(answered));
    if (injection_late_answer(injection, answered, ret_answer))
        return 0;
    return error_set(error, -ETIMEDOUT, "%d: did not begin within a minute (does it load a library?); what it has begun, it will undo",
                     (int)injection->pid);
}

/* The thread has gone, and what it was given is nobody's: another one closes it. */
static void take_back_later(pid_t pid, const int ours[2], const int theirs[2])
{
    struct injection injection;
    struct error ignored;
    if (injection_begin(pid, &injection, &ignored) < 0)
        return;
    for (size_t i = 0; i < 2; i++) {
        struct stat file;
        if (fstat(ours[i], &file) == 0 && same_file(pid, theirs[i], &file))
            injection_take_back(&injection, &theirs[i], 1);
    }
    injection_end(&injection);
}

static int begin(struct injection *injection, const struct delivery *delivery, struct error *error)
{
    const int ours[2] = {delivery->trace, delivery->spool};
    int theirs[2];
    uint64_t entry, request, answer = 0;
    int result = find_or_load(injection, delivery->shim, &entry, error);
    if (result == 0)
        result = injection_give(injection, ours, 2, theirs, error);
    if (result < 0)
        return result;
    result = put_request(injection, delivery->variables, theirs, &request, error);
    if (result < 0)
        injection_take_back(injection, theirs, 2);
    else
        result = injection_call(injection, entry, (const uint64_t[6]){request}, &answer, error);
    if (result == -ETIMEDOUT)
        result = withdraw(injection, request, &answer, error);
    if (result == -EPIPE)
        take_back_later(injection->pid, ours, theirs);
    if (result == 0 && (int)answer == -EPROTO) /* else the shim has closed them, or will */
        injection_take_back(injection, theirs, 2);
    return result == 0 && (int)answer < 0 ? refusal(injection->pid, (int)answer, error) : result;
}

static int begin_in(pid_t pid, struct delivery *delivery, struct error *error)
{
    struct injection injection;
    int result = injection_begin(pid, &injection, error);
    if (result < 0)
        return result;
    delivery->stall_s = (double)injection.stall_ns / SECOND_NS;
    result = begin(&injection, delivery, error);
    injection_end(&injection);
    return result;
}

int delivery_begin(pid_t pid, struct delivery *delivery, struct error *error)
{
    sigset_t before;
    hold_stops(&before);
    int result = begin_in(pid, delivery, error);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* ---- the end ---- */

static int end(struct injection *injection, uint64_t entry, struct error *error)
{
    uint64_t answer;
    int result = injection_call(injection, entry, (const uint64_t[6]){0}, &answer, error);
    if (result == 0 && (int)answer < 0)
        result = error_set(error, (int)answer, "%d: %s", (int)injection->pid,
                           (int)answer == -ESRCH ? "not traced" : error_reason((int)answer));
    return result == 0 ? (int)answer : result;
}

static int end_in(pid_t pid, double *ret_stall_s, struct error *error)
{
    struct injection injection;
    uint64_t entry = 0;
    struct process_status process;
    int memory = -1, result = process_read(pid, &process, error);
    if (result == 0)
        result = process_check(&process, error);
    if (result < 0)
        return result;
    if ((result = memory_open(pid, &memory)) < 0)
        process_explain(&process, result, error);
    if (result < 0)
        return result;
    result = shim_function(pid, memory, STRAY_ATTACH_END, &entry, error);
    close(memory);
    if (result == 0 && !entry)
        result = error_set(error, -ENOENT, "%d: not traced", (int)pid);
    if (result == 0)
        result = injection_begin(pid, &injection, error);
    if (result < 0)
        return result;
    *ret_stall_s = (double)injection.stall_ns / SECOND_NS;
    result = end(&injection, entry, error);
    injection_end(&injection);
    return result;
}

int delivery_end(pid_t pid, double *ret_stall_s, struct error *error)
{
    sigset_t before;
    hold_stops(&before);
    int result = end_in(pid, ret_stall_s, error);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}
