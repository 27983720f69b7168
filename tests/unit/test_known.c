/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is remembered of texts, and which texts count as one: never two that are different statements. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "sql/known.h"
#include "sql/normalise.h"

static uint64_t text(const char *sql)
{
    return known_text(sql, strlen(sql));
}

static uint64_t pattern(const char *sql)
{
    return known_pattern(sql, strlen(sql));
}

static uint64_t statement(const char *sql)
{
    struct sql_statement statement;
    sql_normalise(sql, &statement, NULL);
    return statement.hash;
}

Test(known, texts_are_told_apart)
{
    static const char *const texts[] = {"", "S", "SELECT 1", "SELECT 2", "SELECT  1", "SELECT 1 ", "SELECT 10", "SELECT 01",
                                        "SELECT a FROM b", "SELECT b FROM a", "SELECT 1\n", "\xff", "\xff\xff"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        cr_expect_neq(text(texts[i]), 0);
        for (size_t j = 0; j < i; j++)
            cr_expect_neq(text(texts[i]), text(texts[j]), "%s, %s", texts[i], texts[j]);
    }
}

Test(known, long_texts_are_not_worth_it)
{
    char sql[KNOWN_LENGTH_MAX + 2];
    memset(sql, 'x', sizeof(sql));
    cr_expect_neq(known_text(sql, KNOWN_LENGTH_MAX), 0);
    cr_expect_eq(known_text(sql, KNOWN_LENGTH_MAX + 1), 0);
    cr_expect_neq(known_pattern(sql, KNOWN_LENGTH_MAX), 0);
    cr_expect_eq(known_pattern(sql, KNOWN_LENGTH_MAX + 1), 0);
}

Test(known, what_was_put_is_found_until_it_is_forgotten)
{
    uint64_t one = text("SELECT 1");
    cr_expect_eq(known_find(one), 0, "nothing yet");
    known_put(one, 77);
    cr_expect_eq(known_find(one), 77);
    known_put(one, 78);
    cr_expect_eq(known_find(one), 78);
    known_put(one + 512, 79); /* the same place */
    cr_expect_eq(known_find(one), 0);
    cr_expect_eq(known_find(one + 512), 79);
}

/* Texts are looked through eight bytes at a time: wherever in them a number stands, whatever stands around it. */
Test(known, a_number_is_found_wherever_it_stands)
{
    char five[64], many[64];
    for (size_t before = 0; before < 40; before++) {
        for (unsigned byte = 1; byte < 256; byte++) {
            if ((byte >= '0' && byte <= '9') || byte == '"')
                continue;
            size_t size = before + 1;
            memset(five, (int)byte, before);
            five[before] = ' ';
            memcpy(many, five, size);
            strcpy(five + size, "5 ,,,,,,,,,");
            strcpy(many + size, "4711 ,,,,,,,,,");
            cr_expect_eq(pattern(five), pattern(many), "%zu of %u", before, byte);
            cr_expect_neq(pattern(five), pattern("5 ,,,,,,,,,"), "%zu of %u", before, byte);
        }
    }
}

Test(known, whole_numbers_make_no_difference)
{
    static const char *const same[][2] = {
        {"SELECT * FROM t WHERE id = 5", "SELECT * FROM t WHERE id = 4711"},
        {"5", "17"},
        {"SELECT (1)", "SELECT (123456789012345678901234567890)"},
        {"SELECT -1, +2", "SELECT -33, +44"},
        {"SELECT 'a 1 b'", "SELECT 'a 22 b'"},
        {"SELECT 1 -- comment 1\n", "SELECT 2 -- comment 22\n"},
        {"SELECT id1 FROM t2 LIMIT 10", "SELECT id1 FROM t2 LIMIT 20"},
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
        cr_expect_eq(pattern(same[i][0]), pattern(same[i][1]), "%s", same[i][0]);
        cr_expect_eq(statement(same[i][0]), statement(same[i][1]), "%s", same[i][0]);
    }
}

Test(known, other_digits_do)
{
    static const char *const other[][2] = {
        {"SELECT * FROM t1", "SELECT * FROM t2"},
        {"SELECT $1", "SELECT $2"},
        {"SELECT \"1\"", "SELECT \"2\""},
        {"SELECT 1 AS \"a 1\"", "SELECT 1 AS \"a 2\""},
        {"SELECT t.1a", "SELECT t.2a"},
        {"SELECT \xc3\xa4" "1", "SELECT \xc3\xa4" "2"},
        {"SELECT 1", "SELECT 1, 2"},
        {"SELECT 1", "SELECT 1 2"},
        {"SELECT 0", "SELECT "},
    };
    for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
        cr_expect_neq(pattern(other[i][0]), pattern(other[i][1]), "%s", other[i][0]);
}

/* Texts made at random of what matters to the rules: one pattern is always one statement, with as many keys and members. */
Test(known, one_pattern_is_one_statement)
{
    static const char *const pieces[] = {"1", "22", "333", " ", "'", "\"", "$", "$a$", "-", "--", "\n", "/*", "*/", "(", ")", ",", "=",
                                         ".", "e", "E'", "x", "SET ", "WHERE ", "VALUES ", "IN ", "TO ", ";", "\\", "[", "]", "::", "U&'", "_"};
    static const char *const numbers[] = {"1", "22", "333"};
    uint32_t state = 1;
    for (int i = 0; i < 200000; i++) {
        char one[256] = "", other[256] = "";
        for (int j = 0; j < 12; j++) {
            state = state * 1664525 + 1013904223;
            size_t piece = (state >> 16) % (sizeof(pieces) / sizeof(*pieces));
            strcat(one, pieces[piece]);
            strcat(other, piece < 3 ? numbers[(state >> 8) % 3] : pieces[piece]);
        }
        struct sql_statement first, second;
        sql_normalise(one, &first, NULL);
        sql_normalise(other, &second, NULL);
        if (pattern(one) == pattern(other))
            cr_assert(first.hash == second.hash && first.key_count == second.key_count && first.members == second.members, "%s | %s",
                      one, other);
    }
}

static void *puts_and_finds(void *data)
{
    uint64_t mine = (uint64_t)(uintptr_t)data;
    for (uint64_t i = 0; i < 200000; i++) {
        uint64_t key = 2 * (i % 600) + 1, found = known_find(key);
        if (found != 0 && found % 1200 != key)
            return data;
        known_put(key, key + 1200 * mine);
    }
    return NULL;
}

/* What two threads write at one time is nothing, or what one of them wrote for this text. */
Test(known, threads_do_not_mix_what_they_put)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, puts_and_finds, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        cr_expect_null(wrong);
    }
}
