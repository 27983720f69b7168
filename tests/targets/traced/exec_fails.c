/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program whose exec fails goes on: blocks from before it are released after it, and new ones are made. What was written
 * out for the exec must not be taken for the last word.
 */
#include "expect.h"

#include <unistd.h>

#define BLOCKS 300

SITE static void *before_exec(size_t size)
{
    void *volatile block = malloc(size);
    return block;
}

SITE static void *after_exec(size_t size)
{
    void *volatile block = malloc(size);
    return block;
}

int main(void)
{
    static void *blocks[BLOCKS];
    char *const words[] = {(char *)(size_t)"nowhere", NULL};
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = before_exec(32);
    MUST(execv("/nowhere/to/be/found", words) == -1);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    for (int i = 0; i < 10; i++)
        MUST(after_exec(64) != NULL);
    expect("before_exec", "heap", BLOCKS, BLOCKS, 0);
    expect("after_exec", "heap", 10, 0, 640);
    return 0;
}
