/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/image.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How linkers encode the sorted table: 32-bit offsets from the start of .eh_frame_hdr. */
#define TABLE_ENCODING (DW_EH_PE_datarel | DW_EH_PE_sdata4)

static int32_t read_offset(const uint8_t *bytes)
{
    int32_t offset;
    memcpy(&offset, bytes, sizeof(offset));
    return offset;
}

/* Bytes of a value in one of the fixed-size encodings; 0: not one of them. */
static size_t encoded_size(uint8_t encoding)
{
    switch (encoding & 0x0f) {
    case DW_EH_PE_udata2:
    case DW_EH_PE_sdata2:
        return 2;
    case DW_EH_PE_udata4:
    case DW_EH_PE_sdata4:
        return 4;
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        return 8;
    default:
        return 0;
    }
}

static void read_unwind_table(struct image *image, uint64_t address)
{
    const uint8_t *header = image_at(image, address, 4);
    if (!header || header[0] != 1 || header[2] != DW_EH_PE_udata4 || header[3] != TABLE_ENCODING)
        return;
    size_t pointer = encoded_size(header[1]);
    const uint8_t *count = pointer ? image_at(image, address + 4 + pointer, 4) : NULL;
    if (!count)
        return;
    size_t entries = (uint32_t)read_offset(count);
    image->starts = image_at(image, address + 8 + pointer, entries * 8);
    image->start_count = image->starts ? entries : 0;
    image->starts_base = address;
}

static void add_segment(struct image *image, const Elf64_Phdr *header)
{
    if (header->p_offset > image->size || header->p_filesz > image->size - header->p_offset)
        return;
    image->segments[image->segment_count++] = (struct image_segment){
        .address = header->p_vaddr,
        .offset = header->p_offset,
        .size = header->p_filesz,
        .executable = header->p_flags & PF_X,
        .writable = header->p_flags & PF_W,
    };
}

int image_open(Elf *elf, struct image *ret_image)
{
    const Elf64_Ehdr *header = elf64_getehdr(elf);
    const Elf64_Phdr *program = elf64_getphdr(elf);
    size_t count, size;
    if (!header || !program || header->e_ident[EI_DATA] != ELFDATA2LSB || elf_getphdrnum(elf, &count) != 0)
        return -ENOTSUP;
    const char *bytes = elf_rawfile(elf, &size);
    if (!bytes || (header->e_type != ET_EXEC && header->e_type != ET_DYN))
        return -ENOTSUP;

    struct image image = {.bytes = (const uint8_t *)bytes, .size = size, .machine = header->e_machine};
    uint64_t unwind = 0;
    image.fixed = header->e_type == ET_EXEC;
    image.segments = calloc(count ? count : 1, sizeof(*image.segments));
    if (!image.segments)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (program[i].p_type == PT_LOAD) {
            add_segment(&image, &program[i]);
        } else if (program[i].p_type == PT_DYNAMIC) {
            image.dynamic = program[i].p_vaddr;
            image.dynamic_size = program[i].p_filesz;
        } else if (program[i].p_type == PT_GNU_EH_FRAME) {
            unwind = program[i].p_vaddr;
        }
    }
    if (unwind)
        read_unwind_table(&image, unwind);
    *ret_image = image;
    return 0;
}

void image_close(struct image *image)
{
    free(image->segments);
    *image = (struct image){0};
}

static const struct image_segment *find_segment(const struct image *image, uint64_t address)
{
    for (size_t i = 0; i < image->segment_count; i++)
        if (address - image->segments[i].address < image->segments[i].size)
            return &image->segments[i];
    return NULL;
}

const uint8_t *image_at(const struct image *image, uint64_t address, size_t length)
{
    const struct image_segment *segment = find_segment(image, address);
    if (!segment || length > segment->size - (address - segment->address))
        return NULL;
    return image->bytes + segment->offset + (address - segment->address);
}

const char *image_string(const struct image *image, uint64_t address)
{
    const struct image_segment *segment = find_segment(image, address);
    if (!segment)
        return NULL;
    uint64_t inside = address - segment->address;
    const uint8_t *text = image->bytes + segment->offset + inside;
    return memchr(text, 0, segment->size - inside) ? (const char *)text : NULL;
}

bool image_word(const struct image *image, uint64_t address, uint64_t *ret_word)
{
    const uint8_t *bytes = image_at(image, address, sizeof(*ret_word));
    if (!bytes)
        return false;
    memcpy(ret_word, bytes, sizeof(*ret_word));
    return true;
}

bool image_executable(const struct image *image, uint64_t address)
{
    const struct image_segment *segment = find_segment(image, address);
    return segment && segment->executable;
}

static uint64_t start_at(const struct image *image, size_t index)
{
    return image->starts_base + (uint64_t)(int64_t)read_offset(image->starts + index * 8);
}

uint64_t image_function(const struct image *image, uint64_t address, uint64_t *ret_end)
{
    size_t low = 0, high = image->start_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (start_at(image, middle) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || !image_executable(image, address))
        return 0;
    if (ret_end)
        *ret_end = low < image->start_count ? start_at(image, low) : UINT64_MAX;
    return start_at(image, low - 1);
}
