/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words a judgement is made of. Their names stand in reports: only ever add. */
#ifndef STRAY_VERDICTS_VERDICT_H
#define STRAY_VERDICTS_VERDICT_H

enum verdict {
    /* loud */
    VERDICT_LEAKED,
    VERDICT_CREEP,
    VERDICT_FINALIZER_CLOSED,
    VERDICT_CHURN,
    VERDICT_OPEN_AT_EXIT,
    VERDICT_CLOSE_WAIT,
    VERDICT_UNREAPED,
    VERDICT_FORK_SHARED,
    VERDICT_RETENTION,
    VERDICT_DUPLICATE_POOL,
    VERDICT_POOL_SATURATED, /* from here to READ_MODIFY_WRITE: about calls, not about what is open */
    VERDICT_IDLE_IN_TRANSACTION,
    VERDICT_BLOCKED_EVENT_LOOP,
    VERDICT_UNBOUNDED_RESULT,
    VERDICT_STATEMENT_LOOP,
    VERDICT_LARGE_STATEMENT,
    VERDICT_HELD_RESULT,
    VERDICT_READ_MODIFY_WRITE,
    /* quiet: only in lists of sites */
    VERDICT_PLATEAU, /* also a pool: a flat ceiling, used again and again */
    VERDICT_STATIC,
    VERDICT_STEP,
    VERDICT_DEFERRED,
    VERDICT_TURNOVER,
    VERDICT_STEADY,
    VERDICT_FEW,
    VERDICT_COUNT
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE, SEVERITY_NONE };
enum confidence { CONFIDENCE_HIGH, CONFIDENCE_MEDIUM, CONFIDENCE_LOW };

const char *verdict_name(enum verdict verdict);
const char *severity_name(enum severity severity);
const char *confidence_name(enum confidence confidence);

#endif
