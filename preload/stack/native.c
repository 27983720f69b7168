/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/native.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "gate.h"
#include "got.h"
#include "stack/modules.h"
#include "sys.h"

#define LIBRARY "libunwind.so.8"
#define NAME_OF(function) NAME_OF_EXPANDED(function)
#define NAME_OF_EXPANDED(function) #function

static struct {
    int (*backtrace)(void **, int);
    int (*getcontext)(unw_context_t *);
    int (*init_local)(unw_cursor_t *, unw_context_t *);
    int (*step)(unw_cursor_t *);
    int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
    void (*flush_cache)(unw_addr_space_t, unw_word_t, unw_word_t);
    int (*set_caching_policy)(unw_addr_space_t, unw_caching_policy_t);
    unw_addr_space_t *space;
} unw;

static bool active;
static bool shared; /* with the program: its imports stay as they are */

static void *symbol(void *library, const char *name)
{
    return dlsym(library, name);
}

static bool find_functions(void *library)
{
    *(void **)&unw.backtrace = symbol(library, "unw_backtrace");
    *(void **)&unw.getcontext = symbol(library, "_Ux86_64_getcontext"); /* what unw_getcontext() expands to */
    *(void **)&unw.init_local = symbol(library, NAME_OF(unw_init_local));
    *(void **)&unw.step = symbol(library, NAME_OF(unw_step));
    *(void **)&unw.get_reg = symbol(library, NAME_OF(unw_get_reg));
    *(void **)&unw.flush_cache = symbol(library, NAME_OF(unw_flush_cache));
    *(void **)&unw.set_caching_policy = symbol(library, NAME_OF(unw_set_caching_policy));
    unw.space = symbol(library, NAME_OF(unw_local_addr_space));
    return unw.backtrace && unw.getcontext && unw.init_local && unw.step && unw.get_reg && unw.flush_cache && unw.set_caching_policy &&
           unw.space;
}

/* libunwind tests guessed addresses by writing them into a pipe of its own: two descriptors more than we may keep, and a
 * loop that waits for errno to change. It gets a look that cannot fault instead. */
static int no_pipe(int pipe[2], int flags)
{
    return 0;
}

static ssize_t nothing_to_drain(int fd, void *buffer, size_t size)
{
    return 1;
}

static long test_address(long number, long fd, const void *address, long size)
{
    char byte;
    if (number == SYS_write && sys_peek(&byte, address, 1) == 1)
        return 1;
    errno = EFAULT;
    return -1;
}

/* It masks signals around each step, twice, for its caches' sake; a handler of ours never enters it a second time. */
static int no_mask(int how, const sigset_t *set, sigset_t *old)
{
    return 0;
}

/* Its pools are the tracer's, not the program's. */
static void *own_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *result = sys_mmap(size, protection, flags, fd, offset);
    return result ? result : MAP_FAILED;
}

static int own_munmap(void *address, size_t size)
{
    return sys_munmap(address, size);
}

static void replace_imports(const struct link_map *library)
{
    got_replace(library, "mmap", (void *)own_mmap);
    got_replace(library, "munmap", (void *)own_munmap);
    got_replace(library, "sigprocmask", (void *)no_mask);
    got_replace(library, "dl_iterate_phdr", (void *)modules_iterate);
    got_replace(library, "pipe2", (void *)no_pipe);
    got_replace(library, "read", (void *)nothing_to_drain);
    got_replace(library, "syscall", (void *)test_address);
}

void native_init(void)
{
    shared = dlopen(LIBRARY, RTLD_LAZY | RTLD_NOLOAD) != NULL;
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library || !find_functions(library))
        return;
    if (!shared)
        replace_imports(library);
    unw.set_caching_policy(*unw.space, UNW_CACHE_PER_THREAD); /* no lock between threads */
    active = true;
}

bool native_active(void)
{
    return active;
}

const void *native_own_library(void)
{
    return active && !shared ? *(void **)&unw.backtrace : NULL;
}

size_t native_backtrace(void **addresses, size_t capacity)
{
    if (!active)
        return 0;
    uint32_t flags = shared ? gate_enter() : thread_self.flags; /* it may map memory for itself */
    int count = unw.backtrace(addresses, (int)capacity);
    gate_leave(flags);
    return count > 0 ? (size_t)count : 0;
}

size_t native_frame_addresses(void *const *addresses, size_t count, uint64_t *ret_cfa)
{
    unw_context_t context;
    unw_cursor_t cursor;
    unw_word_t ip, cfa;
    size_t found = 0;
    if (!active || unw.getcontext(&context) != 0 || unw.init_local(&cursor, &context) != 0)
        return 0;
    /* A frame's canonical address is its caller's stack pointer: read after the step that leaves it. */
    while (found < count && unw.get_reg(&cursor, UNW_REG_IP, &ip) == 0) {
        bool ours = ip == (unw_word_t)(uintptr_t)addresses[found];
        if (unw.step(&cursor) <= 0 || unw.get_reg(&cursor, UNW_REG_SP, &cfa) != 0)
            break;
        if (ours)
            ret_cfa[found++] = cfa;
    }
    return found;
}

void native_flush(void)
{
    if (active)
        unw.flush_cache(*unw.space, 0, 0);
}
