/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/process.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/arch.h"
#include "attach/threads.h"

#define KERNEL_THREAD 0x00200000ul /* PF_KTHREAD */
#define NAME_MAX_USED 64u
#define LINE_SIZE     16384
#define NOTES_SIZE    4096
#define GO_NOTE       "Go\0" /* with the NUL behind it, as the note has it */

static FILE *open_file(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

static void read_status_line(const char *line, struct process_status *process)
{
    int number;
    unsigned user;
    if (sscanf(line, "State: %c", &process->state) == 1)
        return;
    if (sscanf(line, "Tgid: %d", &number) == 1)
        process->group = number;
    else if (sscanf(line, "TracerPid: %d", &number) == 1)
        process->tracer = number;
    else if (sscanf(line, "Uid: %*u %u", &user) == 1)
        process->user = user;
}

static void read_flags(struct process_status *process)
{
    char line[1024];
    FILE *file = open_file(process->pid, "stat");
    const char *end = file && fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
    if (end)
        sscanf(end, ") %*c %*d %*d %*d %*d %*d %lu", &process->flags);
    if (file)
        fclose(file);
}

int process_read(pid_t pid, struct process_status *ret_process, struct error *error)
{
    char line[256];
    struct process_status process = {.pid = pid};
    FILE *file = open_file(pid, "status");
    if (!file)
        return error_set(error, -ESRCH, "%d: no such process", (int)pid);
    while (fgets(line, sizeof(line), file))
        read_status_line(line, &process);
    fclose(file);
    read_flags(&process);
    if (process.group == 0)
        return error_set(error, -ESRCH, "%d: no such process", (int)pid);
    *ret_process = process;
    return 0;
}

/* ---- refusals ---- */

static void read_command(pid_t pid, char *text, size_t size)
{
    FILE *file = open_file(pid, "comm");
    if (!file || !fgets(text, (int)size, file))
        *text = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (file)
        fclose(file);
}

static int check_state(const struct process_status *process, struct error *error)
{
    char name[64];
    int pid = (int)process->pid;
    if (process->pid == getpid())
        return error_set(error, -EINVAL, "%d: cannot be attached to: that is stray itself", pid);
    if (process->group != process->pid)
        return error_set(error, -EINVAL, "%d: cannot be attached to: a thread of %d", pid, (int)process->group);
    if (process->flags & KERNEL_THREAD)
        return error_set(error, -ENOTSUP, "%d: cannot be attached to: a thread of the kernel", pid);
    if (process->state == 'Z' || process->state == 'X')
        return error_set(error, -ESRCH, "%d: cannot be attached to: a zombie, it has ended", pid);
    if (process->tracer) {
        read_command(process->tracer, name, sizeof(name));
        return error_set(error, -EBUSY, "%d: cannot be attached to: %d (%s) holds it by ptrace", pid, (int)process->tracer, name);
    }
    if (process->state == 'T')
        return error_set(error, -EBUSY, "%d: cannot be attached to: it is stopped (kill -CONT %d lets it go on)", pid, pid);
    return 0;
}

static const char *user_name(uid_t user, char *text, size_t size)
{
    const struct passwd *entry = getpwuid(user);
    if (entry)
        return entry->pw_name;
    snprintf(text, size, "%u", (unsigned)user);
    return text;
}

static int yama_scope(void)
{
    int scope = 0;
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (file) {
        if (fscanf(file, "%d", &scope) != 1)
            scope = 0;
        fclose(file);
    }
    return scope;
}

int process_explain(const struct process_status *process, int code, struct error *error)
{
    char text[16];
    int pid = (int)process->pid, scope = yama_scope();
    if (code != -EPERM && code != -EACCES)
        return error_set(error, code, "%d: cannot be attached to: %s", pid, error_reason(code));
    if (scope >= 3)
        return error_set(error, code, "%d: no permission: kernel.yama.ptrace_scope is %d, which forbids it to everybody", pid, scope);
    if (process->user != geteuid() && geteuid() != 0)
        return error_set(error, code, "%d: no permission: it belongs to %s; needs root, or CAP_SYS_PTRACE", pid,
                         user_name(process->user, text, sizeof(text)));
    if (scope > 0)
        return error_set(error, code, "%d: no permission: kernel.yama.ptrace_scope is %d; needs root, CAP_SYS_PTRACE%s", pid, scope,
                         scope == 1 ? ", or sysctl kernel.yama.ptrace_scope=0" : "");
    return error_set(error, code, "%d: no permission: %s", pid,
                     geteuid() == 0 ? "it has rights that root has not here; needs CAP_SYS_PTRACE in its user namespace"
                                    : "it may hold rights or secrets of others; needs root, or CAP_SYS_PTRACE");
}

/* The program's own file: what another processor's looks like in memory is none of our business. */
static int check_program(const struct process_status *process, struct error *error)
{
    char path[64];
    Elf64_Ehdr header;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)process->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return process_explain(process, -errno, error);
    bool whole = read(fd, &header, sizeof(header)) == sizeof(header) && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0;
    close(fd);
    if (whole && header.e_ident[EI_CLASS] == ELFCLASS32)
        return error_set(error, -ENOTSUP, "%d: cannot be attached to: a 32-bit program", (int)process->pid);
    if (whole && header.e_machine != arch_machine)
        return error_set(error, -ENOTSUP, "%d: cannot be attached to: built for another machine than %s", (int)process->pid, arch_name);
    return 0;
}

int process_check(const struct process_status *process, struct error *error)
{
    int result = check_state(process, error);
    return result < 0 ? result : check_program(process, error);
}

/* ---- a runtime that does without libc ---- */

/* A note's name and what follows it are padded to four bytes. */
static uint32_t padded(uint32_t size)
{
    return (size + 3u) & ~3u;
}

static bool notes_name_go(const char *notes, size_t size)
{
    Elf64_Nhdr note;
    for (size_t at = 0; at + sizeof(note) <= size;) {
        memcpy(&note, notes + at, sizeof(note));
        if (note.n_namesz > size || note.n_descsz > size)
            return false;
        at += sizeof(note);
        if (note.n_namesz == sizeof(GO_NOTE) && at + sizeof(GO_NOTE) <= size && memcmp(notes + at, GO_NOTE, sizeof(GO_NOTE)) == 0)
            return true;
        at += padded(note.n_namesz) + padded(note.n_descsz);
    }
    return false;
}

static bool segment_names_go(int fd, const Elf64_Phdr *segment)
{
    char notes[NOTES_SIZE];
    ssize_t got = segment->p_type == PT_NOTE ? pread(fd, notes, sizeof(notes), (off_t)segment->p_offset) : 0;
    size_t size = got > 0 ? (size_t)got : 0;
    return notes_name_go(notes, size < segment->p_filesz ? size : segment->p_filesz);
}

bool process_is_go(pid_t pid)
{
    char path[64];
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool whole = read(fd, &header, sizeof(header)) == sizeof(header) && header.e_phentsize == sizeof(segment);
    for (size_t i = 0; whole && !found && i < header.e_phnum; i++) {
        whole = pread(fd, &segment, sizeof(segment), (off_t)(header.e_phoff + i * sizeof(segment))) == sizeof(segment);
        found = whole && segment_names_go(fd, &segment);
    }
    close(fd);
    return found;
}

/* ---- its children ---- */

static bool runs(pid_t pid)
{
    struct process_status process;
    struct error ignored;
    return process_read(pid, &process, &ignored) == 0 && process.state != 'Z' && process.state != 'X';
}

static size_t read_children(pid_t pid, pid_t tid, pid_t *children, size_t capacity)
{
    char name[32];
    size_t count = 0;
    snprintf(name, sizeof(name), "task/%d/children", (int)tid);
    FILE *file = open_file(pid, name);
    while (file && count < capacity && fscanf(file, "%d", &children[count]) == 1)
        count += runs(children[count]);
    if (file)
        fclose(file);
    return count;
}

size_t process_children(pid_t pid, pid_t *children, size_t capacity)
{
    struct threads threads;
    size_t count = 0;
    if (threads_read(pid, &threads) < 0)
        return 0;
    for (size_t i = 0; i < threads.count; i++)
        count += read_children(pid, threads.ids[i], children + count, capacity - count);
    threads_free(&threads);
    return count;
}

/* ---- its name ---- */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';
}

void process_name(pid_t pid, char name[PROCESS_NAME_SIZE])
{
    static char line[LINE_SIZE];
    FILE *file = open_file(pid, "cmdline");
    size_t size = file ? fread(line, 1, sizeof(line) - 1, file) : 0;
    if (file)
        fclose(file);
    line[size] = '\0';
    line[strcspn(line, " :")] = '\0'; /* a title that the program has put there: "nginx: worker process" */
    const char *slash = strrchr(line, '/'), *from = slash ? slash + 1 : line;
    size_t length = 0;
    if (!*from)
        from = "process";
    for (; from[length] && length < NAME_MAX_USED; length++)
        name[length] = is_name_byte(from[length]) || (from[length] == '.' && length > 0) ? from[length] : '_';
    name[length] = '\0';
}
