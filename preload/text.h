/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Strings without libc: bounded, allocation-free, locale-free, async-signal-safe. A `struct text` is a buffer that
 * never overflows; what does not fit is cut and `cut` is set.
 */
#ifndef STRAY_PRELOAD_TEXT_H
#define STRAY_PRELOAD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *at;
    size_t size, used; /* used excludes the closing NUL, for which there is always room */
    bool cut;
};

#define TEXT(buffer) ((struct text){.at = (buffer), .size = sizeof(buffer)})

static inline void text_byte(struct text *text, char byte)
{
    if (text->used + 1 < text->size) {
        text->at[text->used++] = byte;
        text->at[text->used] = 0;
    } else {
        text->cut = true;
    }
}
static inline void text_bytes(struct text *text, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        text_byte(text, bytes[i]);
}
static inline void text_string(struct text *text, const char *string)
{
    while (*string)
        text_byte(text, *string++);
}
static inline void text_number(struct text *text, uint64_t number)
{
    char digits[20];
    unsigned count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        text_byte(text, digits[--count]);
}
static inline void text_hex(struct text *text, uint64_t number)
{
    char digits[16];
    unsigned count = 0;
    do
        digits[count++] = "0123456789abcdef"[number & 15];
    while ((number >>= 4) > 0);
    while (count > 0)
        text_byte(text, digits[--count]);
}

static inline size_t string_length(const char *string)
{
    size_t length = 0;
    while (string[length])
        length++;
    return length;
}
static inline bool string_begins(const char *string, const char *prefix)
{
    while (*prefix)
        if (*string++ != *prefix++)
            return false;
    return true;
}
static inline bool string_equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}
static inline const char *string_base(const char *path)
{
    const char *base = path;
    for (; *path; path++)
        if (*path == '/')
            base = path + 1;
    return base;
}
static inline uint64_t string_number(const char *string)
{
    uint64_t number = 0;
    while (*string >= '0' && *string <= '9')
        number = number * 10 + (uint64_t)(*string++ - '0');
    return number;
}
/* FNV-1a, 64 bits (public domain; Fowler, Noll, Vo). */
#define STRING_HASH_BEGIN 0xcbf29ce484222325u
static inline uint64_t string_hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * 0x100000001b3u;
}
static inline uint64_t string_hash(const char *string)
{
    uint64_t hash = STRING_HASH_BEGIN;
    while (*string)
        hash = string_hash_byte(hash, (uint8_t)*string++);
    return hash;
}

#endif
