/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A library that leaks and is then unloaded. NAME is given by the build: two of them are made. */
#include <stdlib.h>

void NAME(int times);

__attribute__((visibility("default"), noinline)) void NAME(int times)
{
    static void *volatile last;
    for (int i = 0; i < times; i++)
        last = malloc(123);
    (void)last;
}
