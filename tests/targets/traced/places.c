/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * places HOW [FOLDER]: opens blocks and sockets, then makes its own surroundings hostile, and goes on:
 *     removed     FOLDER, where the trace is, goes away
 *     fsize       no file may become longer than 2 KiB
 *     nofile      no descriptor can be opened any more
 *     memory      the address space is as large as it may become
 *     chroot      FOLDER is the root now
 *     user        it is another user now, and stays alone
 *     exec        it executes itself with an empty environment
 */
#include "expect.h"

#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define BEFORE 3000
#define AFTER  20000

static SITE void *before(void) { void *volatile made = malloc(32); return made; }
static SITE void *after(void) { void *volatile made = malloc(48); return made; }
static SITE int by_socket(void) { volatile int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

static void limit(int resource, rlim_t to)
{
    struct rlimit limits = {0, 0};
    MUST(getrlimit(resource, &limits) == 0);
    limits.rlim_cur = to;
    MUST(setrlimit(resource, &limits) == 0);
}

/* A little more than it has, for itself. */
static rlim_t address_space(void)
{
    char line[128];
    FILE *file = fopen("/proc/self/statm", "r");
    MUST(file && fgets(line, sizeof(line), file));
    fclose(file);
    return (rlim_t)atol(line) * 4096 + (4 << 20);
}

static void become_hostile(const char *how, const char *folder, char **argv)
{
    if (strcmp(how, "removed") == 0)
        MUST(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    else if (strcmp(how, "fsize") == 0)
        limit(RLIMIT_FSIZE, 2 << 10);
    else if (strcmp(how, "nofile") == 0)
        limit(RLIMIT_NOFILE, 3);
    else if (strcmp(how, "memory") == 0)
        limit(RLIMIT_AS, address_space());
    else if (strcmp(how, "chroot") == 0)
        MUST(chroot(folder) == 0 && chdir("/") == 0);
    else if (strcmp(how, "user") == 0)
        MUST(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    else if (strcmp(how, "exec") == 0) {
        MUST(clearenv() == 0);
        execv("/proc/self/exe", (char *[]){argv[0], (char *)(uintptr_t)"after", NULL});
        exit(98);
    }
}

static void in_child(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(after() && after() ? 5 : 6);
    MUST(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "after") != 0) {
        for (int i = 0; i < BEFORE; i++)
            MUST(before());
        for (int i = 0; i < 10; i++)
            MUST(by_socket() >= 0);
        expect("before", "heap", BEFORE, 0, -1);
        expect("by_socket", "socket", 10, 0, -1);
    }
    become_hostile(how, argc > 2 ? argv[2] : "/", argv);
    for (int i = 0; i < AFTER; i++)
        MUST(after());
    in_child();
    expect("after", "heap", AFTER, 0, -1);
    return 0;
}
