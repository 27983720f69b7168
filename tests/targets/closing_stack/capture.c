/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into an interpreter by the tests of names/python_types.c: writes the stack of every PQfinish()
 * and of every close() of a socket, and the modules it runs through, to $CLOSING_STACK_OUTPUT as text.
 *
 *   module START END OFFSET PATH     (hexadecimal; executable mappings only)
 *   close NAME LABEL ADDRESS...      (return addresses, innermost first; LABEL is $CLOSING_STACK_LABEL)
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#define DEPTH 128

__attribute__((visibility("default"))) void PQfinish(void *connection);
__attribute__((visibility("default"))) int close(int descriptor);

static __thread int busy;

static void write_modules(FILE *output)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return;
    char line[4352], permissions[5], path[4097];
    unsigned long start, end, offset;
    while (fgets(line, sizeof(line), maps)) {
        int fields = sscanf(line, "%lx-%lx %4s %lx %*s %*s %4096s", &start, &end, permissions, &offset, path);
        if (fields == 5 && permissions[2] == 'x' && path[0] == '/')
            fprintf(output, "module %lx %lx %lx %s\n", start, end, offset, path);
    }
    fclose(maps);
}

static void capture(const char *name)
{
    const char *path = getenv("CLOSING_STACK_OUTPUT"), *label = getenv("CLOSING_STACK_LABEL");
    if (!path || busy)
        return;
    busy = 1;
    FILE *output = fopen(path, "ae");
    if (output) {
        void *address[DEPTH];
        int count = unw_backtrace(address, DEPTH);
        write_modules(output);
        fprintf(output, "close %s %s", name, label ? label : "-");
        for (int i = 0; i < count; i++)
            fprintf(output, " %lx", (unsigned long)(uintptr_t)address[i]);
        fputc('\n', output);
        fclose(output);
    }
    busy = 0;
}

void PQfinish(void *connection)
{
    static void (*real)(void *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "PQfinish");
    capture("PQfinish");
    busy++;
    if (real)
        real(connection);
    busy--;
}

int close(int descriptor)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "close");
    struct stat status;
    if (!busy && fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode))
        capture("close");
    return real(descriptor);
}
