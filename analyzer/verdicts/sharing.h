/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Client connections that were made in one process and used in another, which inherited them over fork. Two processes
 * on one connection mix up what they send and receive. Handing one on is no fault: a daemon's parent ends, or closes
 * its copy, and uses it no more. Pure.
 */
#ifndef STRAY_VERDICTS_SHARING_H
#define STRAY_VERDICTS_SHARING_H

#include <stdbool.h>
#include <stdint.h>

#include "verdicts/verdict.h"

/* One connection and the processes that have it. */
struct sharing {
    uint32_t users;   /* processes that used it after a fork handed it on, the one that opened it included */
    bool by_opener;   /* ... is among them */
    bool held;        /* somebody used it whose parent had it open all the while */
};

/* SEVERITY_NONE: it was not shared, or only handed on. */
enum severity sharing_judge(const struct sharing *sharing);

#endif
