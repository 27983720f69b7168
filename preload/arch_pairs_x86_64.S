/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The entries for functions of user-defined pairs (hooks/pair_calls.c) on x86-64. A port needs:
 *
 *   pair_stubs   PAIR_STUBS entries, PAIR_STUB_SIZE bytes each: number n calls pair_enter() with a frame that holds n and all
 *                registers that may hold arguments, calls the function that it returns with the arguments as they came and so
 *                many words of the caller's stack as it says, calls pair_leave(), and returns what the function returned.
 *                Its unwind information names pair_personality()
 *
 * It is a function that calls another: the program's return address stays where it is, so that shadow stacks, exceptions
 * and whoever unwinds meet nothing unusual. The whole of a vector register may hold an argument or a result. Its upper part is
 * kept only where it is not zero: who loads it puts it into use, and slows down the older code that follows.
 */
#include "arch_pairs.h"

        .text
        .hidden pair_stubs, pair_enter, pair_leave, pair_personality, pair_vectors
        .globl  pair_stubs
        .type   pair_stubs, @function
        .balign 16
pair_stubs:
        .cfi_startproc
        .set    number, 0
        .rept   PAIR_STUBS
        .balign PAIR_STUB_SIZE
        endbr64
        movl    $number, %r11d
        jmp     pair_body
        .set    number, number + 1
        .endr
        .cfi_endproc
        .size   pair_stubs, . - pair_stubs

/* Moves the first `count` vector registers, as much of them as PAIR_WIDTH says. */
.macro VECTORS count, save, frame=rsp
        cmpl    $PAIR_AVX, PAIR_WIDTH(%\frame)
        je      2f
        ja      3f
        .set    register, 0
        .rept   \count
        VECTOR  movups, xmm, %register, \save, \frame
        .set    register, register + 1
        .endr
        jmp     4f
2:      .set    register, 0
        .rept   \count
        VECTOR  vmovups, ymm, %register, \save, \frame
        .set    register, register + 1
        .endr
        jmp     4f
3:      .set    register, 0
        .rept   \count
        VECTOR  vmovups, zmm, %register, \save, \frame
        .set    register, register + 1
        .endr
4:
.endm

        .altmacro
.macro VECTOR move, name, number, save, frame
        .if     \save
        \move   %\name\number, PAIR_VECTOR * \number(%\frame)
        .else
        \move   PAIR_VECTOR * \number(%\frame), %\name\number
        .endif
.endm

/* Joins the first `count` of them in the eighth. */
.macro JOIN move, name, count
        \move   %\name\()0, %\name\()1, %\name\()8
        .if     \count > 2
        \move   %\name\()2, %\name\()3, %\name\()9
        \move   %\name\()4, %\name\()5, %\name\()10
        \move   %\name\()6, %\name\()7, %\name\()11
        \move   %\name\()8, %\name\()9, %\name\()8
        \move   %\name\()10, %\name\()11, %\name\()10
        \move   %\name\()8, %\name\()10, %\name\()8
        .endif
.endm

/* How much of the first `count` vector registers is not zero. Changes r11 and the vector registers from 8 on, which hold neither
 * arguments nor results. (xgetbv would tell, too, and takes longer than all of this.) */
.macro WIDTH count
        movl    pair_vectors(%rip), %r11d
        cmpl    $PAIR_AVX, %r11d
        jb      1f
        je      7f
        JOIN    vporq, zmm, \count
        vextracti64x4 $1, %zmm8, %ymm9
        vptest  %ymm9, %ymm9
        jnz     1f
        movl    $PAIR_AVX, %r11d
        jmp     8f
7:      JOIN    vorps, ymm, \count
8:      vextractf128 $1, %ymm8, %xmm9
        vptest  %xmm9, %xmm9
        jnz     1f
        vzeroupper                      /* they are zero already, and now the processor knows */
        xorl    %r11d, %r11d
1:      movl    %r11d, PAIR_WIDTH(%rsp)
.endm

        .type   pair_body, @function
        .balign 16
pair_body:
        .cfi_startproc
        .cfi_personality 0x1b, pair_personality /* relative to here, 4 bytes */
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        subq    $PAIR_FRAME, %rsp
        movq    %rdi, PAIR_ARGUMENTS(%rsp)
        movq    %rsi, PAIR_ARGUMENTS + 8(%rsp)
        movq    %rdx, PAIR_ARGUMENTS + 16(%rsp)
        movq    %rcx, PAIR_ARGUMENTS + 24(%rsp)
        movq    %r8, PAIR_ARGUMENTS + 32(%rsp)
        movq    %r9, PAIR_ARGUMENTS + 40(%rsp)
        movq    %rax, PAIR_RAX(%rsp)
        movq    %r10, PAIR_R10(%rsp)
        movq    %r11, PAIR_NUMBER(%rsp)
        WIDTH   8
        VECTORS 8, 1
        movq    %rsp, %rdi
        call    pair_enter
        movq    %rax, %r11
        movq    %rsp, %rax              /* the frame, from below the words */
        leaq    1(%rdx), %rcx
        andq    $-2, %rcx               /* the stack stays aligned */
        shlq    $3, %rcx
        subq    %rcx, %rsp
        cmpq    $PAIR_WORDS, %rdx
        jne     5f
        .set    offset, 0
        .rept   PAIR_WORDS / 2
        movups  16 + offset(%rbp), %xmm0
        movups  %xmm0, offset(%rsp)
        .set    offset, offset + 16
        .endr
        jmp     6f
5:      testq   %rdx, %rdx              /* the last one first */
        jz      6f
        subq    $1, %rdx
        movq    16(%rbp, %rdx, 8), %rcx
        movq    %rcx, (%rsp, %rdx, 8)
        jmp     5b
6:      VECTORS 8, 0, rax
        movq    PAIR_ARGUMENTS(%rax), %rdi
        movq    PAIR_ARGUMENTS + 8(%rax), %rsi
        movq    PAIR_ARGUMENTS + 16(%rax), %rdx
        movq    PAIR_ARGUMENTS + 24(%rax), %rcx
        movq    PAIR_ARGUMENTS + 32(%rax), %r8
        movq    PAIR_ARGUMENTS + 40(%rax), %r9
        movq    PAIR_R10(%rax), %r10
        movq    PAIR_RAX(%rax), %rax
        call    *%r11
        leaq    -PAIR_FRAME(%rbp), %rsp
        movq    %rax, PAIR_RESULTS(%rsp)
        movq    %rdx, PAIR_RESULTS + 8(%rsp)
        WIDTH   2
        VECTORS 2, 1
        movq    %rsp, %rdi
        call    pair_leave
        VECTORS 2, 0
        movq    PAIR_RESULTS(%rsp), %rax
        movq    PAIR_RESULTS + 8(%rsp), %rdx
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   pair_body, . - pair_body

        .section .note.GNU-stack, "", @progbits
