/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filters of system calls, as programs write them, and as nobody would. */
#include "state/filter.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

#define NR   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ARCH BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch))
#define ARG(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define RET(value) BPF_STMT(BPF_RET | BPF_K, value)
#define JUMP(operation, k, yes, no) BPF_JUMP(BPF_JMP | (operation) | BPF_K, k, yes, no)

#define ALLOW  RET(SECCOMP_RET_ALLOW)
#define KILL   RET(SECCOMP_RET_KILL_PROCESS)
#define REFUSE RET(SECCOMP_RET_ERRNO | EPERM)

static struct filter_work work;

static unsigned answers(const struct sock_filter *program, size_t size, uint32_t number)
{
    return filter_answers(program, (uint32_t)(size / sizeof(*program)), AUDIT_ARCH_X86_64, number, &work);
}

#define EXPECT(number, wanted, ...)                                                                           \
    do {                                                                                                      \
        struct sock_filter program[] = {__VA_ARGS__};                                                         \
        cr_expect_eq(answers(program, sizeof(program), number), (unsigned)(wanted));                          \
    } while (0)

/* Harm is looked for no further than to the first. */
#define EXPECT_HARM(number, ...)                                                                              \
    do {                                                                                                      \
        struct sock_filter program[] = {__VA_ARGS__};                                                         \
        cr_expect(answers(program, sizeof(program), number) & FILTER_HARMS);                                  \
    } while (0)

Test(filter, answers_without_a_question)
{
    EXPECT(1, FILTER_ALLOWS, ALLOW);
    EXPECT(1, FILTER_ALLOWS, RET(SECCOMP_RET_LOG));
    EXPECT(1, FILTER_REFUSES, REFUSE);
    EXPECT_HARM(1, KILL);
    EXPECT_HARM(1, RET(SECCOMP_RET_KILL_THREAD));
    EXPECT_HARM(1, RET(SECCOMP_RET_TRAP | 7));
    EXPECT_HARM(1, RET(SECCOMP_RET_TRACE | 7));
    EXPECT_HARM(1, RET(SECCOMP_RET_USER_NOTIF));
    EXPECT_HARM(1, RET(0x12340000));
}

Test(filter, success_that_is_none_does_harm)
{
    EXPECT_HARM(1, RET(SECCOMP_RET_ERRNO));
}

Test(filter, the_number_decides)
{
    EXPECT(39, FILTER_ALLOWS, NR, JUMP(BPF_JEQ, 39, 0, 1), ALLOW, KILL);
    EXPECT_HARM(40, NR, JUMP(BPF_JEQ, 39, 0, 1), ALLOW, KILL);
    EXPECT(40, FILTER_ALLOWS, NR, JUMP(BPF_JGT, 39, 0, 1), ALLOW, KILL);
    EXPECT(39, FILTER_ALLOWS, NR, JUMP(BPF_JGE, 39, 0, 1), ALLOW, KILL);
    EXPECT(38, FILTER_REFUSES, NR, JUMP(BPF_JSET, 1, 0, 1), ALLOW, REFUSE);
}

Test(filter, the_architecture_is_known)
{
    EXPECT(39, FILTER_ALLOWS, ARCH, JUMP(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0), KILL, ALLOW);
    EXPECT_HARM(39, ARCH, JUMP(BPF_JEQ, AUDIT_ARCH_I386, 1, 0), KILL, ALLOW);
}

Test(filter, arguments_are_not_known)
{
    EXPECT(1, FILTER_ALLOWS | FILTER_REFUSES, ARG(0), JUMP(BPF_JEQ, 2, 0, 1), ALLOW, REFUSE);
    EXPECT_HARM(1, ARG(0), JUMP(BPF_JEQ, 2, 1, 0), KILL, ALLOW);
    EXPECT_HARM(1, ARG(0), JUMP(BPF_JEQ, 2, 0, 1), KILL, ALLOW);
    /* ... but asked of another call only, they do not matter. */
    EXPECT(1, FILTER_ALLOWS, NR, JUMP(BPF_JEQ, 72, 0, 3), ARG(1), JUMP(BPF_JEQ, 2, 0, 1), KILL, ALLOW);
}

Test(filter, arithmetic_and_memory)
{
    EXPECT(5, FILTER_ALLOWS, NR, BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 10), JUMP(BPF_JEQ, 15, 0, 1), ALLOW, KILL);
    EXPECT(5, FILTER_ALLOWS, NR, BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_IMM, 0), BPF_STMT(BPF_LD | BPF_MEM, 3),
           JUMP(BPF_JEQ, 5, 0, 1), ALLOW, KILL);
    EXPECT(5, FILTER_ALLOWS, NR, BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | BPF_IMM, 5),
           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1), ALLOW, KILL);
    EXPECT(5, FILTER_ALLOWS, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), JUMP(BPF_JEQ, sizeof(struct seccomp_data), 0, 1), ALLOW, KILL);
    EXPECT(5, FILTER_ALLOWS, BPF_STMT(BPF_JMP | BPF_JA, 1), KILL, ALLOW);
    EXPECT_HARM(5, ARG(0), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3), JUMP(BPF_JEQ, 5, 1, 0), KILL, ALLOW);
    EXPECT(5, FILTER_ALLOWS, BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_A, 0));
    EXPECT_HARM(5, ARG(0), BPF_STMT(BPF_RET | BPF_A, 0));
}

Test(filter, programs_that_the_kernel_would_not_take)
{
    EXPECT_HARM(5, NR); /* runs off its end */
    EXPECT_HARM(5, JUMP(BPF_JA, 0xffffffff, 0, 0), ALLOW);
    EXPECT_HARM(5, NR, BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), JUMP(BPF_JEQ, 0, 0, 1), KILL, KILL);
    EXPECT_HARM(5, BPF_STMT(BPF_LD | BPF_MEM, 77), JUMP(BPF_JEQ, 0, 0, 1), ALLOW, KILL);
    EXPECT_HARM(5, BPF_STMT(0xffff, 77));
    cr_expect_eq(answers(NULL, 0, 1), (unsigned)FILTER_HARMS);
}

/* As many ways as there are numbers of 32 bits, or more: it must end, and cannot tell. */
Test(filter, too_many_ways, .timeout = 10)
{
    static struct sock_filter program[BPF_MAXINSNS];
    size_t count = 0;
    while (count + 4 < BPF_MAXINSNS) {
        program[count++] = (struct sock_filter)ARG(0);
        program[count++] = (struct sock_filter)JUMP(BPF_JEQ, 1, 0, 1);
        program[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 1);
    }
    program[count++] = (struct sock_filter)ALLOW;
    cr_expect(answers(program, count * sizeof(*program), 1) & FILTER_HARMS);
}

/* What is read of the program lies within it, whatever it says. */
Test(filter, random_programs)
{
    static struct sock_filter program[64];
    uint64_t state = 88172645463325252u;
    for (unsigned round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof(program); i += sizeof(state)) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            memcpy((char *)program + i, &state, sizeof(state));
        }
        for (size_t i = 0; i < 64; i++)
            program[i].code &= 0xff;
        cr_expect_neq(answers(program, sizeof(program), 1), 0u);
    }
}
