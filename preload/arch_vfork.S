/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vfork() for x86-64. The child runs on its parent's stack and returns through it, so the slot of the return address is
 * the child's to overwrite: it is kept in a register, as libc does, and so is all else that the parent needs afterwards.
 * A port needs the same: call stray_vfork_begins(), keep its two words and the return address in registers that the
 * system call leaves alone, and in the parent call stray_vfork_returned(result, first word, second word, return address).
 */
        .hidden stray_vfork_begins
        .hidden stray_vfork_returned
        .text
        .p2align 4
        .globl  vfork
        .type   vfork, @function
vfork:
        .cfi_startproc
        endbr64
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    stray_vfork_begins
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        movq    %rax, %rsi                      /* %rdx is in place */
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rdi
        movl    $58, %eax                       /* SYS_vfork */
        syscall
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rip, 0
        testq   %rax, %rax
        jz      1f
        movq    %rdi, %rcx
        movq    %rax, %rdi
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    stray_vfork_returned
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
1:      ret
        .cfi_endproc
        .size   vfork, . - vfork
        .section .note.GNU-stack, "", @progbits
