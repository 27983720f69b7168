/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/checksum.h"

#include <string.h>

#include "stray/wire.h"

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t checksum_sse(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t state = (uint32_t)~crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        state = __builtin_ia32_crc32di(state, word);
    }
    for (; size > 0; size--)
        state = __builtin_ia32_crc32qi((uint32_t)state, *p++);
    return ~(uint32_t)state;
}
#endif

uint32_t checksum(uint32_t crc, const void *data, size_t size)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return checksum_sse(crc, data, size);
#endif
    return stray_crc32c(crc, data, size);
}
