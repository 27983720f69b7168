/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <string.h>

#include "names/fingerprint.h"

static bool alike(const char *one, const char *other)
{
    char a[FINGERPRINT_SIZE], b[FINGERPRINT_SIZE];
    cr_assert(fingerprint_of(one, a), "%s", one);
    cr_assert(fingerprint_of(other, b), "%s", other);
    return strcmp(a, b) == 0;
}

Test(fingerprint, what_means_the_same_is_alike)
{
    cr_expect(alike("SELECT a FROM t WHERE id = $?", "select a from t where id=$1"));
    cr_expect(alike("select a from t where id in ($?)", "SELECT a FROM t WHERE id IN ($1, $2)"));
    cr_expect_not(alike("select a from t where id = $?", "select b from t where id = $?"));
}

/* Where PostgreSQL's grammar asks for a literal of one kind. */
Test(fingerprint, literals_of_all_kinds_are_parsed)
{
    char fingerprint[FINGERPRINT_SIZE];
    static const char *const texts[] = {"select interval $?", "set x = $?", "copy t from $?", "select a from t limit $?",
                                        "fetch forward $? from c", "alter role r password $?", "select $?::numeric(10, $?)"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        cr_expect(fingerprint_of(texts[i], fingerprint), "%s", texts[i]);
}

Test(fingerprint, what_cannot_be_parsed_is_known_by_its_text)
{
    char one[FINGERPRINT_SIZE], other[FINGERPRINT_SIZE], again[FINGERPRINT_SIZE];
    cr_expect_not(fingerprint_of("selec a", one));
    cr_expect_not(fingerprint_of("selec b", other));
    cr_expect_not(fingerprint_of("selec a", again));
    cr_expect_str_eq(one, again);
    cr_expect_str_neq(one, other);
    cr_expect_not(fingerprint_of("\xff\xfe", one));
}

Test(fingerprint, hostile_texts_end)
{
    char deep[4096], fingerprint[FINGERPRINT_SIZE];
    memset(deep, '(', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    cr_expect_not(fingerprint_of(deep, fingerprint));
    memcpy(deep, "select ", 7);
    cr_expect_not(fingerprint_of(deep, fingerprint));
}
