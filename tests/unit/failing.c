/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "failing.h"

#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What stands behind: the address sanitizer's functions where it is there, else libc's. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__interceptor_malloc(size_t size) __attribute__((weak));
void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *block, size_t size) __attribute__((weak));

#define EXPORTED __attribute__((visibility("default")))

#define SPARED_MAX 4

static uint64_t fail_at, asked;
static struct {
    uintptr_t start, end;
} spared[SPARED_MAX];
static size_t spared_count;

static int spare_object(struct dl_phdr_info *object, size_t size, void *name)
{
    if (!strstr(object->dlpi_name, name))
        return 0;
    for (unsigned i = 0; i < object->dlpi_phnum && spared_count < SPARED_MAX; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X)) {
            spared[spared_count].start = object->dlpi_addr + segment->p_vaddr;
            spared[spared_count].end = spared[spared_count].start + segment->p_memsz;
            spared_count++;
        }
    }
    return 0;
}

void failing_spare(const char *library)
{
    char name[64] = "";
    strncat(name, library, sizeof(name) - 1);
    dl_iterate_phdr(spare_object, name);
}

void failing_arm(uint64_t n)
{
    fail_at = n;
    asked = 0;
}

uint64_t failing_count(void)
{
    return asked;
}

static bool fails(const void *caller)
{
    for (size_t i = 0; i < spared_count; i++)
        if ((uintptr_t)caller - spared[i].start < spared[i].end - spared[i].start)
            return false;
    if (++asked != fail_at)
        return false;
    errno = ENOMEM;
    return true;
}

static void *allocate(size_t size, const void *caller)
{
    if (fails(caller))
        return NULL;
    return __interceptor_malloc ? __interceptor_malloc(size) : __libc_malloc(size);
}

static void *resize(void *block, size_t size, const void *caller)
{
    if (fails(caller))
        return NULL;
    return __interceptor_realloc ? __interceptor_realloc(block, size) : __libc_realloc(block, size);
}

static char *copy(const char *text, size_t length, const void *caller)
{
    char *made = allocate(length + 1, caller);
    if (!made)
        return NULL;
    memcpy(made, text, length);
    made[length] = '\0';
    return made;
}

EXPORTED void *malloc(size_t size)
{
    return allocate(size, __builtin_return_address(0));
}

EXPORTED void *calloc(size_t count, size_t size)
{
    if (fails(__builtin_return_address(0)))
        return NULL;
    return __interceptor_calloc ? __interceptor_calloc(count, size) : __libc_calloc(count, size);
}

EXPORTED void *realloc(void *block, size_t size)
{
    return resize(block, size, __builtin_return_address(0));
}

EXPORTED void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return resize(block, bytes, __builtin_return_address(0));
}

EXPORTED char *strdup(const char *text)
{
    return copy(text, strlen(text), __builtin_return_address(0));
}

EXPORTED char *strndup(const char *text, size_t size)
{
    return copy(text, strnlen(text, size), __builtin_return_address(0));
}
