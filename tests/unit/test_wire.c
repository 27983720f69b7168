/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <string.h>

#include "stray/wire.h"

static const uint64_t values[] = {0,          1,          127,        128,        16383,          16384,
                                  UINT32_MAX, 1ull << 35, 1ull << 56, 1ull << 63, UINT64_MAX - 1, UINT64_MAX};
#define VALUES (sizeof(values) / sizeof(*values))

Test(wire, varints_come_back)
{
    for (size_t i = 0; i < VALUES; i++) {
        uint8_t bytes[STRAY_VARINT_MAX];
        uint8_t *end = stray_varint_put(bytes, values[i]);
        const uint8_t *in = bytes;
        uint64_t value;
        cr_assert_leq(end - bytes, STRAY_VARINT_MAX);
        cr_assert(stray_varint_get(&in, end, &value));
        cr_assert_eq(value, values[i]);
        cr_assert_eq(in, end);
    }
}

Test(wire, varints_cut_short_are_refused)
{
    for (size_t i = 0; i < VALUES; i++) {
        uint8_t bytes[STRAY_VARINT_MAX];
        uint8_t *end = stray_varint_put(bytes, values[i]);
        for (const uint8_t *cut = bytes; cut < end; cut++) {
            const uint8_t *in = bytes;
            uint64_t value = 99;
            cr_assert_not(stray_varint_get(&in, cut, &value));
            cr_assert_eq(in, bytes);
            cr_assert_eq(value, 99);
        }
    }
}

Test(wire, varints_beyond_64_bits_are_refused)
{
    static const uint8_t too_large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    const uint8_t *in = too_large;
    uint64_t value;
    cr_assert_not(stray_varint_get(&in, too_large + sizeof(too_large), &value));
    in = too_long;
    cr_assert_not(stray_varint_get(&in, too_long + sizeof(too_long), &value));
}

Test(wire, zigzag_keeps_small_differences_small)
{
    cr_assert_eq(stray_zigzag(0), 0);
    cr_assert_eq(stray_zigzag(UINT64_MAX), 1);
    cr_assert_eq(stray_zigzag(1), 2);
    for (size_t i = 0; i < VALUES; i++)
        cr_assert_eq(stray_unzigzag(stray_zigzag(values[i])), values[i]);
}

/* The check value of CRC-32C, and RFC 3720 B.4's vectors. */
Test(wire, checksum_is_castagnolis)
{
    uint8_t block[32] = {0};
    cr_assert_eq(stray_crc32c(0, "123456789", 9), 0xe3069283);
    cr_assert_eq(stray_crc32c(0, block, sizeof(block)), 0x8a9136aa);
    memset(block, 0xff, sizeof(block));
    cr_assert_eq(stray_crc32c(0, block, sizeof(block)), 0x62a8ab43);
}

Test(wire, both_checksums_agree)
{
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37 + i / 7);
    for (size_t from = 0; from < 9; from++)
        for (size_t size = 0; size + from <= sizeof(bytes); size++)
            cr_assert_eq(stray_crc32c(7, bytes + from, size), stray_crc32c_portable(7, bytes + from, size));
}

Test(wire, checksums_continue)
{
    uint32_t part = stray_crc32c(0, "12345", 5);
    cr_assert_eq(stray_crc32c(part, "6789", 4), 0xe3069283);
}
