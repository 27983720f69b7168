/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/arch.h"

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define ERESTARTNOHAND 514 /* the kernel's own: back to before the call, or EINTR once a handler has run */
#ifndef NT_X86_SHSTK
#define NT_X86_SHSTK 0x204
#endif
#define FLAG_DIRECTION 0x400u
#define FLAG_ALIGNMENT 0x40000u
#define FLAG_TRAP 0x100u

const unsigned arch_machine = EM_X86_64;
const unsigned arch_audit = AUDIT_ARCH_X86_64;
const char arch_name[] = "x86-64";
const int arch_vector_set = NT_X86_XSTATE;

int arch_get(pid_t tid, struct user_regs_struct *ret_registers)
{
    return ptrace(PTRACE_GETREGS, tid, NULL, ret_registers) < 0 ? -errno : 0;
}

int arch_set(pid_t tid, const struct user_regs_struct *registers)
{
    return ptrace(PTRACE_SETREGS, tid, NULL, registers) < 0 ? -errno : 0;
}

uint64_t arch_instruction(const struct user_regs_struct *registers)
{
    return registers->rip;
}

uint64_t arch_stack(const struct user_regs_struct *registers)
{
    return registers->rsp;
}

uint64_t arch_thread_pointer(const struct user_regs_struct *registers)
{
    return registers->fs_base;
}

int64_t arch_result(const struct user_regs_struct *registers)
{
    return (int64_t)registers->rax;
}

bool arch_in_call(const struct user_regs_struct *registers, long *ret_number, uint64_t ret_arguments[3])
{
    *ret_number = (long)registers->orig_rax;
    ret_arguments[0] = registers->rdi;
    ret_arguments[1] = registers->rsi;
    ret_arguments[2] = registers->rdx;
    return *ret_number >= 0;
}

void arch_do_again(struct user_regs_struct *registers)
{
    registers->rax = (uint64_t)-ERESTARTNOHAND;
}

bool arch_shadow_stack(pid_t tid)
{
    uint64_t pointer;
    struct iovec part = {&pointer, sizeof(pointer)};
    return ptrace(PTRACE_GETREGSET, tid, (void *)(uintptr_t)NT_X86_SHSTK, &part) == 0; // NOLINT
}

/* Not in a call any more, so the kernel restarts nothing. */
static void leave_call(struct user_regs_struct *registers)
{
    registers->orig_rax = (uint64_t)-1;
    registers->eflags &= ~(uint64_t)(FLAG_DIRECTION | FLAG_ALIGNMENT | FLAG_TRAP);
}

void arch_prepare_call(struct user_regs_struct *registers, uint64_t at, long number, const uint64_t arguments[6])
{
    leave_call(registers);
    registers->rip = at;
    registers->rax = (uint64_t)number;
    registers->rdi = arguments[0];
    registers->rsi = arguments[1];
    registers->rdx = arguments[2];
    registers->r10 = arguments[3];
    registers->r8 = arguments[4];
    registers->r9 = arguments[5];
}

void arch_prepare_function(struct user_regs_struct *registers, uint64_t function, const uint64_t arguments[4], uint64_t stack,
                           uint64_t desk)
{
    leave_call(registers);
    registers->rip = function;
    registers->rsp = stack - 8; /* where the address lies that it returns to */
    registers->rax = 0;
    registers->rbx = desk;
    registers->rdi = arguments[0];
    registers->rsi = arguments[1];
    registers->rdx = arguments[2];
    registers->rcx = arguments[3];
}

void arch_clone_arguments(uint64_t arguments[5], uint64_t flags, uint64_t stack, uint64_t parent_word, uint64_t child_word,
                          uint64_t thread_pointer)
{
    memcpy(arguments, (const uint64_t[5]){flags, stack, parent_word, child_word, thread_pointer}, 5 * sizeof(*arguments));
}

void arch_prepare_clone(struct user_regs_struct *registers, uint64_t at, const uint64_t arguments[5], uint64_t desk)
{
    const uint64_t all[6] = {arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], 0};
    arch_prepare_call(registers, at, SYS_clone, all);
    registers->rbx = desk;
}

ssize_t arch_find_call(const uint8_t *code, size_t size)
{
    static const uint8_t instruction[] = {0x0f, 0x05};
    const uint8_t *found = memmem(code, size, instruction, sizeof(instruction));
    return found ? found - code : -1;
}

/* mov $15, %rax; syscall */
const uint8_t arch_restorer[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
const size_t arch_restorer_size = sizeof(arch_restorer);

/* A ucontext follows the address: flags, link, a stack, and registers, of which rip is the 17th and the segments the 19th. */
#define FRAME_FLAGS     1
#define FRAME_REGISTERS 6
#define FLAGS_MAX       0xffu
#define USER_CODE       0x33u

bool arch_frame(const uint64_t words[ARCH_FRAME_WORDS], uint64_t *ret_instruction)
{
    *ret_instruction = words[FRAME_REGISTERS + 16];
    return words[FRAME_FLAGS] <= FLAGS_MAX && (words[FRAME_REGISTERS + 18] & 0xffff) == USER_CODE;
}

/* struct tcbhead_t of glibc, which the compiler and others rely on. */
#define BLOCK_SELF        0x00
#define BLOCK_VECTOR      0x08
#define BLOCK_SELF_THREAD 0x10
#define BLOCK_THREADS     0x18 /* whether there are several */
#define BLOCK_GUARD       0x28
#define BLOCK_POINTERS    0x30 /* what pointers are mangled with */
#define BLOCK_FEATURES    0x48

uint64_t arch_thread_local(uint64_t thread_pointer, uint64_t offset, uint64_t value)
{
    return thread_pointer - offset + value;
}

void arch_thread_block(uint8_t *block, const uint8_t *from, uint64_t at, uint64_t vector)
{
    memcpy(block + BLOCK_SELF, &at, sizeof(at));
    memcpy(block + BLOCK_VECTOR, &vector, sizeof(vector));
    memcpy(block + BLOCK_SELF_THREAD, &at, sizeof(at));
    memcpy(block + BLOCK_THREADS, from + BLOCK_THREADS, 4);
    memcpy(block + BLOCK_GUARD, from + BLOCK_GUARD, 8);
    memcpy(block + BLOCK_POINTERS, from + BLOCK_POINTERS, 8);
    memcpy(block + BLOCK_FEATURES, from + BLOCK_FEATURES, 4);
}
