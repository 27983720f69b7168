/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program with an allocator of its own: what libraries allocate comes here, too, and past any tracer. */
#include "expect.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define EXPORTED __attribute__((visibility("default"))) /* as it is by default, but not in this project */

static _Alignas(16) char arena[1 << 20];
static size_t used;

EXPORTED void *malloc(size_t size)
{
    size_t at = __atomic_fetch_add(&used, (size + 31) & ~(size_t)15, __ATOMIC_RELAXED);
    if (at + size + 16 > sizeof(arena))
        return NULL;
    memcpy(arena + at, &size, sizeof(size));
    return arena + at + 16;
}

EXPORTED void free(void *block)
{
    (void)block;
}

EXPORTED void *calloc(size_t count, size_t size)
{
    return malloc(count * size); /* never used twice, so zero */
}

EXPORTED void *realloc(void *old, size_t size)
{
    size_t before = 0;
    char *block = malloc(size);
    if (old)
        memcpy(&before, (char *)old - 16, sizeof(before));
    return block && old ? memcpy(block, old, before < size ? before : size) : block;
}

static SITE void *own(void) { void *volatile block = malloc(100); return block; }
static SITE int by_socket(void) { volatile int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }

int main(void)
{
    for (int i = 0; i < 20; i++)
        MUST(own() && by_socket() >= 0);
    expect("own", "heap", 0, 0, 0);
    expect("by_socket", "socket", 20, 0, -1);
    return 0;
}
