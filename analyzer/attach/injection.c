/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/injection.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach/desk.h"
#include "attach/memory.h"
#include "attach/process.h"
#include "attach/safe_point.h"
#include "attach/scratch.h"
#include "attach/seccomp.h"
#include "attach/threads.h"
#include "monotonic.h"

#define TRIES_MIN    200u /* a millisecond apart, */
#define TRIES_NS     UINT64_C(10000000000) /* and then for so long */
#define TRIES_BESIDE 10u   /* before the raw clone is taken */
#define TRIES_SURVEY 200u  /* after which what is loaded is looked at again */
#define TRIES_STUCK  4u    /* with threads that do not stop for seconds, one after the other */
#define PAUSE_NS     1000000
#define GLANCE_NS    20000
#define TURN_NS      200000 /* where the process looks for its turn every millisecond */
#define START_NS     UINT64_C(10000000000)
#define LEAVE_NS     UINT64_C(2000000000)
#define CALL_MS      60000
#define LATE_MS      1000
#define NICE_HURRY   (-20)
#define GIVEN_MAX    8

static void pause_for(long nanoseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
}

/* ---- looking around ---- */

struct survey {
    struct objects objects;
    struct target_libc libc;
    struct thread_layout layout;
    struct terrain terrain;
    struct ground ground; /* the first three */
};

static void survey_free(struct survey *survey)
{
    terrain_free(&survey->terrain);
    objects_free(&survey->objects);
}

static int survey_read(struct survey *survey, pid_t pid, int memory, struct error *error)
{
    *survey = (struct survey){.objects.memory = memory};
    int result = objects_read(pid, memory, &survey->objects);
    if (result < 0)
        return error_set(error, result, "%d: %s", (int)pid, error_reason(result));
    result = target_libc_find(pid, &survey->objects, &survey->libc, error);
    if (result == 0) {
        result = thread_layout_read(&survey->objects, survey->libc.object, &survey->layout);
        if (result == 0)
            result = terrain_survey(&survey->objects, survey->libc.object, &survey->terrain);
        if (result < 0)
            error_set(error, result, "%d: its libc: %s", (int)pid, error_reason(result));
    }
    survey->ground = (struct ground){&survey->objects, &survey->libc, &survey->layout};
    if (result < 0)
        survey_free(survey);
    return result;
}

/* ---- one attempt after the other ---- */

/* With one thread, and after all others have ended, libc takes no locks: then a second one may not run just anywhere. */
static bool takes_locks(const struct survey *survey, size_t threads)
{
    char alone = 1;
    return threads > 1 && survey->libc.single_threaded &&
           memory_read(survey->objects.memory, survey->libc.single_threaded, &alone, 1) == 0 && !alone;
}

struct attempt {
    const struct survey *survey;
    bool beside; /* the raw clone may be taken */
    pid_t avoided, stuck; /* a thread that did not stop before; one that does not stop now; 0: none */
    struct scratch scratch;
    uint64_t stall_ns;
};

static int use_stopped(struct attempt *attempt, struct tracee *tracee, struct error *error)
{
    const struct survey *survey = attempt->survey;
    if (!point_may_move(&survey->terrain, tracee))
        return -EAGAIN;
    if (point_is_safe(&survey->terrain, tracee))
        return scratch_start_here(&survey->ground, tracee, &attempt->scratch, error);
    return attempt->beside ? scratch_start_beside(&survey->ground, tracee, &attempt->scratch, error) : -EAGAIN;
}

/* -EAGAIN where somebody else holds the thread just now: most likely another stray, and not for long. */
static int refused(pid_t tid, int code, struct error *error)
{
    struct process_status process;
    int result = process_read(tid, &process, error);
    if (result < 0)
        return result;
    return process.tracer ? -EAGAIN : process_explain(&process, code, error);
}

/* -EAGAIN: another thread, another time. */
static int try_thread(struct attempt *attempt, pid_t pid, pid_t tid, struct error *error)
{
    struct tracee tracee;
    uint64_t stall = 0;
    int result = tracee_stop(pid, tid, &tracee);
    if (result == -ESRCH)
        return -EAGAIN;
    if (result == -ETIMEDOUT)
        attempt->stuck = tid;
    if (result == -ETIMEDOUT)
        return error_set(error, result, "%d: its thread %d does not stop", (int)pid, (int)tid);
    if (result < 0)
        return result == -EAGAIN ? result : refused(tid, result, error);
    result = use_stopped(attempt, &tracee, error);
    int released = tracee_release(&tracee, &stall);
    attempt->stall_ns = stall > attempt->stall_ns ? stall : attempt->stall_ns;
    if (result == 0 && released < 0)
        return error_set(error, released, "%d: a thread could not be let go: %s", (int)pid, error_reason(released));
    return result;
}

/* Each thread once. */
static int try_each(struct attempt *attempt, pid_t pid, unsigned *tries, struct error *error)
{
    struct threads threads;
    int result = threads_read(pid, &threads);
    if (result == -ESRCH)
        return error_set(error, result, "%d: has ended", (int)pid);
    if (result < 0)
        return error_set(error, result, "%d: %s", (int)pid, error_reason(result));
    result = -EAGAIN;
    for (size_t i = 0; i < threads.count && result == -EAGAIN; i++) {
        if (threads.ids[i] == attempt->avoided && threads.count > 1)
            continue;
        attempt->beside = *tries >= TRIES_BESIDE && !attempt->survey->terrain.foreign_allocator &&
                          takes_locks(attempt->survey, threads.all);
        result = try_thread(attempt, pid, threads.ids[i], error);
        if (result == -EAGAIN)
            pause_for(PAUSE_NS);
        ++*tries;
    }
    if (threads.count == 0) {
        pause_for(PAUSE_NS);
        ++*tries;
    }
    threads_free(&threads);
    return result;
}

/* What the process that stops threads has to tell, in memory that is shared with it. */
struct made {
    int result;
    pid_t stuck; /* the thread that did not stop; 0: it was something else */
    uint64_t stall_ns;
    struct scratch scratch;
    struct target_libc libc;
    struct error error;
};

static int make_thread(const struct injection *injection, pid_t avoided, struct made *ret_made, struct error *error)
{
    unsigned tries = 0;
    uint64_t until = monotonic_ns() + TRIES_NS;
    struct attempt attempt = {.avoided = avoided};
    int result = -EAGAIN;
    while (result == -EAGAIN && (tries < TRIES_MIN || monotonic_ns() < until)) {
        struct survey survey;
        unsigned again = tries + TRIES_SURVEY;
        result = survey_read(&survey, injection->pid, injection->memory, error);
        if (result < 0)
            return result;
        attempt.survey = &survey;
        do
            result = try_each(&attempt, injection->pid, &tries, error);
        while (result == -EAGAIN && tries < again);
        ret_made->libc = survey.libc;
        survey_free(&survey);
    }
    ret_made->stuck = attempt.stuck;
    ret_made->scratch = attempt.scratch;
    ret_made->stall_ns = attempt.stall_ns;
    if (result == -EAGAIN)
        return error_set(error, -EBUSY, "%d: none of its threads was seen at a safe point; try again",
                         (int)injection->pid);
    return result;
}

/* First of all that want a processor, if that is allowed: somebody waits. */
static void hurry(void)
{
    if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) < 0)
        setpriority(PRIO_PROCESS, 0, NICE_HURRY);
}

/* A process that no signal ends half way. */
static pid_t fork_calmly(void)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    if (child != 0)
        sigprocmask(SIG_SETMASK, &before, NULL);
    return child;
}

/* Threads are stopped by a process of its own: a kill of this one leaves none half way, and the end of that one lets all go. */
static int make_thread_apart(struct injection *injection, pid_t avoided, struct made *made, struct error *error)
{
    int status;
    made->result = -EIO;
    made->stuck = 0;
    snprintf(made->error.text, sizeof(made->error.text), "%d: the process that was to stop a thread has ended", (int)injection->pid);
    pid_t child = fork_calmly();
    if (child < 0)
        return error_set(error, -errno, "%d: fork: %s", (int)injection->pid, error_reason(-errno));
    if (child == 0) {
        setpgid(0, 0);
        hurry();
        int result = seccomp_check(injection->pid, &made->error);
        made->result = result == 0 ? make_thread(injection, avoided, made, &made->error) : result;
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (made->result < 0)
        return error_set(error, made->result, "%s", made->error.text);
    injection->libc = made->libc;
    injection->stall_ns = made->stall_ns;
    injection->desk = made->scratch.desk;
    injection->room = made->scratch.room;
    injection->room_size = made->scratch.room_size;
    return 0;
}

static int make_thread_shared(struct injection *injection, struct error *error)
{
    struct made *made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        return error_set(error, -errno, "%d: %s", (int)injection->pid, error_reason(-errno));
    pid_t avoided = 0;
    int result = -ETIMEDOUT;
    for (unsigned i = 0; i < TRIES_STUCK && result == -ETIMEDOUT && (i == 0 || avoided); i++, avoided = made->stuck)
        result = make_thread_apart(injection, avoided, made, error); /* the end of that process has let the stuck one go */
    munmap(made, sizeof(*made));
    return result;
}

/* ---- the thread that was made ---- */

static bool has_ended(const struct injection *injection)
{
    struct pollfd process = {.fd = injection->process, .events = POLLIN};
    return poll(&process, 1, 0) > 0;
}

static int ended(const struct injection *injection, struct error *error)
{
    return error_set(error, -ESRCH, "%d: has ended", (int)injection->pid);
}

/* Waits until the thread is ready, or it is known that it will not be. */
static int await_ready(struct injection *injection, struct desk *ret_desk, struct error *error)
{
    uint64_t until = monotonic_ns() + START_NS;
    do {
        int result = memory_read(injection->memory, injection->desk, ret_desk, sizeof(*ret_desk));
        if (has_ended(injection))
            return ended(injection, error);
        if (result < 0)
            return error_set(error, result, "%d: reading its memory: %s", (int)injection->pid, error_reason(result));
        if (ret_desk->state == DESK_READY || ret_desk->state == DESK_POLLED)
            return 0;
        if (ret_desk->created > 0)
            return error_set(error, -ret_desk->created, "%d: making a thread in it: %s",
                             (int)injection->pid, error_reason(-ret_desk->created));
        pause_for(GLANCE_NS);
    } while (monotonic_ns() < until);
    return error_set(error, -ETIMEDOUT, "%d: the thread made in it does not run", (int)injection->pid);
}

static int gone(const struct injection *injection, struct error *error)
{
    return error_set(error, -EPIPE, "%d: the thread made in it has gone: it executes another program, or this command stood still for seconds",
                     (int)injection->pid);
}

/* It may have gone meanwhile, and the process has another file under that number: what waits in ours tells. */
static int take_socket(struct injection *injection, const struct desk *desk, struct error *error)
{
    uint64_t number;
    injection->socket = pidfd_getfd(injection->process, desk->sockets[1], 0);
    if (injection->socket < 0 && errno != EBADF)
        return error_set(error, -errno, "%d: taking a socket from it: %s", (int)injection->pid, error_reason(-errno));
    if (recv(injection->socket, &number, sizeof(number), MSG_PEEK | MSG_DONTWAIT) == sizeof(number) && number == desk->result &&
        recv(injection->socket, &number, sizeof(number), MSG_DONTWAIT) == sizeof(number))
        return 0;
    if (injection->socket >= 0)
        close(injection->socket);
    injection->socket = -1;
    return has_ended(injection) ? ended(injection, error) : gone(injection, error);
}

static int connect_server(struct injection *injection, struct error *error)
{
    struct desk desk;
    int result = await_ready(injection, &desk, error);
    if (result < 0)
        return result;
    injection->thread = threads_find(injection->pid, desk.thread_id);
    injection->polled = desk.state == DESK_POLLED;
    injection->why = -desk.why;
    return injection->polled ? 0 : take_socket(injection, &desk, error);
}

/* ---- talking to it ---- */

static int silent(const struct injection *injection, struct error *error)
{
    return error_set(error, -ETIMEDOUT, "%d: the thread made in it does not answer", (int)injection->pid);
}

static int set_turn(const struct injection *injection, int32_t turn)
{
    return memory_write(injection->memory, injection->desk + DESK_TURN, &turn, sizeof(turn));
}

static int await_turn(const struct injection *injection, uint64_t milliseconds, struct error *error)
{
    uint64_t until = monotonic_ns() + milliseconds * UINT64_C(1000000);
    int32_t turn = DESK_TURN_SERVER;
    while (turn == DESK_TURN_SERVER) {
        if (has_ended(injection) || memory_read(injection->memory, injection->desk + DESK_TURN, &turn, sizeof(turn)) < 0)
            return ended(injection, error);
        if (monotonic_ns() > until)
            return silent(injection, error);
        pause_for(TURN_NS);
    }
    return 0;
}

static int read_result(const struct injection *injection, uint64_t milliseconds, uint64_t *ret_result, struct error *error)
{
    int result = await_turn(injection, milliseconds, error);
    if (result == 0 && memory_read(injection->memory, injection->desk + DESK_RESULT, ret_result, sizeof(*ret_result)) < 0)
        return ended(injection, error);
    return result;
}

/* By nothing but its memory. */
static int take_turns(const struct injection *injection, const uint64_t words[7], uint64_t *ret_result, struct error *error)
{
    int result = memory_write(injection->memory, injection->desk + DESK_FUNCTION, words, 7 * sizeof(*words));
    if (result == 0)
        result = set_turn(injection, DESK_TURN_SERVER);
    if (result < 0)
        return ended(injection, error);
    return read_result(injection, CALL_MS, ret_result, error);
}

static int receive(struct injection *injection, int milliseconds, uint64_t *ret_result, struct error *error)
{
    struct pollfd ready[2] = {{.fd = injection->socket, .events = POLLIN}, {.fd = injection->process, .events = POLLIN}};
    int changes;
    while ((changes = poll(ready, 2, milliseconds)) < 0 && errno == EINTR)
        ;
    if (changes == 0)
        return silent(injection, error);
    if (recv(injection->socket, ret_result, sizeof(*ret_result), MSG_DONTWAIT) != sizeof(*ret_result))
        return has_ended(injection) ? ended(injection, error) : gone(injection, error);
    return 0;
}

static int exchange(struct injection *injection, const struct msghdr *message, uint64_t *ret_result, struct error *error)
{
    if (sendmsg(injection->socket, message, MSG_NOSIGNAL) < 0)
        return has_ended(injection) ? ended(injection, error) : gone(injection, error);
    return receive(injection, CALL_MS, ret_result, error);
}

bool injection_late_answer(struct injection *injection, bool patient, uint64_t *ret_result)
{
    struct error ignored;
    int milliseconds = patient ? CALL_MS : LATE_MS;
    return (injection->polled ? read_result(injection, (uint64_t)milliseconds, ret_result, &ignored)
                              : receive(injection, milliseconds, ret_result, &ignored)) == 0;
}

int injection_call(struct injection *injection, uint64_t function, const uint64_t arguments[6], uint64_t *ret_result,
                   struct error *error)
{
    uint64_t words[7] = {function}, result_word;
    struct iovec vector = {words, sizeof(words)};
    memcpy(words + 1, arguments, 6 * sizeof(*arguments));
    int result = injection->polled
                     ? take_turns(injection, words, &result_word, error)
                     : exchange(injection, &(struct msghdr){.msg_iov = &vector, .msg_iovlen = 1}, &result_word, error);
    if (result == 0 && ret_result)
        *ret_result = result_word;
    return result;
}

/* How many have reached it: fewer than were given where it may have no more. */
static size_t arrived(const struct desk *desk)
{
    struct cmsghdr head;
    memcpy(&head, desk->control, sizeof(head));
    if (desk->header.msg_controllen < CMSG_LEN(0) || head.cmsg_type != SCM_RIGHTS || head.cmsg_len < CMSG_LEN(0) ||
        head.cmsg_len > desk->header.msg_controllen || head.cmsg_len > sizeof(desk->control))
        return 0;
    return (head.cmsg_len - CMSG_LEN(0)) / sizeof(int);
}

void injection_take_back(struct injection *injection, const int *numbers, size_t count)
{
    struct error ignored;
    for (size_t i = 0; i < count; i++)
        injection_call(injection, injection->libc.close, (const uint64_t[6]){(uint64_t)numbers[i]}, NULL, &ignored);
}

static int refuse_gift(const struct injection *injection, int code, struct error *error)
{
    return error_set(error, code, "%d: giving it descriptors: %s%s", (int)injection->pid, error_reason(code),
                     code == -EMFILE ? ", it has reached its limit (prlimit --nofile)" : "");
}

/* The numbers that the kernel gave them there. */
static int read_numbers(struct injection *injection, size_t count, int *ret_numbers, struct error *error)
{
    struct desk desk;
    int result = memory_read(injection->memory, injection->desk, &desk, sizeof(desk));
    size_t there = result == 0 ? arrived(&desk) : 0;
    memcpy(ret_numbers, desk.control + CMSG_LEN(0), (there < count ? there : count) * sizeof(int));
    if (result == 0 && there < count) {
        injection_take_back(injection, ret_numbers, there);
        result = -EMFILE;
    }
    return result < 0 ? refuse_gift(injection, result, error) : 0;
}

int injection_give(struct injection *injection, const int *descriptors, size_t count, int *ret_numbers, struct error *error)
{
    uint64_t words[7] = {0}, ignored;
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(GIVEN_MAX * sizeof(int))] = {0};
    struct cmsghdr head = {.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    struct iovec vector = {words, sizeof(words)};
    memcpy(control, &head, sizeof(head));
    memcpy(control + CMSG_LEN(0), descriptors, count * sizeof(int));
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    if (injection->polled)
        return refuse_gift(injection, injection->why, error);
    int result = exchange(injection, &message, &ignored, error);
    return result < 0 ? result : read_numbers(injection, count, ret_numbers, error);
}

int injection_put(struct injection *injection, size_t offset, const void *bytes, size_t size, uint64_t *ret_address,
                  struct error *error)
{
    int result = offset > injection->room_size || size > injection->room_size - offset
                     ? -E2BIG
                     : memory_write(injection->memory, injection->room + offset, bytes, size);
    if (result < 0)
        return error_set(error, result, "%d: writing to its memory: %s", (int)injection->pid, error_reason(result));
    *ret_address = injection->room + offset;
    return 0;
}

/* ---- beginning and end ---- */

/* Nobody joins it. */
static int detach_thread(struct injection *injection, struct error *error)
{
    uint64_t arguments[6] = {0};
    int result = memory_read(injection->memory, injection->desk + DESK_THREAD, &arguments[0], sizeof(arguments[0]));
    if (result < 0)
        return error_set(error, result, "%d: reading its memory: %s", (int)injection->pid, error_reason(result));
    return injection_call(injection, injection->libc.pthread_detach, arguments, NULL, error);
}

int injection_begin(pid_t pid, struct injection *ret_injection, struct error *error)
{
    struct injection injection = {.pid = pid, .process = pidfd_open(pid, 0), .memory = -1, .socket = -1};
    int result = injection.process < 0 ? -errno : memory_open(pid, &injection.memory);
    if (result < 0)
        refused(pid, result, error);
    else
        result = make_thread_shared(&injection, error);
    if (result == 0)
        result = connect_server(&injection, error);
    if (result == 0)
        result = detach_thread(&injection, error);
    if (result < 0)
        injection_end(&injection);
    else
        *ret_injection = injection;
    return result;
}

/* It unmaps what was brought before it ends. */
static void await_leave(const struct injection *injection)
{
    char path[64];
    uint64_t until = monotonic_ns() + LEAVE_NS;
    snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)injection->pid, (int)injection->thread);
    while (monotonic_ns() < until && access(path, F_OK) == 0)
        pause_for(GLANCE_NS);
}

void injection_end(struct injection *injection)
{
    if (injection->socket >= 0) {
        send(injection->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* a child that was forked meanwhile may have the other end, too */
        close(injection->socket);
    }
    if (injection->polled)
        set_turn(injection, DESK_TURN_OVER);
    if (injection->thread)
        await_leave(injection);
    if (injection->memory >= 0)
        close(injection->memory);
    if (injection->process >= 0)
        close(injection->process);
    *injection = (struct injection){.process = -1, .memory = -1, .socket = -1};
}
