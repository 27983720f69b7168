/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/verdict.h"

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[VERDICT_COUNT] = {
        [VERDICT_LEAKED] = "leaked",
        [VERDICT_CREEP] = "creep",
        [VERDICT_FINALIZER_CLOSED] = "finalizer-closed",
        [VERDICT_CHURN] = "churn",
        [VERDICT_OPEN_AT_EXIT] = "open-at-exit",
        [VERDICT_CLOSE_WAIT] = "close-wait",
        [VERDICT_UNREAPED] = "unreaped",
        [VERDICT_FORK_SHARED] = "fork-shared",
        [VERDICT_RETENTION] = "retention",
        [VERDICT_DUPLICATE_POOL] = "duplicate-pool",
        [VERDICT_POOL_SATURATED] = "pool-saturated",
        [VERDICT_IDLE_IN_TRANSACTION] = "idle-in-transaction",
        [VERDICT_BLOCKED_EVENT_LOOP] = "blocked-event-loop",
        [VERDICT_UNBOUNDED_RESULT] = "unbounded-result",
        [VERDICT_STATEMENT_LOOP] = "statement-loop",
        [VERDICT_LARGE_STATEMENT] = "large-statement",
        [VERDICT_HELD_RESULT] = "held-result",
        [VERDICT_READ_MODIFY_WRITE] = "read-modify-write",
        [VERDICT_PLATEAU] = "plateau",
        [VERDICT_STATIC] = "static",
        [VERDICT_STEP] = "step",
        [VERDICT_DEFERRED] = "deferred",
        [VERDICT_TURNOVER] = "turnover",
        [VERDICT_STEADY] = "steady",
        [VERDICT_FEW] = "few",
    };
    return names[verdict];
}

const char *severity_name(enum severity severity)
{
    static const char *const names[] = {"error", "warning", "note", "none"};
    return names[severity];
}

const char *confidence_name(enum confidence confidence)
{
    static const char *const names[] = {"high", "medium", "low"};
    return names[confidence];
}
