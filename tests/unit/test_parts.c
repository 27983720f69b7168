/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where resident memory went: from events to parts. Whatever they are, they add up to the growth. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "feed.h"
#include "verdicts/parts.h"

#define MIB (UINT64_C(1) << 20)

static struct feed feed;

static void part(unsigned part, uint64_t address, uint64_t size, uint64_t resident)
{
    feed_event(&feed, STRAY_PART, 0, address | part, size / STRAY_PAGE << 32 | resident / STRAY_PAGE, 0);
}

static void heap_and_maps(uint64_t heap, uint64_t map_resident, uint64_t stacks)
{
    part(STRAY_PART_BEGIN, 0, 0, 0);
    part(STRAY_PART_HEAP, 64 * MIB, 512 * MIB, heap);
    part(STRAY_PART_ANONYMOUS, 1024 * MIB, 16 * MIB, map_resident);
    part(STRAY_PART_STACK, 0, 0, stacks);
    part(STRAY_PART_END, 0, 0, 0);
}

static struct report_memory memory_of(struct report *report)
{
    struct report_memory memory = report->memory;
    report_free(report);
    feed_close_all(&feed);
    return memory;
}

static int64_t sum(const struct parts *parts)
{
    return parts->live_heap + parts->overhead + parts->retained + parts->arenas + parts->mapped + parts->stacks + parts->files +
           parts->tracer + parts->unexplained;
}

Test(parts, what_was_freed_and_is_still_there_is_the_allocators)
{
    feed_open(&feed);
    heap_and_maps(0, 0, 0);
    feed_event(&feed, STRAY_MEMORY, 0, 10 * MIB, 0, 0);
    for (uint64_t i = 1; i <= 100; i++)
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * MIB, MIB - 8, 7);
    for (uint64_t i = 1; i <= 90; i++)
        feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, i * MIB, 0, 0);
    heap_and_maps(100 * MIB, 0, 2 * MIB);
    feed_event(&feed, STRAY_MEMORY, 0, 113 * MIB, 0, 0);
    feed_finish(&feed);
    struct report *report = feed_report(&feed, true);
    const struct report_finding *finding = feed_finding(report, VERDICT_RETENTION, STRAY_HEAP, 7);
    cr_assert_not_null(finding, "and the place that had it is named");
    cr_expect_eq(finding->bytes, 90 * MIB);
    cr_expect_eq(finding->severity, SEVERITY_NOTE, "was not seen to last");
    struct report_memory memory = memory_of(report);
    cr_expect(memory.told_apart);
    cr_expect_eq(memory.parts.live_heap, 10 * (int64_t)MIB - 80);
    cr_expect_eq(memory.parts.overhead, 80);
    cr_expect_eq(memory.parts.retained, 90 * (int64_t)MIB);
    cr_expect_eq(memory.parts.stacks, 2 * (int64_t)MIB);
    cr_expect_eq(memory.parts.unexplained, (int64_t)MIB);
    cr_expect_eq(sum(&memory.parts), 103 * (int64_t)MIB);
}

/* One map of the kernel holds a mapping that was seen and as much that was not. */
Test(parts, a_map_is_shared_by_those_who_have_pages_in_it)
{
    feed_open(&feed);
    heap_and_maps(0, 0, 0);
    feed_event(&feed, STRAY_MEMORY, 0, 10 * MIB, 0, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_MMAP, 1024 * MIB, 4 * MIB, 7);
    feed_event(&feed, STRAY_OPEN, STRAY_MMAP, 1036 * MIB, 8 * MIB, 8); /* half of it in there */
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 1030 * MIB, 2 * MIB - 8, 9);
    heap_and_maps(0, 8 * MIB, 0);
    feed_event(&feed, STRAY_MEMORY, 0, 18 * MIB, 0, 0);
    feed_finish(&feed);
    struct report_memory memory = memory_of(feed_report(&feed, true));
    cr_expect_eq(memory.parts.mapped, 4 * (int64_t)MIB);
    cr_expect_eq(memory.parts.live_heap, 2 * (int64_t)MIB - 8);
    cr_expect_eq(memory.parts.retained, 0, "never given out, so not kept either");
    cr_expect_eq(memory.parts.unexplained, 2 * (int64_t)MIB);
    cr_expect_eq(sum(&memory.parts), 8 * (int64_t)MIB);
}

Test(parts, blocks_that_nobody_wrote_to_are_not_resident)
{
    feed_open(&feed);
    heap_and_maps(0, 0, 0);
    feed_event(&feed, STRAY_MEMORY, 0, 10 * MIB, 0, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 1030 * MIB, 900 * MIB, 9);
    heap_and_maps(MIB, 0, 0);
    feed_event(&feed, STRAY_MEMORY, 0, 11 * MIB, 0, 0);
    feed_finish(&feed);
    struct report_memory memory = memory_of(feed_report(&feed, true));
    cr_expect_eq(memory.parts.live_heap, (int64_t)MIB);
    cr_expect_eq(memory.parts.unexplained, 0);
}

/* An allocator of the program's own gets its memory by calls that are hooked. */
Test(parts, a_heap_in_mappings_is_heap)
{
    feed_open(&feed);
    heap_and_maps(0, 0, 0);
    feed_event(&feed, STRAY_MEMORY, 0, 10 * MIB, 0, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_MMAP, 1024 * MIB, 16 * MIB, 7);
    for (uint64_t i = 0; i < 4; i++)
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, (1024 + i) * MIB, MIB, 9);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 1024 * MIB, 0, 0);
    heap_and_maps(0, 4 * MIB, 0);
    feed_event(&feed, STRAY_MEMORY, 0, 14 * MIB, 0, 0);
    feed_finish(&feed);
    struct report_memory memory = memory_of(feed_report(&feed, true));
    cr_expect_eq(memory.parts.live_heap, 3 * (int64_t)MIB);
    cr_expect_eq(memory.parts.mapped, 0);
    cr_expect_eq(sum(&memory.parts), 4 * (int64_t)MIB);
}

/* Killed amid the telling. */
Test(parts, what_was_not_told_to_its_end_does_not_count)
{
    feed_open(&feed);
    heap_and_maps(0, 0, 0);
    feed_event(&feed, STRAY_MEMORY, 0, 10 * MIB, 0, 0);
    part(STRAY_PART_BEGIN, 0, 0, 0);
    part(STRAY_PART_HEAP, 64 * MIB, 512 * MIB, 100 * MIB);
    feed_event(&feed, STRAY_MEMORY, 0, 110 * MIB, 0, 0);
    feed_finish(&feed);
    struct report_memory memory = memory_of(feed_report(&feed, true));
    cr_expect_not(memory.told_apart);
    cr_expect_eq(memory.parts.unexplained, 100 * (int64_t)MIB);
}

static enum severity retained(int64_t mib, int64_t growth, const struct residents *residents)
{
    return parts_retained(&(struct parts){.retained = mib * (int64_t)MIB}, growth * (int64_t)MIB, residents);
}

Test(parts, retention_is_much_and_a_good_part_of_the_growth)
{
    const struct residents residents = {.moments = 2};
    const int64_t mib = (int64_t)MIB;
    cr_expect_eq(retained(9, 30, &residents), SEVERITY_NOTE);
    cr_expect_eq(retained(9, 31, &residents), SEVERITY_NONE);
    cr_expect_eq(retained(7, 8, &residents), SEVERITY_NONE);
    cr_expect_eq(retained(9, -5, &residents), SEVERITY_NOTE, "even where other parts shrank");
    const struct parts perhaps = {.retained = 12 * mib, .uncertain = 5 * MIB};
    cr_expect_eq(parts_retained(&perhaps, 30 * mib, &residents), SEVERITY_NONE, "perhaps only");
}

Test(parts, retention_is_a_warning_where_it_is_large_and_lasts)
{
    struct residents residents = {.moments = 3, .before = {.peak_held = 300 * MIB, .held = 20 * MIB}};
    cr_expect_eq(retained(280, 300, &residents), SEVERITY_WARNING);
    cr_expect_eq(retained(60, 70, &residents), SEVERITY_NOTE, "too little");
    residents.before.held = 200 * MIB;
    cr_expect_eq(retained(280, 300, &residents), SEVERITY_NOTE, "freed of late");
    residents = (struct residents){.moments = 2, .before = {.peak_held = 300 * MIB}};
    cr_expect_eq(retained(280, 300, &residents), SEVERITY_NOTE, "told at the start and the end only");
}

Test(parts, what_is_told_at_the_end_is_the_latest_of_resident_memory)
{
    feed_open(&feed);
    heap_and_maps(0, 0, 0);
    feed_event(&feed, STRAY_MEMORY, 0, 10 * MIB, 0, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 64 * MIB, 40 * MIB, 7);
    feed_event(&feed, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_EXIT, 0);
    heap_and_maps(50 * MIB, 0, 0);
    feed_event(&feed, STRAY_END, 0, 0, STRAY_ENDING_EXIT, 0);
    feed_finish(&feed);
    struct report_memory memory = memory_of(feed_report(&feed, true));
    cr_expect_eq(memory.rss_end, 50 * MIB);
    cr_expect_eq(sum(&memory.parts), 40 * (int64_t)MIB);
}

Test(parts, of_one_moment)
{
    struct resident at = {.allocator = 100 * MIB, .stacks = 2 * MIB, .files = 8 * MIB, .tracer = 3 * MIB, .other = MIB,
                          .total = 130 * MIB, .live = 60 * MIB, .held = 70 * MIB, .peak_held = 100 * MIB};
    struct parts parts = parts_at(&at, true);
    cr_expect_eq(sum(&parts), 130 * (int64_t)MIB);
    cr_expect_eq(parts.live_heap, 60 * (int64_t)MIB);
    cr_expect_eq(parts.overhead, 10 * (int64_t)MIB);
    cr_expect_eq(parts.retained, 30 * (int64_t)MIB);
    cr_expect_eq(parts.mapped, 16 * (int64_t)MIB, "what no part has was mapped by hooked calls");
    cr_expect_eq(parts.unexplained, (int64_t)MIB);
}

Test(parts, slack_is_what_no_object_takes)
{
    struct resident first = {.small = 100}, last = {.small = 700, .small_variance = 100};
    struct slack slack = parts_slack(&first, &last, 1000);
    cr_expect_eq(slack.bytes, 400);
    cr_expect_float_eq(slack.uncertain, 19.6, 1e-9);
    cr_expect_eq(parts_slack(&first, &last, 500).bytes, 0, "objects that lie partly in pages of others");
}
