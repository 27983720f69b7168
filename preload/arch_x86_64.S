/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What cannot be written in C on x86-64. A port needs the same entry points:
 *
 *   dlopen, dlsym, dlvsym   ask loading.c, then become the real function by a jump, with the arguments and the return address
 *                           as they were: what the dynamic linker does depends on who calls it
 *   given_stubs             GIVEN_MAX entries, GIVEN_STUB_SIZE bytes each (hooks/given.h): number n puts the address of
 *                           given_table[n].call into thread_self.libpq_given and jumps to given_table[n].hook; no register
 *                           that holds an argument changes
 */
#include "arch_x86_64.h"

        .text

/* Calls `ask` with the arguments, the third of them the caller, and jumps to what it returns. Where that is NULL, the second
 * word of the answer is the result. */
.macro ASK name, ask
        .globl  \name
        .type   \name, @function
        .balign 16
\name:
        .cfi_startproc
        endbr64
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        movq    %rdx, %rcx
        movq    24(%rsp), %rdx
        call    \ask
        movq    %rdx, %r11
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        testq   %rax, %rax
        jz      1f
        jmp     *%rax
1:      movq    %r11, %rax
        ret
        .cfi_endproc
        .size   \name, . - \name
.endm

        .hidden loading_dlopen, loading_dlsym, loading_dlvsym
        ASK     dlopen, loading_dlopen
        ASK     dlsym, loading_dlsym
        ASK     dlvsym, loading_dlvsym

        .hidden given_table, given_stubs, thread_self
        .globl  given_stubs
        .type   given_stubs, @function
        .balign 16
given_stubs:
        .cfi_startproc
        .set    number, 0
        .rept   GIVEN_MAX
        .balign GIVEN_STUB_SIZE
        endbr64
        movl    $number, %r11d
        jmp     given_jump
        .set    number, number + 1
        .endr
        .balign 16
given_jump:
        shlq    $GIVEN_SHIFT, %r11
        leaq    given_table(%rip), %r10
        addq    %r10, %r11
        addq    $GIVEN_CALL, %r11
        movq    thread_self@gottpoff(%rip), %r10
        movq    %r11, %fs:THREAD_LIBPQ_GIVEN(%r10)
        jmp     *-GIVEN_CALL(%r11)
        .cfi_endproc
        .size   given_stubs, . - given_stubs

        .section .note.GNU-stack, "", @progbits
