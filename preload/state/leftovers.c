/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/leftovers.h"

#include "record/clock.h"
#include "record/defs.h"
#include "record/file.h"
#include "record/index.h"
#include "record/lane.h"
#include "record/nodes.h"
#include "record/spool.h"
#include "record/sums.h"
#include "stack/capture.h"
#include "state/children.h"
#include "state/descriptors.h"
#include "state/heap_samples.h"
#include "state/python_samples.h"
#include "state/tempfiles.h"
#include "sys.h"

bool leftovers_busy(void)
{
    return file_has_writers() || !lane_all_idle() || !capture_idle();
}

void leftovers_clear_caches(void)
{
    index_clear();
    nodes_forget();
    defs_forget();
    capture_clear();
}

void leftovers_give_back(void)
{
    leftovers_clear_caches();
    sums_renew();
    tempfiles_forget();
    children_forget();
    python_samples_forget();
    heap_samples_forget();
    descriptors_forget();
    spool_retire();
}

bool leftovers_await(uint64_t end)
{
    while (leftovers_busy() && clock_before() < end)
        sys_yield();
    return !leftovers_busy();
}
