/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/python_code.h"

#include <stdbool.h>

/* Lines are summed up with wrap-around, and taken for nonsense when they leave this range. */
#define MAX_LINE INT32_MAX

static uint32_t line_or(int64_t line, uint32_t otherwise)
{
    return line > 0 && line <= MAX_LINE ? (uint32_t)line : otherwise;
}

static uint32_t line_3_8(const struct code *code, uint32_t offset)
{
    uint64_t address = 0;
    int64_t line = code->first_line;
    for (uint32_t i = 0; i + 1 < code->table_size; i += 2) {
        address += code->table[i];
        if (address > offset)
            break;
        line += (int8_t)code->table[i + 1];
    }
    return line_or(line, code->first_line);
}

static uint32_t line_3_10(const struct code *code, uint32_t offset)
{
    uint64_t end = 0;
    int64_t line = code->first_line, last = line;
    for (uint32_t i = 0; i + 1 < code->table_size; i += 2) {
        int8_t delta = (int8_t)code->table[i + 1];
        bool lineless = delta == -128;
        line += lineless ? 0 : delta;
        end += code->table[i];
        if (!lineless && code->table[i] > 0)
            last = line;
        if (end > offset)
            break;
    }
    return line_or(last, code->first_line);
}

/* Entries of 3.11: the first byte is 1, four bits of kind, three bits of length in instructions less 1. */
enum { KIND_LONG = 14, KIND_NO_COLUMNS = 13, KIND_NONE = 15, KIND_ONE_LINE_2 = 12, KIND_ONE_LINE_0 = 10 };

/* Six bits a byte, least significant first; bit 6 says that more follow. Advances *cursor. */
static uint64_t read_varint(const struct code *code, uint32_t *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *cursor < code->table_size && shift < 32; shift += 6) {
        uint8_t byte = code->table[(*cursor)++];
        value |= (uint64_t)(byte & 0x3f) << shift;
        if (!(byte & 0x40))
            break;
    }
    return value;
}

static int64_t read_signed_varint(const struct code *code, uint32_t *cursor)
{
    uint64_t value = read_varint(code, cursor);
    return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

/* Lines by which the entry whose first byte was just read advances. */
static int64_t line_delta(const struct code *code, unsigned kind, uint32_t *cursor)
{
    if (kind == KIND_LONG || kind == KIND_NO_COLUMNS)
        return read_signed_varint(code, cursor);
    return kind >= KIND_ONE_LINE_0 && kind <= KIND_ONE_LINE_2 ? (int64_t)kind - KIND_ONE_LINE_0 : 0;
}

/* The next entry begins at the next byte with the top bit set. */
static void skip_columns(const struct code *code, uint32_t *cursor)
{
    while (*cursor < code->table_size && !(code->table[*cursor] & 0x80))
        (*cursor)++;
}

static uint32_t line_3_11(const struct code *code, uint32_t offset)
{
    uint64_t end = 0;
    int64_t line = code->first_line, last = line;
    for (uint32_t cursor = 0; cursor < code->table_size && end <= offset;) {
        uint8_t head = code->table[cursor++];
        unsigned kind = head >> 3 & 15;
        line += line_delta(code, kind, &cursor);
        end += ((head & 7u) + 1) * 2;
        if (kind != KIND_NONE)
            last = line;
        skip_columns(code, &cursor);
    }
    return line_or(last, code->first_line);
}

uint32_t python_line(const struct code *code, uint32_t offset)
{
    if (code->minor >= 11)
        return line_3_11(code, offset);
    if (code->minor == 10)
        return line_3_10(code, offset);
    return code->minor >= 8 ? line_3_8(code, offset) : 0;
}
