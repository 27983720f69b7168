/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The code beneath the program's calls of libpq: that of every libpq and of the libraries that it brings (OpenSSL, Kerberos, LDAP),
 * without those that somebody could as well have called from a function that libpq calls back: what any other object needs, or anything
 * it depends on, otherwise than by libpq. Where a Python interpreter is active it is what the users of libpq need: the other objects are
 * called by Python code, whose frames are looked at. What such code allocates inside of a call of libpq belongs to that call. A callback
 * that has found functions of a library by their names, which no object of the program needs, is not noticed.
 *
 * Which objects need which is read from their dynamic sections. Looking is thread and signal safe, learning is not signal safe.
 */
#ifndef STRAY_STACK_BENEATH_H
#define STRAY_STACK_BENEATH_H

#include <stdbool.h>
#include <stdint.h>

#include "arch.h"

/* What is known of it, by its number: odd, and used but once; even while nothing is known. Atomic. */
extern uint64_t beneath_now ARCH_NEAR;

/* Such code around an address. */
struct beneath_code {
    uint64_t start, size;
    uint64_t of; /* what it was known by, by its number: else it may have gone */
};

static inline bool beneath_is_known(void)
{
    return __atomic_load_n(&beneath_now, __ATOMIC_RELAXED) & 1;
}

static inline bool beneath_is_in(const struct beneath_code *code, uint64_t address)
{
    return address - code->start < code->size && code->of == __atomic_load_n(&beneath_now, __ATOMIC_ACQUIRE);
}

/* False: `address` does not lie in any. */
bool beneath_find(uint64_t address, struct beneath_code *ret_code);

/* Looks at what is loaded, if anything was since the last time. */
void beneath_learn(void);
/* The code at `address` has found functions of libpq by their names, and so uses it, whatever its object needs. */
void beneath_used_by(const void *address);
/* Something was loaded or unloaded: until the next look there is no such code. */
void beneath_forget(void);

#endif
