/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Static types laid out as CPython's headers would, without needing them: test_python_types.c looks for their
 * destructors in this file, linked in every way that changes how pointers are stored. Prints the addresses
 * of the functions that are destructors, an empty line, and those of some that are not.
 */
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct type {
    intptr_t references;
    void *type;
    intptr_t size;
    const char *name;
    intptr_t basicsize, itemsize;
    void (*dealloc)(void *);
    void *unused[40];
    void (*del)(void *);
    uintptr_t version;
    void (*finalize)(void *);
};
_Static_assert(offsetof(struct type, del) == 376, "tp_del");
_Static_assert(offsetof(struct type, finalize) == 392, "tp_finalize");

struct slot {
    int id;
    void *function;
};

struct spec {
    const char *name;
    int basicsize, itemsize;
    unsigned flags;
    struct slot *slots;
};

struct method {
    const char *name;
    void (*function)(void *);
    int flags;
    const char *doc;
};

static volatile int calls;

static void connection_dealloc(void *object)
{
    calls += 1;
}

static void connection_finalize(void *object)
{
    calls += 2;
}

static void cursor_dealloc(void *object)
{
    calls += 3;
}

static void cursor_repr(void *object)
{
    calls += 4;
}

static void connection_close(void *object)
{
    calls += 5;
}

static struct type connection = {.references = 1,
                                 .name = "shop.extensions.connection",
                                 .basicsize = 64,
                                 .dealloc = connection_dealloc,
                                 .finalize = connection_finalize};
static struct slot cursor_slots[] = {{66, (void *)cursor_repr}, {52, (void *)cursor_dealloc}, {0, NULL}};
static struct spec cursor = {"shop.cursor", -16, 0, 0, cursor_slots};
static struct method methods[] = {{"close", connection_close, 4, NULL}, {NULL, NULL, 0, NULL}};

/* Keeps what only this test's reader looks at. */
static void *volatile keep[] = {&connection, &cursor, methods};

static int load_bias(struct dl_phdr_info *info, size_t size, void *ret_bias)
{
    *(uintptr_t *)ret_bias = info->dlpi_addr;
    return 1; /* the program itself comes first */
}

int main(void)
{
    uintptr_t bias = 0;
    dl_iterate_phdr(load_bias, &bias);
    printf("%lx %lx %lx\n", (unsigned long)((uintptr_t)connection_dealloc - bias),
           (unsigned long)((uintptr_t)connection_finalize - bias),
           (unsigned long)((uintptr_t)cursor_dealloc - bias));
    printf("%lx %lx\n", (unsigned long)((uintptr_t)cursor_repr - bias),
           (unsigned long)((uintptr_t)connection_close - bias));
    return keep[0] == NULL;
}
