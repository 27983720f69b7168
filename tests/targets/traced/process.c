/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process MODE: ways to end, to make children, to become another program. Every process says what must be
 * found in its own trace, by its pid.
 */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

extern char **environ;
static char *self;
static void *volatile kept[256];
static int kept_count;

static SITE void keeps(int times)
{
    for (int i = 0; i < times; i++)
        kept[kept_count++] = malloc(100);
}
static SITE void keeps_too(int times)
{
    for (int i = 0; i < times; i++)
        kept[kept_count++] = malloc(200);
}
static SITE int opens(int flags)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);
    MUST(fd >= 0);
    return fd;
}

static int reap(pid_t pid)
{
    int status;
    MUST(waitpid(pid, &status, 0) == pid);
    return status;
}

/* Ends. All keep ten blocks and end at once with status 7, or by a signal. */
static void *ends_from_a_thread(void *argument)
{
    exit(7);
    return argument;
}
static void *outlives_main(void *argument)
{
    usleep(20000);
    keeps_too(3);
    expect("keeps_too", "heap", 3, 0, 600);
    return argument;
}
static int ends(const char *how)
{
    pthread_t thread;
    keeps(10);
    expect("keeps", "heap", 10, 0, 1000);
    if (!strcmp(how, "return"))
        return 7;
    if (!strcmp(how, "exit"))
        exit(7);
    if (!strcmp(how, "_exit"))
        _exit(7);
    if (!strcmp(how, "_Exit"))
        _Exit(7);
    if (!strcmp(how, "quick_exit"))
        quick_exit(7);
    if (!strcmp(how, "thread_exit")) {
        MUST(pthread_create(&thread, NULL, ends_from_a_thread, NULL) == 0);
        for (;;)
            pause();
    }
    if (!strcmp(how, "pthread_exit")) { /* the process ends with its last thread, with status 0 */
        MUST(pthread_create(&thread, NULL, outlives_main, NULL) == 0);
        pthread_exit(NULL);
    }
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "segv"))
        raise(SIGSEGV);
    if (!strcmp(how, "term"))
        raise(SIGTERM);
    if (!strcmp(how, "kill"))
        raise(SIGKILL);
    return 99;
}

/* Three children, each with five blocks of its own, which free two of the parent's copies and close its socket. */
static void forks(void)
{
    keeps(10);
    int fd = opens(0);
    for (int n = 0; n < 3; n++) {
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0) {
            free(kept[0]);
            free(kept[1]);
            close(fd);
            keeps_too(5);
            opens(0);
            expect("keeps", "heap", 0, 0, 0);
            expect("keeps_too", "heap", 5, 0, 1000);
            expect("opens", "socket", 1, 0, 0);
            if (n == 0)
                _exit(0);
            if (n == 1)
                exit(0);
            return;
        }
        MUST(reap(pid) == 0);
    }
    free(kept[9]);
    expect("keeps", "heap", 10, 1, 900);
    expect("opens", "socket", 1, 0, 0);
}

/* A child of a child of a child, and the locks of a busy heap at the time of the fork. */
static volatile int stop;
static void *busy(void *argument)
{
    while (!stop) {
        void *volatile block = malloc(777);
        free(block);
    }
    return argument;
}
static void forks_deep(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, busy, NULL) == 0);
    for (int n = 0; n < 20; n++) {
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0) {
            pid_t inner = fork();
            MUST(inner >= 0);
            keeps(4);
            expect("keeps", "heap", 4, 0, 400);
            exit(inner == 0 ? 0 : reap(inner));
        }
        MUST(reap(pid) == 0);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    keeps_too(2);
    expect("keeps", "heap", 0, 0, 0);
    expect("keeps_too", "heap", 2, 0, 400);
}

/* Children in the parent's memory: what they close stays open here. */
static void vforks(void)
{
    volatile int fds[6];
    for (int i = 0; i < 6; i++)
        fds[i] = opens(0);
    for (int n = 0; n < 3; n++) {
        pid_t pid = vfork();
        MUST(pid >= 0);
        if (pid == 0) {
            close(fds[0]);
            close_range((unsigned)fds[1], (unsigned)fds[5], 0);
            if (n == 0)
                _exit(0);
            execl("/bin/true", "true", (char *)NULL);
            _exit(98);
        }
        MUST(reap(pid) == 0);
    }
    for (int i = 0; i < 6; i++)
        MUST(fcntl(fds[i], F_GETFD) >= 0);
    close(fds[5]);
    expect("opens", "socket", 6, 1, 0);
}

static void spawns(void)
{
    posix_spawn_file_actions_t actions;
    char *with_path[] = {(char[]){"/bin/true"}, NULL}, *without[] = {(char[]){"true"}, NULL};
    pid_t pid;
    int fd = opens(0);
    opens(SOCK_CLOEXEC);
    MUST(posix_spawn_file_actions_init(&actions) == 0 && posix_spawn_file_actions_addclose(&actions, fd) == 0);
    MUST(posix_spawn(&pid, with_path[0], &actions, NULL, with_path, environ) == 0 && reap(pid) == 0);
    MUST(posix_spawnp(&pid, without[0], &actions, NULL, without, environ) == 0 && reap(pid) == 0);
    MUST(posix_spawn(&pid, "/nosuch", NULL, NULL, with_path, environ) == ENOENT);
    MUST(system("true") == 0);
    FILE *pipe = popen("echo piped", "r");
    char line[16] = "";
    MUST(pipe && fgets(line, sizeof(line), pipe) && !strcmp(line, "piped\n") && pclose(pipe) == 0);
    MUST(fcntl(fd, F_GETFD) >= 0);
    expect("opens", "socket", 2, 0, 0);
}

/* Becomes itself again, as mode "became". What is close-on-exec is closed by that. */
static void becomes(const char *how)
{
    char *argv[] = {self, (char[]){"became"}, NULL}, *nothing[] = {NULL};
    char **environment = getenv("EMPTY_ENVIRONMENT") ? nothing : environ;
    keeps(6);
    opens(0);
    opens(SOCK_CLOEXEC);
    expect("keeps", "heap", 6, 0, 600);
    expect("opens", "socket", 2, 1, 0);
    MUST(execl("/nosuch", "nosuch", (char *)NULL) == -1 && errno == ENOENT); /* and nothing has ended */
    if (!strcmp(how, "execv"))
        execv(self, argv);
    if (!strcmp(how, "execve"))
        execve(self, argv, environment);
    if (!strcmp(how, "execvp"))
        execvp(self, argv);
    if (!strcmp(how, "execvpe"))
        execvpe(self, argv, environment);
    if (!strcmp(how, "execl"))
        execl(self, self, "became", (char *)NULL);
    if (!strcmp(how, "execlp"))
        execlp(self, self, "became", (char *)NULL);
    if (!strcmp(how, "execle"))
        execle(self, self, "became", (char *)NULL, environment);
    if (!strcmp(how, "fexecve"))
        fexecve(open(self, O_RDONLY | O_CLOEXEC), argv, environment);
    perror(how);
    _exit(98);
}
static void became(void)
{
    keeps_too(4);
    expect("keeps_too", "heap", 4, 0, 800);
}

int main(int argc, char **argv)
{
    MUST(argc >= 2);
    self = argv[0];
    if (argc == 3 && !strcmp(argv[1], "ends"))
        return ends(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "becomes"))
        becomes(argv[2]);
    else if (!strcmp(argv[1], "became"))
        became();
    else if (!strcmp(argv[1], "forks"))
        forks();
    else if (!strcmp(argv[1], "forks_deep"))
        forks_deep();
    else if (!strcmp(argv[1], "vforks"))
        vforks();
    else if (!strcmp(argv[1], "spawns"))
        spawns();
    else
        return 99;
    return 0;
}
