/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach/safe_point.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "attach/memory.h"
#include "stray/attach.h"

#define STACK_MAX   (16u << 20) /* deeper stacks are not searched, and so never safe */
#define LONG_SLEEP_NS 100000000
#define CLOCK_NUMBER_MAX 16u /* the first argument of clock_nanosleep(); those of the others are addresses */
#define STACK_PIECE 65536u
#define CODE_MAX    (64u << 20)
#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

/* ---- the terrain ---- */

static bool is_kernels(const char *path)
{
    return path[0] == '['; /* [vdso] */
}

/* Where handlers return to stands in libc's code, and has no name. */
static int find_restorers(const struct objects *objects, const struct object *libc, struct terrain *terrain)
{
    int result = 0;
    for (size_t i = 0; i < objects->maps.count && result == 0; i++) {
        const struct map *map = &objects->maps.items[i];
        size_t size = map->end - map->start;
        if (!map->executable || map->start < libc->base || map->end > libc->end + 4096 || size > CODE_MAX)
            continue;
        uint8_t *code = malloc(size);
        result = code ? memory_read(objects->memory, map->start, code, size) : -ENOMEM;
        for (const uint8_t *at = code, *found; result == 0 && terrain->restorer_count < 8 &&
             (found = memmem(at, size - (size_t)(at - code), arch_restorer, arch_restorer_size)) != NULL;
             at = found + arch_restorer_size)
            terrain->restorers[terrain->restorer_count++] = map->start + (uint64_t)(found - code);
        free(code);
    }
    return result;
}

int terrain_survey(const struct objects *objects, const struct object *libc, struct terrain *ret_terrain)
{
    Elf64_Sym symbol;
    struct terrain terrain = {.objects = objects, .allocates = calloc(objects->count + 1, sizeof(bool))};
    if (!terrain.allocates)
        return -ENOMEM;
    for (size_t i = 0; i < objects->count; i++) {
        const struct object *object = &objects->items[i];
        bool defines = symbol_find(objects, object, "malloc", &symbol);
        bool ours = defines && symbol_find(objects, object, STRAY_ATTACH_BEGIN, &symbol); /* which hands on to the real one */
        terrain.allocates[i] = defines || is_kernels(object->path) || symbol_find(objects, object, "_r_debug", &symbol);
        terrain.foreign_allocator |= defines && !ours && object != libc;
    }
    int result = find_restorers(objects, libc, &terrain);
    if (result < 0)
        terrain_free(&terrain);
    else
        *ret_terrain = terrain;
    return result;
}

void terrain_free(struct terrain *terrain)
{
    free(terrain->allocates);
    terrain->allocates = NULL;
}

/* Code of the allocator, of the dynamic linker, or that either calls. */
static bool is_sensitive(const struct terrain *terrain, uint64_t instruction)
{
    const struct object *object = objects_at(terrain->objects, instruction);
    if (object)
        return terrain->allocates[object - terrain->objects->items];
    const struct map *map = maps_at(&terrain->objects->maps, instruction);
    return !map || is_kernels(map->path);
}

/* ---- system calls ---- */

/* Allocators and the dynamic linker read and write files only. */
static bool is_stream(pid_t pid, uint64_t descriptor)
{
    char path[64];
    struct stat info;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, (int)descriptor);
    return stat(path, &info) == 0 && (S_ISSOCK(info.st_mode) || S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode));
}

/* Calls that no allocator and no dynamic linker makes. */
static bool is_harmless(long number)
{
    static const long calls[] = {
#ifdef SYS_epoll_wait
        SYS_epoll_wait, SYS_poll, SYS_select, SYS_pause,
#endif
        SYS_epoll_pwait,  SYS_epoll_pwait2,    SYS_ppoll,           SYS_pselect6,   SYS_wait4,        SYS_waitid,
        SYS_accept,       SYS_accept4,         SYS_connect,         SYS_recvfrom,   SYS_recvmsg,      SYS_recvmmsg,
        SYS_sendto,       SYS_sendmsg,         SYS_sendmmsg,        SYS_semop,      SYS_semtimedop,   SYS_msgrcv,
        SYS_msgsnd,       SYS_rt_sigsuspend,   SYS_rt_sigtimedwait, SYS_flock,      SYS_io_getevents, SYS_io_uring_enter,
        SYS_mq_timedsend, SYS_mq_timedreceive, SYS_fsync,           SYS_fdatasync,  SYS_sendfile,     SYS_splice,
    };
    for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        if (calls[i] == number)
            return true;
    return false;
}

/* Some allocators sleep a little until a lock is free; glibc's does not. */
static bool is_long_sleep(const struct terrain *terrain, uint64_t address)
{
    struct timespec time;
    return !terrain->foreign_allocator || (memory_read(terrain->objects->memory, address, &time, sizeof(time)) == 0 &&
                                           (time.tv_sec > 0 || time.tv_nsec >= LONG_SLEEP_NS));
}

static bool is_harmless_here(const struct terrain *terrain, pid_t pid, long number, const uint64_t arguments[3])
{
    switch (number) {
    case SYS_futex: /* locks wait with FUTEX_WAIT; conditions, semaphores and joins with the other one */
        return (arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    case SYS_nanosleep:
        return is_long_sleep(terrain, arguments[0]);
    case SYS_clock_nanosleep:
        return is_long_sleep(terrain, arguments[2]);
    case SYS_restart_syscall: /* of one that has a time limit, with its arguments: a sleep, a poll, or a futex that is no lock */
        return arguments[0] > CLOCK_NUMBER_MAX || is_long_sleep(terrain, arguments[2]);
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
        return is_stream(pid, arguments[0]);
    default:
        return is_harmless(number);
    }
}

/* ---- signal handlers ---- */

static bool is_restorer(const struct terrain *terrain, uint64_t word)
{
    for (size_t i = 0; i < terrain->restorer_count; i++)
        if (word == terrain->restorers[i])
            return true;
    return false;
}

/* Whether a handler returns to here that has interrupted sensitive code. */
static bool is_bad_frame(const struct terrain *terrain, uint64_t address)
{
    uint64_t words[ARCH_FRAME_WORDS], instruction;
    return memory_read(terrain->objects->memory, address, words, sizeof(words)) == 0 && arch_frame(words, &instruction) &&
           is_sensitive(terrain, instruction);
}

static bool piece_is_clean(const struct terrain *terrain, uint64_t from, size_t size)
{
    uint64_t words[STACK_PIECE / sizeof(uint64_t)];
    if (memory_read(terrain->objects->memory, from, words, size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof(*words); i++)
        if (is_restorer(terrain, words[i]) && is_bad_frame(terrain, from + i * sizeof(*words)))
            return false;
    return true;
}

static bool stack_is_clean(const struct terrain *terrain, uint64_t stack)
{
    const struct maps *maps = &terrain->objects->maps;
    const struct map *map = maps_at(maps, stack);
    for (size_t i = 0; !map && i < maps->count; i++)
        if (maps->items[i].start > stack && strcmp(maps->items[i].path, "[stack]") == 0)
            map = &maps->items[i]; /* it has grown since */
    if (!map || map->end - stack > STACK_MAX)
        return false;
    for (uint64_t from = stack & ~UINT64_C(7); from < map->end; from += STACK_PIECE) {
        uint64_t left = map->end - from;
        if (!piece_is_clean(terrain, from, left < STACK_PIECE ? left : STACK_PIECE))
            return false;
    }
    return true;
}

bool point_is_safe(const struct terrain *terrain, const struct tracee *tracee)
{
    long number;
    uint64_t arguments[3], instruction = arch_instruction(&tracee->registers);
    bool in_call = arch_in_call(&tracee->registers, &number, arguments);
    if (is_sensitive(terrain, instruction) && !(in_call && is_harmless_here(terrain, tracee->pid, number, arguments)))
        return false;
    return stack_is_clean(terrain, arch_stack(&tracee->registers));
}

/* ---- what may not be moved ---- */

/* As the kernel tells it, since 5.13; before, nobody can have entered a section without libc's knowledge, which does not use them. */
struct sequences {
    uint64_t area;
    uint32_t size, signature, flags, padding;
};

struct section {
    uint32_t version, flags;
    uint64_t start, length, abort;
};

static bool in_critical_section(const struct terrain *terrain, const struct tracee *tracee)
{
    struct sequences sequences;
    struct section section;
    uint64_t address = 0;
    if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tracee->tid, (void *)sizeof(sequences), &sequences) != sizeof(sequences) ||
        sequences.area == 0)
        return false;
    if (memory_read(terrain->objects->memory, sequences.area + 8, &address, sizeof(address)) < 0)
        return true;
    if (address == 0)
        return false;
    return memory_read(terrain->objects->memory, address, &section, sizeof(section)) < 0 ||
           arch_instruction(&tracee->registers) - section.start < section.length;
}

bool point_may_move(const struct terrain *terrain, const struct tracee *tracee)
{
    return !in_critical_section(terrain, tracee) && !arch_shadow_stack(tracee->tid);
}
