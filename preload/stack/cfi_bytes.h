/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers and pointers as call frame information encodes them. Whatever the bytes are, only those inside are read. Pure. */
#ifndef STRAY_PRELOAD_CFI_BYTES_H
#define STRAY_PRELOAD_CFI_BYTES_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

/* How a pointer is encoded: a format, what it is relative to, and whether it is the address of one. */
enum {
    ENCODING_ABSOLUTE = 0x00,
    ENCODING_ULEB = 0x01,
    ENCODING_U2 = 0x02,
    ENCODING_U4 = 0x03,
    ENCODING_U8 = 0x04,
    ENCODING_SLEB = 0x09,
    ENCODING_S2 = 0x0a,
    ENCODING_S4 = 0x0b,
    ENCODING_S8 = 0x0c,
    ENCODING_FORMAT = 0x0f,
    ENCODING_PCREL = 0x10,
    ENCODING_DATAREL = 0x30,
    ENCODING_RELATION = 0x70,
    ENCODING_INDIRECT = 0x80,
    ENCODING_OMIT = 0xff,
};

/* Bytes inside one segment. What would lie beyond reads as 0 and sets `failed`. */
struct bytes {
    const uint8_t *at, *end;
    bool failed;
};

extern const struct bytes bytes_none; /* `failed` */

/* From `address` to the end of the readable segment that holds it; nothing if none does. */
struct bytes bytes_at(const struct dl_phdr_info *object, uint64_t address);
uint64_t bytes_left(const struct bytes *bytes);
/* The next `size` bytes, apart. */
struct bytes bytes_take(struct bytes *bytes, uint64_t size);
/* Little-endian, and LEB128. */
uint64_t bytes_number(struct bytes *bytes, unsigned size);
uint8_t bytes_byte(struct bytes *bytes);
uint64_t bytes_uleb(struct bytes *bytes);
int64_t bytes_sleb(struct bytes *bytes);
/* The number of an encoded pointer, whatever it is relative to. */
uint64_t bytes_format(struct bytes *bytes, uint8_t encoding);
/* The pointer itself; `data` is what those relative to data are relative to. Indirect ones occur for personalities only. */
uint64_t bytes_pointer(struct bytes *bytes, uint8_t encoding, uint64_t data);

#endif
