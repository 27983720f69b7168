/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that attaching knows of a processor: one arch_*.c and one stub_*.S for each. Registers are those of a thread that this
 * process has stopped by ptrace.
 */
#ifndef STRAY_ATTACH_ARCH_H
#define STRAY_ATTACH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/* e_machine of programs that can be attached to, and what it is called. */
extern const unsigned arch_machine;
extern const char arch_name[];
/* What seccomp calls it: AUDIT_ARCH_*. */
extern const unsigned arch_audit;
/* Register set (NT_*) of floating point and vector registers. */
extern const int arch_vector_set;

/* ---- registers ---- */

int arch_get(pid_t tid, struct user_regs_struct *ret_registers); /* 0, or a negative errno */
int arch_set(pid_t tid, const struct user_regs_struct *registers);

uint64_t arch_instruction(const struct user_regs_struct *registers);
uint64_t arch_stack(const struct user_regs_struct *registers);
uint64_t arch_thread_pointer(const struct user_regs_struct *registers);
/* What a system call that has just ended returned. */
int64_t arch_result(const struct user_regs_struct *registers);

/* Whether the thread was stopped in a system call, or on its way out of one: which, and with which first three arguments. */
bool arch_in_call(const struct user_regs_struct *registers, long *ret_number, uint64_t ret_arguments[3]);
/* Makes the kernel do the interrupted call again that would return EINTR, unless a signal is handled first. */
void arch_do_again(struct user_regs_struct *registers);

/* Its return addresses are kept twice, so that it cannot be made to call anything. */
bool arch_shadow_stack(pid_t tid);

/* ---- to run something else ---- */

/* Registers to make a system call with, at an instruction for it that is found at `at`. */
void arch_prepare_call(struct user_regs_struct *registers, uint64_t at, long number, const uint64_t arguments[6]);
/* Registers to call a function with, on a stack that ends at `stack`. It returns to stub_returned, whose address must lie 8 bytes
 * below that end, and which wants to know the desk. */
void arch_prepare_function(struct user_regs_struct *registers, uint64_t function, const uint64_t arguments[4], uint64_t stack,
                           uint64_t desk);
/* Registers to make the raw clone with: at stub_clone, mapped at `at`. */
void arch_prepare_clone(struct user_regs_struct *registers, uint64_t at, const uint64_t arguments[5], uint64_t desk);
/* Arguments of clone(), whose order differs from one processor to the next. */
void arch_clone_arguments(uint64_t arguments[5], uint64_t flags, uint64_t stack, uint64_t parent_word, uint64_t child_word,
                          uint64_t thread_pointer);

/* Offset of the first instruction for a system call in `code`; -1: none. */
ssize_t arch_find_call(const uint8_t *code, size_t size);

/* ---- signal frames ---- */

/* The code that handlers return to: its bytes. */
extern const uint8_t arch_restorer[];
extern const size_t arch_restorer_size;
/* What the kernel leaves from the handler's return address on. */
#define ARCH_FRAME_WORDS 25
/* Whether that is such a frame, and no copy of the address only, as libc leaves them on the stack; and where it was interrupted. */
bool arch_frame(const uint64_t words[ARCH_FRAME_WORDS], uint64_t *ret_instruction);

/* ---- thread control blocks of glibc ---- */

/* Where a thread-local variable is, whose object has its storage at `offset` (as glibc counts it). */
uint64_t arch_thread_local(uint64_t thread_pointer, uint64_t offset, uint64_t value);

/* Guards and the like that every thread shares with the one that made it, copied from one at `from` into the bytes of a new one
 * that will be at `at`. */
void arch_thread_block(uint8_t *block, const uint8_t *from, uint64_t at, uint64_t vector);
/* Bytes at the begin of the block that are read and written so. */
#define ARCH_THREAD_BLOCK 0x80u

/* ---- the stub ---- */

extern const uint8_t stub_begin[], stub_returned[], stub_clone[], stub_server[], stub_end[];

#endif
