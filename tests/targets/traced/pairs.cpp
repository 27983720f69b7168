// SPDX-License-Identifier: LGPL-2.1-or-later
// User-defined pairs in every form of call: what arrives, what comes back, and what is counted.
#include <cerrno>
#include <csetjmp>
#include <cstring>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern "C" {
#include "expect.h"
}
#include "pairs_library.h"

typedef void closes(struct thing *);

static closes *const close_later = thing_close; // an address in data
static jmp_buf out;

extern "C" {

SITE void leaks(void)
{
    for (int i = 0; i < 40; i++) {
        struct thing *thing = thing_open();
        if (i % 4 != 0)
            thing_close(thing);
    }
}

SITE void closes_all(void)
{
    for (int i = 0; i < 40; i++)
        thing_close(thing_open());
}

SITE void fails(void)
{
    for (int i = 0; i < 10; i++) {
        errno = 0;
        MUST(thing_fails() == nullptr && errno == ENOENT);
    }
}

SITE void by_library(void)
{
    for (int i = 0; i < 10; i++) {
        struct thing *thing = thing_again();
        MUST(thing && errno == 77);
        thing_close(thing);
    }
}

SITE void recursive(void)
{
    for (int i = 0; i < 10; i++)
        thing_close(thing_open_deep(20));
}

SITE void boxes(void)
{
    for (int i = 0; i < 10; i++)
        box_close(box_open());
}

SITE void by_address(void)
{
    struct thing *(*volatile open)(void) = thing_open;
    closes *volatile direct = thing_close;
    MUST(direct == close_later);
    for (int i = 0; i < 10; i++)
        close_later(open());
}

static struct heap_of_words words(long sign)
{
    struct heap_of_words all;
    for (long i = 0; i < 3000; i++)
        all.words[i] = sign * i;
    return all;
}

SITE void many_arguments(void)
{
    struct thing *things[] = {
        thing_of_many(1, 2, 3, 4, 5, 6, 7, 8, "nine", 10, 11, 12),
        thing_of_most(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22),
        thing_of_odd(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23),
        thing_of_structure(words(1), 1.5, words(-1), 7),
        thing_of_doubles(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
        thing_of_any("iiiiiiiidddsss", 1, 2, 3, 4, 5, 6, 7, 8, 9.0, 10.0, 11.0, "text", "text", "text"),
        thing_of_any("dididididi", 1.0, 2, 3.0, 4, 5.0, 6, 7.0, 8, 9.0, 10),
        thing_of_any(""),
        thing_of_long_double(1.25L, 2),
    };
    for (struct thing *thing : things) {
        MUST(thing);
        thing_close(thing);
    }
}

static void close_now(struct thing **thing)
{
    MUST(*thing);
    thing_close(*thing);
    *thing = nullptr;
}

SITE void results(void)
{
    struct thing *thing = nullptr;
    MUST(result_double(&thing, 1.5) == 1.5);
    close_now(&thing);
    MUST(result_float(&thing, 2.5f) == 2.5f);
    close_now(&thing);
    struct pair_of_doubles doubles = result_doubles(&thing, 3.5);
    MUST(doubles.a == 3.5 && doubles.b == -3.5);
    close_now(&thing);
    struct mixed mixed = result_mixed(&thing, 4);
    MUST(mixed.a == 4 && mixed.b == -4.0);
    close_now(&thing);
    MUST(result_wide(&thing, 5) == ((__int128)5 << 64 | 5));
    close_now(&thing);
    struct large large = result_large(&thing, 6);
    MUST(large.words[0] == 6 && large.words[7] == -6);
    close_now(&thing);
    MUST(result_long_double(&thing, 7.25L) == 7.25L);
    close_now(&thing);
    _Complex long double complex = result_complex(&thing, 8.5L);
    MUST(__real__ complex == 8.5L && __imag__ complex == -8.5L);
    close_now(&thing);
}

__attribute__((target("avx"))) SITE void vectors(void)
{
    struct thing *thing = nullptr;
    double back[4];
    _mm256_storeu_pd(back, result_vector(&thing, _mm256_set_pd(4, 3, 2, 1)));
    MUST(back[0] == 2 && back[1] == 4 && back[2] == 6 && back[3] == 8);
    close_now(&thing);
}

__attribute__((target("avx512f"))) SITE void wide_vectors(void)
{
    struct thing *thing = nullptr;
    double back[8];
    _mm512_storeu_pd(back, result_wide_vector(&thing, _mm512_set_pd(8, 7, 6, 5, 4, 3, 2, 1)));
    for (int i = 0; i < 8; i++)
        MUST(back[i] == 2 * (i + 1));
    close_now(&thing);
}

SITE void numbers(void)
{
    for (int i = 0; i < 10; i++) {
        int number = -1;
        MUST(number_open(&number) == 0 && number == i);
    }
    for (int i = 0; i < 10; i++)
        if (number_close(i) < 0)
            MUST(errno == EBUSY);
}

static void throws(void *data)
{
    throw data;
}

SITE struct thing *open_deep(int depth)
{
    char room[200];
    memset(room, 1, sizeof(room));
    struct thing *thing = depth > 0 ? open_deep(depth - 1) : thing_open();
    asm volatile("" : : "r"(room) : "memory");
    return thing;
}

// Further in than the call that follows, but for one that is further in still.
static __attribute__((noinline)) void call_deep(void (*call)(void *), void *data)
{
    char room[2000];
    memset(room, 1, sizeof(room));
    thing_calling(call, data);
    asm volatile("" : : "r"(room) : "memory");
}

// After each exception the next call is an outermost one again.
SITE void thrown_through(void)
{
    for (int i = 0; i < 10; i++) {
        try {
            call_deep(throws, &i);
            MUST(false);
        } catch (void *data) {
            MUST(data == &i);
        }
        thing_close(i % 2 ? thing_open() : open_deep(50));
    }
}

static void jumps(void *)
{
    longjmp(out, 1);
}

SITE void jumped_out_of(void)
{
    for (volatile int i = 0; i < 10; i++) {
        if (setjmp(out) == 0)
            call_deep(jumps, nullptr);
        thing_close(i % 2 ? thing_open() : open_deep(50));
    }
}

static void opens_inside(void *data)
{
    *(struct thing **)data = thing_open();
}

// Of two calls of one kind, one inside the other, the outer one counts.
SITE void calls_back(void)
{
    for (int i = 0; i < 10; i++) {
        struct thing *inside = nullptr, *outside = thing_calling(opens_inside, &inside);
        thing_close(outside);
        free(inside);
    }
}

SITE void in_thread(void)
{
    for (int i = 0; i < 100; i++)
        thing_close(thing_open());
    thing_open();
}

static void *thread_main(void *)
{
    in_thread();
    return nullptr;
}

// With as small a stack as there is: no word above the first frame may be missed.
static void run_threads(void)
{
    pthread_attr_t attributes;
    pthread_t threads[4];
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 16384 * 2);
    for (pthread_t &thread : threads)
        MUST(pthread_create(&thread, &attributes, thread_main, nullptr) == 0);
    for (pthread_t &thread : threads)
        pthread_join(thread, nullptr);
}

static ucontext_t here, there;

SITE void at_stack_end(void)
{
    thing_close(thing_open());
}

}

// On a stack that ends with its page, and the next page is nobody's: what lies above the first frame is not there.
static void run_at_stack_end(void)
{
    const size_t page = 4096, size = 32 * page;
    char *stack = static_cast<char *>(mmap(nullptr, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    MUST(stack != MAP_FAILED && mprotect(stack + size, page, PROT_NONE) == 0 && getcontext(&there) == 0);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = size;
    there.uc_link = &here;
    makecontext(&there, at_stack_end, 0);
    MUST(swapcontext(&here, &there) == 0);
}

extern "C" {

SITE void in_child(void)
{
    thing_close(thing_open());
    thing_open();
}

}

static void run_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        in_child();
        expect("in_child", "thing", 2, 1, -1);
        expect("leaks", "thing", 0, 0, -1);
        _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child && status == 0);
}

// With an argument: nothing but a leak.
int main(int argc, char **)
{
    leaks();
    expect("leaks", "thing", 40, 30, -1);
    if (argc > 1)
        return 0;
    closes_all();
    expect("closes_all", "thing", 40, 40, -1);
    fails();
    expect("fails", "thing", 0, 0, -1);
    by_library();
    expect("by_library", "thing", 10, 10, -1);
    recursive();
    expect("recursive", "thing", 10, 10, -1);
    boxes();
    expect("boxes", "box", 10, 10, -1);
    expect("boxes", "thing", 0, 0, -1);
    by_address();
    expect("by_address", "thing", 10, 10, -1);
    many_arguments();
    expect("many_arguments", "thing", 9, 9, -1);
    results();
    expect("results", "thing", 8, 8, -1);
    if (__builtin_cpu_supports("avx")) {
        vectors();
        expect("vectors", "thing", 1, 1, -1);
    }
    if (__builtin_cpu_supports("avx512f")) {
        wide_vectors();
        expect("wide_vectors", "thing", 1, 1, -1);
    }
    numbers();
    expect("numbers", "number", 10, 5, -1);
    thrown_through();
    expect("thrown_through", "thing", 5, 5, -1);
    jumped_out_of();
    expect("jumped_out_of", "thing", 5, 5, -1);
    expect("open_deep", "thing", 10, 10, -1);
    calls_back();
    expect("calls_back", "thing", 10, 10, -1);
    run_threads();
    expect("in_thread", "thing", 404, 400, -1);
    run_at_stack_end();
    expect("at_stack_end", "thing", 1, 1, -1);
    run_child();
    return 0;
}
