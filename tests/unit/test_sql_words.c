/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "lives/sql_words.h"

static struct sql_words read_text(const char *text)
{
    struct sql_words words;
    sql_words_read(text, &words);
    return words;
}

Test(sql_words, control_statements_are_about_the_session)
{
    cr_expect(read_text("BEGIN").control);
    cr_expect(read_text("  rollback to savepoint a").control);
    cr_expect(read_text("SET application_name TO $?").control);
    cr_expect_not(read_text("SELECT set").control);
    cr_expect_not(read_text("").control);
    cr_expect_not(read_text(NULL).control);
}

Test(sql_words, tables_are_named_alike_however_they_are_written)
{
    uint64_t table = read_text("SELECT a FROM accounts WHERE id = $?").table;
    cr_assert_neq(table, 0);
    cr_expect_eq(read_text("UPDATE Accounts SET a = $?").table, table);
    cr_expect_eq(read_text("update only \"accounts\" set a = $1").table, table);
    cr_expect_neq(read_text("UPDATE other SET a = $?").table, table);
    cr_expect_eq(read_text("SELECT a FROM accounts JOIN other").table, table);
    cr_expect_eq(read_text("SELECT $?").table, 0);
}

Test(sql_words, locks_and_bounds)
{
    cr_expect(read_text("SELECT a FROM t FOR UPDATE").locks);
    cr_expect(read_text("SELECT a FROM t WHERE b = $? for no key update").locks);
    cr_expect_not(read_text("SELECT \"for update\" FROM t").locks);
    cr_expect(read_text("SELECT a FROM t LIMIT $?").bounded);
    cr_expect(read_text("FETCH FORWARD $? FROM c").bounded);
    cr_expect_not(read_text("SELECT a FROM t").bounded);
}

Test(sql_words, updates_that_set_constants)
{
    cr_expect(read_text("UPDATE t SET a = $? WHERE id = $?").constants);
    cr_expect(read_text("UPDATE t SET a = b, c=$2 WHERE id = $?").constants);
    cr_expect_not(read_text("UPDATE t SET a = a + $? WHERE id = $?").constants);
    cr_expect_not(read_text("UPDATE t SET a = b WHERE id = $?").constants);
}
