/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * odd CASE: stacks that are not a plain chain of calls, each with allocations at its far end. Prints "done".
 */
#include <alloca.h>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

#define NOINLINE __attribute__((noinline))

static NOINLINE void allocate()
{
    void *volatile block = malloc(40);
    free(block);
}

static NOINLINE int descend(int depth)
{
    volatile int left = depth;
    if (left == 0)
        allocate();
    else
        left += descend(left - 1);
    return left;
}

static void rounds(void (*body)(int))
{
    for (int i = 0; i < 300; i++)
        body(i);
}

/* ---- frames of all sizes ---- */

static NOINLINE void with_alloca(int size)
{
    auto bytes = static_cast<volatile char *>(alloca(static_cast<size_t>(size) * 37 % 60000 + 1));
    bytes[0] = 1;
    descend(size % 20);
}

struct alignas(64) line {
    char bytes[64];
};

static NOINLINE void aligned(int depth)
{
    volatile line local = {};
    auto more = static_cast<volatile char *>(alloca(static_cast<size_t>(depth) * 8 + 8));
    more[0] = local.bytes[0];
    if (depth % 7 != 0)
        aligned(depth - 1);
    else
        descend(3);
}

static NOINLINE void large(int round)
{
    volatile char bytes[700000];
    bytes[round] = 1;
    descend(2 + bytes[round]);
}

static NOINLINE void deep(int round)
{
    descend(150 + round % 100);
    descend(1000);
    descend(round % 60);
}

/* ---- control that leaves frames by other ways ---- */

static jmp_buf back;

static NOINLINE void jump(int round)
{
    if (setjmp(back) == 0) {
        descend(round % 10);
        longjmp(back, 1);
    }
    allocate();
}

static NOINLINE void thrower(int depth)
{
    std::string text(static_cast<size_t>(depth) + 40, 'x');
    if (depth == 0)
        throw std::runtime_error(text);
    thrower(depth - 1);
}

static NOINLINE void exceptions(int round)
{
    try {
        thrower(round % 12);
    } catch (const std::exception &error) {
        std::string copy = error.what();
        descend(static_cast<int>(copy.size()) % 5);
    }
}

static int compare(const void *a, const void *b)
{
    allocate();
    return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

static NOINLINE void callbacks(int round)
{
    int numbers[50];
    std::map<std::string, std::function<void()>> calls;
    for (int i = 0; i < 50; i++)
        numbers[i] = (i * 37 + round) % 50;
    qsort(numbers, 50, sizeof(int), compare);
    calls["one"] = [=] { descend(round % 3); };
    calls["two"] = [&] { calls["one"](); };
    calls["two"]();
}

/* ---- signals ---- */

static void on_signal(int)
{
    descend(4);
}

static NOINLINE void signals(int round)
{
    static char stack[65536];
    stack_t alternate = {};
    alternate.ss_sp = stack;
    alternate.ss_size = sizeof(stack);
    sigaltstack(&alternate, nullptr);
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = round % 2 ? SA_ONSTACK : 0;
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
    descend(round % 10);
}

static volatile sig_atomic_t ticks;

static void on_tick(int)
{
    ticks = ticks + 1; /* may have interrupted malloc, where it must not allocate */
}

static NOINLINE void timers(int)
{
    signal(SIGALRM, on_tick);
    ualarm(200, 200);
    for (int i = 0; i < 100; i++)
        descend(i % 40);
    ualarm(0, 0);
}

/* ---- stacks of the program's own ---- */

static ucontext_t outside, inside[2];

static void coroutine(int which)
{
    for (int i = 0;; i++) {
        descend((i + which) % 30);
        swapcontext(&inside[which], &outside);
    }
}

static NOINLINE void coroutines(int round)
{
    for (int which = 0; which < 2; which++) {
        size_t size = static_cast<size_t>(64 + 64 * (round % 3)) << 10;
        void *stack = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        getcontext(&inside[which]);
        inside[which].uc_stack.ss_sp = stack;
        inside[which].uc_stack.ss_size = size;
        makecontext(&inside[which], reinterpret_cast<void (*)()>(coroutine), 1, which);
        for (int i = 0; i < 10; i++) {
            swapcontext(&outside, &inside[which]);
            allocate();
        }
        munmap(stack, size);
    }
}

static void *thread(void *depth)
{
    for (int i = 0; i < 50; i++)
        descend(static_cast<int>(reinterpret_cast<intptr_t>(depth)) + i % 5);
    return nullptr;
}

static NOINLINE void threads(int round)
{
    pthread_t ids[4];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    for (intptr_t i = 0; i < 4; i++)
        pthread_create(&ids[i], i % 2 ? &attributes : nullptr, thread,
                       reinterpret_cast<void *>(i * 7 + round % 3));
    for (auto id : ids)
        pthread_join(id, nullptr);
}

/* ---- code that nothing describes ---- */

extern "C" void call_bare(void (*function)(void));
extern "C" void call_wild(void (*function)(void));

/* Keeps a frame, but says nothing of it; and one that leaves rubbish in RBP, and says that it did not. */
__asm__(".text\n"
        ".globl call_bare\n"
        "call_bare:\n"
        "    push %rbp\n    mov %rsp, %rbp\n    call *%rdi\n    pop %rbp\n    ret\n"
        ".globl call_wild\n"
        "call_wild:\n"
        "    .cfi_startproc\n    push %rbp\n    .cfi_def_cfa_offset 16\n"
        "    mov $0x123456789abcd0, %rbp\n    call *%rdi\n    pop %rbp\n    .cfi_def_cfa_offset 8\n    ret\n"
        "    .cfi_endproc\n");

static NOINLINE void by_frame_pointer(int depth)
{
    auto bytes = static_cast<volatile char *>(alloca(static_cast<size_t>(depth) * 16 + 16));
    bytes[0] = 1;
    call_bare(allocate);
    call_wild(allocate);
    if (depth > 0)
        by_frame_pointer(depth - 1);
}

static NOINLINE void undescribed(int round)
{
    by_frame_pointer(round % 5);
}

extern "C" void call_liar(void (*function)(void));

/* Says that its frame is half a megabyte. */
__asm__(".text\n"
        ".globl call_liar\n"
        "call_liar:\n"
        "    .cfi_startproc\n    push %rbp\n    .cfi_def_cfa_offset 0x80000\n"
        "    call *%rdi\n    pop %rbp\n    .cfi_def_cfa_offset 8\n    ret\n"
        "    .cfi_endproc\n");

static void *lie(void *)
{
    for (int i = 0; i < 3; i++)
        call_liar(allocate);
    return nullptr;
}

static NOINLINE void lying(int)
{
    pthread_t id;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    pthread_create(&id, &attributes, lie, nullptr);
    pthread_join(id, nullptr);
    lie(nullptr);
}

static NOINLINE void generated(int round)
{
    static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3}; /* call_bare() */
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page, code, sizeof(code));
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    reinterpret_cast<void (*)(void (*)())>(page)(round % 2 ? allocate : [] { descend(3); });
    munmap(page, 4096);
}

/* ---- code that goes ---- */

static const char *plugins;

static NOINLINE void unloading(int round)
{
    for (const char *name : {"plugin_one", "plugin_two"}) {
        std::string path = std::string(plugins) + "/target_" + name + ".so";
        void *plugin = dlopen(path.c_str(), RTLD_NOW);
        if (!plugin)
            _exit(3);
        reinterpret_cast<void (*)(int)>(dlsym(plugin, name))(1 + round % 3);
        dlclose(plugin);
    }
}

int main(int argc, char **argv)
{
    static const std::map<std::string, void (*)(int)> cases = {
        {"alloca", with_alloca},  {"aligned", aligned},
        {"large", large},         {"deep", deep},
        {"jump", jump},           {"exceptions", exceptions},
        {"callbacks", callbacks}, {"signals", signals},
        {"timers", timers},       {"coroutines", coroutines},
        {"threads", threads},     {"undescribed", undescribed},
        {"generated", generated}, {"lying", lying},
        {"unloading", unloading},
    };
    plugins = argc > 2 ? argv[2] : ".";
    if (argc < 2 || cases.count(argv[1]) == 0)
        return 2;
    rounds(cases.at(argv[1]));
    puts("done");
}
