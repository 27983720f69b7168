/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/filter.h"

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>

#define STEPS_MAX 200000u /* of all ways together: more than that cannot be told */
#define KNOWN_A   (1u << BPF_MEMWORDS)
#define KNOWN_X   (2u << BPF_MEMWORDS)

struct call {
    uint32_t architecture, number;
};

static void set(struct filter_state *state, uint32_t *to, uint32_t bit, bool known, uint32_t value)
{
    *to = known ? value : 0;
    state->known = known ? state->known | bit : state->known & ~bit;
}

static void set_a(struct filter_state *state, bool known, uint32_t value)
{
    set(state, &state->a, KNOWN_A, known, value);
}

/* The value that an instruction works with beside the accumulator. */
static bool operand(const struct filter_state *state, const struct sock_filter *at, uint32_t *ret_value)
{
    *ret_value = BPF_SRC(at->code) == BPF_X ? state->x : at->k;
    return BPF_SRC(at->code) != BPF_X || state->known & KNOWN_X;
}

/* Of the call's description only two words are known. */
static bool load(const struct filter_state *state, const struct sock_filter *at, const struct call *call, uint32_t *ret_value)
{
    switch (BPF_MODE(at->code)) {
    case BPF_IMM:
        *ret_value = at->k;
        return true;
    case BPF_LEN:
        *ret_value = sizeof(struct seccomp_data);
        return true;
    case BPF_MEM:
        *ret_value = at->k < BPF_MEMWORDS ? state->memory[at->k] : 0;
        return at->k < BPF_MEMWORDS && state->known >> at->k & 1;
    case BPF_ABS:
        *ret_value = at->k == offsetof(struct seccomp_data, nr) ? call->number : call->architecture;
        return at->k == offsetof(struct seccomp_data, nr) || at->k == offsetof(struct seccomp_data, arch);
    default:
        *ret_value = 0;
        return false;
    }
}

/* False: cannot be told. */
static bool compute(uint16_t operation, uint32_t a, uint32_t b, uint32_t *ret_value)
{
    switch (operation) {
    case BPF_ADD: *ret_value = a + b; return true;
    case BPF_SUB: *ret_value = a - b; return true;
    case BPF_MUL: *ret_value = a * b; return true;
    case BPF_DIV: *ret_value = b ? a / b : 0; return b != 0;
    case BPF_OR: *ret_value = a | b; return true;
    case BPF_AND: *ret_value = a & b; return true;
    case BPF_XOR: *ret_value = a ^ b; return true;
    case BPF_LSH: *ret_value = b < 32 ? a << b : 0; return b < 32;
    case BPF_RSH: *ret_value = b < 32 ? a >> b : 0; return b < 32;
    case BPF_NEG: *ret_value = 0u - a; return true;
    default: *ret_value = 0; return false;
    }
}

static void calculate(struct filter_state *state, const struct sock_filter *at)
{
    uint32_t value, result;
    bool known = operand(state, at, &value) && state->known & KNOWN_A;
    known = compute(BPF_OP(at->code), state->a, value, &result) && known;
    set_a(state, known, result);
}

static void store(struct filter_state *state, const struct sock_filter *at)
{
    bool is_x = BPF_CLASS(at->code) == BPF_STX;
    if (at->k < BPF_MEMWORDS)
        set(state, &state->memory[at->k], 1u << at->k, state->known & (is_x ? KNOWN_X : KNOWN_A), is_x ? state->x : state->a);
}

static bool holds(uint16_t operation, uint32_t a, uint32_t b)
{
    return operation == BPF_JEQ ? a == b : operation == BPF_JGT ? a > b : operation == BPF_JGE ? a >= b : (a & b) != 0;
}

/* Goes one way, and leaves the other for later where both are possible. False: there is no room for it. */
static bool jump(struct filter_state *state, const struct sock_filter *at, struct filter_work *work)
{
    uint32_t value;
    if (BPF_OP(at->code) == BPF_JA) {
        state->pc = at->k < BPF_MAXINSNS ? state->pc + at->k : BPF_MAXINSNS;
        return true;
    }
    if (operand(state, at, &value) && state->known & KNOWN_A) {
        state->pc += holds(BPF_OP(at->code), state->a, value) ? at->jt : at->jf;
        return true;
    }
    if (work->count == FILTER_PENDING)
        return false;
    work->pending[work->count] = *state;
    work->pending[work->count++].pc += at->jf;
    state->pc += at->jt;
    return true;
}

static unsigned answer_of(uint32_t value)
{
    switch (value & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
        return FILTER_ALLOWS;
    case SECCOMP_RET_ERRNO: /* error 0: an open would seem to have yielded descriptor 0 */
        return value & SECCOMP_RET_DATA ? FILTER_REFUSES : FILTER_HARMS;
    default:
        return FILTER_HARMS;
    }
}

static unsigned end(const struct filter_state *state, const struct sock_filter *at)
{
    if (BPF_RVAL(at->code) != BPF_A)
        return answer_of(at->k);
    return state->known & KNOWN_A ? answer_of(state->a) : FILTER_HARMS;
}

/* One instruction; the answer, if it is the last. Jumps lead forward only, so every way ends. */
static unsigned step(struct filter_state *state, const struct sock_filter *at, const struct call *call, struct filter_work *work)
{
    uint32_t value;
    bool known;
    state->pc++;
    switch (BPF_CLASS(at->code)) {
    case BPF_LD:
        known = load(state, at, call, &value);
        set_a(state, known, value);
        return 0;
    case BPF_LDX:
        known = load(state, at, call, &value);
        set(state, &state->x, KNOWN_X, known, value);
        return 0;
    case BPF_ST:
    case BPF_STX:
        store(state, at);
        return 0;
    case BPF_ALU:
        calculate(state, at);
        return 0;
    case BPF_JMP:
        return jump(state, at, work) ? 0 : FILTER_HARMS;
    case BPF_RET:
        return end(state, at);
    default:
        if (BPF_MISCOP(at->code) == BPF_TAX)
            set(state, &state->x, KNOWN_X, state->known & KNOWN_A, state->a);
        else
            set_a(state, state->known & KNOWN_X, state->x);
        return 0;
    }
}

unsigned filter_answers(const struct sock_filter *program, uint32_t length, uint32_t architecture, uint32_t number,
                        struct filter_work *work)
{
    struct call call = {architecture, number};
    unsigned answers = 0, steps = 0;
    work->pending[0] = (struct filter_state){0};
    for (work->count = 1; work->count > 0 && !(answers & FILTER_HARMS);) {
        struct filter_state state = work->pending[--work->count];
        unsigned answer = 0;
        while (answer == 0)
            answer = state.pc < length && steps++ < STEPS_MAX ? step(&state, &program[state.pc], &call, work) : FILTER_HARMS;
        answers |= answer;
    }
    return answers;
}
