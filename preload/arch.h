/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that depends on the processor: raw system calls and the time stamp counter. A port adds a branch here
 * and nothing elsewhere.
 *
 * Raw system calls never touch errno, never lock, and cannot be intercepted by our own wrappers: they are what
 * the tracer's own work is made of.
 */
#ifndef STRAY_PRELOAD_ARCH_H
#define STRAY_PRELOAD_ARCH_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch_pairs.h"

#if !defined(__x86_64__)
#    error "stray runs on x86-64; a port needs system calls, a clock and Python layouts here"
#endif

/* Of a variable of the shim's own: it is reached without the global offset table, which matters where each nanosecond does. */
#define ARCH_NEAR __attribute__((visibility("hidden")))

/* Kinds of relocations that put a function's address into memory. */
#define ARCH_RELOCATION_CALL    R_X86_64_JUMP_SLOT
#define ARCH_RELOCATION_ADDRESS R_X86_64_GLOB_DAT
#define ARCH_RELOCATION_DATA    R_X86_64_64

/* Performs system call `number`; returns its result, or a negative errno. */
static inline long arch_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* The counter before anything that follows becomes visible: for releases. */
static inline uint64_t arch_ticks_before(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* The counter after everything that precedes has been done: for acquires. */
static inline uint64_t arch_ticks_after(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high) : : "rcx", "memory");
    return (uint64_t)high << 32 | low;
}

/* Where the calling function's stack ends now. */
static inline uintptr_t arch_stack_pointer(void)
{
    uintptr_t pointer;
    __asm__ volatile("mov %%rsp, %0" : "=r"(pointer));
    return pointer;
}

/* The stack pointer that glibc's setjmp() put into `buffer`, as it keeps it: xored with the guard in the thread's control
 * block, then rotated. */
static inline uintptr_t arch_jump_target(const void *buffer)
{
    uintptr_t pointer = ((const uintptr_t *)buffer)[6];
    __asm__("ror $17, %0\n\txor %%fs:0x30, %0" : "+r"(pointer) : : "cc");
    return pointer;
}

static inline void arch_cpuid(uint32_t leaf, uint32_t *ret_eax, uint32_t *ret_edx)
{
    uint32_t ebx, ecx = 0;
    __asm__ volatile("cpuid" : "=a"(*ret_eax), "=b"(ebx), "+c"(ecx), "=d"(*ret_edx) : "a"(leaf));
}

static inline uint64_t arch_xgetbv(uint32_t number)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

/* How wide the vector registers are that hold arguments: for arch_pairs_x86_64.S. */
static inline uint32_t arch_vectors(void)
{
    enum { OSXSAVE_AVX = 3u << 27, STATE_AVX = 6u, STATE_AVX512 = 0xe6u };
    uint32_t eax, ebx, ecx, edx;
    __asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(1), "c"(0));
    if ((ecx & OSXSAVE_AVX) != OSXSAVE_AVX || (arch_xgetbv(0) & STATE_AVX) != STATE_AVX)
        return PAIR_SSE;
    return (arch_xgetbv(0) & STATE_AVX512) == STATE_AVX512 ? PAIR_AVX512 : PAIR_AVX;
}

/* Whether the counter runs at one rate on all processors in all power states, and `rdtscp` exists. */
static inline bool arch_ticks_invariant(void)
{
    uint32_t eax, edx;
    arch_cpuid(0x80000000u, &eax, &edx);
    if (eax < 0x80000007u)
        return false;
    arch_cpuid(0x80000001u, &eax, &edx);
    if (!(edx & (1u << 27)))
        return false;
    arch_cpuid(0x80000007u, &eax, &edx);
    return edx & (1u << 8);
}

/* The thread's control block: where glibc makes the stack, it lies above. */
static inline uint64_t arch_thread(void)
{
    uint64_t pointer;
    __asm__("movq %%fs:0, %0" : "=r"(pointer));
    return pointer;
}

/* What an unwinder begins with: registers as they are at the instruction `ip`. */
struct arch_frame {
    uint64_t ip, sp, bp;
};

static inline __attribute__((always_inline)) struct arch_frame arch_frame_here(void)
{
    struct arch_frame frame;
    __asm__ volatile("leaq 0(%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2"
                     : "=&r"(frame.ip), "=&r"(frame.sp), "=&r"(frame.bp));
    return frame;
}

/* `*counter += 1` as one instruction: atomic against signal handlers of the same thread, and nothing more. Returns
 * the old value. */
static inline uint64_t arch_next(uint64_t *counter)
{
    uint64_t one = 1;
    __asm__ volatile("xaddq %0, %1" : "+r"(one), "+m"(*counter) : : "memory", "cc");
    return one;
}

#endif
