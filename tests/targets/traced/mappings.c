/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mappings of every kind, each at a site of its own: anonymous and of a file, unmapped whole, in parts, several at once,
 * mapped over, grown, shrunk, moved. What is open is what is still mapped, to the page.
 *
 *     mappings [ROUNDS]      with ROUNDS: a service that leaks one a round
 */
#undef _FILE_OFFSET_BITS /* mmap() is mmap() then, not mmap64() under its name */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096L
#define ROUNDS 20

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static char *must(void *address)
{
    MUST(address != MAP_FAILED);
    return address;
}

static void unmap(void *address, long pages)
{
    MUST(munmap(address, (size_t)(pages * PAGE)) == 0);
}

#define MAPS(name)                                                                                            \
    static SITE char *name(long pages)                                                                        \
    {                                                                                                         \
        void *volatile address =                                                                              \
            mmap(NULL, (size_t)(pages * PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);    \
        return must(address);                                                                                 \
    }
MAPS(leaks_every_one)
MAPS(keeps_none)
MAPS(for_parts)
MAPS(for_several)
MAPS(for_holes)
MAPS(mapped_over)
MAPS(shrinks)
MAPS(grows)
MAPS(moves)
MAPS(moves_onto)
MAPS(overrun)
MAPS(split_by_move)

static SITE char *not_a_page(void)
{
    void *volatile address = mmap(NULL, 100, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return must(address);
}

static SITE char *of_a_file(int fd, off64_t offset)
{
    void *volatile address = mmap64(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, offset);
    return must(address);
}

static SITE char *lands_on(void *target, long pages)
{
    void *volatile address =
        mmap(target, (size_t)(pages * PAGE), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return must(address);
}

static SITE char *shared(void)
{
    void *volatile address = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return must(address);
}

static SITE char *second_view(char *of)
{
    void *volatile address = mremap(of, 0, 3 * PAGE, MREMAP_MAYMOVE);
    return must(address);
}

static SITE char *emptied_into(char *of, long pages)
{
    void *volatile address = mremap(of, (size_t)(pages * PAGE), (size_t)(pages * PAGE), MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    return must(address);
}
MAPS(emptied)

static SITE char *fails(void)
{
    MUST(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    MUST(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
    void *volatile address = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(address);
    MUST(munmap((char *)address + 1, PAGE) == -1 && errno == EINVAL);
    MUST(munmap(address, 0) == -1 && errno == EINVAL);
    MUST(mremap(address, PAGE, 0, MREMAP_MAYMOVE) == MAP_FAILED && errno == EINVAL);
    return address;
}

static char *resized(char *old, long old_pages, long pages, int flags)
{
    return must(mremap(old, (size_t)(old_pages * PAGE), (size_t)(pages * PAGE), flags));
}

static void plain(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        leaks_every_one(3);
        unmap(keeps_none(5), 5);
        not_a_page();
    }
    fails();
    expect("leaks_every_one", "mmap", ROUNDS, 0, ROUNDS * 3 * PAGE);
    expect("keeps_none", "mmap", ROUNDS, ROUNDS, 0);
    expect("not_a_page", "mmap", ROUNDS, 0, ROUNDS * PAGE);
    expect("fails", "mmap", 1, 0, PAGE);
}

static void files(const char *path)
{
    int fd = open(path, O_RDONLY);
    MUST(fd >= 0);
    for (int i = 0; i < 6; i++) {
        char *address = of_a_file(fd, i % 2 ? PAGE : 0);
        if (i >= 4)
            unmap(address, 2);
    }
    MUST(close(fd) == 0); /* a mapping does not need it any more */
    expect("of_a_file", "mmap", 6, 2, 8 * PAGE);
}

/* A page in the middle goes, then one end, then the other: the last one ends the mapping. */
static void parts(void)
{
    for (int i = 0; i < 4; i++) {
        char *address = for_parts(9);
        unmap(address + 4 * PAGE, 1);
        unmap(address, 2);
        if (i < 1)
            continue;
        unmap(address + 5 * PAGE, 4);
        if (i < 3)
            unmap(address + 2 * PAGE, 2);
    }
    expect("for_parts", "mmap", 4, 2, (6 + 2) * PAGE);
}

/* One call ends several mappings, others' pages between them, or nothing at all. */
static void several(void)
{
    char *room = for_several(40);
    unmap(room, 40);
    unmap(room, 40); /* nothing there */
    for (int i = 0; i < 10; i++)
        lands_on(room + i * 4 * PAGE, 2);
    unmap(room + PAGE, 34); /* half of the first, eight whole ones; the last one is left */
    expect("for_several", "mmap", 1, 1, 0);
    for (int i = 0; i < 3; i++) {
        char *address = for_holes(8);
        for (int k = 0; k < 8; k += 2)
            unmap(address + k * PAGE, 1);
        if (i == 0)
            unmap(address, 8); /* over its own holes */
    }
    expect("for_holes", "mmap", 3, 1, 2 * 4 * PAGE);
}

static void over(void)
{
    for (int i = 0; i < 5; i++) {
        char *address = mapped_over(6);
        lands_on(address + PAGE, 2);
        if (i == 0)
            lands_on(address, 6); /* ends both */
    }
    expect("mapped_over", "mmap", 5, 1, 4 * 4 * PAGE);
    expect("lands_on", "mmap", 10 + 6, 8 + 1, (1 + 2) * PAGE + (4 * 2 + 6) * PAGE);
}

/* Each keeps its birth, wherever it goes. */
static void remaps(void)
{
    char *address = shrinks(8);
    MUST(resized(address, 8, 3, 0) == address);
    expect("shrinks", "mmap", 1, 0, 3 * PAGE);

    address = grows(40);
    unmap(address + 2 * PAGE, 38); /* room to grow into */
    MUST(resized(address, 2, 30, 0) == address);
    MUST(resized(address + PAGE, 29, 35, 0) == address + PAGE); /* named by its middle */
    expect("grows", "mmap", 1, 0, 36 * PAGE);

    for (int i = 0; i < 3; i++) {
        address = moves(4);
        lands_on(address + 3 * PAGE, 1); /* in the way */
        address = resized(address, 3, 300, MREMAP_MAYMOVE);
        address[299 * PAGE] = 1;
        if (i == 0)
            unmap(address, 300);
    }
    expect("moves", "mmap", 3, 1, 2 * 300 * PAGE);
    expect("lands_on", "mmap", 16 + 3, 9, (1 + 2) * PAGE + (4 * 2 + 6) * PAGE + 3 * PAGE);

    /* Onto another mapping, and smaller on the way: what is behind it at both places is gone. */
    address = moves_onto(10);
    char *target = overrun(10);
    MUST(mremap(address, 10 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE) == target + PAGE);
    expect("moves_onto", "mmap", 1, 0, 4 * PAGE);
    expect("overrun", "mmap", 1, 0, 6 * PAGE);

    /* A part moves away: one mapping in two places, and ended at both. */
    for (int i = 0; i < 2; i++) {
        address = split_by_move(6);
        target = keeps_none(2);
        MUST(mremap(address + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
        unmap(address, 6);
        if (i == 0)
            unmap(target, 2);
    }
    expect("split_by_move", "mmap", 2, 1, 2 * PAGE);
    expect("keeps_none", "mmap", ROUNDS + 2, ROUNDS + 2, 0);
}

/* Those that leave the old mapping in place are mappings of their own. */
static void views(void)
{
    char *address = shared();
    unmap(second_view(address), 3);
    second_view(address);
    expect("shared", "mmap", 1, 0, 3 * PAGE);
    expect("second_view", "mmap", 2, 1, 3 * PAGE);
    emptied_into(emptied(4), 4);
    expect("emptied", "mmap", 1, 0, 4 * PAGE);
    expect("emptied_into", "mmap", 1, 0, 4 * PAGE);
}

/* A service that unmaps some of what it maps, and one line that never does. */
static void serve(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        leaks_every_one(3);
        unmap(keeps_none(5), 5);
        MUST(usleep(1000) == 0);
    }
    expect("leaks_every_one", "mmap", rounds, 0, rounds * 3 * PAGE);
    expect("keeps_none", "mmap", rounds, rounds, 0);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        serve(atoi(argv[1]));
        return 0;
    }
    plain();
    files(argv[0]);
    parts();
    several();
    over();
    remaps();
    views();
    return 0;
}
