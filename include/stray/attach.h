/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `stray attach` hands to the shim that it loads into a running process. The injector (analyzer/attach/) writes one
 * request into the target's memory; a thread made for it, never one of the program's own, calls stray_attach_begin() with it.
 */
#ifndef STRAY_ATTACH_H
#define STRAY_ATTACH_H

#include <stdint.h>

#define STRAY_ATTACH_VERSION 2u

/* Names of the shim's two entries, looked up by the injector. */
#define STRAY_ATTACH_BEGIN "stray_attach_begin"
#define STRAY_ATTACH_END   "stray_attach_end"

struct stray_attach_request {
    uint32_t version; /* STRAY_ATTACH_VERSION; another: -EPROTO. The first word in every version */
    uint32_t size;    /* bytes, `environment` included */
    int32_t trace;    /* descriptors in the target, opened read-write and empty by the injector, which may write where the */
    int32_t spool;    /* target may not; the shim owns them, whatever it returns, but for -EPROTO: then the injector closes them */
    /* Either side sets its own, to 1, before it looks at the other's: so the shim undoes what it has done, or the injector knows
     * that an answer is on its way. */
    uint32_t withdrawn; /* by the injector: it waits no longer. -ECANCELED */
    uint32_t answered;  /* by the shim: what it does is settled */
    /* "NAME=value" strings, one after the other, an empty one last: STRAY_OUTPUT, STRAY_SPOOL and the options, the same as
     * beside LD_PRELOAD; and the absolute paths of the two files, as the injector sees them: STRAY_TRACE_PATH, STRAY_SPOOL_PATH. */
    char environment[];
};

/* Starts tracing: 0, or -errno with nothing changed. -EALREADY: the process is traced, by attach or from its start. -EBUSY: an earlier
 * attach or detach does not come to an end, or threads of an earlier trace are still at work. -ECANCELED: it was withdrawn meanwhile. May be called again after
 * stray_attach_end(). Not signal safe; on a thread of its own. */
int stray_attach_begin(struct stray_attach_request *request);

/* Ends tracing: every hook is taken back, calls in flight are waited for (at most 200 ms), the trace is completed, both descriptors
 * are closed. 0: all stands in the trace, and the injector removes the spool if the shim may not; 1: some could be written to the spool only,
 * which must stay; -ESRCH: nothing is traced. The shim stays mapped, and its hooks pass through. Same rules. */
int stray_attach_end(void);

#endif
