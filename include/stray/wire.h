/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Encoding primitives shared by the shim and the analyzer: LEB128 variable-length integers, zigzag mapping
 * of signed differences, CRC-32C. All functions are pure, allocate nothing, and are safe in signal handlers and threads.
 * The readers never read past `end`.
 *
 * Sources: LEB128 as in the DWARF 5 standard, section 7.6; CRC-32C (Castagnoli) as in RFC 3720, B.4.
 */
#ifndef STRAY_WIRE_H
#define STRAY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRAY_VARINT_MAX 10 /* bytes of the longest encoding */

/* Writes `value` at `out`, which has room for STRAY_VARINT_MAX bytes. Returns the byte after the last written. */
static inline uint8_t *stray_varint_put(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

/* Reads a value from [*in, end). False, with *in unchanged, if it is cut short or does not fit 64 bits. */
static inline bool stray_varint_get(const uint8_t **in, const uint8_t *end, uint64_t *ret_value)
{
    const uint8_t *p = *in;
    uint64_t value = 0;
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *in = p;
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* Maps a wrapped difference to a number that is small when the difference is, and back. */
static inline uint64_t stray_zigzag(uint64_t difference)
{
    return (difference << 1) ^ (uint64_t)-(int64_t)(difference >> 63);
}
static inline uint64_t stray_unzigzag(uint64_t value)
{
    return (value >> 1) ^ (uint64_t)-(int64_t)(value & 1);
}

/* CRC-32C of `size` bytes, continued from `crc` (0 to begin), on any processor. */
static inline uint32_t stray_crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    static const uint32_t nibble[16] = { /* the table of one nibble: small enough for any cache */
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *p = (const uint8_t *)data;
    crc = ~crc;
    while (size-- > 0) {
        crc ^= *p++;
        crc = (crc >> 4) ^ nibble[crc & 15];
        crc = (crc >> 4) ^ nibble[crc & 15];
    }
    return ~crc;
}

#ifdef __x86_64__
/* Whether there is an instruction for it (SSE 4.2). The answer is kept: some hypervisors take microseconds to give it. */
static inline bool stray_crc32c_is_fast(void)
{
    static uint32_t answer; /* 0: not asked yet, 1: no, 2: yes */
    uint32_t known = __atomic_load_n(&answer, __ATOMIC_RELAXED);
    if (__builtin_expect(known == 0, 0)) {
        uint32_t eax = 1, ebx, ecx, edx;
        __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
        known = ecx >> 20 & 1 ? 2 : 1;
        __atomic_store_n(&answer, known, __ATOMIC_RELAXED);
    }
    return known == 2;
}

static inline uint32_t stray_crc32c_fast(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    uint64_t state = (uint32_t)~crc;
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), p += sizeof(uint64_t)) {
        uint64_t word;
        __builtin_memcpy(&word, p, sizeof(word));
        __asm__("crc32q %1, %0" : "+r"(state) : "rm"(word));
    }
    for (; size > 0; size--, p++)
        __asm__("crc32b %1, %0" : "+r"(state) : "rm"(*p));
    return ~(uint32_t)state;
}
#endif

/* The same by the fastest way that there is here. */
static inline uint32_t stray_crc32c(uint32_t crc, const void *data, size_t size)
{
#ifdef __x86_64__
    if (stray_crc32c_is_fast())
        return stray_crc32c_fast(crc, data, size);
#endif
    return stray_crc32c_portable(crc, data, size);
}

#endif
