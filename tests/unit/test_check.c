/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a check makes of a report. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "views/check.h"

enum { LEAKY = 10, STEADY = 20, WORK = 30 };

static struct feed feed;
static struct report *report;
static struct check check;

static void begin(void)
{
    feed_open(&feed);
}

static void end(void)
{
    check_clear(&check);
    report_free(report);
    report = NULL;
    feed_close_all(&feed);
}

TestSuite(check, .init = begin, .fini = end);

static void connections(int count, bool close, uint32_t stack)
{
    for (int i = 0; i < count; i++) {
        uint64_t conn = 0x10000 + 16 * (uint64_t)(stack * 1000 + (uint32_t)i), fd = 100 + (uint64_t)i;
        feed_wait(&feed, 20 * MS);
        feed_pg_connect(&feed, conn, fd, stack);
        feed_pg_use(&feed, conn);
        feed_wait(&feed, MS);
        if (close)
            feed_pg_close(&feed, conn, fd, BY_CLOSE);
    }
}

static void finish(void)
{
    feed_wait(&feed, 20 * MS);
    feed_exit(&feed);
    report = feed_report(&feed, true);
}

static struct check_rules defaults(void)
{
    return (struct check_rules){.severities = {[SEVERITY_ERROR] = true, [SEVERITY_WARNING] = true}};
}

static void expect(const struct check_rules *rules, enum check_result result)
{
    check_clear(&check);
    cr_assert_eq(check_make(report, rules, &check), 0);
    cr_expect_eq(check.result, result, "%s, not %s: %s", check_result_word(check.result),
                 check_result_word(result), check.why);
}

Test(check, leaks_fail)
{
    connections(60, false, LEAKY);
    finish();
    struct check_rules rules = defaults();
    expect(&rules, CHECK_FAILED);
    cr_expect_eq(check.fails, 2, "the connection and its PGconn");
    rules = (struct check_rules){.verdicts = {[VERDICT_CREEP] = true}};
    expect(&rules, CHECK_CLEAN);
    cr_expect_eq(check.passes, 2);
    rules.verdicts[VERDICT_LEAKED] = true;
    expect(&rules, CHECK_FAILED);
    rules = (struct check_rules){.severities = {[SEVERITY_NOTE] = true}};
    expect(&rules, CHECK_CLEAN);
}

Test(check, what_closes_is_clean)
{
    connections(15, true, STEADY);
    finish();
    struct check_rules rules = defaults();
    expect(&rules, CHECK_CLEAN);
    rules.min_duration_s = 3600;
    expect(&rules, CHECK_INCONCLUSIVE);
    cr_expect(strstr(check.why, "too short"), "%s", check.why);
}

Test(check, too_little_is_inconclusive)
{
    connections(3, false, STEADY);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x5000, 10, STEADY);
    finish();
    struct check_rules rules = defaults();
    expect(&rules, CHECK_INCONCLUSIVE);
    cr_expect(strstr(check.why, "too short"), "%s", check.why);
}

Test(check, losses_beyond_one_in_a_thousand_are_inconclusive_whatever_was_found)
{
    connections(60, false, LEAKY);
    finish();
    struct check_rules rules = defaults();
    report->events = 999000;
    report->lost_events = 1000;
    expect(&rules, CHECK_FAILED);
    report->lost_events = 1001;
    expect(&rules, CHECK_INCONCLUSIVE);
    cr_expect(strstr(check.why, "lost"), "%s", check.why);
}

Test(check, an_incomplete_trace_is_not_called_clean)
{
    connections(15, true, STEADY);
    finish();
    report->complete = false;
    struct check_rules rules = defaults();
    expect(&rules, CHECK_INCONCLUSIVE);
}

Test(check, limits)
{
    connections(15, true, STEADY);
    finish();
    char exact[] = "peer-5", glob[] = "peer-*", other[] = "peer";
    struct check_limit limits[] = {{exact, 1}, {glob, 0}, {other, 0}};
    struct check_rules rules = defaults();
    rules.limits = limits;
    rules.limit_count = 1;
    expect(&rules, CHECK_CLEAN);
    rules.limit_count = 3;
    expect(&rules, CHECK_FAILED);
    cr_expect_eq(check.breach_count, 1);
    cr_expect_str_eq(check.breaches[0].rule, "max-open");
    cr_expect(check_limit_used(&check, &limits[1]));
    cr_expect_not(check_limit_used(&check, &limits[2]));
}

Test(check, growth)
{
    connections(15, true, STEADY);
    finish();
    report->memory = (struct report_memory){
        .known = true, .rss_start = 1 << 20, .rss_end = 5 << 20, .parts.tracer = 1 << 20, .span_s = 3600};
    struct check_rules rules = defaults();
    rules.growth_given = true;
    rules.growth = 3 << 20;
    expect(&rules, CHECK_CLEAN);
    rules.growth = (3 << 20) - 1;
    expect(&rules, CHECK_FAILED);
    cr_expect_str_eq(check.breaches[0].rule, "max-growth");
    report->memory.known = false;
    expect(&rules, CHECK_INCONCLUSIVE);
}

Test(check, suppressions_take_consequences_along)
{
    connections(60, false, LEAKY);
    finish();
    struct suppressions list = {0};
    cr_assert_eq(
        suppressions_add("file", "connection:^f10$\nleak:nothing\nleak:f # until 2020-01-01", &list, NULL),
        0);
    struct check_rules rules = defaults();
    rules.suppressions = &list;
    expect(&rules, CHECK_CLEAN);
    cr_expect_eq(check.suppressed, 2);
    cr_expect_eq(list.items[0].used, 2);
    cr_expect_eq(list.items[1].used, 0);
    cr_expect(suppression_expired(&list.items[2], check.now_ns));
    suppressions_clear(&list);
}

/* The small ones go with the large ones, which may well be released while these are not. */
Test(check, suppressions_do_not_reach_another_function)
{
    for (uint64_t i = 0; i < 4000; i++) {
        feed_wait(&feed, MS);
        feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x10000000 + 1024 * i, 397, LEAKY);
        feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x20000000 + 1024 * i, 32, STEADY);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x80, 100, WORK);
        feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x80, 0, 0);
    }
    finish();
    const struct report_finding *hint = feed_finding(report, VERDICT_LEAKED, STRAY_PYOBJECT, STEADY);
    cr_assert(hint && hint->cause != REPORT_NONE);
    struct suppressions list = {0};
    cr_assert_eq(suppressions_add("file", "leaked:^f10$", &list, NULL), 0);
    struct check_rules rules = {.verdicts = {[VERDICT_LEAKED] = true}, .suppressions = &list};
    expect(&rules, CHECK_FAILED);
    cr_expect_eq(check.suppressed, 1);
    cr_expect_eq(check.fails, 1);
    suppressions_clear(&list);
}

typedef int writer(const struct check *check, FILE *out);

static char *written(writer *write)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(write(&check, out), 0);
    fclose(out);
    return text;
}

static int write_sarif(const struct check *from, FILE *out)
{
    return check_write_sarif(from, "/srv/", out);
}

Test(check, sarif_has_relative_paths_and_rules)
{
    connections(60, false, LEAKY);
    finish();
    report->findings[0].stack.frames[0].file = "/srv/a b/\xc3\xa9.py";
    struct check_rules rules = defaults();
    expect(&rules, CHECK_FAILED);
    char *text = written(write_sarif);
    json_t *object = json_loads(text, 0, NULL);
    cr_assert(object, "%s", text);
    json_t *run = json_array_get(json_object_get(object, "runs"), 0), *place;
    const char *uri, *base, *rule;
    cr_assert_eq(json_unpack(json_array_get(json_object_get(run, "results"), 0),
                             "{s:s, s:[{s:{s:{s:s, s:s}}}]}", "ruleId", &rule, "locations",
                             "physicalLocation", "artifactLocation", "uri", &uri, "uriBaseId", &base),
                 0);
    cr_expect_str_eq(uri, "a%20b/%C3%A9.py");
    cr_expect_str_eq(base, "SRCROOT");
    cr_expect_str_eq(rule, "leaked/connection");
    cr_assert_eq(json_unpack(run, "{s:{s:o}}", "originalUriBaseIds", "SRCROOT", &place), 0);
    cr_expect_str_eq(json_string_value(json_object_get(place, "uri")), "file:///srv/");
    json_decref(object);
    free(text);
}

Test(check, nothing_in_a_trace_breaks_xml_or_commands_the_terminal)
{
    connections(60, false, LEAKY);
    finish();
    report->findings[0].stack.frames[0].function = "<a&\"b>\x1b[2J\xff";
    report->findings[0].message = "\x07<>";
    struct check_rules rules = defaults();
    expect(&rules, CHECK_FAILED);
    char *xml = written(check_write_junit), *plain = written(check_write_text),
         *supp = written(check_write_suppressions);
    cr_expect(strstr(xml, "&lt;a&amp;&quot;b&gt;\\x1b[2J\\xff"), "%s", xml);
    for (const char *p = xml; *p; p++)
        cr_assert(*p == '\n' || (unsigned char)*p >= ' ');
    cr_expect(strstr(plain, "<a&\"b>\\x1b[2J"), "%s", plain);
    cr_expect_null(strchr(plain, '\x1b'));
    cr_expect_null(strchr(supp, '\x1b'));
    free(xml);
    free(plain);
    free(supp);
}
