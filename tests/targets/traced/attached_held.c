/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attached_held SHIM FOLDER: a thread stands still at the very call that writes to the trace, as it does where there is no processor for it,
 * until all is taken back and the number of the trace's descriptor may be the program's. What holds it is a filter of this thread's own.
 */
#include "attach.h"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static struct attach attach;
static pthread_barrier_t barrier;
static int listener;

static struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_writev, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static SITE void keeps(int count)
{
    static void *volatile kept;
    for (int i = 0; i < count; i++)
        kept = malloc(24);
    (void)kept;
}

/* More than its buffers hold. */
static void *is_held(void *argument)
{
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(*filter), .filter = filter};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    MUST(listener >= 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    keeps(3000);
    return argument;
}

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    MUST(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static int number_of_trace(void)
{
    char path[64], link[4096] = "";
    for (int fd = 0; fd < 1100; fd++) {
        sprintf(path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, link, sizeof(link) - 1);
        if (length > 6 && strncmp(link + length - 6, ".stray", 6) == 0)
            return fd;
    }
    return -1;
}

static struct seccomp_notif wait_until_it_is_held(void)
{
    struct seccomp_notif held = {0};
    MUST(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &held) == 0);
    return held;
}

/* It may write several times; the filter holds it each time. */
static void let_it_go(struct seccomp_notif held)
{
    for (;;) {
        struct seccomp_notif_resp response = {.id = held.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        MUST(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0);
        struct pollfd next = {.fd = listener, .events = POLLIN};
        MUST(poll(&next, 1, -1) == 1);
        if (!(next.revents & POLLIN)) /* the thread has gone */
            return;
        held = wait_until_it_is_held();
    }
}

int main(int argc, char **argv)
{
    pthread_t thread;
    struct stat status;
    MUST(argc == 3);
    attach.shim = argv[1];
    attach.folder = argv[2];
    FILE *own = tmpfile();
    MUST(own && pthread_barrier_init(&barrier, NULL, 2) == 0 && pthread_create(&thread, NULL, is_held, NULL) == 0);
    pthread_barrier_wait(&barrier);
    int before = count_descriptors();
    MUST(attach_begin(&attach) == 0);
    int number = number_of_trace();
    pthread_barrier_wait(&barrier);
    struct seccomp_notif held = wait_until_it_is_held();
    MUST(attach_end(&attach) >= 0);
    int taken = fcntl(fileno(own), F_DUPFD, number);
    let_it_go(held);
    MUST(pthread_join(thread, NULL) == 0);
    MUST(fstat(fileno(own), &status) == 0 && status.st_size == 0);
    MUST(close(taken) == 0 && count_descriptors() == before);
    MUST(attach_begin(&attach) == 0 && attach_end(&attach) == 0);
    MUST(count_descriptors() == before);
    return 0;
}
