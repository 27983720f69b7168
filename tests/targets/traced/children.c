/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * children MODE: child processes of every kind, waited for in every way, or in none. What is said of a function is how
 * many children it made, and of how many nothing is left.
 */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define MANY 20

extern char **environ;

/* A child that was made here ends at once; the maker goes on. */
#define MAKER(name, call)                                                                                     \
    static SITE pid_t name(void)                                                                              \
    {                                                                                                         \
        pid_t pid = call;                                                                                     \
        MUST(pid >= 0);                                                                                       \
        if (pid == 0)                                                                                         \
            _exit(3);                                                                                         \
        return pid;                                                                                           \
    }
MAKER(by_fork, fork())
MAKER(by_Fork, _Fork())
MAKER(left_by_fork, fork())
MAKER(reaped_by_handler, fork())
MAKER(ignored, fork())

static SITE pid_t by_vfork(void)
{
    pid_t pid = vfork();
    MUST(pid >= 0);
    if (pid == 0) {
        free(malloc(100)); /* in the parent's memory */
        _exit(3);
    }
    return pid;
}
static SITE pid_t by_vfork_and_exec(void)
{
    pid_t pid = vfork();
    MUST(pid >= 0);
    if (pid == 0) {
        execl("/bin/false", "false", (char *)NULL);
        _exit(98);
    }
    return pid;
}
static SITE pid_t by_vfork_killed(void)
{
    pid_t pid = vfork();
    MUST(pid >= 0);
    if (pid == 0)
        kill(getpid(), SIGKILL);
    return pid;
}

static int clone_body(void *argument)
{
    free(malloc(100));
    return *(int *)argument;
}
static SITE pid_t by_clone(void)
{
    static char stack[65536] __attribute__((aligned(16)));
    int status = 3;
    pid_t pid = clone(clone_body, stack + sizeof(stack), SIGCHLD, &status);
    MUST(pid > 0);
    return pid;
}

static char *const words[] = {(char[]){"false"}, NULL};
static SITE pid_t by_posix_spawn(void)
{
    pid_t pid;
    MUST(posix_spawn(&pid, "/bin/false", NULL, NULL, words, environ) == 0);
    return pid;
}
static SITE pid_t by_posix_spawnp(void)
{
    pid_t pid;
    MUST(posix_spawnp(&pid, "false", NULL, NULL, words, environ) == 0);
    return pid;
}
static SITE void by_posix_spawn_without_pid(void)
{
    MUST(posix_spawn(NULL, "/bin/false", NULL, NULL, words, environ) == 0);
}
static SITE pid_t by_failing_spawn(void)
{
    pid_t pid = -5;
    MUST(posix_spawn(&pid, "/nosuch", NULL, NULL, words, environ) == ENOENT);
    return pid;
}
static SITE FILE *by_popen(void)
{
    FILE *stream = popen("exit 3", "r");
    MUST(stream);
    return stream;
}
static SITE FILE *by_popen_and_fclose(void)
{
    FILE *stream = popen("exit 3", "r");
    return stream;
}
static SITE FILE *left_by_popen(void)
{
    FILE *stream = popen("exit 3", "r");
    MUST(stream);
    return stream;
}
static SITE pid_t by_forkpty(void)
{
    int terminal;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    MUST(pid >= 0);
    if (pid == 0)
        _exit(3);
    MUST(close(terminal) == 0);
    return pid;
}

/* In each of the ways; what is not wanted is left out in some. */
static void reap(pid_t pid, int way)
{
    struct rusage usage;
    siginfo_t info;
    int status = 3 << 8;
    switch (way % 8) {
    case 0:
        MUST(waitpid(pid, &status, 0) == pid);
        break;
    case 1:
        MUST(waitpid(pid, NULL, 0) == pid);
        break;
    case 2:
        MUST(wait(&status) == pid);
        break;
    case 3:
        MUST(wait3(NULL, 0, &usage) == pid);
        break;
    case 4:
        MUST(wait4(pid, &status, 0, NULL) == pid);
        break;
    case 5:
        MUST(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == pid);
        MUST(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && info.si_pid == pid);
        break;
    case 6:
        MUST(waitid(P_PID, (id_t)pid, NULL, WEXITED) == 0);
        break;
    default:
        while (waitpid(pid, &status, WNOHANG | WUNTRACED) == 0)
            usleep(100);
    }
    MUST(WIFSIGNALED(status) || WEXITSTATUS(status) == 3 || WEXITSTATUS(status) == 1);
    MUST(waitpid(pid, &status, WNOHANG) == -1 && errno == ECHILD);
}

static void reaps(void)
{
    static const struct {
        const char *name;
        pid_t (*make)(void);
    } makers[] = {{"by_fork", by_fork},
                  {"by_Fork", by_Fork},
                  {"by_vfork", by_vfork},
                  {"by_vfork_and_exec", by_vfork_and_exec},
                  {"by_vfork_killed", by_vfork_killed},
                  {"by_clone", by_clone},
                  {"by_posix_spawn", by_posix_spawn},
                  {"by_posix_spawnp", by_posix_spawnp},
                  {"by_forkpty", by_forkpty}};
    for (unsigned i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
        for (int n = 0; n < MANY; n++)
            reap(makers[i].make(), n);
        expect(makers[i].name, "child", MANY, MANY, -1);
    }
    for (int n = 0; n < MANY; n++)
        MUST(pclose(by_popen()) == 3 << 8);
    expect("by_popen", "child", MANY, MANY, -1);
    for (int i = 0; i < MANY; i++)
        MUST(fclose(by_popen_and_fclose()) == 3 << 8);
    expect("by_popen_and_fclose", "child", MANY, MANY, -1);
    expect("by_popen_and_fclose", "file", MANY, MANY, -1);
    MUST(left_by_popen() != NULL);
    MUST(wait(NULL) > 0);
    expect("left_by_popen", "child", 1, 1, -1);
    by_posix_spawn_without_pid();
    MUST(wait(NULL) > 0);
    MUST(by_failing_spawn() == -5);
    expect("by_posix_spawn_without_pid", "child", 1, 1, -1);
    expect("by_failing_spawn", "child", 0, 0, -1);
}

/* Children that have ended, and that nobody waits for. */
static void leaves(int count)
{
    siginfo_t info;
    pid_t left[64];
    MUST(count <= 64);
    for (int i = 0; i < count; i++)
        left[i] = left_by_fork();
    reap(by_fork(), 0);
    for (int i = 0; i < count; i++)
        MUST(waitid(P_PID, (id_t)left[i], &info, WEXITED | WNOWAIT) == 0);
    expect("left_by_fork", "child", count, 0, -1);
    expect("by_fork", "child", 1, 1, -1);
}

static SITE FILE *piped(void)
{
    FILE *stream = popen("echo $$", "r");
    MUST(stream);
    return stream;
}

/* The same with streams, each of which was read to its end. */
static void leaves_streams(int count)
{
    siginfo_t info;
    int pid;
    for (int i = 0; i < count; i++) {
        FILE *stream = piped();
        MUST(fscanf(stream, "%d", &pid) == 1);
        MUST(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    }
    for (int i = 0; i < MANY; i++)
        MUST(pclose(by_popen()) == 3 << 8);
    expect("piped", "child", count, 0, -1);
    expect("by_popen", "child", MANY, MANY, -1);
}

static volatile sig_atomic_t reaped_count;
static void on_child(int signal)
{
    int kept = errno;
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        reaped_count++;
    errno = kept;
}
static void handles(void)
{
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    MUST(sigaction(SIGCHLD, &action, NULL) == 0);
    for (int i = 0; i < 10 * MANY; i++)
        reaped_by_handler();
    while (reaped_count < 10 * MANY)
        usleep(1000);
    expect("reaped_by_handler", "child", 10 * MANY, 10 * MANY, -1);
}

/* The kernel forgets them by itself. */
static void ignores(int no_wait)
{
    struct sigaction action = {.sa_handler = no_wait ? SIG_DFL : SIG_IGN, .sa_flags = no_wait ? SA_NOCLDWAIT : 0};
    MUST(sigaction(SIGCHLD, &action, NULL) == 0);
    for (int i = 0; i < MANY; i++)
        ignored();
    MUST(wait(NULL) == -1 && errno == ECHILD);
    expect("ignored", "child", MANY, MANY, -1);
}

/* It still runs when the parent ends. */
static SITE void leaves_running(void)
{
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        sleep(1);
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    MUST(argc >= 2);
    if (!strcmp(argv[1], "reaps")) {
        reaps();
    } else if (!strcmp(argv[1], "leaves")) {
        leaves(atoi(argv[2]));
    } else if (!strcmp(argv[1], "leaves_streams")) {
        leaves_streams(atoi(argv[2]));
    } else if (!strcmp(argv[1], "handles")) {
        handles();
    } else if (!strcmp(argv[1], "ignores")) {
        ignores(argc > 2);
    } else if (!strcmp(argv[1], "leaves_running")) {
        leaves_running();
        expect("leaves_running", "child", 1, 0, -1);
    } else if (!strcmp(argv[1], "daemon")) {
        MUST(daemon(0, 1) == 0);
        reap(by_fork(), 0);
        expect("by_fork", "child", 1, 1, -1);
    } else {
        return 99;
    }
    return 0;
}
