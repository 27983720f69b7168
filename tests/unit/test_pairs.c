/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The grammar of user-defined pairs, and what is made of traces that hold some. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "read/merge.h"
#include "read/pairs.h"
#include "read/words.h"
#include "sample.h"
#include "stray/pair.h"
#include "trace_writer.h"

static struct stray_pairs pairs;

static void parse(const char *text)
{
    const char *at;
    pairs.function_count = pairs.resource_count = 0;
    const char *wrong = stray_pairs_parse(&pairs, text, &at);
    cr_assert_null(wrong, "%s: %s at \"%s\"", text, wrong, at);
}

static void refused(const char *text, const char *where, const char *why)
{
    const char *at;
    pairs.function_count = pairs.resource_count = 0;
    const char *wrong = stray_pairs_parse(&pairs, text, &at);
    cr_assert_not_null(wrong, "%s", text);
    cr_expect_not_null(strstr(wrong, why), "%s: %s", text, wrong);
    cr_expect_eq(strncmp(at, where, strlen(where)), 0, "%s: at %s", text, at);
}

static const struct stray_pair_function *function(const char *name)
{
    return stray_pairs_find(&pairs, (struct stray_pair_text){name, strlen(name)});
}

static void named(const char *text, const char *label)
{
    parse(text);
    cr_expect(stray_pair_is(pairs.resources[0], label), "%s: %.*s, not %s", text, (int)pairs.resources[0].length,
              pairs.resources[0].at, label);
}

Test(pairs, an_opener_and_a_closer)
{
    parse("SSL_new=ret!0:SSL_free=a0");
    cr_assert_eq(pairs.function_count, 2);
    const struct stray_pair_function *opens = function("SSL_new"), *closes = function("SSL_free");
    cr_expect_eq(opens->place, STRAY_PAIR_RETURNED);
    cr_expect(opens->has_failure && opens->failure == 0 && !opens->closes && opens->check == STRAY_PAIR_ALWAYS);
    cr_expect(closes->closes && closes->place == STRAY_PAIR_ARGUMENT && closes->argument == 0);
    cr_expect_eq(opens->resource, closes->resource);
}

Test(pairs, places_and_conditions)
{
    parse("db:db_open=*a1@ret0,db_dup=a5.int!-1@ret!7:db_close=a0.int@ret0,db_kill=a3");
    const struct stray_pair_function *opens = function("db_open"), *copies = function("db_dup");
    cr_expect(opens->place == STRAY_PAIR_POINTED && opens->argument == 1 && !opens->has_failure && !opens->is_int);
    cr_expect(opens->check == STRAY_PAIR_IF_RETURNS && opens->result == 0);
    cr_expect(copies->argument == 5 && copies->is_int && copies->has_failure && copies->failure == -1);
    cr_expect(copies->check == STRAY_PAIR_UNLESS_RETURNS && copies->result == 7);
    cr_expect(function("db_close")->is_int && function("db_close")->check == STRAY_PAIR_IF_RETURNS);
    cr_expect_eq(function("db_kill")->argument, 3);
}

Test(pairs, words_on_the_stack)
{
    parse("a_open=ret.stack40!0,a_make=*a1.int.stack8192:a_close=a0,a_kill=a0.int.stack17@ret0");
    cr_expect(function("a_open")->words == 40 && function("a_open")->has_failure);
    cr_expect(function("a_make")->words == 8192 && function("a_make")->is_int);
    cr_expect_eq(function("a_close")->words, 0);
    cr_expect(function("a_kill")->words == 17 && function("a_kill")->check == STRAY_PAIR_IF_RETURNS);
    refused("a_open=ret.stack:a_close=a0", ":a_close", "number");
    refused("a_open=ret.stack8193:a_close=a0", ":a_close", "8192");
    refused("a_open=ret.stack-1:a_close=a0", ":a_close", "8192");
    refused("a:a_open=ret:a_close=a0;a:a_open=ret.stack17:a_close=a0", "a_open=ret.stack17", "not alike");
}

Test(pairs, several_with_blanks_and_empty_ones)
{
    parse(" ;\n a_open = ret ! 0 : a_close = a0 ;; b_open=ret:b_close=a0\n\n");
    cr_expect_eq(pairs.resource_count, 2);
    cr_expect_eq(pairs.function_count, 4);
    parse("");
    cr_expect_eq(pairs.function_count, 0);
}

Test(pairs, pairs_of_one_label_are_one_resource)
{
    parse("x_open=ret:x_close=a0;x_make=ret:x_close=a0");
    cr_expect_eq(pairs.resource_count, 1);
    cr_expect_eq(pairs.function_count, 3);
}

Test(pairs, labels)
{
    named("SSL_new=ret:SSL_free=a0", "SSL");
    named("SSL_CTX_new=ret:SSL_CTX_free=a0", "SSL_CTX");
    named("sqlite3_open=*a1:sqlite3_close=a0", "sqlite3");
    named("deflateInit_=a0:deflateEnd=a0", "deflate");
    named("foo_create=ret:foo_close=a0", "foo");
    named("XML_ParserCreate=ret:XML_ParserFree=a0", "XML_Parser");
    named("open_it=ret:close_it=a0", "open_it");
    named("heap_make=ret:heap_break=a0", "heap_make"); /* heap is another's */
    named("TLS-1.3:SSL_new=ret:SSL_free=a0", "TLS-1.3");
    named("x=ret:x_end=a0", "x");
}

Test(pairs, what_is_not_understood)
{
    refused("SSL_new", "", "= and where the handle is");
    refused("SSL_new=ret!0", "", "a colon");
    refused("SSL_new=ret!0:", "", "a function's name");
    refused("SSL_new=ret!0:SSL_free", "", "= and where");
    refused("SSL_new=ret!0:SSL_free=ret", "SSL_free", "must be an argument");
    refused("SSL_new=ret!0:SSL_free=a0!0", "SSL_free", "must be an argument");
    refused("SSL_new=a6:SSL_free=a0", "a6", "with N from 0 to 5");
    refused("SSL_new=a10:SSL_free=a0", "a10", "with N from 0 to 5");
    refused("SSL_new=*ret:SSL_free=a0", "ret", "ret, aN or *aN");
    refused("SSL_new=ret!x:SSL_free=a0", "x", "a number");
    refused("SSL_new=ret!99999999999999999999:SSL_free=a0", "99999", "too large");
    refused("SSL_new=ret@0:SSL_free=a0", "0:", "@ret");
    refused("SSL_new=ret!0:SSL_free=a0 and more", "and more", "not understood");
    refused("9lives=ret:end=a0", "9lives", "name");
    refused("file:f_open=ret:f_close=a0", "file:", "stray's own");
    refused("a=ret:b=a0;a=ret!0:b=a0", "a=ret!0", "given twice");
    refused("a=ret:a=a0", "a=a0", "given twice");
}

Test(pairs, no_more_than_there_is_room_for)
{
    char text[65536];
    size_t used = 0;
    for (unsigned i = 0; i <= STRAY_PAIR_RESOURCES; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "r%u:open%u=ret:close%u=a0;", i, i, i);
    refused(text, "open32", "more than 32 resources");
    used = 0;
    for (unsigned i = 0; i <= STRAY_PAIR_FUNCTIONS; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "r:open%u=ret:close=a0;", i);
    refused(text, "open191", "more than 192 functions");
    memset(text, 'x', STRAY_PAIR_NAME + 1);
    text[STRAY_PAIR_NAME + 1] = '\0';
    refused(text, text, "too long");
}

Test(pairs, whatever_is_there_is_parsed_without_harm)
{
    static const char alphabet[] = "ab_09=:;,!@*-. \nret";
    unsigned seed = 1;
    for (unsigned i = 0; i < 200000; i++) {
        char text[24];
        const char *at;
        size_t length = (seed = seed * 1103515245u + 12345u) >> 16 & 15;
        for (size_t k = 0; k < length; k++)
            text[k] = alphabet[((seed = seed * 1103515245u + 12345u) >> 16) % (sizeof(alphabet) - 1)];
        text[length] = '\0';
        pairs.function_count = pairs.resource_count = 0;
        const char *wrong = stray_pairs_parse(&pairs, text, &at);
        cr_assert(at >= text && at <= text + length, "%s", text);
        cr_assert(wrong || *at == '\0', "%s", text);
    }
}

/* Each list that is shipped, and all of them together. */
Test(pairs, the_lists_that_are_shipped)
{
    DIR *folder = opendir(SOURCE_ROOT "/share/pairs");
    static struct stray_pairs all;
    unsigned files = 0;
    cr_assert_not_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[1024], *line = NULL;
        const char *at;
        size_t room = 0;
        if (!strstr(entry->d_name, ".pairs"))
            continue;
        snprintf(path, sizeof(path), SOURCE_ROOT "/share/pairs/%s", entry->d_name);
        FILE *file = fopen(path, "r");
        cr_assert_not_null(file);
        while (getline(&line, &room, file) >= 0) {
            line[strcspn(line, "#\n")] = '\0';
            const char *wrong = stray_pairs_parse(&all, strdup(line), &at); /* which the table points into */
            cr_expect_null(wrong, "%s: %s: %s", entry->d_name, at, wrong);
        }
        free(line);
        fclose(file);
        files++;
    }
    closedir(folder);
    cr_expect_geq(files, 7);
    for (size_t i = 0; i < all.function_count; i++)
        cr_expect_not(stray_pair_denied(all.functions[i].name));
}

/* ---- traces ---- */

static void define(struct trace_writer *writer, unsigned type, unsigned id, unsigned resource, const char *name)
{
    char payload[64];
    struct stray_def_pair fixed = {(uint16_t)id, (uint16_t)resource, 0};
    memcpy(payload, &fixed, sizeof(fixed));
    strcpy(payload + sizeof(fixed), name);
    writer_def(writer, type, payload, sizeof(fixed) + strlen(name) + 1);
}

/* A trace in which resource 32 is called `label`, and 33 is not defined. */
static const char *trace_of(const char *file, const char *label, const char *opener)
{
    struct trace_writer *writer = writer_new();
    const char *path = sample_path(file);
    writer_process(writer, 1000, "/bin/app", (const char *const[]){"app", NULL});
    define(writer, STRAY_DEF_RESOURCE, 32, 0, label);
    define(writer, STRAY_DEF_FUNCTION, STRAY_HOOK_USER, 32, opener);
    writer_put(writer, 0, 1100, STRAY_OPEN, 32, STRAY_HOOK_USER, 0x5000, 0, 0);
    writer_put(writer, 0, 1200, STRAY_OPEN, 33, STRAY_HOOK_USER + 1, 0x6000, 0, 0);
    writer_end(writer, 0, 1300);
    writer_save(writer, path);
    writer_free(writer);
    return path;
}

struct seen {
    struct stray_event events[8];
    size_t count;
};

static void see(void *data, const struct stray_event *event)
{
    struct seen *seen = data;
    if (event->action == STRAY_OPEN)
        seen->events[seen->count++] = *event;
}

static struct seen events_of(const char *path)
{
    struct trace *trace;
    struct error error;
    struct seen seen = {.count = 0};
    cr_assert_eq(trace_open(path, &trace, &error), 0);
    cr_assert_eq(merge_each(trace, see, &seen), 0);
    trace_close(trace);
    cr_assert_eq(seen.count, 2);
    return seen;
}

Test(pairs, traces_number_their_own)
{
    struct seen one = events_of(trace_of("one.stray", "apples", "pick_apple"));
    struct seen two = events_of(trace_of("two.stray", "pears", "pick_pear"));
    struct seen again = events_of(trace_of("three.stray", "apples", "grow_apple"));
    cr_expect_str_eq(resource_label(one.events[0].resource), "apples");
    cr_expect_str_eq(resource_label(two.events[0].resource), "pears");
    cr_expect_eq(again.events[0].resource, one.events[0].resource);
    cr_expect_str_eq(hook_name(one.events[0].hook), "pick_apple");
    cr_expect_str_eq(hook_name(two.events[0].hook), "pick_pear");
    cr_expect_str_eq(hook_name(again.events[0].hook), "grow_apple");
    cr_expect_null(resource_label(one.events[1].resource), "what is not defined has no name");
    cr_expect_null(hook_name(one.events[1].hook));
}

Test(pairs, what_is_asked_for_may_not_be_there)
{
    unsigned asked = pairs_resource("asked", 5);
    cr_expect_str_eq(resource_label(asked), "asked");
    cr_expect_not(pairs_resource_is_found(asked));
    pairs_resource_found(asked);
    cr_expect(pairs_resource_is_found(asked));
    cr_expect_eq(pairs_resource("heap", 4), STRAY_RESOURCE_NONE);
    cr_expect_eq(pairs_resource("a b", 3), STRAY_RESOURCE_NONE);
    cr_expect_eq(pairs_resource("", 0), STRAY_RESOURCE_NONE);
}

/* ---- many functions, as only a crafted trace has them ---- */

#define LONG 190

static const char *long_name(unsigned number)
{
    static char name[LONG + 16];
    memset(name, 'a', LONG); /* no two of them differ before their end */
    snprintf(name + LONG, sizeof(name) - LONG, "%u", number);
    return name;
}

Test(pairs, functions_are_numbered_up_to_a_limit)
{
    for (unsigned i = 0; i < 4095; i++)
        cr_assert_eq(pairs_function(long_name(i)), STRAY_HOOK_USER + i);
    cr_expect_eq(pairs_function("one_more"), STRAY_HOOK_NONE);
    cr_expect_eq(pairs_function(long_name(4094)), STRAY_HOOK_USER + 4094);
    cr_expect_str_eq(pairs_function_name(STRAY_HOOK_USER + 17), long_name(17));
    cr_expect_null(pairs_function_name(STRAY_HOOK_USER + 4095));
}

/* Compared with each name that there is, these would take minutes. */
Test(pairs, millions_of_functions_are_no_burden)
{
    for (unsigned i = 0; i < 3000000; i++)
        pairs_function(long_name(i));
    cr_expect_eq(pairs_function(long_name(17)), STRAY_HOOK_USER + 17);
}

Test(pairs, what_is_longer_than_a_name_is_none)
{
    char name[STRAY_PAIR_NAME + 2];
    memset(name, 'a', sizeof(name) - 1);
    name[STRAY_PAIR_NAME + 1] = '\0';
    cr_expect_eq(pairs_function(name), STRAY_HOOK_NONE);
    name[STRAY_PAIR_NAME] = '\0';
    cr_expect_eq(pairs_function(name), STRAY_HOOK_USER);
}

/* ---- lives ---- */

#define OWN   STRAY_USER_FIRST
#define PLACE 5

static struct feed feed;

static void open_it(uint64_t handle)
{
    feed_event(&feed, STRAY_OPEN, OWN, handle, 0, PLACE);
}

static void close_it(uint64_t handle, uint32_t stack)
{
    feed_event(&feed, STRAY_CLOSE, OWN, handle, 0, stack);
}

static void begin(void)
{
    pairs_resource_found(pairs_resource("own", 3));
    feed_open(&feed);
}

static void end(void)
{
    feed_close_all(&feed);
}

Test(pairs, lives_are_counted, .init = begin, .fini = end)
{
    open_it(0x1000);
    open_it(0x2000);
    close_it(0x1000, BY_CLOSE);
    open_it(0x2000); /* somebody has closed it where nobody saw */
    close_it(0x3000, BY_CLOSE);
    feed_finish(&feed);
    const struct book *book = &feed.lives->books[OWN];
    cr_expect_eq(book->opened, 3);
    cr_expect_eq(book->closed, 2);
    cr_expect_eq(book->open, 1);
    cr_expect_eq(book->unknown, 1);
}

Test(pairs, lives_by_the_million_need_no_more_memory, .init = begin, .fini = end)
{
    for (uint64_t i = 0; i < 100000; i++) {
        open_it(0x1000 + i % 64);
        close_it(0x1000 + i % 64, BY_CLOSE);
    }
    cr_expect_lt(feed.lives->life_count, 4096);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->books[OWN].closed, 100000);
}

static size_t finalizer_findings(uint32_t closed_by_others)
{
    for (uint64_t i = 0; i < 40; i++) {
        feed_wait(&feed, 10 * MS);
        open_it(0x1000 + i);
        feed_wait(&feed, 10 * MS);
        close_it(0x1000 + i, i < 30 ? BY_DESTRUCTOR : closed_by_others);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    size_t found = feed_finding(report, VERDICT_FINALIZER_CLOSED, OWN, PLACE) != NULL;
    report_free(report);
    return found;
}

Test(pairs, destructors_close_what_nobody_else_can, .init = begin, .fini = end)
{
    cr_expect_eq(finalizer_findings(BY_DESTRUCTOR), 0);
}

Test(pairs, destructors_close_what_was_to_be_closed, .init = begin, .fini = end)
{
    cr_expect_eq(finalizer_findings(BY_CLOSE), 1);
}
