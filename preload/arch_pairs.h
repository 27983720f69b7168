/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers of the entries for user-defined pairs that assembly code shares with C, where they are asserted
 * (hooks/pair_calls.c). A port keeps the first three, and has a frame of its own. */
#ifndef STRAY_PRELOAD_ARCH_PAIRS_H
#define STRAY_PRELOAD_ARCH_PAIRS_H

#define PAIR_STUBS      256
#define PAIR_STUB_SIZE  16
#define PAIR_WORDS      16 /* of arguments on the stack: so many are handed on at least, and more where the user says so */

/* struct pair_frame of x86-64. The caller's frame pointer and the return address lie right above it. */
#define PAIR_VECTOR     64  /* bytes kept of each of 8 vector registers, at offset 0 */
#define PAIR_ARGUMENTS  512 /* rdi rsi rdx rcx r8 r9 */
#define PAIR_RAX        560
#define PAIR_R10        568
#define PAIR_NUMBER     576 /* of the entry */
#define PAIR_WIDTH      584 /* how much of the vector registers is in use */
#define PAIR_RESULTS    592 /* rax rdx */
#define PAIR_FRAME      640 /* all of it */

/* In pair_vectors, and in PAIR_WIDTH. */
#define PAIR_SSE        0
#define PAIR_AVX        1
#define PAIR_AVX512     2

#endif
