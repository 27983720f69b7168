/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/arch.h"
#include "attach/tracee.h"

#define STRICT      1u
#define FILTERS_MAX 64
#define NONE        0
#define ANY         (-1)

/* ---- running a filter ---- */

struct machine {
    uint32_t a, x, memory[BPF_MEMWORDS];
    size_t at;
};

static uint32_t calculate(uint16_t code, uint32_t a, uint32_t b)
{
    switch (BPF_OP(code)) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return b ? a / b : 0;
    case BPF_MOD:
        return b ? a % b : 0;
    case BPF_OR:
        return a | b;
    case BPF_AND:
        return a & b;
    case BPF_XOR:
        return a ^ b;
    case BPF_LSH:
        return b < 32 ? a << b : 0;
    case BPF_RSH:
        return b < 32 ? a >> b : 0;
    default:
        return -a; /* BPF_NEG */
    }
}

static bool holds(uint16_t code, uint32_t a, uint32_t b)
{
    switch (BPF_OP(code)) {
    case BPF_JEQ:
        return a == b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default:
        return (a & b) != 0; /* BPF_JSET */
    }
}

static void jump(struct machine *machine, const struct sock_filter *step)
{
    uint32_t other = BPF_SRC(step->code) == BPF_X ? machine->x : step->k;
    if (BPF_OP(step->code) == BPF_JA)
        machine->at += step->k;
    else
        machine->at += holds(step->code, machine->a, other) ? step->jt : step->jf;
}

static uint32_t load(const struct machine *machine, const struct sock_filter *step, const struct seccomp_data *data)
{
    uint32_t word = 0;
    switch (BPF_MODE(step->code)) {
    case BPF_ABS:
        if (step->k <= sizeof(*data) - sizeof(word))
            memcpy(&word, (const char *)data + step->k, sizeof(word));
        return word;
    case BPF_MEM:
        return machine->memory[step->k % BPF_MEMWORDS];
    case BPF_LEN:
        return sizeof(*data);
    default:
        return step->k; /* BPF_IMM */
    }
}

static void do_step(struct machine *machine, const struct sock_filter *step, const struct seccomp_data *data)
{
    switch (BPF_CLASS(step->code)) {
    case BPF_LD:
        machine->a = load(machine, step, data);
        break;
    case BPF_LDX:
        machine->x = load(machine, step, data);
        break;
    case BPF_ST:
        machine->memory[step->k % BPF_MEMWORDS] = machine->a;
        break;
    case BPF_STX:
        machine->memory[step->k % BPF_MEMWORDS] = machine->x;
        break;
    case BPF_ALU:
        machine->a = calculate(step->code, machine->a, BPF_SRC(step->code) == BPF_X ? machine->x : step->k);
        break;
    case BPF_JMP:
        jump(machine, step);
        break;
    default: /* BPF_MISC */
        if (BPF_MISCOP(step->code) == BPF_TAX)
            machine->x = machine->a;
        else
            machine->a = machine->x;
    }
}

uint32_t seccomp_run(const struct sock_filter *program, size_t count, const struct seccomp_data *data)
{
    struct machine machine = {0};
    while (machine.at < count) { /* jumps lead forwards only */
        const struct sock_filter *step = &program[machine.at++];
        if (BPF_CLASS(step->code) == BPF_RET)
            return BPF_RVAL(step->code) == BPF_A ? machine.a : step->k;
        do_step(&machine, step, data);
    }
    return SECCOMP_RET_KILL_PROCESS;
}

/* ---- what is needed ---- */

static const struct need {
    long number;
    const char *name;
    uint64_t arguments[6];
    int without; /* the error with which libc or the shim can do without it, or ANY; but it must not kill */
} needs[] = {
    {SYS_mmap, "mmap", {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0}, NONE},
    {SYS_mmap, "mmap", {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_DENYWRITE, 3, 0}, NONE},
    {SYS_mprotect, "mprotect", {4096, 4096, PROT_READ | PROT_EXEC}, NONE},
    {SYS_munmap, "munmap", {4096, 4096}, NONE},
    {SYS_clone, "clone",
     {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
      CLONE_CHILD_CLEARTID},
     NONE},
    {SYS_clone3, "clone3", {4096, 88}, ENOSYS},
    {SYS_futex, "futex", {4096}, NONE},
    {SYS_exit, "exit", {0}, NONE},
    {SYS_rt_sigprocmask, "rt_sigprocmask", {2}, NONE},
    {SYS_socketpair, "socketpair", {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC}, NONE},
    {SYS_recvmsg, "recvmsg", {3, 4096, MSG_CMSG_CLOEXEC}, NONE},
    {SYS_sendto, "sendto", {3, 4096, 8, MSG_NOSIGNAL}, NONE},
    {SYS_setsockopt, "setsockopt", {3, SOL_SOCKET, SO_RCVTIMEO}, ANY},
    {SYS_openat, "openat", {(uint64_t)AT_FDCWD, 4096, O_RDONLY | O_CLOEXEC}, NONE},
    {SYS_read, "read", {3, 4096, 832}, NONE},
    {SYS_pread64, "pread64", {3, 4096, 832}, NONE},
    {SYS_newfstatat, "newfstatat", {3}, NONE},
    {SYS_close, "close", {3}, NONE},
    {SYS_write, "write", {3}, NONE},
    {SYS_writev, "writev", {3}, NONE},
    {SYS_pause, "pause", {0}, NONE},
    {SYS_poll, "poll", {0}, ANY},
    {SYS_nanosleep, "nanosleep", {4096}, ANY},
    {SYS_gettid, "gettid", {0}, ANY},
    {SYS_madvise, "madvise", {4096, 4096}, ANY},
    {SYS_set_robust_list, "set_robust_list", {4096}, ANY},
    {SYS_rseq, "rseq", {4096}, ANY},
    {SYS_rt_sigaction, "rt_sigaction", {33}, ANY},
    {SYS_getrandom, "getrandom", {4096}, ANY},
    {SYS_clock_gettime, "clock_gettime", {0}, ANY},
    {SYS_fcntl, "fcntl", {3}, ANY},
    {SYS_fstat, "fstat", {3}, ANY},
    {SYS_lseek, "lseek", {3}, ANY},
    {SYS_ftruncate, "ftruncate", {3}, ANY},
    {SYS_getcwd, "getcwd", {4096}, ANY},
    {SYS_getdents64, "getdents64", {3}, ANY},
    {SYS_getpeername, "getpeername", {3}, ANY},
    {SYS_getsockname, "getsockname", {3}, ANY},
    {SYS_getsockopt, "getsockopt", {3}, ANY},
    {SYS_getpid, "getpid", {0}, ANY},
    {SYS_getppid, "getppid", {0}, ANY},
    {SYS_mremap, "mremap", {4096}, ANY},
    {SYS_prlimit64, "prlimit64", {0}, ANY},
    {SYS_process_vm_readv, "process_vm_readv", {1}, ANY},
    {SYS_readlink, "readlink", {4096}, ANY},
    {SYS_sched_yield, "sched_yield", {0}, ANY},
    {SYS_tgkill, "tgkill", {1, 1, 0}, ANY},
    {SYS_unlink, "unlink", {4096}, ANY},
};

struct filters {
    struct {
        struct sock_filter *program;
        size_t count;
    } items[FILTERS_MAX];
    size_t count;
};

/* The strictest of all: the kernel compares the actions as signed numbers. */
static uint32_t ask(const struct filters *filters, const struct need *need)
{
    struct seccomp_data data = {.nr = (int)need->number, .arch = arch_audit};
    uint32_t strictest = SECCOMP_RET_ALLOW;
    memcpy(data.args, need->arguments, sizeof(data.args));
    for (size_t i = 0; i < filters->count; i++) {
        uint32_t answer = seccomp_run(filters->items[i].program, filters->items[i].count, &data);
        if ((int32_t)(answer & SECCOMP_RET_ACTION_FULL) < (int32_t)(strictest & SECCOMP_RET_ACTION_FULL))
            strictest = answer;
    }
    return strictest;
}

static bool is_fatal(uint32_t answer)
{
    uint32_t action = answer & SECCOMP_RET_ACTION_FULL;
    return action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD || action == SECCOMP_RET_TRAP;
}

static bool is_refused(uint32_t answer, int without)
{
    uint32_t action = answer & SECCOMP_RET_ACTION_FULL;
    return (action == SECCOMP_RET_ERRNO || action == SECCOMP_RET_TRACE) && without != ANY &&
           without != (int)(answer & SECCOMP_RET_DATA);
}

static int judge(pid_t pid, const struct filters *filters, struct error *error)
{
    for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++) {
        uint32_t answer = ask(filters, &needs[i]);
        if (is_fatal(answer) || is_refused(answer, needs[i].without))
            return error_set(error, -EPERM, "%d: cannot be attached to: its seccomp filter %s %s", (int)pid,
                             is_fatal(answer) ? "kills for" : "forbids", needs[i].name);
    }
    return 0;
}

/* ---- reading them ---- */

static int read_filter(pid_t tid, struct filters *filters)
{
    long count = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)(uintptr_t)filters->count, NULL); // NOLINT
    if (count < 0)
        return -errno;
    struct sock_filter *program = calloc((size_t)count + 1, sizeof(*program));
    if (!program)
        return -ENOMEM;
    filters->items[filters->count].program = program;
    filters->items[filters->count].count = (size_t)count;
    if (ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)(uintptr_t)filters->count++, program) < 0) // NOLINT
        return -errno;
    return 0;
}

static int read_filters(pid_t pid, struct filters *filters)
{
    struct tracee tracee;
    uint64_t stall;
    int result = tracee_stop(pid, pid, &tracee);
    if (result < 0)
        return result;
    while (filters->count < FILTERS_MAX && (result = read_filter(pid, filters)) == 0)
        ;
    int released = tracee_release(&tracee, &stall);
    return result == -ENOENT ? released : result < 0 ? result : -E2BIG;
}

static void free_filters(struct filters *filters)
{
    for (size_t i = 0; i < filters->count; i++)
        free(filters->items[i].program);
}

/* *ret_mode: 0, 1, or 2 for filters; *ret_count: how many. */
static void read_mode(pid_t pid, unsigned *ret_mode, unsigned *ret_count)
{
    char path[64], line[256];
    *ret_mode = *ret_count = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Seccomp: %u", ret_mode) != 1)
            sscanf(line, "Seccomp_filters: %u", ret_count);
    if (file)
        fclose(file);
}

/* In a container that filters all alike, filters can be read by nobody inside, and what we do ourselves it may do as well. */
static bool share_filters(unsigned count)
{
    unsigned mode, own;
    read_mode(getpid(), &mode, &own);
    return mode > STRICT && own == count;
}

int seccomp_check(pid_t pid, struct error *error)
{
    struct filters filters = {.count = 0};
    unsigned mode, count;
    read_mode(pid, &mode, &count);
    if (mode == STRICT)
        return error_set(error, -EPERM, "%d: cannot be attached to: seccomp forbids it nearly all system calls", (int)pid);
    if (mode == 0 || share_filters(count))
        return 0;
    int result = read_filters(pid, &filters);
    result = result < 0 ? error_set(error, result,
                                    "%d: cannot be attached to: its seccomp filter cannot be examined: %s (needs root, or CAP_SYS_ADMIN)",
                                    (int)pid, error_reason(result))
                        : judge(pid, &filters, error);
    free_filters(&filters);
    return result;
}
