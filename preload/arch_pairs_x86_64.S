/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The entries for functions of user-defined pairs (hooks/pair_calls.c) on x86-64. A port needs:
 *
 *   pair_stubs   PAIR_STUBS entries, PAIR_STUB_SIZE bytes each: number n calls pair_enter() with a frame that holds n and all
 *                registers that may hold arguments, calls the function that it returns with the arguments as they came and so
 *                many words of the caller's stack as it says, calls pair_leave(), and returns what the function returned
 *
 * It is a function that calls another: the program's return address stays where it is, so that shadow stacks, exceptions
 * and whoever unwinds meet nothing unusual. The whole of a vector register may hold an argument or a result. Its upper part is
 * kept only where the processor says that it is in use: who loads it makes it so, and slows down older code.
 */
#include "arch_pairs.h"

        .text
        .hidden pair_stubs, pair_enter, pair_leave, pair_vectors
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
.macro VECTORS count, save
        cmpl    $PAIR_AVX, PAIR_WIDTH(%rsp)
        je      2f
        ja      3f
        .set    register, 0
        .rept   \count
        VECTOR  movups, xmm, %register, \save
        .set    register, register + 1
        .endr
        jmp     4f
2:      .set    register, 0
        .rept   \count
        VECTOR  vmovups, ymm, %register, \save
        .set    register, register + 1
        .endr
        jmp     4f
3:      .set    register, 0
        .rept   \count
        VECTOR  vmovups, zmm, %register, \save
        .set    register, register + 1
        .endr
4:
.endm

        .altmacro
.macro VECTOR move, name, number, save
        .if     \save
        \move   %\name\number, PAIR_VECTOR * \number(%rsp)
        .else
        \move   PAIR_VECTOR * \number(%rsp), %\name\number
        .endif
.endm

/* How much of them is in use. Changes rax, rcx, rdx and r11. */
.macro WIDTH
        movl    pair_vectors(%rip), %r11d
        testl   $PAIR_ASKS, %r11d
        jz      1f
        xorl    $PAIR_ASKS, %r11d
        movl    $1, %ecx
        xgetbv
        testl   $0x40, %eax             /* upper halves of ZMM0 to 15 */
        jnz     1f
        xorl    %r11d, %r11d
        shrl    $2, %eax                /* upper halves of YMM0 to 15 */
        andl    $1, %eax
        movl    %eax, %r11d
1:      movl    %r11d, PAIR_WIDTH(%rsp)
.endm

        .type   pair_body, @function
        .balign 16
pair_body:
        .cfi_startproc
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
        WIDTH
        VECTORS 8, 1
        movq    %rsp, %rdi
        call    pair_enter
        movq    %rax, %r11
        movq    %rdx, %rcx
        VECTORS 8, 0
        movq    %rsp, %rax              /* the frame, from below the words */
        subq    $8 * PAIR_WORDS, %rsp
5:      testq   %rcx, %rcx              /* the words, the last one first */
        jz      6f
        subq    $1, %rcx
        movq    16(%rbp, %rcx, 8), %rdx
        movq    %rdx, (%rsp, %rcx, 8)
        jmp     5b
6:      movq    PAIR_ARGUMENTS(%rax), %rdi
        movq    PAIR_ARGUMENTS + 8(%rax), %rsi
        movq    PAIR_ARGUMENTS + 16(%rax), %rdx
        movq    PAIR_ARGUMENTS + 24(%rax), %rcx
        movq    PAIR_ARGUMENTS + 32(%rax), %r8
        movq    PAIR_ARGUMENTS + 40(%rax), %r9
        movq    PAIR_R10(%rax), %r10
        movq    PAIR_RAX(%rax), %rax
        call    *%r11
        addq    $8 * PAIR_WORDS, %rsp
        movq    %rax, PAIR_RESULTS(%rsp)
        movq    %rdx, PAIR_RESULTS + 8(%rsp)
        WIDTH
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
