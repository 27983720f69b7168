/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/cfi_bytes.h"

static const uint8_t nothing[1];
const struct bytes bytes_none = {nothing, nothing, true};

struct bytes bytes_at(const struct dl_phdr_info *object, uint64_t address)
{
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uint64_t size = segment->p_filesz < segment->p_memsz ? segment->p_filesz : segment->p_memsz;
        uint64_t start = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && segment->p_flags & PF_R && address - start < size &&
            start + size > start)
            return (struct bytes){(const uint8_t *)address, (const uint8_t *)(start + size), false};
    }
    return bytes_none;
}

uint64_t bytes_left(const struct bytes *bytes)
{
    return (uint64_t)(bytes->end - bytes->at);
}

struct bytes bytes_take(struct bytes *bytes, uint64_t size)
{
    if (bytes->failed || size > bytes_left(bytes)) {
        *bytes = bytes_none;
        return *bytes;
    }
    struct bytes part = {bytes->at, bytes->at + size, bytes->failed};
    bytes->at += size;
    return part;
}

uint64_t bytes_number(struct bytes *bytes, unsigned size)
{
    uint64_t value = 0;
    struct bytes part = bytes_take(bytes, size);
    for (unsigned i = 0; !part.failed && i < size; i++)
        value |= (uint64_t)part.at[i] << (8 * i);
    return value;
}

uint8_t bytes_byte(struct bytes *bytes)
{
    return (uint8_t)bytes_number(bytes, 1);
}

static int64_t extend(uint64_t value, unsigned bits)
{
    return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

/* LEB128; bits beyond 64 are dropped. */
static uint64_t take_leb(struct bytes *bytes, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = bytes_byte(bytes);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return is_signed && shift < 64 ? (uint64_t)extend(value, shift) : value;
}

uint64_t bytes_uleb(struct bytes *bytes)
{
    return take_leb(bytes, false);
}

int64_t bytes_sleb(struct bytes *bytes)
{
    return (int64_t)take_leb(bytes, true);
}

uint64_t bytes_format(struct bytes *bytes, uint8_t encoding)
{
    switch (encoding & ENCODING_FORMAT) {
    case ENCODING_ABSOLUTE:
    case ENCODING_U8:
    case ENCODING_S8:
        return bytes_number(bytes, 8);
    case ENCODING_ULEB:
        return bytes_uleb(bytes);
    case ENCODING_SLEB:
        return (uint64_t)bytes_sleb(bytes);
    case ENCODING_U2:
        return bytes_number(bytes, 2);
    case ENCODING_U4:
        return bytes_number(bytes, 4);
    case ENCODING_S2:
        return (uint64_t)extend(bytes_number(bytes, 2), 16);
    case ENCODING_S4:
        return (uint64_t)extend(bytes_number(bytes, 4), 32);
    default:
        bytes->failed = true;
        return 0;
    }
}

uint64_t bytes_pointer(struct bytes *bytes, uint8_t encoding, uint64_t data)
{
    uint64_t place = (uint64_t)(uintptr_t)bytes->at, value = bytes_format(bytes, encoding);
    switch (encoding & (ENCODING_RELATION | ENCODING_INDIRECT)) {
    case ENCODING_ABSOLUTE:
        return value;
    case ENCODING_PCREL:
        return place + value;
    case ENCODING_DATAREL:
        if (data != 0)
            return data + value;
        break;
    }
    bytes->failed = true;
    return 0;
}
