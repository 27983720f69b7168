/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/normalise.h"
#include "text.h"

static char kept[SQL_TEXT_MAX];

static struct sql_statement read_text(const char *text)
{
    struct sql_statement with, without;
    sql_normalise(text, &with, kept);
    sql_normalise(text, &without, NULL);
    cr_assert_eq(with.hash, without.hash);
    cr_assert_eq(with.size, without.size);
    cr_assert_eq(with.size, strlen(kept));
    cr_assert_neq(with.hash, 0);
    return with;
}

static void expect(const char *text, const char *wanted)
{
    read_text(text);
    cr_expect_str_eq(kept, wanted, "%s: %s, not %s", text, kept, wanted);
}

Test(normalise, literals_go_and_the_rest_stays)
{
    expect("SELECT kid, pem FROM signing_keys WHERE kid = 'abc'", "SELECT kid, pem FROM signing_keys WHERE kid = $?");
    expect("select 1", "select $?");
    expect("select -1.5e-3, .5, 0x1F, 1_000", "select -$?, $?, $?, $?");
    expect("select a1, _b2, c$3 from t4", "select a1, _b2, c$3 from t4");
    expect("select $1, $23", "select $1, $23");
    expect("select 'it''s'||E'it\\'s' || U&'d\\0061t' || b'01' || X'1f' || n'x'", "select $?||$? || $? || $? || $? || $?");
    expect("select $$a 'b' $c$ d$$, $tag$ $$ $other$ $tag$ from t", "select $?, $? from t");
    expect("select \"a \"\"b\"\" 'c'\" from \"T\"", "select \"a \"\"b\"\" 'c'\" from \"T\"");
    expect("select a ? 'b', a ?| array['x'], a::text[] from t", "select a ? $?, a ?| array[$?], a::text[] from t");
    expect("select date '2020-01-01' + interval '1 day'", "select date $? + interval $?");
    expect("select \xc3\xa9t\xc3\xa9 from caf\xc3\xa9", "select \xc3\xa9t\xc3\xa9 from caf\xc3\xa9");
    expect("", "");
}

Test(normalise, a_sign_belongs_to_its_number)
{
    expect("update t set n = n + -5, m = -1.5 where a = +3", "update t set n = n + $?, m = $? where a = $?");
    expect("select f(-5), a[-1], b*-.5 from t", "select f($?), a[$?], b*$? from t");
    expect("select a - 5, a -5, (a)-5, a[1] - 1, 3 -5", "select a - $?, a -$?, (a)-$?, a[$?] - $?, $? -$?");
    expect("select a @-5, -b, a = -b", "select a @-$?, -b, a = -b");
    cr_expect_eq(read_text("update t set n = 1 where id = -7").key_count, 1);
}

Test(normalise, comments_and_white_space_are_one_blank)
{
    expect("  select\n\t1 -- secret\n , 2 ", "select $? , $?");
    expect("select /* a /* 'nested' */ secret */ 1", "select $?");
    expect("select 1 /* never closed", "select $?");
    expect("/* route=/login */ select now() -- ", "select now()");
}

Test(normalise, strings_go_on_in_the_next_line)
{
    expect("select 'a'\n  'secret', b", "select $?, b");
    expect("select E'a'\n'sec\\'ret', b", "select $?, b");
    expect("select 'a' -- comment\n'secret', b", "select $?, b");
}

Test(normalise, what_does_not_end_is_left_out)
{
    expect("select 'secret", "select $?");
    expect("select E'secret\\'", "select $?");
    expect("select $x$secret$", "select $?");
    expect("select \"secret", "select $?");
    expect("insert into t values (1, 'secret", "insert into t values ($?)");
}

/* With standard_conforming_strings off the first string does not end where it seems to. */
Test(normalise, a_quote_after_a_backslash_may_be_anything)
{
    expect("select 'it\\'s secret', 'x'", "select $?");
    expect("select 'back\\\\', b", "select $?, b");
    expect("select 'a\\b', b", "select $?, b");
}

Test(normalise, lists_are_cut_to_one_member)
{
    struct sql_statement three = read_text("select * from t where id in (1, 'b', -3)");
    cr_assert_eq(three.members, 3);
    cr_assert_str_eq(kept, "select * from t where id in ($?)");
    struct sql_statement one = read_text("select * from t where id in (7)");
    cr_assert_eq(one.members, 0);
    cr_assert_eq(one.hash, three.hash);
    cr_assert_eq(read_text("insert into t values (1, NULL, 'a'::text), (2, true, $1), (3, default, 'c')").members, 3);
    cr_assert_str_eq(kept, "insert into t values ($?)");
    expect("select f(1, a), g(a, 1), h((1), 2), i()", "select f($?, a), g(a, $?), h(($?), $?), i()");
    expect("select f($1::bytea), (null)", "select f($1::bytea), (null)");
    expect("insert into t values ('a'), ('b')", "insert into t values ($?)");
    expect("select (a is null), (null, 1)", "select (a is null), ($?)");
}

Test(normalise, settings_are_values_without_quotes_too)
{
    expect("SET app.token = secretword, more; select a", "SET app.token = $?; select a");
    expect("set local app.token to secretword", "set local app.token to $?");
    expect("ALTER ROLE joe SET app.token TO secretword", "ALTER ROLE joe SET app.token TO $?");
    expect("ALTER ROLE joe PASSWORD 'secret'", "ALTER ROLE joe PASSWORD $?");
    expect("update t set a = b where c = d", "update t set a = b where c = d");
    expect("alter table t rename to u", "alter table t rename to u");
}

static void expect_keys(const char *text, const char *const *keys, uint32_t count)
{
    struct sql_statement statement = read_text(text);
    cr_assert_eq(statement.key_count, count, "%s: %u keys", text, statement.key_count);
    for (uint32_t i = 0; i < count; i++) {
        char key[64];
        const struct sql_key *found = &statement.keys[i];
        snprintf(key, sizeof(key), found->at ? "%.*s" : "$%u", (int)found->size, found->at);
        if (!found->at)
            snprintf(key, sizeof(key), "$%u", found->size);
        cr_expect_str_eq(key, keys[i], "%s: %s", text, key);
    }
}

Test(normalise, keys_are_what_the_last_where_asks_to_be_equal)
{
    expect_keys("select a from t where id = 5 and b >= 3 and name='x' limit 1", (const char *[]){"5", "'x'"}, 2);
    expect_keys("update t set a = 1, b = 'y' where id = $12", (const char *[]){"$12"}, 1);
    expect_keys("select a from (select b from u where c = 1) v where d = 2", (const char *[]){"2"}, 1);
    expect_keys("select a from t where b = 1; select 2", (const char *[]){"1"}, 1);
    expect_keys("update t set a = 1", NULL, 0);
    expect_keys("select a from t where b=1 and c=2 and d=3 and e=4 and f=5", (const char *[]){"1", "2", "3", "4"}, SQL_KEYS);
}

Test(normalise, long_texts_are_cut_at_a_token)
{
    size_t size = 100u << 20;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = 0;
    cr_assert_eq(read_text(text).length, SQL_LENGTH_MAX);
    cr_assert_eq(strlen(kept), 0);
    for (size_t i = 0; i + 8 <= size; i += 8)
        memcpy(text + i, "column, ", 8);
    struct sql_statement statement = read_text(text);
    cr_assert(statement.size > SQL_TEXT_MAX - 16 && statement.size < SQL_TEXT_MAX);
    for (size_t i = 0; i + 2 <= size; i += 2)
        memcpy(text + i, "1,", 2);
    memcpy(text, "in (", 4);
    cr_assert_eq(read_text(text).members, (SQL_SCANNED - 4) / 2 + 1, "%u", read_text(text).members);
    cr_assert_str_eq(kept, "in ($?)");
    memset(text, '\'', size);
    read_text(text);
    memset(text, '(', size);
    read_text(text);
    free(text);
}

/* Whatever the bytes, the pass ends, and no literal's content is kept. */
Test(normalise, any_bytes_will_do)
{
    static const char pieces[][12] = {"'", "''", "\\", "$$", "$a$", "\"", "/*", "*/", "--", "\n", "(", ")", ",", "[", "]", "1", "e", "E'",
                                      "U&'", " ", ";", "=", "set ", "to ", "where ", "\xff", "\x80", "null", "::", ".", "$1", "-"};
    uint32_t state = 1;
    for (int round = 0; round < 20000; round++) {
        char text[512] = "";
        for (int i = 0; i < 40; i++) {
            state = state * 1664525u + 1013904223u;
            strcat(text, pieces[(state >> 16) % (sizeof(pieces) / sizeof(*pieces))]);
        }
        read_text(text);
    }
}

static struct sql_statement named(const char *text, enum sql_prepared prepared, const char *name, const char *wanted)
{
    struct sql_statement statement = read_text(text);
    cr_expect_str_eq(kept, wanted, "%s: %s, not %s", text, kept, wanted);
    cr_expect_eq(statement.prepared, prepared, "%s", text);
    cr_expect_eq(statement.name, name ? string_hash(name) : 0, "%s", text);
    return statement;
}

Test(normalise, names_of_prepared_statements_go_as_literals_do)
{
    named("PREPARE By_1 (int) AS SELECT 1", SQL_PREPARES, "by_1", "PREPARE $? (int) AS SELECT $?");
    named("prepare \"By \"\"1\" as select a", SQL_PREPARES, "By \"1", "prepare $? as select a");
    named("EXECUTE by_1 (1, 'x')", SQL_EXECUTES, "by_1", "EXECUTE $? ($?)");
    named("/* x */ execute by_1", SQL_EXECUTES, "by_1", "execute $?");
    named("DEALLOCATE by_1;", SQL_DEALLOCATES, "by_1", "DEALLOCATE $?;");
    named("DEALLOCATE PREPARE \"all\"", SQL_DEALLOCATES, "all", "DEALLOCATE PREPARE $?");
    named("DEALLOCATE PREPARE ALL", SQL_DEALLOCATES, NULL, "DEALLOCATE PREPARE ALL");
    named("Discard All", SQL_DEALLOCATES, NULL, "Discard All");
}

Test(normalise, what_only_looks_like_a_prepared_statement)
{
    named("PREPARE TRANSACTION 'secret'", SQL_PREPARED_NOT, NULL, "PREPARE TRANSACTION $?");
    named("DISCARD PLANS", SQL_PREPARED_NOT, NULL, "DISCARD PLANS");
    named("SELECT execute FROM prepare", SQL_PREPARED_NOT, NULL, "SELECT execute FROM prepare");
    named("EXECUTE \"secret", SQL_PREPARED_NOT, NULL, "EXECUTE $?");
    named("DEALLOCATE", SQL_PREPARED_NOT, NULL, "DEALLOCATE");
}

Test(normalise, of_several_the_first_is_told_unless_a_later_one_is_closed)
{
    named("PREPARE a AS SELECT b; EXECUTE a", SQL_PREPARES, "a", "PREPARE $? AS SELECT b; EXECUTE $?");
    named("PREPARE a AS SELECT b; DEALLOCATE a", SQL_DEALLOCATES, NULL, "PREPARE $? AS SELECT b; DEALLOCATE $?");
    named("DEALLOCATE a; DEALLOCATE b", SQL_DEALLOCATES, NULL, "DEALLOCATE $?; DEALLOCATE $?");
}
