/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/process.h"
#include "commands/common.h"
#include "commands/options.h"
#include "commands/sanitizer.h"

#define SCRIPT_DEPTH 4 /* interpreters that are scripts themselves: the kernel's limit */
#define HEAD_SIZE    256

#if defined(__x86_64__)
#    define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#    define OWN_MACHINE EM_AARCH64
#else
#    error "which machine do programs here run on?"
#endif

/* 0, -ENOENT, or -EACCES for what is there and cannot be executed. */
static int executable(const char *path)
{
    struct stat info;
    if (stat(path, &info) < 0)
        return errno == EACCES ? -EACCES : -ENOENT;
    return S_ISREG(info.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

static int search(const char *name, char **ret_path)
{
    const char *path = getenv("PATH");
    int worst = -ENOENT;
    for (const char *from = path ? path : "/bin:/usr/bin", *end; from; from = *end ? end + 1 : NULL) {
        char *candidate;
        end = strchrnul(from, ':');
        if (asprintf(&candidate, "%.*s%s%s", (int)(end - from), from, end > from ? "/" : "", name) < 0)
            return -ENOMEM;
        int result = executable(candidate);
        if (result == 0) {
            *ret_path = candidate;
            return 0;
        }
        free(candidate);
        if (result == -EACCES)
            worst = -EACCES;
    }
    return worst;
}

int target_find(const char *name, char **ret_path, struct error *error)
{
    char *path = NULL;
    int result;
    if (*name == '\0') {
        result = -ENOENT;
    } else if (strchr(name, '/')) {
        path = strdup(name);
        result = path ? executable(name) : -ENOMEM;
    } else {
        result = search(name, &path);
    }
    if (result < 0) {
        free(path);
        return error_set(error, result, "%s: %s", name, result == -ENOENT ? "not found" : error_reason(result));
    }
    *ret_path = path;
    return 0;
}

struct program {
    int fd;
    unsigned char head[HEAD_SIZE];
    size_t head_size;
};

static bool read_at(int fd, void *to, size_t size, off_t offset)
{
    return pread(fd, to, size, offset) == (ssize_t)size;
}

/* The dynamic loader's path, cut to `size`; false: there is none, so the program is static. */
static bool interpreter_of(const struct program *program, const Elf64_Ehdr *elf, char *text, size_t size)
{
    for (unsigned i = 0; i < elf->e_phnum; i++) {
        Elf64_Phdr segment;
        if (!read_at(program->fd, &segment, sizeof(segment), (off_t)(elf->e_phoff + i * sizeof(segment))))
            return false;
        if (segment.p_type != PT_INTERP)
            continue;
        size_t length = segment.p_filesz < size - 1 ? segment.p_filesz : size - 1;
        memset(text, 0, size);
        return read_at(program->fd, text, length, (off_t)segment.p_offset);
    }
    return false;
}

static int check_elf(const struct program *program, const char *path, struct error *error)
{
    Elf64_Ehdr elf;
    char interpreter[HEAD_SIZE];
    if (program->head[EI_CLASS] == ELFCLASS32)
        return error_set(error, -ELIBBAD, "%s: cannot be traced: a 32-bit program", path);
    if (program->head_size < sizeof(elf))
        return 0;
    memcpy(&elf, program->head, sizeof(elf));
    if (elf.e_machine != OWN_MACHINE)
        return error_set(error, -ELIBBAD, "%s: cannot be traced: built for another machine", path);
    if (elf.e_phentsize != sizeof(Elf64_Phdr))
        return 0;
    if (!interpreter_of(program, &elf, interpreter, sizeof(interpreter)))
        return error_set(error, -ENOTSUP, "%s: cannot be traced: a static program", path);
    if (strstr(interpreter, "ld-musl"))
        return error_set(error, -ELIBBAD, "%s: cannot be traced: linked with musl, not glibc", path);
    const char *sanitizer = sanitizer_of(program->fd);
    if (sanitizer)
        return error_set(error, -ENOTSUP, "%s: cannot be traced: built with %s", path, sanitizer);
    return 0;
}

/* A program that gains rights by its file drops LD_PRELOAD. A script's own bits mean nothing. */
static int check_rights(const struct program *program, const char *path, struct error *error)
{
    struct stat info;
    if (fstat(program->fd, &info) < 0)
        return 0;
    if (info.st_mode & S_ISUID)
        return error_set(error, -ENOTSUP, "%s: cannot be traced: a setuid program", path);
    if ((info.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        return error_set(error, -ENOTSUP, "%s: cannot be traced: a setgid program", path);
    return 0;
}

static int check(const char *path, unsigned depth, struct error *error);

/* "#! interpreter argument" */
static int check_script(const struct program *program, unsigned depth, struct error *error)
{
    char text[HEAD_SIZE + 1], *rest;
    memcpy(text, program->head, program->head_size);
    text[program->head_size] = '\0';
    text[strcspn(text, "\n")] = '\0';
    const char *interpreter = strtok_r(text + 2, " \t", &rest);
    return interpreter && depth < SCRIPT_DEPTH ? check(interpreter, depth + 1, error) : 0;
}

static int check_open(struct program *program, const char *path, unsigned depth, struct error *error)
{
    ssize_t got = pread(program->fd, program->head, sizeof(program->head), 0);
    program->head_size = got > 0 ? (size_t)got : 0;
    if (program->head_size >= 2 && memcmp(program->head, "#!", 2) == 0)
        return check_script(program, depth, error);
    if (program->head_size >= EI_NIDENT && memcmp(program->head, ELFMAG, SELFMAG) == 0) {
        int result = check_rights(program, path, error);
        return result < 0 ? result : check_elf(program, path, error);
    }
    return depth < SCRIPT_DEPTH ? check("/bin/sh", depth + 1, error)
                                : 0; /* which then reads it, as execvp has it */
}

static int check(const char *path, unsigned depth, struct error *error)
{
    struct program program = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (program.fd < 0)
        return 0;
    int result = check_open(&program, path, depth, error);
    close(program.fd);
    return result;
}

int target_check(const char *path, struct error *error)
{
    return check(path, 0, error);
}

int target_pid(int argc, char **argv, pid_t *ret_pid)
{
    const char *end;
    uint64_t number;
    if (optind >= argc)
        return fail("%s: no PID (see stray %s --help)", argv[0], argv[0]);
    if (optind + 1 < argc)
        return fail("%s: more than one PID", argv[optind + 1]);
    if (!digits_parse(argv[optind], &end, &number) || *end || number == 0)
        return fail("%s: must be a PID, a number", argv[optind]);
    if (number > INT_MAX)
        return refuse(argv[optind], "no such process");
    *ret_pid = (pid_t)number;
    return STATUS_DONE;
}

int target_check_process(pid_t pid)
{
    struct error error = {.text = ""};
    struct process_status process;
    int result = process_read(pid, &process, &error);
    if (result == 0)
        result = process_check(&process, &error);
    if (result == 0)
        return STATUS_DONE;
    fail("%s", error.text);
    return STATUS_REFUSED;
}
