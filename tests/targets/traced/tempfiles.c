/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tempfiles INSIDE OUTSIDE [late]: temporary files and folders, made in every way and removed in every way, below the folder
 * INSIDE, which lies where temporary files do; OUTSIDE does not.
 */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif
extern int exchanging_rename(int old, const char *from, int new, const char *to, unsigned flags) __asm__("renameat2");

/* The table has a row for each: name both, whatever the headers make of them. */
extern int plain_open(const char *path, int flags, ...) __asm__("open");
extern int wide_open(const char *path, int flags, ...) __asm__("open64");
extern int plain_openat(int folder, const char *path, int flags, ...) __asm__("openat");

#define MADE 12

static const char *inside, *outside;
static int folder; /* `inside`, open */

static const char *path_in(const char *where, const char *name, int number)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s-%d", where, name, number);
    return path;
}

static char *template_of(const char *end)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/tmp-XXXXXX%s", inside, end);
    return path;
}

static void shut(int fd)
{
    MUST(fd >= 0 && close(fd) == 0);
}

#define EXCLUSIVE (O_CREAT | O_EXCL | O_RDWR)

static SITE void by_open(const char *path) { shut(plain_open(path, EXCLUSIVE, 0600)); }
static SITE void by_open64(const char *path) { shut(wide_open(path, EXCLUSIVE, 0600)); }
static SITE void by_openat(const char *name) { shut(plain_openat(folder, name, EXCLUSIVE, 0600)); }
static SITE char *by_mkstemp(void) { char *path = template_of(""); shut(mkstemp(path)); return path; }
static SITE char *by_mkstemps(void) { char *path = template_of(".csv"); shut(mkstemps(path, 4)); return path; }
static SITE char *by_mkostemp(void) { char *path = template_of(""); shut(mkostemp(path, O_CLOEXEC)); return path; }
static SITE char *by_mkostemps(void) { char *path = template_of(".csv"); shut(mkostemps(path, 4, O_CLOEXEC)); return path; }
static SITE char *by_mkdtemp(void) { char *path = mkdtemp(template_of("")); MUST(path); return path; }
static SITE void by_mkdir(const char *path) { MUST(mkdir(path, 0700) == 0); }
static SITE void by_mkdirat(const char *name) { MUST(mkdirat(folder, name, 0700) == 0); }

/* The ways to make one. Some are removed in the ways that go with each. */
static void ways_to_make(void)
{
    for (int i = 0; i < MADE; i++) {
        char name[32], link[64];
        snprintf(name, sizeof(name), "at-%d", i);
        const char *path = path_in(inside, "open", i);
        by_open(path);
        MUST(i >= 3 || unlink(path) == 0);
        path = path_in(inside, "open64", i);
        by_open64(path);
        MUST(i >= 4 || remove(path) == 0);
        by_openat(name);
        MUST(i >= 5 || unlinkat(folder, name, 0) == 0);
        path = by_mkstemp();
        MUST(i >= 2 || unlink(path) == 0);
        path = by_mkstemps();
        MUST(i >= 3 || unlink(path) == 0);
        path = by_mkostemp();
        MUST(i >= 4 || unlink(path) == 0);
        path = by_mkostemps();
        MUST(i >= 5 || unlink(path) == 0);
        path = by_mkdtemp();
        MUST(i >= 6 || rmdir(path) == 0);
        path = path_in(inside, "mkdir", i);
        by_mkdir(path);
        MUST(i >= 2 || remove(path) == 0);
        snprintf(link, sizeof(link), "folder-%d", i);
        by_mkdirat(link);
        MUST(i >= 1 || unlinkat(folder, link, AT_REMOVEDIR) == 0);
    }
    expect("by_open", "tempfile", MADE, 3, -1);
    expect("by_open64", "tempfile", MADE, 4, -1);
    expect("by_openat", "tempfile", MADE, 5, -1);
    expect("by_mkstemp", "tempfile", MADE, 2, -1);
    expect("by_mkstemps", "tempfile", MADE, 3, -1);
    expect("by_mkostemp", "tempfile", MADE, 4, -1);
    expect("by_mkostemps", "tempfile", MADE, 5, -1);
    expect("by_mkdtemp", "tempfile", MADE, 6, -1);
    expect("by_mkdir", "tempfile", MADE, 2, -1);
    expect("by_mkdirat", "tempfile", MADE, 1, -1);
}

static SITE void not_temporary(void)
{
    for (int i = 0; i < 4; i++) {
        shut(plain_open(path_in(inside, "shared", 0), O_CREAT | O_RDWR, 0600)); /* somebody else's, maybe */
        shut(plain_open(path_in(outside, "own", i), EXCLUSIVE, 0600));
        shut(plain_open(inside, O_TMPFILE | O_RDWR, 0600)); /* no name */
        MUST(plain_open(path_in(inside, "shared", 0), EXCLUSIVE, 0600) == -1 && errno == EEXIST);
        MUST(mkdir(path_in(inside, "public", i), 0755) == 0);
        MUST(unlink(path_in(outside, "own", i)) == 0);
        FILE *stream = tmpfile();
        MUST(stream && fclose(stream) == 0);
    }
    MUST(unlink((const char *)8) == -1 && errno == EFAULT && rename((const char *)8, "x") == -1 && errno == EFAULT);
    expect("not_temporary", "tempfile", 0, 0, -1);
}

static SITE void to_rename(const char *path) { shut(plain_open(path, EXCLUSIVE, 0600)); }

static void renames(void)
{
    for (int i = 0; i < 8; i++)
        to_rename(path_in(inside, "old", i));
    MUST(rename(path_in(inside, "old", 0), path_in(inside, "new", 0)) == 0);         /* stays */
    MUST(renameat(folder, "old-1", folder, "new-1") == 0);                           /* stays */
    MUST(exchanging_rename(folder, "old-2", AT_FDCWD, path_in(outside, "new", 2), 0) == 0); /* kept */
    MUST(rename(path_in(inside, "old", 3), path_in(outside, "new", 3)) == 0);        /* kept */
    MUST(rename(path_in(inside, "old", 4), path_in(inside, "new", 0)) == 0);         /* replaces */
    MUST(exchanging_rename(folder, "old-5", folder, "old-6", RENAME_EXCHANGE) == 0); /* both stay */
    MUST(rename(path_in(inside, "old", 7), path_in(inside, "nowhere/new", 7)) == -1);
    MUST(unlink(path_in(inside, "new", 1)) == 0);
    MUST(unlink(path_in(inside, "old", 5)) == 0);
    expect("to_rename", "tempfile", 8, 5, -1);
}

/* However a name is spelt. */
static SITE void spelt(const char *path) { shut(plain_open(path, EXCLUSIVE, 0600)); }

static void spellings(void)
{
    char path[PATH_MAX];
    MUST(chdir(inside) == 0);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), ".//./spelt-%d", i);
        spelt(path);
    }
    MUST(unlink("spelt-0") == 0 && unlink(path_in(inside, "spelt", 1)) == 0);
    snprintf(path, sizeof(path), "%s/public-0/../spelt-2", inside);
    MUST(unlink(path) == 0);
    MUST(chdir("/") == 0);
    expect("spelt", "tempfile", 4, 3, -1);
}

/* A file that is removed while it is open is gone all the same. */
static SITE int removed_open(void)
{
    char *path = template_of("");
    int fd = mkstemp(path);
    MUST(fd >= 0 && unlink(path) == 0);
    return fd;
}

static SITE void lock(const char *path) { shut(plain_open(path, EXCLUSIVE, 0600)); }

static void names_that_come_back(void)
{
    for (int i = 0; i < 5; i++)
        removed_open();
    expect("removed_open", "tempfile", 5, 5, -1);
    expect("removed_open", "file", 5, 0, -1);
    for (int i = 0; i < 50; i++) {
        lock(path_in(inside, "lock", 0));
        MUST(i == 49 || unlink(path_in(inside, "lock", 0)) == 0);
    }
    expect("lock", "tempfile", 50, 49, -1);
}

/* More than there is room for: every one counts. */
static SITE void one_of_many(const char *path) { MUST(mkdir(path, 0700) == 0); }

static void many(void)
{
    for (int i = 0; i < 6000; i++)
        one_of_many(path_in(inside, "many", i));
    for (int i = 0; i < 5990; i++)
        MUST(rmdir(path_in(inside, "many", i)) == 0);
    expect("one_of_many", "tempfile", 6000, 5990, -1);
}

/* A child removes what its parent made: no close of the child's, and found gone by the parent. */
static SITE void for_child(const char *path) { shut(plain_open(path, EXCLUSIVE, 0600)); }

static void child_removes(void)
{
    for (int i = 0; i < 6; i++)
        for_child(path_in(inside, "child", i));
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 4; i++)
            MUST(unlink(path_in(inside, "child", i)) == 0);
        expect("child_removes", "tempfile", 0, 0, -1);
        expect("for_child", "tempfile", 0, 0, -1);
        _exit(0);
    }
    int status;
    MUST(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    expect("for_child", "tempfile", 6, 4, -1);
}

static SITE void removed_at_exit(const char *path) { shut(plain_open(path, EXCLUSIVE, 0600)); }

static void at_the_end(void)
{
    for (int i = 0; i < 5; i++)
        MUST(unlink(path_in(inside, "exit", i)) == 0);
}

/* Long after paths were stored for everything that is made. */
static SITE void late(const char *path) { shut(plain_open(path, EXCLUSIVE, 0600)); }

static int only_late(void)
{
    for (int i = 0; i < 300; i++) {
        lock(path_in(inside, "lock", i));
        MUST(unlink(path_in(inside, "lock", i)) == 0);
    }
    for (int i = 0; i < 3; i++)
        late(path_in(inside, "late", i));
    expect("lock", "tempfile", 300, 300, -1);
    expect("late", "tempfile", 3, 0, -1);
    return 0;
}

int main(int argc, char **argv)
{
    MUST(argc == 3 || argc == 4);
    inside = argv[1];
    if (argc == 4)
        return only_late();
    outside = argv[2];
    folder = plain_open(inside, O_RDONLY | O_DIRECTORY);
    MUST(folder >= 0);
    ways_to_make();
    not_temporary();
    renames();
    spellings();
    names_that_come_back();
    child_removes();
    many();
    for (int i = 0; i < 5; i++)
        removed_at_exit(path_in(inside, "exit", i));
    MUST(atexit(at_the_end) == 0);
    expect("removed_at_exit", "tempfile", 5, 5, -1);
    return 0;
}
