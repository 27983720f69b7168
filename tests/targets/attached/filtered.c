/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Works under a seccomp filter of its own: "strict", or "forbid", "lack" or "kill" and the number of the system call that is answered so. On
 * SIGTERM, which the strict one does not live to see, it says "sound".
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void stop(int number)
{
    stopping = number;
}

static void filter(unsigned action, unsigned number)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(steps) / sizeof(*steps), steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        abort();
}

static unsigned action_called(const char *name)
{
    if (strcmp(name, "kill") == 0)
        return SECCOMP_RET_KILL_PROCESS;
    return SECCOMP_RET_ERRNO | (strcmp(name, "lack") == 0 ? ENOSYS : EPERM);
}

int main(int argc, char **argv)
{
    signal(SIGTERM, stop);
    puts("ready");
    fflush(stdout);
    if (strcmp(argv[1], "strict") == 0)
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    else
        filter(action_called(argv[1]), (unsigned)atoi(argv[2]));
    while (!stopping)
        ;
    puts("sound");
    return 0;
}
