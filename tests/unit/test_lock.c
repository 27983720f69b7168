/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shim's locks, and what a forked child finds of them. */
#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock.h"

LOCK(one);
LOCK(other);
static uint32_t without_end; /* not by LOCK: it stays as it is */

Test(lock, one_at_a_time)
{
    cr_assert(lock_try(&one));
    cr_expect_not(lock_try(&one));
    cr_expect_not(lock_take(&one), "its holder seems to be gone");
    cr_expect(lock_try(&other));
    lock_release(&one);
    cr_expect(lock_take(&one));
}

Test(lock, a_child_finds_them_free)
{
    int status;
    cr_assert(lock_try(&one) && lock_try(&other) && lock_try(&without_end));
    pid_t child = fork();
    if (child == 0) {
        locks_forked();
        _exit(lock_try(&one) && lock_try(&other) && !lock_try(&without_end) ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    cr_expect_not(lock_try(&one), "the parent's are its own");
}
