/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* refuses CALL ERROR COMMAND...: becomes the command, for which the system call fails with that error, as on a full disk or in
 * a container; no rights are needed for it. */
#include "expect.h"

#include <seccomp.h>

int main(int argc, char **argv)
{
    MUST(argc > 3);
    int call = seccomp_syscall_resolve_name(argv[1]);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    MUST(call >= 0 && filter && seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)atoi(argv[2])), call, 0) == 0);
    MUST(seccomp_load(filter) == 0);
    execv(argv[3], argv + 3);
    return 127;
}
