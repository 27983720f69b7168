/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a program can notice of a tracer: errno after every kind of call, its descriptors and threads, signals
 * that arrive inside allocations, descriptors closed under the tracer's feet. Prints the same traced and not.
 */
#include "expect.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define SHOW(call)                                                                                            \
    do {                                                                                                      \
        errno = 4321;                                                                                         \
        long result = (long)(call);                                                                           \
        printf("%s: %ld, errno %d\n", #call, result, errno);                                                  \
    } while (0)
#define SHOW_BLOCK(call)                                                                                      \
    do {                                                                                                      \
        errno = 4321;                                                                                         \
        void *volatile block = (call);                                                                        \
        printf("%s: %s, errno %d\n", #call, block ? "a block" : "none", errno);                               \
        errno = 4321;                                                                                         \
        free(block);                                                                                          \
        printf("free: errno %d\n", errno);                                                                    \
    } while (0)

static void errors(void)
{
    volatile size_t huge = SIZE_MAX / 2 + 1;
    volatile int no_fd = -1;
    struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), pair[2];
    SHOW_BLOCK(malloc(10));
    SHOW_BLOCK(malloc(huge));
    SHOW_BLOCK(calloc(2, 10));
    SHOW_BLOCK(calloc(huge, 2));
    SHOW_BLOCK(realloc(NULL, 10));
    SHOW_BLOCK(realloc(NULL, huge));
    SHOW_BLOCK(reallocarray(NULL, huge, 4));
    SHOW_BLOCK(aligned_alloc(64, 64));
    SHOW_BLOCK(memalign(64, huge));
    SHOW_BLOCK(valloc(10));
    SHOW_BLOCK(pvalloc(10));
    SHOW(malloc_usable_size(NULL));
    SHOW(connect(no_fd, (struct sockaddr *)&nowhere, sizeof(nowhere)));
    SHOW(connect(fd, (struct sockaddr *)&nowhere, sizeof(nowhere)));
    SHOW(connect(fd, (struct sockaddr *)&nowhere, 1));
    SHOW(accept(no_fd, NULL, NULL));
    SHOW(accept4(fd, NULL, NULL, 0));
    SHOW(accept4(fd, NULL, NULL, 0x40000000));
    SHOW(socket(9999, 1, 1));
    SHOW(socketpair(AF_INET, SOCK_STREAM, 0, pair));
    SHOW(dup(no_fd));
    SHOW(dup2(no_fd, 5));
    SHOW(dup2(fd, no_fd));
    SHOW(dup3(fd, fd, 0));
    SHOW(fcntl(no_fd, F_DUPFD, 0));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(shutdown(fd, SHUT_RDWR));
    SHOW(syscall(SYS_close, no_fd));
    SHOW(syscall(SYS_getppid) > 0);
    SHOW(close_range(10, 9, 0));
    SHOW(close(fd));
    SHOW(close(fd));
    SHOW(execl("/nosuch", "nosuch", (char *)NULL));
    SHOW(execl("/etc/hostname", "hostname", (char *)NULL));
}

/* An array that can be read in part only. */
static void environments_of_nothing(char **words)
{
    char good[] = "A=b", *bad_first[] = {(char *)1, NULL}, *bad_later[] = {good, (char *)-8, good, NULL};
    size_t page = (size_t)sysconf(_SC_PAGESIZE), many = 2 * page / sizeof(char *);
    char **endless = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(endless != MAP_FAILED && munmap((char *)endless + 2 * page, page) == 0);
    for (size_t i = 0; i < many; i++)
        endless[i] = good;
    SHOW(execve("/bin/true", words, bad_first));
    SHOW(execve("/bin/true", words, bad_later));
    SHOW(execve("/bin/true", words, endless));
    SHOW(execve("/bin/true", words, endless + many - 1));
    SHOW(execve("/bin/true", words, (char **)-8));
    MUST(munmap(endless, 2 * page) == 0);
}

/* Where the kernel answers EFAULT, or another error before it has looked, a tracer must not look either. */
static void addresses_of_nothing(void)
{
    char *volatile nothing = (char *)8;
    char *words[] = {NULL};
    int fd = socket(AF_INET, SOCK_STREAM, 0), standard_input = STDIN_FILENO;
    pid_t child = 0;
    SHOW(open(nothing, O_RDONLY));
    SHOW(open(nothing, O_RDWR | O_CREAT | O_EXCL, 0600));
    SHOW(unlink(nothing));
    SHOW(rename(nothing, nothing));
    SHOW(mkdir(nothing, 0700));
    SHOW(connect(fd, (struct sockaddr *)nothing, 16));
    SHOW(connect(standard_input, (struct sockaddr *)nothing, 16));
    SHOW(connect(-1, (struct sockaddr *)nothing, 16));
    SHOW(bind(fd, (struct sockaddr *)nothing, 16));
    SHOW(accept(fd, (struct sockaddr *)nothing, (socklen_t *)nothing));
    SHOW(recvmsg(fd, (struct msghdr *)nothing, 0));
    SHOW(sendmsg(fd, (struct msghdr *)nothing, 0));
    SHOW(readv(fd, (struct iovec *)nothing, 3));
    SHOW(poll((struct pollfd *)nothing, 3, 0));
    SHOW(pipe((int *)nothing));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)nothing));
    SHOW(waitpid(-1, (int *)nothing, WNOHANG));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_ERROR, nothing, (socklen_t *)nothing));
    SHOW(execve(nothing, words, environ));
    SHOW(execve("/bin/true", (char **)nothing, environ));
    SHOW(execve("/bin/true", words, (char **)nothing));
    SHOW(posix_spawn(&child, "/bin/true", NULL, NULL, words, (char **)nothing));
    environments_of_nothing(words);
    SHOW(close(fd));
}

static void own_figures(void)
{
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    MUST(status);
    while (fgets(line, sizeof(line), status))
        if (!strncmp(line, "Threads:", 8) || !strncmp(line, "SigBlk:", 7) || !strncmp(line, "SigIgn:", 7) || !strncmp(line, "SigCgt:", 7))
            fputs(line, stdout);
    fclose(status);
}

/* At most one more than without the tracer: printed for the test, on a line of its own. */
static void descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    MUST(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    fprintf(stderr, "descriptors: %d\n", count - 3); /* less . and .. and the folder's own */
}

static volatile sig_atomic_t alarms;
static void on_alarm(int number)
{
    int fd = dup(STDERR_FILENO); /* what a handler may call, and a tracer sees */
    if (fd >= 0)
        close(fd);
    alarms++;
}
static void *churn(void *argument)
{
    for (int i = 0; i < 400000 || alarms < 100; i++) {
        errno = 77;
        char *volatile block = malloc((size_t)(i % 500 + 1));
        block[0] = 1;
        free(block);
        if (errno != 77)
            return (void *)1;
    }
    return argument;
}
static void signals(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    pthread_t threads[3];
    MUST(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 3; i++)
        MUST(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        void *changed;
        MUST(pthread_join(threads[i], &changed) == 0);
        printf("errno changed: %s\n", changed ? "yes" : "no");
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    printf("alarms: many\n");
}

/* What daemons do first: then everything must go on, the numbers that open returns included. */
static SITE void after_closing_all(void)
{
    static void *volatile kept[25];
    for (int i = 0; i < 25; i++)
        kept[i] = malloc(11);
    (void)kept;
}
static void closes_everything(void)
{
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    int fd = open("/dev/null", O_RDONLY);
    printf("first descriptor after closing all: %d\n", fd);
    close(fd);
    after_closing_all();
}

static void *small_stack(void *argument)
{
    for (int i = 0; i < 5000; i++) {
        void *volatile block = malloc(9);
        free(block);
    }
    return argument;
}
static void threads_with_small_stacks(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    MUST(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 16384) == 0);
    for (int i = 0; i < 20; i++)
        MUST(pthread_create(&thread, &attributes, small_stack, NULL) == 0 && pthread_join(thread, NULL) == 0);
    printf("small stacks: fine\n");
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    errors();
    addresses_of_nothing();
    own_figures();
    descriptors();
    signals();
    threads_with_small_stacks();
    closes_everything();
    return 0;
}
