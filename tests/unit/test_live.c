/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the trace of a process that goes on, and of one that was killed at any moment: every event that was
 * committed before the trace was opened is there, once, in order. The traced process is played by a child
 * that follows the writers' rules of FORMAT.md, section 7.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "read/merge.h"
#include "read/trace.h"
#include "sample.h"

#define EVENTS 200000

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A spool with one empty lane, and a trace without frames. */
static void prepare(void)
{
    struct trace_writer *writer = writer_new();
    writer_put(writer, 0, 1, STRAY_OPEN, STRAY_HEAP, 1, 1, 0, 0);
    writer_flush(writer);
    writer->frames.size = 0;
    writer->lanes[0].sequence = 0;
    writer_save(writer, sample_path("a.stray"));
    writer_save_spool(writer, sample_path("a.stray"));
    writer_free(writer);
}

static struct stray_lane *map_lane(void)
{
    struct stray_spool_header header;
    int fd = open(sample_path("a.stray.spool"), O_RDWR | O_CLOEXEC);
    if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header))
        abort();
    void *lane = mmap(NULL, sizeof(struct stray_lane), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                      (off_t)header.lanes_offset);
    if (lane == MAP_FAILED)
        abort();
    return lane;
}

static void flush(struct stray_lane *lane, unsigned which, int trace)
{
    struct trace_writer *writer = writer_new();
    struct stray_buffer *buffer = &lane->buffer[which];
    writer_events_frame(writer, 0, buffer->sequence, lane->events[which], STRAY_LANE_EVENTS);
    if (write(trace, writer->frames.data, writer->frames.size) != (ssize_t)writer->frames.size)
        _exit(1);
    for (unsigned i = 0; i < STRAY_LANE_EVENTS; i++)
        __atomic_store_n(&lane->events[which][i].action, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&buffer->sequence, buffer->sequence + 2, __ATOMIC_RELEASE);
    writer_free(writer);
}

static void commit(struct stray_event *slot, uint64_t number)
{
    slot->time = number;
    slot->handle = number;
    slot->value = ~number;
    uint64_t word =
        (uint64_t)STRAY_HEAP << 56 | (uint64_t)STRAY_OPEN << 48 | (uint64_t)STRAY_HOOK_malloc << 32;
    __atomic_store_n((uint64_t *)&slot->stack, word, __ATOMIC_RELEASE);
}

/* Events 1, 2, 3, …; *committed follows. Ends in waiting, or with the test, so that nothing grows for ever.
 */
static void play(_Atomic uint64_t *committed)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct stray_lane *lane = map_lane();
    int trace = open(sample_path("a.stray"), O_WRONLY | O_APPEND | O_CLOEXEC);
    for (uint64_t number = 1; trace >= 0 && number < EVENTS;) {
        unsigned which = lane->active;
        for (unsigned i = 0; i < STRAY_LANE_EVENTS; i++, number++) {
            commit(&lane->events[which][i], number);
            atomic_store(committed, number);
        }
        __atomic_store_n(&lane->active, !which, __ATOMIC_RELEASE);
        flush(lane, which, trace);
    }
    for (;;)
        pause();
}

/* All events from 1 on, without a gap; the last one is returned. */
static uint64_t read_row(struct trace *trace)
{
    struct merge *merge;
    struct stray_event event;
    uint32_t lane, thread;
    uint64_t last = 0;
    cr_assert_eq(merge_open(trace, &merge, NULL), 0);
    while (merge_next(merge, &event, &lane, &thread) == 1) {
        bool whole = event.time == last + 1 && event.handle == event.time && event.value == ~event.time;
        if (!whole)
            cr_assert_fail("after %lu: time %lu handle %lu value %lx", last, event.time, event.handle,
                           event.value);
        last = event.time;
    }
    merge_close(merge);
    return last;
}

static void read_now(_Atomic uint64_t *committed)
{
    struct trace *trace;
    struct error error;
    uint64_t before = atomic_load(committed);
    cr_assert_eq(trace_open(sample_path("a.stray"), &trace, &error), 0, "%s", error.text);
    uint64_t last = read_row(trace);
    cr_assert_geq(last, before);
    const struct damage *damage = trace_damage(trace);
    cr_assert(damage->complete, "read %lu damaged %lu missing %lu truncated %d spool %d", damage->frames_read,
              damage->frames_damaged, damage->frames_missing, damage->truncated, damage->spool_damaged);
    trace_close(trace);
}

static pid_t start(_Atomic uint64_t **ret_committed)
{
    prepare();
    *ret_committed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0)
        play(*ret_committed);
    cr_assert_gt(pid, 0);
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

Test(live, a_trace_can_be_read_while_it_grows, .timeout = 120)
{
    for (double end = seconds() + 2; seconds() < end;) {
        _Atomic uint64_t *committed;
        pid_t pid = start(&committed);
        for (unsigned i = 0; i < 20; i++)
            read_now(committed);
        stop(pid);
        munmap(committed, 4096);
    }
}

Test(live, nothing_committed_is_lost_by_a_kill, .timeout = 120)
{
    unsigned wait = 0;
    for (double end = seconds() + 2; seconds() < end; wait = (wait * 13 + 7) % 5000) {
        _Atomic uint64_t *committed;
        pid_t pid = start(&committed);
        usleep(wait);
        stop(pid);
        read_now(committed);
        munmap(committed, 4096);
    }
}
