/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reports of a trace that grows: what was read once and gone on with must tell the same as reading it all anew, or refuse. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "read/pack.h"
#include "sample.h"
#include "views/json.h"
#include "views/report.h"

#define LANES   4
#define IDLE    3      /* a lane that did something at the start, and then nothing */
#define STEP_NS 1000000
#define HANDLES 400

static struct trace_writer *writer;
static uint64_t now = 1000;
static unsigned seed = 7;
static uint32_t places[8];
static bool taken[HANDLES];

static unsigned chance(unsigned limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

static void act(uint32_t lane)
{
    unsigned handle = chance(HANDLES), kind = handle % 4 == 0 ? STRAY_FILE : STRAY_HEAP;
    unsigned hook = taken[handle] ? (kind == STRAY_HEAP ? STRAY_HOOK_free : STRAY_HOOK_close)
                                  : (kind == STRAY_HEAP ? STRAY_HOOK_malloc : STRAY_HOOK_open);
    writer_put(writer, lane, now += 1 + chance(2 * STEP_NS), taken[handle] ? STRAY_CLOSE : STRAY_OPEN, kind, hook,
               kind == STRAY_HEAP ? 0x10000 + handle * 64u : handle, taken[handle] ? 0 : 48, places[chance(8)]);
    taken[handle] = !taken[handle];
}

/* Lanes are written when it pleases them. */
static void grow(unsigned events)
{
    for (unsigned i = 0; i < events; i++) {
        act(chance(IDLE));
        if (chance(150) == 0)
            writer_flush_lane(writer, chance(IDLE));
    }
    writer_save(writer, sample_path("a.stray"));
    writer_save_spool(writer, sample_path("a.stray"));
}

static void begin(void)
{
    writer = writer_new();
    writer_process(writer, 1000, "/bin/app", (const char *const[]){"app", NULL});
    uint32_t root = writer_node(writer, STRAY_NODE_ROOT, 0, 0);
    for (unsigned i = 0; i < 8; i++)
        places[i] = writer_node(writer, STRAY_NODE_NATIVE, root, 0x1000 + 16 * i);
    for (unsigned i = 0; i < 20; i++)
        act(IDLE);
    writer_save_bytes(sample_path("a.stray" PACK_RUNNING), "", 0); /* whoever reads it takes the process for running */
    grow(4000);
}

static const struct report_options how = {.all = true};

static const struct report_options without_one = {.all = true, .left_out = "b.stray: not a trace"};

static int tell_with(const struct report_options *options, struct report_live *live, const char *to)
{
    char path[512];
    char *list[] = {path, NULL};
    struct report *report;
    struct error error;
    snprintf(path, sizeof(path), "%s", sample_path("a.stray"));
    int result = live ? report_live_build(live, "a", options, &report) : report_build(list, 1, "a", options, &report, &error);
    if (result < 0)
        return -result;
    FILE *out = fopen(to, "w");
    return !out || report_write_json(report, true, out) < 0 || fclose(out) != 0;
}

/* As a process of its own tells it; NULL, and errno. */
static char *told_with(const struct report_options *options, struct report_live *live)
{
    int status;
    char to[512];
    snprintf(to, sizeof(to), "%s", sample_path("told"));
    pid_t child = fork();
    if (child == 0)
        _exit(tell_with(options, live, to));
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    errno = WEXITSTATUS(status);
    return errno == 0 ? sample_read(to, NULL) : NULL;
}

static char *told(struct report_live *live)
{
    return told_with(&how, live);
}

static struct report_live *followed(double seconds)
{
    struct report_live *live = NULL;
    cr_assert_eq(report_live_open(sample_path("a.stray"), seconds, &how, &live), 0);
    return live;
}

Test(follow, what_came_since_is_enough)
{
    begin();
    for (double behind = 0.01; behind < 4; behind *= 3) {
        struct report_live *live = followed(behind);
        for (unsigned i = 0; i < 8; i++) {
            char *all = told(NULL), *rest = told(live);
            cr_assert_not_null(all);
            /* what is older than that may have been written since, but not changed */
            cr_assert(rest, "%g s behind, step %u: %s", behind, i, strerror(errno));
            cr_assert_str_eq(rest, all, "%g s behind, step %u", behind, i);
            free(all);
            free(rest);
            grow(chance(1000));
        }
        report_live_close(live);
    }
    writer_free(writer);
}

Test(follow, what_is_left_out_is_told)
{
    begin();
    struct report_live *live = followed(1);
    char *all = told_with(&without_one, NULL), *rest = told_with(&without_one, live);
    cr_assert(all && rest);
    cr_expect_not_null(strstr(all, "left out: b.stray: not a trace"));
    cr_expect_str_eq(rest, all);
    free(all);
    free(rest);
    report_live_close(live);
    writer_free(writer);
}

Test(follow, what_has_changed_is_read_anew)
{
    begin();
    struct report_live *live = followed(1);
    struct writer_lane *idle = NULL;
    for (size_t i = 0; i < writer->lane_count; i++)
        if (writer->lanes[i].number == IDLE)
            idle = &writer->lanes[i];
    cr_assert(idle && idle->count == 20);
    struct stray_event kept = idle->events[7];
    idle->events[7] = idle->events[19];
    idle->count--;
    grow(10);
    cr_assert_null(told(live));
    cr_assert_eq(errno, ESTALE);
    idle->events[7] = kept;
    idle->count++;
    grow(10);
    char *rest = told(live);
    cr_assert_not_null(rest);
    free(rest);
    writer_put(writer, 7, 2000, STRAY_OPEN, STRAY_HEAP, STRAY_HOOK_malloc, 0x900000, 8, places[0]); /* came late */
    grow(0);
    cr_assert_null(told(live));
    cr_assert_eq(errno, ESTALE);
    report_live_close(live);
    writer_free(writer);
}

Test(follow, what_has_ended_or_is_too_short_is_not_followed)
{
    struct report_live *live;
    begin();
    cr_assert_eq(report_live_open(sample_path("a.stray"), 3600, &how, &live), -ESTALE);
    cr_assert_eq(unlink(sample_path("a.stray" PACK_RUNNING)), 0);
    cr_assert_eq(report_live_open(sample_path("a.stray"), 1, &how, &live), -ESTALE);
    cr_assert_eq(report_live_open(sample_path("none.stray"), 1, &how, &live), -ENOENT);
    writer_free(writer);
}
