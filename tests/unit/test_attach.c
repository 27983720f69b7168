/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is found out about another process before it is touched; here the other process is this one. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/audit.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/memory.h"
#include "attach/process.h"
#include "attach/safe_point.h"
#include "attach/seccomp.h"
#include "attach/target_libc.h"
#include "attach/thread_block.h"
#include "commands/commands.h"
#include "sample.h"

struct self {
    int memory;
    struct objects objects;
    struct target_libc libc;
};

static struct self look(void)
{
    struct self self;
    struct error error = {.text = ""};
    cr_assert_eq(memory_open(getpid(), &self.memory), 0);
    cr_assert_eq(objects_read(getpid(), self.memory, &self.objects), 0);
    cr_assert_eq(target_libc_find(getpid(), &self.objects, &self.libc, &error), 0, "%s", error.text);
    return self;
}

static void look_away(struct self *self)
{
    objects_free(&self->objects);
    close(self->memory);
}

/* In libc itself, whatever stands before it. */
static uint64_t known(const char *name)
{
    return (uint64_t)(uintptr_t)dlsym(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD), name);
}

/* pthread_cond_wait and memcpy have an older version with another address, or none of their own. */
Test(attach, symbols_are_those_of_the_linker)
{
    static const char *const names[] = {"dlopen",  "pthread_create", "pthread_detach", "munmap",           "getpid",
                                        "dlerror", "close",          "syscall",        "pthread_cond_wait"};
    struct self self = look();
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        cr_expect_eq(symbol_address(&self.objects, self.libc.object, names[i]), known(names[i]), "%s", names[i]);
    cr_expect_eq(symbol_address(&self.objects, self.libc.object, "no_such_function"), 0);
    cr_expect_eq(symbol_address(&self.objects, self.libc.object, ""), 0);
    look_away(&self);
}

Test(attach, libc_is_found)
{
    struct self self = look();
    uint8_t code[2];
    cr_expect_eq(self.libc.pthread_create, known("pthread_create"));
    cr_expect_eq(self.libc.single_threaded, known("__libc_single_threaded"));
    cr_expect_eq(objects_at(&self.objects, self.libc.dlopen), self.libc.object);
    cr_expect_eq(memory_read(self.memory, self.libc.call, code, sizeof(code)), 0);
    cr_expect_eq(arch_find_call(code, sizeof(code)), 0);
    look_away(&self);
}

Test(attach, objects_have_bounds)
{
    struct self self = look();
    const struct object *own = objects_at(&self.objects, (uint64_t)(uintptr_t)look);
    cr_assert_not_null(own);
    cr_expect_neq(own, self.libc.object);
    cr_expect_null(objects_at(&self.objects, (uint64_t)(uintptr_t)&self), "the stack is no object");
    cr_expect_null(objects_at(&self.objects, 0));
    cr_expect_not_null(symbol_definer(&self.objects, "_r_debug"));
    cr_expect_null(symbol_definer(&self.objects, "no_such_function"));
    look_away(&self);
}

/* A table whose one chain goes on for ever: the file is as long as files can be, and holds nothing but zeros there. */
Test(attach, tables_without_end_are_left)
{
    enum { HASH = 4096, STRINGS = 8192, SYMBOLS = 1 << 30 };
    const uint32_t head[4] = {1, 0, 1, 0}, first = 0;
    const uint64_t bloom = ~UINT64_C(0);
    struct self self = look();
    struct objects objects = self.objects;
    struct object object = {.hash = HASH, .strings = STRINGS, .symbols = SYMBOLS};
    Elf64_Sym symbol;
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    objects.memory = fileno(file);
    cr_assert_eq(ftruncate(objects.memory, (off_t)1 << 40), 0);
    cr_assert_eq(pwrite(objects.memory, head, sizeof(head), HASH), sizeof(head));
    cr_assert_eq(pwrite(objects.memory, &bloom, sizeof(bloom), HASH + 16), sizeof(bloom));
    cr_assert_eq(pwrite(objects.memory, &first, sizeof(first), HASH + 24), sizeof(first));
    cr_expect_not(objects_endless(&objects));
    cr_expect_not(symbol_find(&objects, &object, "malloc", &symbol));
    cr_expect(objects_endless(&objects), "it gave up");
    cr_expect_eq(symbol_address(&self.objects, self.libc.object, "malloc"), 0, "nothing else is read either");
    fclose(file);
    look_away(&self);
}

Test(attach, errno_is_found)
{
    static struct thread_layout layout;
    struct self self = look();
    cr_assert_eq(thread_layout_read(&self.objects, self.libc.object, &layout), 0);
    cr_expect_gt(layout.count, 0);
    cr_expect_gt(layout.tid, 0);
    uint64_t address = thread_errno(&self.objects, self.libc.object, &layout, (uint64_t)(uintptr_t)__builtin_thread_pointer());
    cr_expect_eq(address, (uint64_t)(uintptr_t)&errno);
    int32_t tid = 0;
    cr_expect_eq(memory_read(self.memory, (uint64_t)(uintptr_t)pthread_self() + layout.tid, &tid, sizeof(tid)), 0);
    cr_expect_eq(tid, (int32_t)syscall(SYS_gettid));
    look_away(&self);
}

static __thread unsigned initialised = 0x5a5a1234;

/* A block made for another thread has the same variables where this thread has them, as they began. */
Test(attach, thread_blocks_begin_as_threads_do)
{
    static struct thread_layout layout;
    static _Alignas(64) uint8_t bytes[1 << 20];
    struct self self = look();
    uint64_t own = (uint64_t)(uintptr_t)__builtin_thread_pointer(), pointer;
    initialised = 1;
    cr_assert_eq(thread_layout_read(&self.objects, self.libc.object, &layout), 0);
    cr_assert_leq(thread_block_size(&layout), sizeof(bytes));
    cr_assert_eq(thread_block_make(&self.objects, &layout, own, bytes, (uint64_t)(uintptr_t)bytes, &pointer), 0);
    unsigned there;
    memcpy(&there, (char *)(uintptr_t)pointer + ((char *)&initialised - (char *)(uintptr_t)own), sizeof(there)); // NOLINT
    cr_expect_eq(there, 0x5a5a1234);
    look_away(&self);
}

Test(attach, allocators_are_seen)
{
    struct self self = look();
    struct terrain terrain;
    cr_assert_eq(terrain_survey(&self.objects, self.libc.object, &terrain), 0);
    cr_expect(terrain.allocates[self.libc.object - self.objects.items]);
    cr_expect_gt(terrain.restorer_count, 0);
    terrain_free(&terrain);
    look_away(&self);
}

/* ---- processes ---- */

static void refused(const struct process_status *process, const char *why)
{
    struct error error = {.text = ""};
    cr_expect_lt(process_check(process, &error), 0);
    cr_expect_not_null(strstr(error.text, why), "%s not in: %s", why, error.text);
}

Test(attach, processes_that_are_refused)
{
    struct process_status self, other;
    struct error error;
    cr_assert_eq(process_read(getpid(), &self, &error), 0);
    refused(&self, "stray itself");
    cr_assert_eq(process_read(getppid(), &other, &error), 0);
    cr_expect_eq(other.group, getppid());
    other.state = 'T';
    refused(&other, "stopped");
    other.state = 'Z';
    refused(&other, "zombie");
    other.state = 'S';
    other.tracer = 1;
    refused(&other, "holds it by ptrace");
    other.flags = 0x00200000;
    refused(&other, "kernel");
    other.group = 1;
    refused(&other, "thread of 1");
    cr_expect_eq(process_read(0x7fffffff, &other, &error), -ESRCH);
    cr_expect_not_null(strstr(error.text, "no such process"));
}

Test(attach, what_would_help_is_said)
{
    struct process_status other = {.pid = 1, .user = geteuid() + 1};
    struct error error;
    cr_expect_eq(process_explain(&other, -EPERM, &error), -EPERM);
    cr_expect_not_null(strstr(error.text, "CAP_SYS_PTRACE"), "%s", error.text);
    cr_expect_eq(process_explain(&other, -EIO, &error), -EIO);
    cr_expect_null(strstr(error.text, "CAP_SYS_PTRACE"), "%s", error.text);
}

/* ---- filters ---- */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define SAY(answer) BPF_STMT(BPF_RET | BPF_K, (answer))

static uint32_t answer(const struct sock_filter *program, size_t count, long number, uint64_t argument)
{
    struct seccomp_data data = {.nr = (int)number, .arch = AUDIT_ARCH_X86_64, .args = {argument}};
    return seccomp_run(program, count, &data);
}

Test(attach, filters_are_understood)
{
    const struct sock_filter program[] = {
        LOAD(arch), IS(AUDIT_ARCH_X86_64, 1, 0), SAY(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr), IS(7, 0, 1), SAY(SECCOMP_RET_ERRNO | EPERM),
        IS(8, 0, 5), LOAD(args[0]), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0), IS(0x30, 0, 2), BPF_STMT(BPF_ALU | BPF_NEG, 0),
        SAY(SECCOMP_RET_TRAP), SAY(SECCOMP_RET_ALLOW),
    };
    size_t count = sizeof(program) / sizeof(*program);
    cr_expect_eq(answer(program, count, 7, 0), SECCOMP_RET_ERRNO | EPERM);
    cr_expect_eq(answer(program, count, 8, 0x3f), SECCOMP_RET_TRAP);
    cr_expect_eq(answer(program, count, 8, 0x4f), SECCOMP_RET_ALLOW);
    cr_expect_eq(answer(program, count, 9, 0x3f), SECCOMP_RET_ALLOW);
    cr_expect_eq(answer(program, 1, 9, 0), SECCOMP_RET_KILL_PROCESS, "a program without an end");
}

Test(attach, filters_calculate)
{
    const struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_IMM, 6), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | BPF_IMM, 1),
        BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0), BPF_STMT(BPF_LDX | BPF_MEM, 3), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
        BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 1), BPF_STMT(BPF_RET | BPF_A, 0),
    };
    cr_expect_eq(answer(program, sizeof(program) / sizeof(*program), 0, 0), ((1u << 6) + 6) ^ 1);
}

/* ---- the command line ---- */

static void complained(int (*command)(int, char **), const char *word, const char *const *arguments)
{
    char *output = NULL, *errors = NULL;
    cr_expect_eq(sample_run(command, arguments, NULL, &output, &errors), 2);
    cr_expect_str_empty(output);
    cr_expect_eq(strncmp(errors, "stray: ", 7), 0, "%s", errors);
    cr_expect_not_null(strstr(errors, word), "%s not in: %s", word, errors);
    free(output);
    free(errors);
}

#define ATTACH(word, ...) complained(command_attach, word, (const char *const[]){"attach", __VA_ARGS__, NULL})
#define DETACH(word, ...) complained(command_detach, word, (const char *const[]){"detach", __VA_ARGS__, NULL})

Test(attach, command_lines)
{
    ATTACH("no PID", "--full");
    ATTACH("must be a PID", "x1");
    ATTACH("must be a PID", "0");
    ATTACH("must be a PID", "12 ");
    ATTACH("more than one", "1", "2");
    ATTACH("--for 0", "--for", "0", "1");
    ATTACH("--for soon", "--for", "soon", "1");
    ATTACH("needs a value", "1", "--for");
    ATTACH("--depth many", "1", "--depth", "many");
    ATTACH("--sample", "1", "--sample", "512K", "--no-heap");
    ATTACH("unknown option (see stray attach", "1", "--nosuch");
    DETACH("no PID", "--");
    DETACH("unknown option", "--force", "1");
}
