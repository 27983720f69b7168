/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose code a frame is: names/ownership.c, and the signs of names/closer.c. */
#include <criterion/criterion.h>
#include <string.h>

#include "names/closer.h"
#include "names/ownership.h"

struct python_case {
    const char *function, *file;
    enum owner owner;
};

Test(ownership, python)
{
    static const struct ownership rules = {.program = "/usr/bin/python3.11"};
    static const struct python_case cases[] = {
        {"f", "/srv/app/main.py", OWNER_USER},
        {"f", "main.py", OWNER_USER},
        {"f", "/srv/app/lib/helpers.py", OWNER_USER},
        {"f", "/srv/app/lib/python/helpers.py", OWNER_USER},
        {"f", "/usr/lib/myservice/main.py", OWNER_USER},
        {"f", "/usr/lib/python3.11/socket.py", OWNER_SYSTEM},
        {"f", "/usr/lib64/python3.9/socket.py", OWNER_SYSTEM},
        {"f", "/usr/local/lib/python3.13t/socket.py", OWNER_SYSTEM},
        {"f", "/opt/conda/lib/python3.10/asyncio/events.py", OWNER_SYSTEM},
        {"f", "/usr/lib/python311.zip/socket.py", OWNER_SYSTEM},
        {"f", "/usr/lib/python3/dist-packages/psycopg2/__init__.py", OWNER_FRAMEWORK},
        {"f", "/srv/app/.venv/lib/python3.11/site-packages/redis/client.py", OWNER_FRAMEWORK},
        {"f", "/srv/app/.venv/lib/python3.11/site-packages/shop/db.py", OWNER_LIBRARY},
        {"f", "/srv/app/.venv/lib/python3.11/site-packages/peewee.py", OWNER_FRAMEWORK},
        {"f", "/srv/app/.venv/lib/python3.11/site-packages/paramiko/client.py", OWNER_FRAMEWORK},
        {"f", "/srv/app/.venv/lib/python3.11/site-packages/twisted/internet/tcp.py", OWNER_FRAMEWORK},
        {"f", "/home/u/.local/lib/python3.8/site-packages/x.py", OWNER_LIBRARY},
        {"f", "<frozen importlib._bootstrap>", OWNER_SYSTEM},
        {"f", "<attrs generated init shop.Order>", OWNER_SYSTEM},
        {"f", "<template>", OWNER_USER},
        {"f", "<stdin>", OWNER_USER},
        {"<module>", "<string>", OWNER_USER},
        {"create_engine", "<string>", OWNER_STRING},
        {"__create_fn__.<locals>.__init__", "<string>", OWNER_SYSTEM},
        {"f", NULL, OWNER_SYSTEM},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(ownership_python(&rules, cases[i].function, cases[i].file), cases[i].owner, "%s",
                     cases[i].file);
    const struct ownership strings = {.strings_are_users = true};
    cr_expect_eq(ownership_python(&strings, "f", "<string>"), OWNER_USER);
}

struct native_case {
    const char *function, *file, *module;
    enum owner owner;
};

static void check_native(const struct ownership *rules, const struct native_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(ownership_native(rules, cases[i].function, cases[i].file, cases[i].module),
                     cases[i].owner, "%s %s in %s", cases[i].function, cases[i].file, cases[i].module);
}

Test(ownership, native_below_python)
{
    static const struct ownership rules = {.program = "/opt/py/bin/python3.12", .prefix = "/opt/py"};
    static const struct native_case cases[] = {
        {"f", NULL, "/opt/py/bin/python3.12", OWNER_RUNTIME},
        {"f", NULL, "/opt/py/lib/libpython3.12.so.1.0", OWNER_RUNTIME},
        {"f", NULL, "/usr/bin/python3.11", OWNER_RUNTIME},
        {"f", NULL, "/opt/py/lib/libssl.so.3", OWNER_SYSTEM},
        {"f", NULL, "/opt/py/lib/python3.12/lib-dynload/_socket.cpython-312-x86_64-linux-gnu.so",
         OWNER_SYSTEM},
        {"f", NULL, "/opt/py/lib/python3.12/site-packages/psycopg2/_psycopg.so", OWNER_FRAMEWORK},
        {"f", NULL, "/venv/lib/python3.12/site-packages/psycopg2_binary.libs/libpq-1.so", OWNER_LIBRARY},
        {"f", "/srv/app/fast.c", "/srv/app/fast.cpython-312-x86_64-linux-gnu.so", OWNER_USER},
        {"malloc", NULL, "/lib/x86_64-linux-gnu/libc.so.6", OWNER_RUNTIME},
        {"PQconnectdb", NULL, "/usr/lib/x86_64-linux-gnu/libpq.so.5", OWNER_SYSTEM},
        {NULL, NULL, "[vdso]", OWNER_RUNTIME},
        {NULL, NULL, NULL, OWNER_RUNTIME},
    };
    check_native(&rules, cases, sizeof(cases) / sizeof(cases[0]));
}

Test(ownership, native_program)
{
    static const struct ownership rules = {.program = "/usr/bin/shopd"};
    static const struct native_case cases[] = {
        {"main", NULL, "/usr/bin/shopd", OWNER_USER},
        {"_start", NULL, "/usr/bin/shopd", OWNER_RUNTIME},
        {"__Pyx_PyObject_Call", "fastlink.c", "/srv/app/fastlink.cpython-311-x86_64-linux-gnu.so", OWNER_RUNTIME},
        {"__pyx_pf_8fastlink_send", "fastlink.c", "/srv/app/fastlink.cpython-311-x86_64-linux-gnu.so", OWNER_USER},
        {"std::vector<int>::push_back", "/usr/include/c++/12/bits/stl_vector.h", "/usr/bin/shopd",
         OWNER_SYSTEM},
        {"std::vector<int>::push_back", NULL, "/usr/bin/shopd", OWNER_SYSTEM},
        {"alloc::raw_vec::grow", "/rustc/90b35a6/library/alloc/src/raw_vec.rs", "/usr/bin/shopd",
         OWNER_SYSTEM},
        {"f", NULL, "/home/u/plugin.so", OWNER_USER},
        {"f", NULL, "/usr/local/lib/libshop.so", OWNER_SYSTEM},
        {"f", NULL, "/usr/bin/other", OWNER_SYSTEM},
    };
    check_native(&rules, cases, sizeof(cases) / sizeof(cases[0]));
    static const struct ownership perl = {.program = "/usr/bin/perl"};
    cr_expect_eq(ownership_native(&perl, "main", NULL, "/usr/bin/perl"), OWNER_SYSTEM);
}

Test(ownership, programs_that_the_system_brought)
{
    static const char *const yes[] = {"/usr/bin/git", "/bin/tar", "/usr/lib/gcc/x86_64-linux-gnu/12/cc1", NULL};
    static const char *const no[] = {"/usr/local/bin/shopd", "/srv/app/shopd", "/home/u/bin/make", "/usr/bin/perl", "/usr/bin/python3.11", NULL};
    for (size_t i = 0; yes[i]; i++)
        cr_expect(is_installed_program(&(struct ownership){.program = yes[i]}, NULL, yes[i]), "%s", yes[i]);
    for (size_t i = 0; no[i]; i++)
        cr_expect_not(is_installed_program(&(struct ownership){.program = no[i]}, NULL, no[i]), "%s", no[i]);
    static const char *const mine[] = {"/usr/bin/git", NULL};
    static const struct ownership rules = {.program = "/usr/bin/git", .mine = mine};
    cr_expect_not(is_installed_program(&rules, NULL, "/usr/bin/git"), "--mine says whose it is");
    cr_expect_not(is_installed_program(&rules, NULL, "/usr/lib/libz.so.1"));
    cr_expect_not(is_installed_program(&rules, NULL, NULL));
}

Test(ownership, globs_move_the_line)
{
    static const char *const mine[] = {"*/site-packages/shop/*", "libshop.so*", NULL};
    static const char *const library[] = {"/srv/app/vendor/*", "*", NULL};
    static const struct ownership rules = {.mine = mine, .library = library};
    cr_expect_eq(ownership_python(&rules, "f", "/v/lib/python3.11/site-packages/shop/db.py"), OWNER_USER);
    cr_expect_eq(ownership_python(&rules, "f", "/srv/app/vendor/x.py"), OWNER_LIBRARY);
    cr_expect_eq(ownership_native(&rules, "f", NULL, "/usr/lib/libshop.so.1"), OWNER_USER);
    cr_expect_eq(ownership_native(&rules, "f", NULL, "/srv/app/x.so"), OWNER_LIBRARY);
    cr_expect_eq(ownership_native(&rules, "f", "/usr/include/c++/12/vector", "/usr/lib/libshop.so.1"),
                 OWNER_LIBRARY, "a header is not mine because the object is");
}

Test(ownership, interpreters)
{
    static const char *const yes[] = {
        "/usr/bin/python3", "/usr/bin/python3.11",           "/opt/python3.13t",
        "python",           "/usr/lib/libpython3.11.so.1.0", "/usr/bin/python3.11 (deleted)"};
    static const char *const no[] = {"/usr/bin/pythonista", "/srv/python-app", "/usr/bin/python3-config",
                                     NULL};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        cr_expect(is_python_interpreter(yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        cr_expect_not(is_python_interpreter(no[i]), "%s", no[i]);
}

Test(ownership, programs_from_a_string)
{
    static const char *const yes[][6] = {{"python3", "-c", "f()"},
                                         {"python3", "-Bc", "f()"},
                                         {"python3", "-X", "dev", "-c", "f()"},
                                         {"python3", "-Wall", "-c", "f()"},
                                         {"-c", "f()"}};
    static const char *const no[][6] = {{"python3", "main.py", "-c"},
                                        {"python3", "-m", "shop", "-c"},
                                        {"python3", "-X", "c", "main.py"},
                                        {"python3"},
                                        {"python3", "-"},
                                        {NULL}};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        cr_expect(is_string_program(yes[i]), "%zu", i);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        cr_expect_not(is_string_program(no[i]), "%zu", i);
    cr_expect_not(is_string_program(NULL));
}

Test(ownership, launchers)
{
    const char *installed = "/app/.venv/lib/python3.11/site-packages/uvicorn/main.py";
    cr_expect(is_launcher("<module>", "/app/.venv/bin/uvicorn", 8, installed));
    cr_expect_not(is_launcher("<module>", "/app/.venv/bin/uvicorn", 8, "/app/main.py"));
    cr_expect_not(is_launcher("<module>", "/home/u/bin/job", 8, installed));
    cr_expect_not(is_launcher("<module>", "/app/.venv/bin/job.py", 8, installed));
    cr_expect_not(is_launcher("run", "/app/.venv/bin/uvicorn", 8, installed));
    cr_expect_not(is_launcher("<module>", "/app/.venv/bin/uvicorn", 800, installed));
    cr_expect_not(is_launcher("<module>", "/bin/x", 8, NULL));
}

Test(ownership, spawned)
{
    cr_expect(is_spawned("<module>", "<string>", "/usr/lib/python3.11/multiprocessing/spawn.py"));
    cr_expect(is_spawned("<module>", "<string>", "/opt/py/lib/python3.12/multiprocessing/resource_tracker.py"));
    cr_expect_not(is_spawned("<module>", "<string>", "/usr/lib/python3.11/multiprocessing/pool.py"));
    cr_expect_not(is_spawned("<module>", "<string>", "/srv/app/multiprocessing/spawn.py"));
    cr_expect_not(is_spawned("<module>", "job.py", "/usr/lib/python3.11/multiprocessing/spawn.py"));
    cr_expect_not(is_spawned("<module>", "<string>", NULL));
}

static void expect_package(const char *file, const char *package)
{
    size_t length = package_length(file);
    cr_expect(length == strlen(package) && memcmp(file, package, length) == 0, "%s: %zu", file, length);
}

Test(ownership, package_roots)
{
    expect_package("/v/lib/python3.11/site-packages/redis/client.py",
                   "/v/lib/python3.11/site-packages/redis");
    expect_package("/usr/lib/python3.11/asyncio/events.py", "/usr/lib/python3.11");
    expect_package("/srv/app/main.py", "/srv/app");
    expect_package("main.py", "");
    expect_package("<string>", "");
    cr_expect_eq(package_length(NULL), 0);
}

Test(closer, native_signs)
{
    const char *libc = "/lib/x86_64-linux-gnu/libc.so.6", *program = "/srv/app/shopd";
    cr_expect_eq(closer_native_sign("exit", libc, PYTHON_ROLE_NONE), SIGN_EXIT);
    cr_expect_eq(closer_native_sign("exit", program, PYTHON_ROLE_NONE), SIGN_NONE);
    cr_expect_eq(closer_native_sign("Py_FinalizeEx", "/usr/bin/python3.11", PYTHON_ROLE_NONE), SIGN_EXIT);
    cr_expect_eq(closer_native_sign("PyObject_CallFinalizer", NULL, PYTHON_ROLE_NONE), SIGN_DESTRUCTOR);
    cr_expect_eq(closer_native_sign(NULL, NULL, PYTHON_ROLE_DESTRUCTOR), SIGN_DESTRUCTOR);
    cr_expect_eq(closer_native_sign(NULL, NULL, PYTHON_ROLE_COLLECTOR), SIGN_COLLECTOR);
    cr_expect_eq(closer_native_sign("gc_collect_main", NULL, PYTHON_ROLE_NONE), SIGN_COLLECTOR);
    cr_expect_eq(closer_native_sign(NULL, NULL, PYTHON_ROLE_NONE), SIGN_NONE);
    cr_expect_eq(closer_native_sign("main", program, PYTHON_ROLE_NONE), SIGN_NONE);
}

Test(closer, python_signs)
{
    cr_expect_eq(closer_python_sign("Client.__del__"), SIGN_DESTRUCTOR);
    cr_expect_eq(closer_python_sign("__del__"), SIGN_DESTRUCTOR);
    cr_expect_eq(closer_python_sign("finalize._exitfunc"), SIGN_EXIT);
    cr_expect_eq(closer_python_sign("Client.close"), SIGN_NONE);
    cr_expect_eq(closer_python_sign("closing.__exit__"), SIGN_NONE);
    cr_expect_eq(closer_python_sign(NULL), SIGN_NONE);
}
