/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An ELF file as the loader sees it: bytes by address, and where functions start according to the unwind
 * table, which even a stripped file keeps. Addresses are the file's own (run-time address less bias).
 * Every read is checked against the file: a damaged file yields NULL and 0, never a fault.
 *
 * Ownership: borrows the Elf's bytes; valid as long as the Elf. Thread safe once opened.
 */
#ifndef STRAY_NAMES_IMAGE_H
#define STRAY_NAMES_IMAGE_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_segment {
    uint64_t address, offset, size; /* size: bytes present in the file */
    bool executable, writable;
};

struct image {
    const uint8_t *bytes;
    size_t size;
    struct image_segment *segments;
    size_t segment_count;
    uint64_t dynamic, dynamic_size; /* address of the dynamic section; size 0: none */
    const uint8_t *starts;          /* the unwind table's pairs of 32-bit offsets, sorted */
    size_t start_count;
    uint64_t starts_base;
    uint16_t machine;
    bool fixed; /* linked to run at its own addresses: data words need no relocation */
};

/* -ENOTSUP for what is not a 64-bit little-endian program or library, -ENOMEM. */
int image_open(Elf *elf, struct image *ret_image);
void image_close(struct image *image);

/* The `length` bytes at `address`, or NULL if they are not all in the file. */
const uint8_t *image_at(const struct image *image, uint64_t address, size_t length);
/* The NUL-ended string at `address`, or NULL. */
const char *image_string(const struct image *image, uint64_t address);
bool image_word(const struct image *image, uint64_t address, uint64_t *ret_word);
bool image_executable(const struct image *image, uint64_t address);
/* Start of the function that holds `address`; 0: unknown. *ret_end (may be NULL) is the next one's start. */
uint64_t image_function(const struct image *image, uint64_t address, uint64_t *ret_end);

#endif
