/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "sql/keyed.h"

/* From the paper's appendix A: key 00 01 .. 0f, message 00 01 .. 0e. */
Test(keyed, the_published_example)
{
    static const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    uint8_t message[15];
    for (uint8_t i = 0; i < sizeof(message); i++)
        message[i] = i;
    cr_assert_eq(keyed_hash_with(key, message, sizeof(message)), 0xa129ca6149be45e5u);
}

Test(keyed, equal_values_have_equal_hashes)
{
    cr_assert_eq(keyed_hash("42", 2), keyed_hash("42", 2));
    cr_assert_neq(keyed_hash("42", 2), keyed_hash("43", 2));
    cr_assert_neq(keyed_hash("", 0), keyed_hash("\0", 1));
}
