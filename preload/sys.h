/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system calls of the tracer's own work, raw: results or negative errno, errno untouched. Async-signal-safe.
 */
#ifndef STRAY_PRELOAD_SYS_H
#define STRAY_PRELOAD_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "arch.h"

/* Set where a system call of ours could harm the program: none is made then, and each fails. Weak, so that each user of this
 * header brings the one definition along. */
extern bool sys_quiet;
__attribute__((weak, visibility("hidden"))) bool sys_quiet;

static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
    if (__builtin_expect(__atomic_load_n(&sys_quiet, __ATOMIC_RELAXED), 0))
        return -ENOSYS;
    return arch_syscall(number, a, b, c, d, e, f);
}

/* What is called so stands in syscalls.def, too. */
#define SYS6(number, a, b, c, d, e, f)                                                                      \
    sys_call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define SYS3(number, a, b, c) SYS6(number, a, b, c, 0, 0, 0)

static inline int sys_open(const char *path, int flags, mode_t mode)
{
    return (int)SYS6(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode, 0, 0);
}
static inline int sys_close(int fd)
{
    return (int)SYS3(SYS_close, fd, 0, 0);
}
static inline ssize_t sys_read(int fd, void *buffer, size_t size)
{
    return SYS3(SYS_read, fd, buffer, size);
}
static inline ssize_t sys_write(int fd, const void *buffer, size_t size)
{
    return SYS3(SYS_write, fd, buffer, size);
}
static inline ssize_t sys_writev(int fd, const struct iovec *parts, int count)
{
    return SYS3(SYS_writev, fd, parts, count);
}
static inline ssize_t sys_pread(int fd, void *buffer, size_t size, off_t offset)
{
    return SYS6(SYS_pread64, fd, buffer, size, offset, 0, 0);
}
static inline int sys_mkdir(const char *path, mode_t mode)
{
    return (int)SYS3(SYS_mkdir, path, mode, 0);
}
static inline int sys_unlink(const char *path)
{
    return (int)SYS3(SYS_unlink, path, 0, 0);
}
static inline int sys_lstat(const char *path, struct stat *status)
{
    return (int)SYS6(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW, 0, 0);
}
/* Whether `path` names something; also where that cannot be told. */
static inline bool sys_exists(const char *path)
{
    struct stat status;
    return sys_lstat(path, &status) != -ENOENT;
}
static inline ssize_t sys_readlink(const char *path, char *buffer, size_t size)
{
    return SYS3(SYS_readlink, path, buffer, size);
}
static inline int sys_ftruncate(int fd, off_t size)
{
    return (int)SYS3(SYS_ftruncate, fd, size, 0);
}
static inline int sys_fallocate(int fd, off_t offset, off_t size)
{
    return (int)SYS6(SYS_fallocate, fd, 0, offset, size, 0, 0);
}
static inline int sys_fstat(int fd, struct stat *status)
{
    return (int)SYS3(SYS_fstat, fd, status, 0);
}
static inline int sys_fcntl(int fd, int command, long argument)
{
    return (int)SYS3(SYS_fcntl, fd, command, argument);
}
/* NULL on failure. */
static inline void *sys_mmap(size_t size, int protection, int flags, int fd, off_t offset)
{
    long result = SYS6(SYS_mmap, 0, size, protection, flags, fd, offset);
    return result < 0 && result > -4096 ? NULL : (void *)result;
}
/* Zeroed private memory at `address`, where nothing is mapped: what is, stays. */
static inline void sys_memory_at(void *address, size_t size)
{
    SYS6(SYS_mmap, address, size, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}
/* Maps over what is at `address`. */
static inline bool sys_mmap_over(void *address, size_t size, int flags, int fd, off_t offset)
{
    return SYS6(SYS_mmap, address, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, offset) == (long)address;
}
/* Zeroed private memory, or NULL. */
static inline void *sys_memory(size_t size)
{
    return sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}
static inline int sys_munmap(void *address, size_t size)
{
    return (int)SYS3(SYS_munmap, address, size, 0);
}
/* NULL on failure. */
static inline void *sys_mremap(void *address, size_t size, size_t new_size, int flags)
{
    long result = SYS6(SYS_mremap, address, size, new_size, flags, 0, 0);
    return result < 0 && result > -4096 ? NULL : (void *)result;
}
static inline int sys_madvise(void *address, size_t size, int advice)
{
    return (int)SYS3(SYS_madvise, address, size, advice);
}
static inline int sys_mprotect(void *address, size_t size, int protection)
{
    return (int)SYS3(SYS_mprotect, address, size, protection);
}
static inline pid_t sys_getpid(void)
{
    return (pid_t)SYS3(SYS_getpid, 0, 0, 0);
}
static inline pid_t sys_getppid(void)
{
    return (pid_t)SYS3(SYS_getppid, 0, 0, 0);
}
static inline pid_t sys_gettid(void)
{
    return (pid_t)SYS3(SYS_gettid, 0, 0, 0);
}
static inline int sys_tgkill(pid_t process, pid_t thread, int signal)
{
    return (int)SYS3(SYS_tgkill, process, thread, signal);
}
/* Holds all signals back from the calling thread; returns the mask to give to sys_signals(). */
static inline uint64_t sys_no_signals(void)
{
    uint64_t all = ~(uint64_t)0, before = 0;
    SYS6(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all), 0, 0);
    return before;
}
static inline void sys_signals(uint64_t mask)
{
    SYS6(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask), 0, 0);
}
static inline void sys_yield(void)
{
    SYS3(SYS_sched_yield, 0, 0, 0);
}
/* Sleeps while `*word` is `value`; may return early. */
static inline void sys_futex_wait(const uint32_t *word, uint32_t value)
{
    SYS6(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, 0, 0);
}
/* The same, but no longer than `longest`: -ETIMEDOUT. */
static inline int sys_futex_wait_for(const uint32_t *word, uint32_t value, const struct timespec *longest)
{
    return (int)SYS6(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, longest, 0, 0);
}
static inline void sys_futex_wake(const uint32_t *word)
{
    SYS3(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1);
}
static inline int sys_getrlimit(int resource, struct rlimit *limit)
{
    return (int)SYS6(SYS_prlimit64, 0, resource, NULL, limit, 0, 0);
}
/* For ever: other threads' calls that have passed the question are given the time to end. */
static inline void sys_go_quiet(void)
{
    struct timespec grace = {.tv_nsec = 2000000};
    __atomic_store_n(&sys_quiet, true, __ATOMIC_SEQ_CST);
    arch_syscall(SYS_nanosleep, (long)&grace, 0, 0, 0, 0, 0);
}
static inline ssize_t sys_getrandom(void *buffer, size_t size)
{
    return SYS3(SYS_getrandom, buffer, size, 0);
}
static inline int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    return (int)SYS6(SYS_getsockopt, fd, level, name, value, length, 0);
}
static inline int sys_getpeername(int fd, void *address, socklen_t *length)
{
    return (int)SYS3(SYS_getpeername, fd, address, length);
}
static inline int sys_getsockname(int fd, void *address, socklen_t *length)
{
    return (int)SYS3(SYS_getsockname, fd, address, length);
}
/* Asks, and does not wait. */
static inline int sys_poll(struct pollfd *polled)
{
    return (int)SYS3(SYS_poll, polled, 1, 0);
}
/* Where the usual way of sys_peek() is not allowed: older containers, some filters. */
static inline ssize_t sys_peek_by_file(void *to, const void *from, size_t size)
{
    if ((off_t)(uintptr_t)from < 0) /* the kernel's half, which the file does not have */
        return -EFAULT;
    int fd = sys_open("/proc/self/mem", O_RDONLY, 0);
    if (fd < 0)
        return fd;
    ssize_t result = sys_pread(fd, to, size, (off_t)(uintptr_t)from);
    sys_close(fd);
    return result == -EIO ? -EFAULT : result;
}
/* Copies from this process's own memory; -EFAULT instead of a fault where nothing is mapped. */
static inline ssize_t sys_peek(void *to, const void *from, size_t size)
{
    struct iovec local = {.iov_base = to, .iov_len = size};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)from, .iov_len = size};
    ssize_t result = SYS6(SYS_process_vm_readv, sys_getpid(), &local, 1, &remote, 1, 0);
    return result == -EPERM || result == -ENOSYS || result == -ESRCH ? sys_peek_by_file(to, from, size) : result;
}
/* Whether the byte at `address` can be read. */
static inline bool sys_readable(uint64_t address)
{
    char byte;
    return sys_peek(&byte, (const void *)(uintptr_t)address, 1) == 1;
}
/* Copies one byte from each of the `count` places `from` to `to`. Whether all of them can be read. */
static inline bool sys_peek_each(char *to, const struct iovec *from, unsigned count)
{
    struct iovec local = {.iov_base = to, .iov_len = count};
    if (SYS6(SYS_process_vm_readv, sys_getpid(), &local, 1, from, count, 0) == (long)count)
        return true;
    for (unsigned i = 0; i < count; i++)
        if (sys_peek(&to[i], from[i].iov_base, 1) != 1)
            return false;
    return true;
}
static inline uint64_t sys_nanoseconds(clockid_t clock)
{
    struct timespec now = {0};
    SYS3(SYS_clock_gettime, clock, &now, 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
