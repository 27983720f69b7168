/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/sample.h"

#include "record/emit.h"
#include "record/index.h"
#include "state/children.h"
#include "state/descriptors.h"
#include "state/incarnation.h"
#include "state/limits.h"
#include "state/parts.h"
#include "state/python_samples.h"
#include "state/tempfiles.h"
#include "settings.h"
#include "sys.h"
#include "text.h"

#define CHANGE_MIN (64 * STRAY_PAGE) /* of resident memory, that is told in parts */

static uint64_t interval_ticks(void)
{
    return (uint64_t)((unsigned __int128)settings.interval_ns * clock_ticks_per_second / 1000000000u);
}

/* The second number of statm: resident pages. */
static uint64_t resident_bytes(void)
{
    char line[128];
    int fd = sys_open("/proc/self/statm", O_RDONLY, 0);
    if (fd < 0)
        return 0;
    ssize_t size = sys_read(fd, line, sizeof(line) - 1);
    sys_close(fd);
    line[size > 0 ? size : 0] = 0;
    const char *at = line;
    while (*at && *at != ' ')
        at++;
    return *at ? string_number(at + 1) * STRAY_PAGE : 0;
}

static void emit_clock(void)
{
    uint64_t monotonic = sys_nanoseconds(CLOCK_MONOTONIC), time = clock_before();
    if (monotonic == 0) /* a seccomp filter refuses to tell */
        return;
    emit_at(time, STRAY_CLOCK_PAIR, 0, 0, monotonic, sys_nanoseconds(CLOCK_REALTIME), 0);
}

static uint64_t first_resident, last_resident;

void sample_force(void)
{
    emit_clock();
    uint64_t resident = last_resident = resident_bytes();
    if (resident > 0)
        emit_system(STRAY_MEMORY, resident, index_bytes());
    descriptors_sample();
    tempfiles_sample();
    children_sample();
    python_samples_look();
}

/* What takes longer. */
static void sample_more(void)
{
    limits_tell();
    parts_tell();
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

void sample_last(void)
{
    if (!parts_fresh() || distance(first_resident, last_resident) >= CHANGE_MIN)
        sample_more();
}

/* Of the threads that find a sample due, one takes it; a vfork child sees descriptors and children of its own. */
static void take(uint64_t now)
{
    uint64_t due = __atomic_load_n(&emit_due, __ATOMIC_RELAXED);
    if (now >= due && incarnation_is_self() && __atomic_compare_exchange_n(&emit_due, &due, now + interval_ticks(), false, __ATOMIC_RELAXED,
                                                  __ATOMIC_RELAXED)) {
        if (parts_due())
            sample_more();
        sample_force();
    }
}

void sample_init(void)
{
    emit_when_due = take;
    emit_due = clock_before() + interval_ticks();
    limits_begin();
    parts_begin();
    sample_more();
    sample_force();
    first_resident = last_resident;
}

void sample_stop(void)
{
    emit_due = UINT64_MAX;
}
