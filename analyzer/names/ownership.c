/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/ownership.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Launchers are this short, even Debian's. */
#define LAUNCHER_LINES 40

static const char *const library_folders[] = {
    "/lib/",       "/lib32/",      "/lib64/",       "/libx32/",        "/usr/lib/",         "/usr/lib32/",
    "/usr/lib64/", "/usr/libx32/", "/usr/libexec/", "/usr/local/lib/", "/usr/local/lib64/", "/nix/store/",
    "/gnu/store/", "/snap/core",
};
static const char *const program_folders[] = {
    "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/", "/usr/games/",
};
/* Parts of the paths of code that compilers bring or fetch. */
static const char *const header_marks[] = {
    "/usr/include/", "/usr/lib/gcc/",     "/include/c++/", "/rustc/",
    "/rust/deps/",   "/.cargo/registry/", "/.cargo/git/",
};
static const char *const interpreters[] = {"perl*", "ruby*", "node", "nodejs",
                                           "java",  "php*",  "lua*", "guile*"};
static const char *const runtime_objects[] = {"libc.so*",     "libc-2*",      "ld-linux*",
                                              "ld-2*",        "libpthread*",  "libstdc++*",
                                              "libgcc_s.so*", "libjemalloc*", "libtcmalloc*"};
static const char *const startup_functions[] = {
    "_start", "_init", "_fini", "__libc_csu_init", "__libc_start_main", "__do_global_dtors_aux"};
/* First folders below site-packages of what commonly stands between an application and its resources. */
static const char *const frameworks[] = {
    "psycopg",
    "psycopg2",
    "psycopg_pool",
    "psycopg_c",
    "psycopg_binary",
    "asyncpg",
    "aiopg",
    "pg8000",
    "pymysql",
    "MySQLdb",
    "aiomysql",
    "redis",
    "aioredis",
    "pymemcache",
    "pylibmc",
    "elasticsearch",
    "opensearchpy",
    "pymongo",
    "motor",
    "cassandra",
    "sqlalchemy",
    "sqlmodel",
    "peewee",
    "tortoise",
    "databases",
    "alembic",
    "urllib3",
    "requests",
    "httpx",
    "httpcore",
    "h11",
    "h2",
    "aiohttp",
    "websockets",
    "anyio",
    "sniffio",
    "trio",
    "uvicorn",
    "gunicorn",
    "hypercorn",
    "uvloop",
    "starlette",
    "fastapi",
    "pydantic",
    "pydantic_core",
    "django",
    "flask",
    "bottle",
    "falcon",
    "pyramid",
    "sanic",
    "quart",
    "waitress",
    "cheroot",
    "werkzeug",
    "tornado",
    "twisted",
    "autobahn",
    "gevent",
    "greenlet",
    "eventlet",
    "celery",
    "kombu",
    "amqp",
    "billiard",
    "rq",
    "apscheduler",
    "dramatiq",
    "huey",
    "arq",
    "pika",
    "aio_pika",
    "aiormq",
    "aiokafka",
    "nats",
    "zmq",
    "paho",
    "ldap3",
    "paramiko",
    "asyncssh",
    "watchdog",
    "cachetools",
    "kafka",
    "confluent_kafka",
    "boto3",
    "botocore",
    "s3transfer",
    "grpc",
    "google",
    "opentelemetry",
    "sentry_sdk",
    "ddtrace",
    "prometheus_client",
    "click",
    "typer",
    "jinja2",
    "markupsafe",
    "tenacity",
    "jwt",
    "cryptography",
    "cffi",
    "numpy",
    "pandas",
    "pytest",
    "_pytest",
    "pluggy",
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool matches_any(const char *name, const char *const *globs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fnmatch(globs[i], name, 0) == 0)
            return true;
    return false;
}

/* `path` or its last part, since "libfoo.so*" is what people write. */
static bool glob_list_matches(const char *const *globs, const char *path)
{
    for (; path && globs && *globs; globs++)
        if (fnmatch(*globs, path, 0) == 0 || fnmatch(*globs, base_name(path), 0) == 0)
            return true;
    return false;
}

static bool is_below_any(const char *path, const char *const *folders, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (begins_with(path, folders[i]))
            return true;
    return false;
}

/* Behind "/lib/python3.11", "/lib64/python3.9", "/lib/python3.13t" or "/lib/python311.zip", or NULL. */
static const char *after_python_library(const char *path)
{
    for (const char *at = path; (at = strstr(at, "/lib")); at++) {
        const char *rest = at + 4;
        if (begins_with(rest, "64"))
            rest += 2;
        if (!begins_with(rest, "/python"))
            continue;
        rest += strlen("/python");
        size_t version = strspn(rest, "0123456789.");
        if (rest[version] == 't') /* free-threaded builds */
            version++;
        else if (begins_with(rest + version, "zip/"))
            version += strlen("zip");
        if (version > 0 && rest[version] == '/')
            return rest + version;
    }
    return NULL;
}

/* Behind "/site-packages/" or "/dist-packages/", or NULL. */
static const char *after_packages(const char *path)
{
    static const char *const folders[] = {"/site-packages/", "/dist-packages/"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        const char *at = strstr(path, folders[i]);
        if (at)
            return at + strlen(folders[i]);
    }
    return NULL;
}

bool is_python_interpreter(const char *path)
{
    const char *name = path ? base_name(path) : "";
    if (begins_with(name, "libpython"))
        return true;
    if (!begins_with(name, "python"))
        return false;
    name += strlen("python");
    name += strspn(name, "0123456789.");
    name += strspn(name, "dmt"); /* debug, pymalloc and free-threaded builds */
    return *name == '\0' || strcmp(name, " (deleted)") == 0 || strcmp(name, "-dbg") == 0;
}

bool is_string_program(const char *const *command)
{
    if (!command || !command[0])
        return false;
    if (command[0][0] != '-') /* the program's name */
        command++;
    for (; *command && (*command)[0] == '-' && (*command)[1]; command++) {
        const char *word = *command + 1;
        if (*word == '-')
            continue;
        for (; *word; word++) {
            if (*word == 'c')
                return true;
            if (*word == 'm')
                return false;
            if (*word == 'W' || *word == 'X') {
                if (!word[1] && command[1])
                    command++;
                break;
            }
        }
    }
    return false;
}

static bool is_in(const char *name, size_t length, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == length && strncmp(list[i], name, length) == 0)
            return true;
    return false;
}

/* What lies in a packages folder: the framework's own or any other. */
static enum owner package_owner(const char *inside)
{
    size_t length = strcspn(inside, "/");
    if (length > 3 && strncmp(inside + length - 3, ".py", 3) == 0)
        length -= 3;
    return is_in(inside, length, frameworks, COUNT(frameworks)) ? OWNER_FRAMEWORK : OWNER_LIBRARY;
}

/* "<string>" and the like. Libraries that compile code at run time name it after themselves. */
static enum owner nameless_owner(const struct ownership *rules, const char *function, const char *file)
{
    static const char *const generated[] = {"<frozen *", "<attrs generated *", "<decorator-gen-*",
                                            "<__array_function__ *", "<pydantic*"};
    if (matches_any(file, generated, COUNT(generated)))
        return OWNER_SYSTEM;
    if (strcmp(file, "<string>") != 0)
        return OWNER_USER;
    if (function && begins_with(function, "__create_fn__.")) /* of dataclasses */
        return OWNER_SYSTEM;
    return rules->strings_are_users || (function && strcmp(function, "<module>") == 0) ? OWNER_USER
                                                                                       : OWNER_STRING;
}

enum owner ownership_python(const struct ownership *rules, const char *function, const char *file)
{
    if (glob_list_matches(rules->mine, file))
        return OWNER_USER;
    if (glob_list_matches(rules->library, file))
        return OWNER_LIBRARY;
    if (!file || !file[0])
        return OWNER_SYSTEM;
    if (file[0] == '<')
        return nameless_owner(rules, function, file);
    const char *inside = after_packages(file);
    if (inside)
        return package_owner(inside);
    return after_python_library(file) ? OWNER_SYSTEM : OWNER_USER;
}

/* What a compiler puts into each module of its own accord. Cython's modules begin theirs so, and the user's own with "__pyx_". */
static bool is_helper(const char *function)
{
    return function && (is_in(function, strlen(function), startup_functions, COUNT(startup_functions)) || begins_with(function, "__Pyx_"));
}

/* Templates of the standard library, where no debug information says which header they are from. */
static bool is_standard_function(const char *function)
{
    static const char *const scopes[] = {
        "std::",  "__gnu_cxx::", "__cxxabiv1::", "operator new", "operator delete",
        "core::", "alloc::",     "<alloc::",     "<core::"};
    for (size_t i = 0; function && i < COUNT(scopes); i++)
        if (begins_with(function, scopes[i]))
            return true;
    return false;
}

static bool is_header(const char *file)
{
    for (size_t i = 0; file && i < COUNT(header_marks); i++)
        if (strstr(file, header_marks[i]))
            return true;
    return false;
}

static bool is_below_prefix(const struct ownership *rules, const char *module)
{
    size_t length = rules->prefix ? strlen(rules->prefix) : 0;
    return rules->prefix && strncmp(module, rules->prefix, length) == 0 &&
           begins_with(module + length, "/lib");
}

static bool is_program(const struct ownership *rules, const char *module)
{
    return rules->program && strcmp(rules->program, module) == 0;
}

static enum owner object_owner(const struct ownership *rules, const char *module)
{
    if (!module || module[0] != '/') /* the vDSO, code made at run time */
        return OWNER_RUNTIME;
    const char *name = base_name(module), *inside = after_packages(module);
    if (is_python_interpreter(module) || matches_any(name, runtime_objects, COUNT(runtime_objects)))
        return OWNER_RUNTIME;
    if (inside)
        return package_owner(inside);
    if (is_below_any(module, program_folders, COUNT(program_folders))) {
        bool interpreter = matches_any(name, interpreters, COUNT(interpreters));
        return is_program(rules, module) && !interpreter ? OWNER_USER : OWNER_SYSTEM;
    }
    if (is_program(rules, module))
        return OWNER_USER;
    if (after_python_library(module) || is_below_prefix(rules, module) ||
        is_below_any(module, library_folders, COUNT(library_folders)))
        return OWNER_SYSTEM;
    return OWNER_USER;
}

enum owner ownership_native(const struct ownership *rules, const char *function, const char *file,
                            const char *module)
{
    bool standard = is_header(file) || (!file && is_standard_function(function));
    if (glob_list_matches(rules->mine, file) || (!standard && glob_list_matches(rules->mine, module)))
        return OWNER_USER;
    if (glob_list_matches(rules->library, file) || glob_list_matches(rules->library, module))
        return OWNER_LIBRARY;
    enum owner owner = object_owner(rules, module);
    if (owner != OWNER_USER)
        return owner;
    if (is_helper(function))
        return OWNER_RUNTIME;
    return standard ? OWNER_SYSTEM : OWNER_USER;
}

bool is_installed_program(const struct ownership *rules, const char *file, const char *module)
{
    static const char local[] = "/usr/local/";
    if (!module || !is_program(rules, module) || begins_with(module, local) || is_python_interpreter(module))
        return false;
    if (glob_list_matches(rules->mine, file) || glob_list_matches(rules->mine, module))
        return false;
    return !matches_any(base_name(module), interpreters, COUNT(interpreters)) &&
           (is_below_any(module, program_folders, COUNT(program_folders)) ||
            is_below_any(module, library_folders, COUNT(library_folders)));
}

bool is_launcher(const char *function, const char *file, uint32_t line, const char *inner)
{
    if (!function || strcmp(function, "<module>") != 0 || !file || !inner || line > LAUNCHER_LINES)
        return false;
    const char *name = base_name(file);
    if (strchr(name, '.') || !after_packages(inner))
        return false;
    size_t folder = (size_t)(name - file);
    if (folder < 5 || strncmp(name - 5, "/bin/", 5) != 0)
        return false;
    return strncmp(file, inner, folder - 4) == 0; /* the same installation: PREFIX/bin and PREFIX/lib */
}

bool is_spawned(const char *function, const char *file, const char *inner)
{
    static const char *const mains[] = {"spawn.py", "forkserver.py", "resource_tracker.py"};
    static const char folder[] = "/multiprocessing/";
    if (!function || strcmp(function, "<module>") != 0 || !file || strcmp(file, "<string>") != 0 || !inner)
        return false;
    const char *rest = after_python_library(inner), *name = base_name(inner);
    return rest && begins_with(rest, folder) && rest + strlen(folder) == name && is_in(name, strlen(name), mains, COUNT(mains));
}

unsigned long package_length(const char *file)
{
    if (!file || file[0] == '<')
        return 0;
    const char *inside = after_packages(file);
    if (inside)
        return (unsigned long)(inside - file) + strcspn(inside, "/");
    const char *rest = after_python_library(file), *slash = strrchr(file, '/');
    if (rest)
        return (unsigned long)(rest - file);
    return slash ? (unsigned long)(slash - file) : 0;
}
