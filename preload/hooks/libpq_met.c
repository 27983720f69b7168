/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/libpq_met.h"

#include <stdint.h>

#define PLACES 4096u /* a power of two */
#define NEAR   16u   /* places that one may stand in; where all are taken it counts as met */

static uint64_t met[PLACES]; /* addresses; 0: free */
static bool begun;

void libpq_met_begin(void)
{
    __builtin_memset(met, 0, sizeof(met));
    __atomic_store_n(&begun, true, __ATOMIC_RELEASE);
}

static uint64_t *place(uint64_t conn, unsigned step)
{
    return &met[((conn * 0x9e3779b97f4a7c15u >> 40) + step) & (PLACES - 1)];
}

static bool exchange(uint64_t conn, uint64_t from, uint64_t to)
{
    for (unsigned step = 0; step < NEAR; step++) {
        uint64_t have = from;
        if (__atomic_compare_exchange_n(place(conn, step), &have, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

bool libpq_met_first(const PGconn *conn)
{
    uint64_t address = (uint64_t)(uintptr_t)conn;
    if (__builtin_expect(!__atomic_load_n(&begun, __ATOMIC_ACQUIRE), 1))
        return false;
    return !exchange(address, address, address) && exchange(address, 0, address);
}

void libpq_met_last(const PGconn *conn)
{
    if (__atomic_load_n(&begun, __ATOMIC_RELAXED))
        exchange((uint64_t)(uintptr_t)conn, (uint64_t)(uintptr_t)conn, 0);
}
