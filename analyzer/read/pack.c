/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/pack.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "read/members.h"

#define PLAIN_MAX (UINT64_C(1) << 30) /* of a compressed member; a spool has 196 MiB */
#define PIECE     65536

unsigned pack_checksum(const struct pack_header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    size_t from = offsetof(struct pack_header, checksum), to = from + sizeof(header->checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(*header); i++)
        sum += i >= from && i < to ? ' ' : bytes[i];
    return sum;
}

/* Octal digits; or, with the first bit set, the number itself (as GNU tar and pax do for large ones). */
static bool number_of(const char *field, size_t size, uint64_t *ret_number)
{
    uint64_t number = 0;
    if ((unsigned char)field[0] & 0x80) {
        for (size_t i = 1; i < size; i++)
            number = number << 8 | (unsigned char)field[i];
        *ret_number = number;
        return number < UINT64_C(1) << 62;
    }
    size_t i = 0;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        number = number << 3 | (uint64_t)(field[i] - '0');
    *ret_number = number;
    return i > 0;
}

static bool header_sound(const struct pack_header *header, uint64_t *ret_size)
{
    uint64_t checksum;
    return memcmp(header->magic, "ustar", 5) == 0 &&
           number_of(header->checksum, sizeof(header->checksum), &checksum) &&
           checksum == pack_checksum(header) && number_of(header->size, sizeof(header->size), ret_size);
}

int pack_next(const struct source *source, uint64_t *offset, struct pack_member *ret_member)
{
    struct pack_header header;
    uint64_t size;
    if (source_read(source, *offset, &header, sizeof(header)) < 0 || !header_sound(&header, &size))
        return 0;
    uint64_t content = *offset + PACK_BLOCK, rest = source->size - content;
    snprintf(ret_member->name, sizeof(ret_member->name), "%.*s", (int)sizeof(header.name), header.name);
    ret_member->offset = content;
    ret_member->size = size < rest ? size : rest;
    uint64_t blocks = size < rest ? (size + PACK_BLOCK - 1) / PACK_BLOCK * PACK_BLOCK : rest;
    *offset = content + (blocks < rest ? blocks : rest);
    return 1;
}

bool pack_is(const struct source *source)
{
    struct pack_member member;
    uint64_t offset = 0;
    return pack_next(source, &offset, &member) > 0 && strcmp(member.name, PACK_MARK) == 0;
}

/* ---- compressed members ---- */

static bool all_zero(const char *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Most of a spool was never used: holes take no memory. */
static int write_sparse(int fd, const char *bytes, size_t size, uint64_t at)
{
    return all_zero(bytes, size) ? 0 : source_put(fd, at, bytes, size);
}

struct unpacking {
    const struct source *from;
    uint64_t offset, rest; /* of what is still compressed */
    int fd;
    uint64_t size;
    ZSTD_DCtx *context;
    char in[PIECE], out[PIECE];
};

static int unpack_piece(struct unpacking *unpacking, ZSTD_inBuffer *input, size_t *ret_hint)
{
    do {
        ZSTD_outBuffer output = {unpacking->out, sizeof(unpacking->out), 0};
        *ret_hint = ZSTD_decompressStream(unpacking->context, &output, input);
        if (ZSTD_isError(*ret_hint) || unpacking->size + output.pos > PLAIN_MAX)
            return -EBADMSG;
        int result = write_sparse(unpacking->fd, unpacking->out, output.pos, unpacking->size);
        if (result < 0)
            return result;
        unpacking->size += output.pos;
        if (output.pos < output.size)
            break;
    } while (true);
    return 0;
}

static int unpack_all(struct unpacking *unpacking)
{
    size_t hint = 1;
    while (unpacking->rest > 0) {
        size_t size = unpacking->rest < PIECE ? (size_t)unpacking->rest : PIECE;
        int result = source_read(unpacking->from, unpacking->offset, unpacking->in, size);
        ZSTD_inBuffer input = {unpacking->in, size, 0};
        while (result == 0 && input.pos < input.size)
            result = unpack_piece(unpacking, &input, &hint);
        if (result < 0)
            return result;
        unpacking->offset += size;
        unpacking->rest -= size;
    }
    if (hint != 0)
        return -EBADMSG;
    return ftruncate(unpacking->fd, (off_t)unpacking->size) < 0 ? -errno : 0;
}

static int open_compressed(const struct source *pack, const struct pack_member *member,
                           struct source *ret_source)
{
    struct unpacking *unpacking = calloc(1, sizeof(*unpacking));
    if (!unpacking)
        return -ENOMEM;
    unpacking->from = pack;
    unpacking->offset = member->offset;
    unpacking->rest = member->size;
    unpacking->context = ZSTD_createDCtx();
    unpacking->fd = memfd_create("member", MFD_CLOEXEC);
    int result = !unpacking->context ? -ENOMEM : unpacking->fd < 0 ? -errno : unpack_all(unpacking);
    if (result == 0)
        *ret_source = (struct source){.fd = unpacking->fd, .size = unpacking->size};
    else if (unpacking->fd >= 0)
        close(unpacking->fd);
    ZSTD_freeDCtx(unpacking->context);
    free(unpacking);
    return result;
}

/* ---- members by path ---- */

/* The first of both, where there is the member itself as well. */
static int find_member(const struct source *pack, const char *name, struct pack_member *ret_member, bool *ret_compressed)
{
    char with_suffix[128];
    struct pack_member compressed;
    snprintf(with_suffix, sizeof(with_suffix), "%.100s%s", name, PACK_COMPRESSED);
    int plain = members_find(pack, name, ret_member), other = members_find(pack, with_suffix, &compressed);
    *ret_compressed = other == 0 && (plain < 0 || compressed.offset < ret_member->offset);
    if (*ret_compressed)
        *ret_member = compressed;
    return *ret_compressed ? 0 : plain;
}

/* Takes the file over where the member is a part of it. */
static int open_member(struct source *pack, const char *name, struct source *ret_source)
{
    struct pack_member member;
    bool compressed;
    int result = find_member(pack, name, &member, &compressed);
    if (result < 0)
        return result;
    if (compressed)
        return open_compressed(pack, &member, ret_source);
    *ret_source = (struct source){.fd = pack->fd, .size = member.size, .base = member.offset};
    pack->fd = -1;
    return 0;
}

int pack_open(const char *path, struct source *ret_source)
{
    const char *slash = strrchr(path, '/');
    char *file = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    struct source pack = {.fd = -1};
    if (!file)
        return slash ? -ENOMEM : -ENOTDIR;
    int result = file[0] ? source_open(file, &pack) : -ENOTDIR;
    free(file);
    if (result < 0)
        return -ENOTDIR;
    result = pack_is(&pack) ? open_member(&pack, slash + 1, ret_source) : -ENOTDIR;
    source_close(&pack);
    return result;
}
