/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Children that run in this memory with descriptors of their own: what they open, close and copy is none of this process's, by
 * whatever call they were made, and whether or not they jump.
 */
#include "expect.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT 4

static int kept[KEPT];
static jmp_buf place;

static SITE int keeps(void) { int fd = open("/dev/null", O_RDWR); MUST(fd >= 0); return fd; }
static SITE int opens_there(void) { int fd = open("/dev/null", O_RDONLY); return fd; }

static int in_child(void *unused)
{
    for (int i = 0; i < KEPT; i++)
        close(kept[i]);
    int fd = opens_there();
    dup2(fd, fd + 10);
    close(opens_there());
    _exit(0);
}

static void reap(pid_t pid)
{
    int status;
    MUST(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void by_vfork(void)
{
    pid_t pid = vfork();
    if (pid == 0)
        in_child(NULL);
    reap(pid);
}

static void by_vfork_and_jump(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        if (setjmp(place) == 0)
            longjmp(place, 1);
        in_child(NULL);
    }
    reap(pid);
}

/* A child of its own memory, of which no hook has told when it makes its first call: one that may wait. */
static void by_raw_fork(void)
{
    pid_t pid = (pid_t)syscall(SYS_fork);
    if (pid == 0) {
        ssize_t written = write(kept[0], "x", 1);
        _exit(written != 1);
    }
    reap(pid);
}

static void by_clone(int flags)
{
    static char stack[1 << 16] __attribute__((aligned(16)));
    reap(clone(in_child, stack + sizeof(stack), flags | SIGCHLD, NULL));
}

int main(void)
{
    for (int i = 0; i < KEPT; i++)
        kept[i] = keeps();
    by_vfork();
    by_vfork_and_jump();
    by_raw_fork();
    by_clone(CLONE_VM | CLONE_VFORK);
    by_clone(CLONE_VM);
    by_vfork();
    for (int i = 0; i < KEPT - 1; i++)
        close(kept[i]);
    expect("keeps", "file", KEPT, KEPT - 1, -1);
    expect("opens_there", "file", 0, 0, -1);
    return 0;
}
