/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sql/keyed.h"

#include "sys.h"

static uint64_t own_key[2];
static uint32_t has_key; /* 0: no; 1: it is being made; 2: yes */

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void mix(struct state *s, unsigned rounds)
{
    while (rounds-- > 0) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32) + s->v3;
        s->v2 += s->v1;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s, 2);
    s->v0 ^= word;
}

uint64_t keyed_hash_with(const uint64_t key[2], const void *bytes, size_t size)
{
    struct state s = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                      key[1] ^ 0x7465646279746573u};
    const uint8_t *at = bytes;
    uint64_t last = (uint64_t)size << 56, word;
    for (; size >= 8; size -= 8, at += 8) {
        __builtin_memcpy(&word, at, 8);
        absorb(&s, word);
    }
    for (size_t i = 0; i < size; i++)
        last |= (uint64_t)at[i] << 8 * i;
    absorb(&s, last);
    s.v2 ^= 0xff;
    mix(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* Whoever comes while another makes the key, or where the kernel gives none, has a hash that equals no other. */
static uint64_t hash_of_nothing(void)
{
    static uint64_t count;
    return __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
}

uint64_t keyed_hash(const void *bytes, size_t size)
{
    uint32_t none = 0;
    if (__builtin_expect(__atomic_load_n(&has_key, __ATOMIC_ACQUIRE) != 2, 0)) {
        if (!__atomic_compare_exchange_n(&has_key, &none, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return hash_of_nothing();
        if (sys_getrandom(own_key, sizeof(own_key)) != sizeof(own_key)) {
            __atomic_store_n(&has_key, 0, __ATOMIC_RELEASE);
            return hash_of_nothing();
        }
        __atomic_store_n(&has_key, 2, __ATOMIC_RELEASE);
    }
    return keyed_hash_with(own_key, bytes, size);
}
