/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC-32C at the speed of the machine's own instruction where it has one: the same function of the bytes as
 * stray_crc32c() of wire.h. Pure, thread safe.
 */
#ifndef STRAY_READ_CHECKSUM_H
#define STRAY_READ_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C of `size` bytes, continued from `crc` (0 to begin). */
uint32_t checksum(uint32_t crc, const void *data, size_t size);

#endif
