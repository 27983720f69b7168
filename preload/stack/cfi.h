/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The call-frame information of one instruction, read from an object's unwind tables in memory: where the frame's
 * caller goes on, and with which stack and frame pointer. x86-64 only.
 *
 * What compilers emit for ordinary functions comes out as a small rule. Everything else (registers other than RSP and
 * RBP, general expressions, signal frames) is CFI_OTHER: left to an unwinder that keeps all registers.
 *
 * Sources: DWARF 5, section 6.4 (call frame information); Linux Standard Base 5.0 core, chapter 10.6 (.eh_frame,
 * .eh_frame_hdr and pointer encodings); System V ABI for AMD64, section 3.6.2 (numbers of registers).
 *
 * Pure. Reads nothing outside of the readable segments that the program headers name, whatever the tables hold;
 * its time is bounded by the size of one entry.
 */
#ifndef STRAY_STACK_CFI_H
#define STRAY_STACK_CFI_H

#include <link.h>
#include <stdint.h>

/* CFA (canonical frame address): the stack pointer before the call that made the frame. */
enum cfi_cfa {
    CFI_SP,    /* RSP + offset */
    CFI_BP,    /* RBP + offset */
    CFI_AT_SP, /* the word at RSP + offset, plus `added` (frames that were aligned) */
    CFI_AT_BP,
};

/* The caller's RBP. */
enum cfi_bp {
    CFI_BP_SAME,
    CFI_BP_AT_CFA, /* the word at CFA + bp_offset */
    CFI_BP_AT_BP,  /* the word at RBP + bp_offset */
};

/* The return address is at CFA - 8 always. */
struct cfi_rule {
    uint8_t cfa, bp; /* enum cfi_cfa, enum cfi_bp */
    int32_t offset;
    int16_t bp_offset;
    uint8_t added;
};

enum cfi_answer {
    CFI_RULE,
    CFI_END,     /* the outermost frame: it has no caller */
    CFI_OTHER,   /* described, but not by a rule of the above kind */
    CFI_MISSING, /* the object describes no frame there */
};

/* What holds when the instruction at `address` is about to execute, by the tables of `object`. *ret_rule is set for
 * CFI_RULE only. */
enum cfi_answer cfi_find(const struct dl_phdr_info *object, uint64_t address, struct cfi_rule *ret_rule);

#endif
