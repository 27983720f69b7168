/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/scratch.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "attach/desk.h"
#include "attach/memory.h"
#include "hash.h"
#include "monotonic.h"

/* One page of code, the desk and the room behind it, a stack, a thread control block. */
#define CODE_SIZE  4096u
#define DATA_SIZE  65536u
#define STACK_SIZE 262144u
#define DESK_AT    CODE_SIZE
#define STACK_END  (CODE_SIZE + DATA_SIZE + STACK_SIZE)
#define SILENCE_S  5  /* after which the server takes us for dead */
#define NAPS       4000 /* of a millisecond and a little more: as long */

#define SIGNAL_CANCEL 32 /* glibc's own: a thread that blocks them holds up others */
#define SIGNAL_SETXID 33

static uint64_t stub_at(const struct scratch *scratch, const uint8_t *part)
{
    return scratch->base + (uint64_t)(part - stub_begin);
}

/* Not -EAGAIN, which would mean: try again. */
static int fail_call(pid_t pid, int64_t code, const char *what, struct error *error)
{
    return error_set(error, code == -EAGAIN ? -EBUSY : (int)code, "%d: %s: %s", (int)pid, what, error_reason((int)code));
}

static int map_memory(const struct ground *ground, struct tracee *tracee, struct scratch *ret_scratch, struct error *error)
{
    int64_t address;
    uint64_t length = (STACK_END + thread_block_size(ground->layout) + 4095) & ~UINT64_C(4095);
    int result = tracee_call(tracee, ground->libc->call, SYS_mmap,
                             (const uint64_t[6]){0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0},
                             &address);
    if (result < 0 || (address < 0 && address > -4096))
        return fail_call(tracee->pid, result < 0 ? result : address, "mmap in it", error);
    *ret_scratch = (struct scratch){.base = (uint64_t)address, .length = length};
    ret_scratch->desk = ret_scratch->base + DESK_AT;
    ret_scratch->room = ret_scratch->desk + sizeof(struct desk);
    ret_scratch->room_size = DATA_SIZE - sizeof(struct desk);
    return 0;
}

/* Nobody else's socket says the same. */
static uint64_t any_number(void)
{
    uint64_t number;
    if (getrandom(&number, sizeof(number), GRND_NONBLOCK) == sizeof(number))
        return number;
    number = monotonic_ns();
    return hash_bytes(HASH_BEGIN, &number, sizeof(number));
}

static struct desk make_desk(const struct ground *ground, const struct scratch *scratch)
{
    uint64_t at = scratch->desk;
    return (struct desk){
        .result = any_number(),
        .created = DESK_PENDING,
        .sockets = {-1, -1},
        .mask = ~(UINT64_C(1) << (SIGNAL_CANCEL - 1) | UINT64_C(1) << (SIGNAL_SETXID - 1)),
        .header = {.msg_iov = (struct iovec *)(uintptr_t)(at + DESK_VECTOR), // NOLINT
                   .msg_iovlen = 1,
                   .msg_control = (void *)(uintptr_t)(at + DESK_CONTROL)}, // NOLINT
        .vector = {.iov_base = (void *)(uintptr_t)(at + DESK_FUNCTION), .iov_len = DESK_RESULT}, // NOLINT
        .create = ground->libc->pthread_create,
        .server = stub_at(scratch, stub_server),
        .unmap = ground->libc->munmap,
        .base = scratch->base,
        .length = scratch->length,
        .timeout = {.tv_sec = SILENCE_S},
        .nap = {.tv_nsec = 1000000},
        .naps = NAPS,
    };
}

static int fill(const struct ground *ground, struct tracee *tracee, const struct scratch *scratch, struct error *error)
{
    int memory = ground->objects->memory;
    struct desk desk = make_desk(ground, scratch);
    uint64_t back = stub_at(scratch, stub_returned);
    int64_t answer = 0;
    int result = memory_write(memory, scratch->base, stub_begin, (size_t)(stub_end - stub_begin));
    if (result == 0)
        result = memory_write(memory, scratch->desk, &desk, sizeof(desk));
    if (result == 0)
        result = memory_write(memory, scratch->base + STACK_END - sizeof(back), &back, sizeof(back));
    if (result < 0)
        return fail_call(tracee->pid, result, "writing to its memory", error);
    result = tracee_call(tracee, ground->libc->call, SYS_mprotect,
                         (const uint64_t[6]){scratch->base, CODE_SIZE, PROT_READ | PROT_EXEC}, &answer);
    if (result < 0 || answer < 0)
        return fail_call(tracee->pid, result < 0 ? result : answer, "it may not make memory executable", error);
    return 0;
}

/* By a stopped thread: where no thread of ours does. */
static void scratch_unmap(const struct ground *ground, struct tracee *tracee, const struct scratch *scratch)
{
    int64_t ignored;
    tracee_call(tracee, ground->libc->call, SYS_munmap, (const uint64_t[6]){scratch->base, scratch->length}, &ignored);
}

static int prepare(const struct ground *ground, struct tracee *tracee, struct scratch *ret_scratch, struct error *error)
{
    int result = map_memory(ground, tracee, ret_scratch, error);
    if (result < 0)
        return result;
    result = fill(ground, tracee, ret_scratch, error);
    if (result < 0)
        scratch_unmap(ground, tracee, ret_scratch);
    return result;
}

/* errno is the thread's, and it may be about to look at it. */
static int create_here(const struct ground *ground, struct tracee *tracee, const struct scratch *scratch, int32_t *ret_answer)
{
    int32_t kept;
    const uint64_t arguments[4] = {scratch->desk + DESK_THREAD, 0, stub_at(scratch, stub_server), scratch->desk};
    uint64_t number =
        thread_errno(ground->objects, ground->libc->object, ground->layout, arch_thread_pointer(&tracee->registers));
    bool known = number && memory_read(ground->objects->memory, number, &kept, sizeof(kept)) == 0;
    int result = tracee_function(tracee, ground->libc->pthread_create, arguments, scratch->base + STACK_END,
                                 ground->objects->memory, scratch->desk, ret_answer);
    if (known && result == 0)
        result = memory_write(ground->objects->memory, number, &kept, sizeof(kept));
    return result;
}

int scratch_start_here(const struct ground *ground, struct tracee *tracee, struct scratch *ret_scratch, struct error *error)
{
    int32_t answer = 0;
    int result = prepare(ground, tracee, ret_scratch, error);
    if (result < 0)
        return result;
    result = create_here(ground, tracee, ret_scratch, &answer);
    if (result == 0 && answer == 0)
        return 0;
    if (result == 0)
        scratch_unmap(ground, tracee, ret_scratch);
    return fail_call(tracee->pid, result < 0 ? result : -answer, "making a thread in it", error);
}

static int write_block(const struct ground *ground, const struct tracee *tracee, const struct scratch *scratch, uint64_t *ret_pointer)
{
    size_t size = thread_block_size(ground->layout);
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return -ENOMEM;
    int result = thread_block_make(ground->objects, ground->layout, arch_thread_pointer(&tracee->registers), bytes,
                                   scratch->base + STACK_END, ret_pointer);
    if (result == 0)
        result = memory_write(ground->objects->memory, scratch->base + STACK_END, bytes, size);
    free(bytes);
    return result;
}

static int clone_beside(const struct ground *ground, struct tracee *tracee, const struct scratch *scratch, uint64_t pointer,
                        int64_t *ret_answer)
{
    uint64_t arguments[5];
    const uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                           CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    arch_clone_arguments(arguments, flags, scratch->base + STACK_END - 64, pointer + ground->layout->tid, scratch->desk + DESK_CLONE,
                         pointer);
    return tracee_clone(tracee, stub_at(scratch, stub_clone), arguments, scratch->desk, ret_answer);
}

int scratch_start_beside(const struct ground *ground, struct tracee *tracee, struct scratch *ret_scratch, struct error *error)
{
    int64_t answer = 0;
    uint64_t pointer;
    const int32_t cloned = 1; /* until the kernel clears it */
    int result = prepare(ground, tracee, ret_scratch, error);
    if (result < 0)
        return result;
    result = write_block(ground, tracee, ret_scratch, &pointer);
    if (result == 0)
        result = memory_write(ground->objects->memory, ret_scratch->desk + DESK_CLONE, &cloned, sizeof(cloned));
    if (result == 0)
        result = clone_beside(ground, tracee, ret_scratch, pointer, &answer);
    if (result == 0 && answer > 0)
        return 0;
    scratch_unmap(ground, tracee, ret_scratch);
    return fail_call(tracee->pid, result < 0 ? result : answer, "making a thread in it", error);
}
