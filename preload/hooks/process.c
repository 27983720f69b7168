/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/wrap.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>

#include "hooks/environment.h"
#include "state/incarnation.h"

extern char **environ;

/* ---- ends ---- */

void stray_hook__exit(int status)
{
    incarnation_end(STRAY_ENDING_QUICK, status);
    REAL(_exit)(status);
    __builtin_unreachable();
}

void stray_hook__Exit(int status)
{
    incarnation_end(STRAY_ENDING_QUICK, status);
    REAL(_Exit)(status);
    __builtin_unreachable();
}

/* Its handlers still run; what they release is written through. */
void stray_hook_quick_exit(int status)
{
    incarnation_end(STRAY_ENDING_QUICK, status);
    REAL(quick_exit)(status);
    __builtin_unreachable();
}

/* The destructor says the last words. */
void stray_hook_exit(int status)
{
    incarnation_set_status(status);
    incarnation_end_begins(STRAY_ENDING_EXIT);
    REAL(exit)(status);
    __builtin_unreachable();
}

static stray_main *program_main;

static int main_then_end(int argc, char **argv, char **environment)
{
    int status = program_main(argc, argv, environment);
    incarnation_set_status(status);
    incarnation_end_begins(STRAY_ENDING_EXIT);
    return status;
}

/* The return from main is an exit() that no hook sees. */
int stray_hook___libc_start_main(stray_main *program, int argc, char **argv, void (*init)(void), void (*fini)(void),
                                 void (*rtld_fini)(void), void *stack_end)
{
    program_main = program;
    return REAL(__libc_start_main)(main_then_end, argc, argv, init, fini, rtld_fini, stack_end);
}

/* ---- jumps ---- */

/* Out of a signal handler that interrupted the tracer, or across a libpq call. */
#define JUMP(name)                                                                                                     \
    void stray_hook_##name(void *buffer, int value)                                                                    \
    {                                                                                                                  \
        gate_jump(arch_jump_target(buffer));                                                                           \
        REAL(name)(buffer, value);                                                                                     \
        __builtin_unreachable();                                                                                       \
    }
JUMP(longjmp)
JUMP(_longjmp)
JUMP(siglongjmp)
JUMP(__longjmp_chk)

/* ---- other programs ---- */

/* What every exec has in common: the trace is made whole before, and goes on if the exec fails. In a vfork child only the
 * environment is ours to touch. */
#define EXEC(environment, call)                                                                                        \
    do {                                                                                                               \
        bool there = environment_is_there(environment);                                                                \
        char *patched[there ? environment_room(environment) : 1];                                                      \
        char buffer[there ? environment_text_room(environment) : 1];                                                   \
        struct text store = TEXT(buffer);                                                                              \
        char *const *next = there ? environment_patch(&store, patched, (environment)) : (environment);                 \
        incarnation_before_exec();                                                                                     \
        int result = (call);                                                                                           \
        int kept = errno;                                                                                              \
        incarnation_exec_failed();                                                                                     \
        errno = kept;                                                                                                  \
        return result;                                                                                                 \
    } while (0)

int stray_hook_execve(const char *path, char *const argv[], char *const envp[])
{
    EXEC(envp, REAL(execve)(path, argv, next));
}

int stray_hook_execv(const char *path, char *const argv[])
{
    EXEC(environ, REAL(execve)(path, argv, next));
}

int stray_hook_execvp(const char *file, char *const argv[])
{
    EXEC(environ, REAL(execvpe)(file, argv, next));
}

int stray_hook_execvpe(const char *file, char *const argv[], char *const envp[])
{
    EXEC(envp, REAL(execvpe)(file, argv, next));
}

int stray_hook_fexecve(int fd, char *const argv[], char *const envp[])
{
    EXEC(envp, REAL(fexecve)(fd, argv, next));
}

/* The words of an execl() call, as an array. */
static unsigned count_words(va_list arguments)
{
    unsigned count = 1; /* the first is a named parameter */
    while (va_arg(arguments, char *))
        count++;
    return count;
}

#define COLLECT_WORDS(first)                                                                                           \
    va_list arguments;                                                                                                 \
    va_start(arguments, first);                                                                                        \
    unsigned count = (first) ? count_words(arguments) : 0;                                                             \
    va_end(arguments);                                                                                                 \
    char *argv[count + 1];                                                                                             \
    argv[0] = (char *)(uintptr_t)(first);                                                                              \
    va_start(arguments, first);                                                                                        \
    for (unsigned i = 1; i <= count; i++)                                                                              \
        argv[i] = va_arg(arguments, char *);

int stray_hook_execl(const char *path, const char *arg, ...)
{
    COLLECT_WORDS(arg)
    va_end(arguments);
    EXEC(environ, REAL(execve)(path, argv, next));
}

int stray_hook_execlp(const char *file, const char *arg, ...)
{
    COLLECT_WORDS(arg)
    va_end(arguments);
    EXEC(environ, REAL(execvpe)(file, argv, next));
}

int stray_hook_execle(const char *path, const char *arg, ...)
{
    COLLECT_WORDS(arg)
    char *const *environment = va_arg(arguments, char *const *);
    va_end(arguments);
    EXEC(environment, REAL(execve)(path, argv, next));
}
