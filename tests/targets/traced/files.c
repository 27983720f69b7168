/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * files FOLDER THREADS: every way to get a descriptor that is no socket, in each of THREADS threads, and some of them
 * closed. FOLDER is one that may be written to.
 */
#include "expect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#define OPENED 20 /* by each thread, at each place */
#define CLOSED 7

/* The table has a row for each: name both, whatever the headers make of them. */
extern int plain_open(const char *path, int flags, ...) __asm__("open");
extern int wide_open(const char *path, int flags, ...) __asm__("open64");
extern int plain_openat(int folder, const char *path, int flags, ...) __asm__("openat");
extern int wide_openat(int folder, const char *path, int flags, ...) __asm__("openat64");
extern int plain_creat(const char *path, mode_t mode) __asm__("creat");
extern int wide_creat(const char *path, mode_t mode) __asm__("creat64");
extern int plain_mkstemp(char *path) __asm__("mkstemp");
extern int wide_mkstemp(char *path) __asm__("mkstemp64");
extern int plain_mkstemps(char *path, int suffix) __asm__("mkstemps");
extern int wide_mkstemps(char *path, int suffix) __asm__("mkstemps64");
extern int plain_mkostemp(char *path, int flags) __asm__("mkostemp");
extern int wide_mkostemp(char *path, int flags) __asm__("mkostemp64");
extern int plain_mkostemps(char *path, int suffix, int flags) __asm__("mkostemps");
extern int wide_mkostemps(char *path, int suffix, int flags) __asm__("mkostemps64");
extern FILE *plain_fopen(const char *path, const char *mode) __asm__("fopen");
extern FILE *wide_fopen(const char *path, const char *mode) __asm__("fopen64");
extern FILE *plain_freopen(const char *path, const char *mode, FILE *stream) __asm__("freopen");
extern FILE *wide_freopen(const char *path, const char *mode, FILE *stream) __asm__("freopen64");
extern FILE *plain_tmpfile(void) __asm__("tmpfile");
extern FILE *wide_tmpfile(void) __asm__("tmpfile64");

static const char *folder;
static long threads;

/* A file of this thread's own, below `folder`. */
static const char *path_of(const char *name)
{
    static __thread char path[512];
    snprintf(path, sizeof(path), "%s/%s-%lx", folder, name, (unsigned long)pthread_self());
    return path;
}

static char *template_of(const char *end)
{
    static __thread char path[512];
    snprintf(path, sizeof(path), "%s/tmp-XXXXXX%s", folder, end);
    return path;
}

/* The mode must arrive: exactly where open() has one. */
static int with_mode(int fd, mode_t wanted)
{
    struct stat status;
    MUST(fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & 0777) == wanted);
    return fd;
}

/* Functions whose result is a descriptor. */
#define DESCRIPTORS(MAKE)                                                                                     \
    MAKE(open, plain_open("/dev/null", O_RDONLY))                                                             \
    MAKE(open_creating, with_mode(plain_open(path_of("a"), O_CREAT | O_RDWR, 0640), 0640))                    \
    MAKE(open_unnamed, with_mode(plain_open(folder, O_TMPFILE | O_RDWR, 0604), 0604))                         \
    MAKE(open64, wide_open("/dev/null", O_RDONLY))                                                            \
    MAKE(open64_creating, with_mode(wide_open(path_of("b"), O_CREAT | O_RDWR, 0600), 0600))                   \
    MAKE(openat, plain_openat(AT_FDCWD, "/dev/null", O_RDONLY))                                               \
    MAKE(openat_creating, with_mode(plain_openat(AT_FDCWD, path_of("c"), O_CREAT | O_RDWR, 0644), 0644))      \
    MAKE(openat64, wide_openat(AT_FDCWD, "/dev/null", O_RDONLY))                                              \
    MAKE(openat64_creating, with_mode(wide_openat(AT_FDCWD, path_of("d"), O_CREAT | O_RDWR, 0664), 0664))     \
    MAKE(creat, with_mode(plain_creat(path_of("e"), 0600), 0600))                                             \
    MAKE(creat64, with_mode(wide_creat(path_of("f"), 0600), 0600))                                            \
    MAKE(eventfd, eventfd(0, EFD_CLOEXEC))                                                                    \
    MAKE(epoll_create, epoll_create(1))                                                                       \
    MAKE(epoll_create1, epoll_create1(EPOLL_CLOEXEC))                                                         \
    MAKE(timerfd_create, timerfd_create(CLOCK_MONOTONIC, 0))                                                  \
    MAKE(signalfd, signalfd(-1, a_signal(), 0))                                                                           \
    MAKE(memfd_create, memfd_create("nothing", 0))                                                            \
    MAKE(pidfd_open, pidfd_open(getpid(), 0))                                                                 \
    MAKE(shm_open, shm_open("/stray-target-files", O_CREAT | O_RDWR, 0600))                                   \
    MAKE(mkstemp, plain_mkstemp(template_of("")))                                                             \
    MAKE(mkstemp64, wide_mkstemp(template_of("")))                                                            \
    MAKE(mkstemps, plain_mkstemps(template_of(".csv"), 4))                                                    \
    MAKE(mkstemps64, wide_mkstemps(template_of(".csv"), 4))                                                   \
    MAKE(mkostemp, plain_mkostemp(template_of(""), O_CLOEXEC))                                                \
    MAKE(mkostemp64, wide_mkostemp(template_of(""), O_CLOEXEC))                                               \
    MAKE(mkostemps, plain_mkostemps(template_of(".csv"), 4, O_CLOEXEC))                                       \
    MAKE(mkostemps64, wide_mkostemps(template_of(".csv"), 4, O_CLOEXEC))

/* A user has 128 of these at most. */
#define RARE(MAKE)                                                                                            \
    MAKE(inotify_init, inotify_init())                                                                        \
    MAKE(inotify_init1, inotify_init1(IN_CLOEXEC))                                                            \
    MAKE(fanotify_init, fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY))

#define STREAMS(MAKE)                                                                                         \
    MAKE(fopen, plain_fopen("/dev/null", "r"))                                                                \
    MAKE(fopen64, wide_fopen("/dev/null", "r"))                                                               \
    MAKE(tmpfile, plain_tmpfile())                                                                            \
    MAKE(tmpfile64, wide_tmpfile())

static const sigset_t *a_signal(void)
{
    static __thread sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    return &signals;
}

#define DESCRIPTOR_SITE(name, call) static SITE int by_##name(void) { int fd = call; MUST(fd >= 0); return fd; }
DESCRIPTORS(DESCRIPTOR_SITE)
RARE(DESCRIPTOR_SITE)

#define STREAM_SITE(name, call) static SITE FILE *by_##name(void) { FILE *stream = call; MUST(stream); return stream; }
STREAMS(STREAM_SITE)

static SITE DIR *by_opendir(void) { DIR *directory = opendir("/"); MUST(directory); return directory; }
static SITE FILE *by_popen(void) { FILE *stream = popen("exit 3", "r"); MUST(stream); return stream; }
static SITE void by_pipe(int ends[2]) { MUST(pipe(ends) == 0); }
static SITE void by_pipe2(int ends[2]) { MUST(pipe2(ends, O_CLOEXEC) == 0); }

/* Whatever fails leaves nothing behind. */
static void failures(void)
{
    MUST(plain_open("/nowhere/at/all", O_RDONLY) == -1 && errno == ENOENT);
    MUST(plain_openat(-5, "relative", O_RDONLY) == -1 && errno == EBADF);
    MUST(!plain_fopen("/nowhere/at/all", "r") && errno == ENOENT);
    MUST(!opendir("/dev/null") && errno == ENOTDIR);
    int first = by_signalfd();
    MUST(signalfd(first, a_signal(), 0) == first); /* changes it, makes none */
    MUST(close(first) == 0);
}

static void *open_and_close(void *nothing)
{
    for (int i = 0; i < OPENED; i++) {
#define DESCRIPTOR_CALL(name, call)                                                                           \
        do {                                                                                                  \
            int fd = by_##name();                                                                             \
            MUST(i >= CLOSED || close(fd) == 0);                                                              \
        } while (0);
        DESCRIPTORS(DESCRIPTOR_CALL)
#define STREAM_CALL(name, call)                                                                               \
        do {                                                                                                  \
            FILE *stream = by_##name();                                                                       \
            MUST(i >= CLOSED || fclose(stream) == 0);                                                         \
        } while (0);
        STREAMS(STREAM_CALL)
        DIR *directory = by_opendir();
        MUST(i >= CLOSED || closedir(directory) == 0);
        FILE *stream = by_popen();
        MUST(i >= CLOSED || pclose(stream) == 3 << 8);
        int ends[2];
        by_pipe(ends);
        MUST(i >= CLOSED || close(ends[i % 2]) == 0);
        by_pipe2(ends);
        MUST(i >= CLOSED || close(ends[i % 2]) == 0);
        failures();
    }
    return NULL;
}

static void open_rare(void)
{
    for (int i = 0; i < OPENED; i++) {
        RARE(DESCRIPTOR_CALL)
    }
}

/* The old descriptor goes, and a new one comes, often with the same number. */
static SITE FILE *to_reopen(void) { FILE *stream = plain_fopen("/dev/null", "r"); MUST(stream); return stream; }
static SITE FILE *by_freopen(FILE *stream) { stream = plain_freopen("/dev/zero", "r", stream); return stream; }
static SITE FILE *by_freopen64(FILE *stream) { stream = wide_freopen("/dev/zero", "r", stream); return stream; }
static SITE FILE *fails_to_reopen(FILE *stream) { stream = plain_freopen("/nowhere/at/all", "r", stream); return stream; }

static void reopen(void)
{
    for (int i = 0; i < 10; i++) {
        FILE *stream = by_freopen(to_reopen()), *wide = by_freopen64(to_reopen());
        MUST(stream && wide && fgetc(stream) == 0 && fgetc(wide) == 0);
        if (i < 4)
            MUST(fclose(stream) == 0 && fclose(wide) == 0);
    }
    MUST(!fails_to_reopen(to_reopen()) && errno == ENOENT);
    expect("to_reopen", "file", 21, 21, -1);
    expect("by_freopen", "file", 10, 4, -1);
    expect("by_freopen64", "file", 10, 4, -1);
    expect("fails_to_reopen", "file", 0, 0, -1);
}

/* What is given to a stream or to an open folder was opened before. */
static SITE int to_wrap(const char *path) { int fd = plain_open(path, O_RDONLY); MUST(fd >= 0); return fd; }

static void wrap(void)
{
    for (int i = 0; i < 10; i++) {
        FILE *stream = fdopen(to_wrap("/dev/null"), "r");
        DIR *directory = fdopendir(to_wrap("/"));
        MUST(stream && directory);
        if (i < 3)
            MUST(fclose(stream) == 0 && closedir(directory) == 0);
    }
    expect("to_wrap", "file", 20, 6, -1);
}

/* Copies are opens of their own; what they are put onto is closed. */
static SITE int copied(int fd) { int copy = dup(fd); return copy; }
static SITE int copied_onto(int fd, int target) { int copy = dup2(fd, target); return copy; }
static SITE int original(void) { int fd = plain_open("/dev/null", O_RDONLY); MUST(fd >= 0); return fd; }

static void copies(void)
{
    int one = original(), two = original();
    for (int i = 0; i < 5; i++)
        MUST(copied(one) >= 0);
    close(copied(two));
    MUST(copied(STDOUT_FILENO) >= 0); /* nobody saw it being opened, but a copy of it is ours */
    MUST(copied_onto(one, two) == two && copied_onto(one, two) == two && copied_onto(one, one) == one);
    MUST(copied_onto(-1, two) == -1 && errno == EBADF);
    expect("original", "file", 2, 1, -1);
    expect("copied", "file", 7, 1, -1);
    expect("copied_onto", "file", 2, 1, -1);
}

int main(int argc, char **argv)
{
    pthread_t workers[64];
    MUST(argc == 3);
    umask(0);
    folder = argv[1];
    threads = atol(argv[2]);
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    MUST(threads >= 1 && threads <= 64);
    for (long i = 0; i < threads; i++)
        MUST(pthread_create(&workers[i], NULL, open_and_close, NULL) == 0);
    for (long i = 0; i < threads; i++)
        MUST(pthread_join(workers[i], NULL) == 0);
    open_rare();
    reopen();
    wrap();
    copies();
    MUST(shm_unlink("/stray-target-files") == 0);
#define STATE(name, call)                                                                                     \
    if (strcmp(#name, "signalfd") != 0)                                                                       \
        expect("by_" #name, "file", threads * OPENED, threads * CLOSED, -1);
    DESCRIPTORS(STATE)
    STREAMS(STATE)
    expect("by_signalfd", "file", 2 * threads * OPENED, threads * (OPENED + CLOSED), -1);
    expect("by_opendir", "file", threads * OPENED, threads * CLOSED, -1);
    expect("by_popen", "file", threads * OPENED, threads * CLOSED, -1);
    expect("by_pipe", "file", 2 * threads * OPENED, threads * CLOSED, -1);
    expect("by_pipe2", "file", 2 * threads * OPENED, threads * CLOSED, -1);
#define STATE_RARE(name, call) expect("by_" #name, "file", OPENED, CLOSED, -1);
    RARE(STATE_RARE)
    return 0;
}
