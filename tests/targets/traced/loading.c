/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that are looked for by name in libraries loaded by name.
 *
 *     loading libpq ONE [TWO]     two libpqs, which are not the same, in one process
 *     loading rounds LIBPQ PLUGIN loads both, uses them, and unloads them, many times
 *     loading plugin PLUGIN       loads it with RTLD_DEEPBIND, which finds libc and libpq before anybody else
 *     loading python LIBPYTHON    an interpreter that comes late
 */
#include "expect.h"

#include <dlfcn.h>
#include <libpq-fe.h>
#include <string.h>
#include <sys/socket.h>

#define OPENED 6
#define CLOSED 2
#define ROUNDS 1000

struct libpq {
    PGconn *(*connect)(const char *conninfo);
    ConnStatusType (*status)(const PGconn *conn);
    void (*finish)(PGconn *conn);
    PQconninfoOption *(*defaults)(void);
    void (*free_options)(PQconninfoOption *options);
};

static void *load(const char *path, int mode)
{
    void *library = dlopen(path, mode);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(99);
    }
    return library;
}

static void *look_up(void *library, const char *name)
{
    dlerror();
    void *function = dlsym(library, name);
    MUST(function && !dlerror());
    MUST(dlsym(library, name) == function); /* the same address each time */
    return function;
}

static struct libpq find_libpq(void *library)
{
    struct libpq libpq;
    *(void **)&libpq.connect = look_up(library, "PQconnectdb");
    *(void **)&libpq.status = look_up(library, "PQstatus");
    *(void **)&libpq.finish = look_up(library, "PQfinish");
    *(void **)&libpq.defaults = look_up(library, "PQconndefaults");
    *(void **)&libpq.free_options = look_up(library, "PQconninfoFree");
    return libpq;
}

static SITE PGconn *by_one(const struct libpq *libpq) { PGconn *c = libpq->connect(""); return c; }
static SITE PGconn *by_two(const struct libpq *libpq) { PGconn *c = libpq->connect(""); return c; }

static void connects(const struct libpq *libpq, PGconn *(*site)(const struct libpq *), const char *name)
{
    for (int i = 0; i < OPENED; i++) {
        PGconn *conn = site(libpq);
        MUST(libpq->status(conn) == CONNECTION_OK);
        if (i < CLOSED)
            libpq->finish(conn);
    }
    expect(name, "pgconn", OPENED, CLOSED, 0);
    expect(name, "connection", OPENED, CLOSED, 0);
}

/* The first option's label: in the second libpq it reads otherwise. */
static const char *label_of(const struct libpq *libpq)
{
    static char label[64];
    PQconninfoOption *options = libpq->defaults();
    snprintf(label, sizeof(label), "%s", options[0].label);
    libpq->free_options(options);
    return label;
}

/* What is nowhere must not be found, whatever was put before it. */
static void not_there(void *library)
{
    dlerror();
    MUST(!dlsym(library, "PQchangePassword") && dlerror());
    MUST(!dlsym(RTLD_DEFAULT, "PQchangePassword") && dlerror());
    MUST(!dlsym(library, "no_such_function") && dlerror());
    MUST(!dlvsym(library, "PQexec", "NO_SUCH_VERSION") && dlerror());
}

static void two_libpqs(const char *one, const char *two)
{
    void *library = load(one, RTLD_NOW | RTLD_LOCAL), *other = two ? load(two, RTLD_LAZY | RTLD_LOCAL) : NULL;
    struct libpq libpq = find_libpq(library);
    not_there(library);
    connects(&libpq, by_one, "by_one");
    MUST(strcmp(label_of(&libpq), "Database-Service") == 0);
    if (other) {
        struct libpq second = find_libpq(other);
        MUST(second.connect != libpq.connect);
        connects(&second, by_two, "by_two");
        MUST(strcmp(label_of(&second), "Database-SErvice") == 0);
        MUST(strcmp(label_of(&libpq), "Database-Service") == 0);
    }
}

static SITE PQconninfoOption *in_rounds(const struct libpq *libpq) { PQconninfoOption *o = libpq->defaults(); return o; }

static void plugin_once(const char *path)
{
    void (*leak)(int);
    void *library = load(path, RTLD_NOW | RTLD_LOCAL);
    *(void **)&leak = look_up(library, "plugin_one");
    leak(2);
    MUST(dlclose(library) == 0);
}

static void rounds(const char *path, const char *plugin)
{
    for (int i = 0; i < ROUNDS; i++) {
        plugin_once(plugin);
        if (i % 5)
            continue;
        void *library = load(path, RTLD_NOW | RTLD_LOCAL);
        struct libpq libpq = find_libpq(library);
        PQconninfoOption *options = in_rounds(&libpq);
        MUST(options);
        if (i % 2)
            libpq.free_options(options);
        MUST(dlclose(library) == 0);
    }
    expect("in_rounds", "pgconninfo", ROUNDS / 5, ROUNDS / 10, 0);
    expect("plugin_one", "heap", 2 * ROUNDS, 0, 2 * ROUNDS * 123);
}

/* malloc() found by its version is the one that everybody calls, in this library. */
static void by_version(void)
{
    void *libc = load("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    MUST(dlvsym(libc, "malloc", "GLIBC_2.2.5"));
    MUST(dlsym(RTLD_DEFAULT, "malloc") == (void *)malloc);
}

static void plugin(const char *path, int mode)
{
    void (*run)(int opened, int closed);
    void *library = load(path, mode | RTLD_LOCAL | RTLD_DEEPBIND);
    *(void **)&run = look_up(library, "plugin_deep");
    run(OPENED, CLOSED);
    expect("deep_malloc", "heap", OPENED, CLOSED, (OPENED - CLOSED) * 321);
    expect("deep_socket", "socket", OPENED, CLOSED, -1);
    expect("deep_connect", "pgconn", OPENED, CLOSED, -1);
    expect("deep_connect", "connection", OPENED, CLOSED, -1);
}

static void python(const char *path)
{
    static const char script[] = "import socket\n"
                                 "kept = []\n"
                                 "for number in range(9):\n"
                                 "    kept.append(socket.socket())\n"
                                 "for number in range(4):\n"
                                 "    kept.pop().close()\n";
    void *library = load(path, RTLD_NOW | RTLD_GLOBAL);
    void (*initialize)(int) = NULL;
    int (*run)(const char *) = NULL;
    *(void **)&initialize = look_up(library, "Py_InitializeEx");
    *(void **)&run = look_up(library, "PyRun_SimpleString");
    initialize(0);
    MUST(run(script) == 0);
    expect("<module>", "socket", 9, 4, -1);
}

int main(int argc, char **argv)
{
    MUST(argc >= 3 + (strcmp(argv[1], "rounds") == 0));
    by_version();
    if (strcmp(argv[1], "libpq") == 0)
        two_libpqs(argv[2], argc > 3 ? argv[3] : NULL);
    else if (strcmp(argv[1], "rounds") == 0)
        rounds(argv[2], argv[3]);
    else if (strcmp(argv[1], "plugin") == 0)
        plugin(argv[2], argc > 3 ? RTLD_LAZY : RTLD_NOW);
    else
        python(argv[2]);
    fflush(NULL);
    _exit(0);
}
