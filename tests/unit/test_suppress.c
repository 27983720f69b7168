/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Suppressions: LeakSanitizer's patterns, prefixes, ends, and what is no suppression. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "views/suppress.h"

#define DAY UINT64_C(86400000000000)

Test(suppress, patterns)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"foo", "a_foo_b", true},   {"foo", "fo", false},
        {"^foo", "foobar", true},   {"^foo", "afoo", false},
        {"bar$", "foobar", true},   {"bar$", "barfoo", false},
        {"^foo$", "foo", true},     {"^foo$", "foofoo", false},
        {"f*r", "xfoobarx", true},  {"f*r", "xrofx", false},
        {"^f*r$", "foobar", true},  {"^f*r$", "foobarx", false},
        {"*", "anything", true},    {"*", "", true},
        {"^*$", "", true},          {"a*b*c", "a1b2c3", true},
        {"a*b*c", "a1c2b3", false}, {"ab$", "ab_ab", true},
        {"a*ab$", "ab", false},     {"^a*", "ba", false},
        {"x^y", "ax^yb", true},     {"x$y", "ax$yb", true},
        {"foo*", "foo", true},      {"$", "a", true},
        {"^", "a", true},           {"operator*", "operator*", true},
        {"aab", "aaab", true},      {"*aab$", "aaab", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_expect_eq(suppression_matches(cases[i].pattern, cases[i].text), cases[i].matches, "%s in %s",
                     cases[i].pattern, cases[i].text);
    cr_expect_not(suppression_matches("*", NULL));
}

static struct report_frame frames[] = {
    {.function = "inner", .module = "/lib/libinner.so"},
    {.function = "validate_jwt", .file = "/srv/auth.py", .line = 42, .python = true}};

static struct report_finding finding(void)
{
    return (struct report_finding){.id = "leaked-connection-1234",
                                   .verdict = VERDICT_LEAKED,
                                   .resource = STRAY_CONNECTION,
                                   .peer = "db:5432",
                                   .stack = {.frames = frames, .count = 2, .blame = 1},
                                   .site = &frames[1],
                                   .cause = REPORT_NONE};
}

static struct suppressions parse(const char *content)
{
    struct suppressions list = {0};
    struct error error = {.text = ""};
    cr_assert_eq(suppressions_add("file", content, &list, &error), 0, "%s", error.text);
    return list;
}

static bool suppresses(const char *content, uint64_t now)
{
    struct suppressions list = parse(content);
    struct report_finding about = finding();
    bool found = suppressions_find(&list, &about, now) != NULL;
    suppressions_clear(&list);
    return found;
}

Test(suppress, any_frame_by_function_file_or_module)
{
    static const char *const good[] = {
        "leak:inner",          "leak:libinner.so", "leak:/srv/auth.py",    "leak:^validate_*$",
        "connection:validate", "leaked:validate",  "connection:db:5432",   "leaked:leaked-connection-1234",
        "  leak:inner  ",      "\t leak:inner\r",  "leak:nope\nleak:inner"};
    static const char *const bad[] = {"leak:db:5432", "leak:nope", "heap:inner", "churn:inner",
                                      "#leak:inner",  "",          "\n\n",       "leak:inner x"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        cr_expect(suppresses(good[i], 0), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        cr_expect_not(suppresses(bad[i], 0), "%s", bad[i]);
}

Test(suppress, an_end_is_the_last_moment_of_its_day)
{
    uint64_t midnight = 20089 * DAY; /* 2025-01-01 */
    static const char *const ways[] = {
        "leak:inner  # until 2024-12-31", "leak:inner #until\t2024-12-31: see ticket 5",
        "# until 2024-12-31\nleak:inner", "# until 2024-12-31, we think\n# why\n\nleak:inner"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        cr_expect(suppresses(ways[i], midnight - 1), "%s", ways[i]);
        cr_expect_not(suppresses(ways[i], midnight), "%s", ways[i]);
        cr_expect(suppresses(ways[i], 0), "where the trace's time is unknown nothing ends: %s", ways[i]);
    }
    cr_expect(suppresses("# until 2024-12-31\nleak:nope\nleak:inner", midnight),
              "a line before is for one suppression");
}

Test(suppress, what_is_none_is_told_with_its_line)
{
    static const struct {
        const char *content, *error;
    } cases[] = {
        {"leak:ok\nnonsense", "file:2: nonsense: no suppression"},
        {"\n\nrace:foo", "file:3: race:foo: must begin with"},
        {"leak:", "file:1: leak:: the pattern is empty"},
        {"leak:x # until tomorrow", "file:1: tomorrow: must be a day"},
        {"leak:x # until 2025-02-30", "file:1: 2025-02-30: must be a day"},
        {"# until 2025-1-1\nleak:x", "file:2: 2025-1-1: must be a day"},
        {":x", "file:1: :x: must begin with"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct suppressions list = {0};
        struct error error = {.text = ""};
        cr_assert_lt(suppressions_add("file", cases[i].content, &list, &error), 0, "%s", cases[i].content);
        cr_expect(strstr(error.text, cases[i].error), "%s: %s", cases[i].content, error.text);
        suppressions_clear(&list);
    }
}

Test(suppress, a_finding_is_suppressed_by_what_is_made_for_it)
{
    struct report_finding about = finding();
    char *line = suppression_for(&about);
    cr_expect_str_eq(line, "connection:^validate_jwt$");
    cr_expect(suppresses(line, 0));
    free(line);
    about.site = &(struct report_frame){.module = "/lib/libinner.so"};
    line = suppression_for(&about);
    cr_expect_str_eq(line, "connection:/libinner.so");
    cr_expect(suppresses(line, 0));
    free(line);
    about.site = NULL;
    line = suppression_for(&about);
    cr_expect_str_eq(line, "connection:^leaked-connection-1234$");
    cr_expect(suppresses(line, 0));
    free(line);
}

Test(suppress, files_add_up)
{
    struct suppressions list = parse("leak:one");
    struct error error = {.text = ""};
    cr_assert_eq(suppressions_add("second", "\nleak:two", &list, &error), 0);
    cr_assert_eq(list.count, 2);
    cr_expect_str_eq(list.items[0].text, "leak:one");
    cr_expect_str_eq(list.items[0].file, "file");
    cr_expect_str_eq(list.items[1].file, "second");
    cr_expect_eq(list.items[1].line, 2);
    suppressions_clear(&list);
}
