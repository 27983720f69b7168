/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/sandbox.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "gate.h"
#include "record/defs.h"
#include "state/filter.h"
#include "state/incarnation.h"
#include "sys.h"
#include "text.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#    define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

#define NAMED_MAX 4 /* system calls in a note */
#define ENDED     "recording ended where "

static const struct {
    uint32_t number;
    const char *name;
} needed[] = {
#define CALL(name) {SYS_##name, #name},
#include "syscalls.def"
#undef CALL
};

struct examination {
    struct filter_work work;
    struct sock_filter program[BPF_MAXINSNS];
};

static bool is_ours_to_tell(void)
{
    return gate_open(GATE_TRACED) && incarnation_is_self();
}

/* The kernel takes a filter only from who may not gain rights any more, or has that right. */
static bool may_set_filters(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3] = {0};
    if (SYS3(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0) == 1)
        return true;
    return SYS3(SYS_capget, &header, rights, 0) == 0 && rights[0].effective >> CAP_SYS_ADMIN & 1;
}

/* Where the call is going to fail, nothing is to be done. Under an earlier filter nothing more is asked: it may not have been
 * examined for these calls. */
static bool will_be_set(unsigned flags)
{
    if (SYS3(SYS_prctl, PR_GET_SECCOMP, 0, 0) != SECCOMP_MODE_DISABLED)
        return true;
    return may_set_filters() && SYS3(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) == -EFAULT;
}

static void put_names(struct text *text, struct examination *seen, uint32_t length, unsigned answer)
{
    unsigned named = 0;
    for (unsigned i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
        if (!(filter_answers(seen->program, length, AUDIT_ARCH_X86_64, needed[i].number, &seen->work) & answer))
            continue;
        if (named == NAMED_MAX) {
            text_string(text, " and others");
            return;
        }
        text_string(text, named++ > 0 ? ", " : "");
        text_string(text, needed[i].name);
    }
}

static unsigned examine(struct examination *seen, uint32_t length)
{
    unsigned answers = 0;
    for (unsigned i = 0; i < sizeof(needed) / sizeof(*needed); i++)
        answers |= filter_answers(seen->program, length, AUDIT_ARCH_X86_64, needed[i].number, &seen->work);
    return answers;
}

static void judge(struct examination *seen, uint32_t length)
{
    char buffer[256];
    struct text note = TEXT(buffer);
    unsigned answers = examine(seen, length);
    if (answers & FILTER_HARMS) {
        text_string(&note, ENDED "a seccomp filter was installed that does not allow ");
        put_names(&note, seen, length, FILTER_HARMS);
        incarnation_detach(buffer);
    } else if (answers & FILTER_REFUSES) {
        text_string(&note, "some things may be missing after a seccomp filter was installed that refuses ");
        put_names(&note, seen, length, FILTER_REFUSES);
        defs_string(STRAY_DEF_NOTE, buffer);
    }
}

/* Of memory that is not there: the real call will fail, too. Of memory that may not be looked at: not known. */
static bool copy(void *to, const void *from, size_t size, bool *ret_unknown)
{
    ssize_t copied = sys_peek(to, from, size);
    *ret_unknown = copied < 0 && copied != -EFAULT;
    return copied == (ssize_t)size;
}

static void examine_and_judge(struct examination *seen, unsigned flags, const void *program)
{
    struct sock_fprog given = {0};
    bool unknown = seen == NULL;
    if (seen && copy(&given, program, sizeof(given), &unknown) && given.len > 0 && given.len <= BPF_MAXINSNS &&
        copy(seen->program, given.filter, given.len * sizeof(*given.filter), &unknown) && will_be_set(flags))
        judge(seen, given.len);
    if (unknown)
        incarnation_detach(ENDED "a seccomp filter was installed that could not be examined");
}

void sandbox_filter(unsigned flags, const void *program)
{
    if (!program || !is_ours_to_tell())
        return;
    struct examination *seen = sys_memory(sizeof(*seen));
    examine_and_judge(seen, flags, program);
    if (seen) /* by now the tracer may be quiet, but the filter is not yet in force */
        arch_syscall(SYS_munmap, (long)seen, sizeof(*seen), 0, 0, 0, 0);
}

void sandbox_strict(void)
{
    if (is_ours_to_tell())
        incarnation_detach(ENDED "seccomp's strict mode was entered");
}

/* The kernel is asked with a selector that it refuses, for it looks at that last. Of the program's own it only asks whether it is
 * in the program's half of the addresses. */
static bool will_be_dispatched(long mode, long offset, long length, long selector)
{
    return selector >= 0 && SYS6(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, mode, offset, length, -1, 0) == -EFAULT;
}

void sandbox_dispatch(long mode, long offset, long length, long selector)
{
    if (is_ours_to_tell() && will_be_dispatched(mode, offset, length, selector))
        incarnation_detach(ENDED "system calls were made signals (PR_SET_SYSCALL_USER_DISPATCH)");
}
