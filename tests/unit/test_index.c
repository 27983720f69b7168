/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdbool.h>

#include "record/index.h"

#define KEYS    300000u
#define THREADS 4u

static uint64_t key_of(uint32_t number)
{
    return index_mix(number, 0x5eed);
}

Test(index, what_was_put_is_found_however_the_tables_grow)
{
    for (uint32_t i = 1; i <= KEYS; i++) {
        cr_assert_eq(index_find(key_of(i)), 0);
        index_put(key_of(i), i);
        cr_assert_eq(index_find(key_of(i)), i);
        cr_assert_eq(index_find(key_of(i / 2 + 1)), i / 2 + 1);
    }
    for (uint32_t i = 1; i <= KEYS; i++)
        cr_assert_eq(index_find(key_of(i)), i);
}

Test(index, nothing_is_found_after_it_was_forgotten)
{
    for (uint32_t i = 1; i <= 100000; i++)
        index_put(key_of(i), i);
    index_forget();
    for (uint32_t i = 1; i <= 100000; i++)
        cr_assert_eq(index_find(key_of(i)), 0);
    index_put(key_of(7), 8);
    cr_assert_eq(index_find(key_of(7)), 8);
}

uint64_t index_key_of_id(uint32_t id)
{
    return key_of(id);
}

static bool is_number(uint32_t id, const void *number)
{
    return id == *(const uint32_t *)number;
}

Test(index, ids_are_found_however_the_tables_grow)
{
    for (uint32_t i = 1; i <= KEYS; i++) {
        uint32_t before = i / 2 + 1;
        cr_assert_eq(index_find_id(key_of(i), is_number, &i), 0);
        index_put_id(key_of(i), i);
        cr_assert_eq(index_find_id(key_of(i), is_number, &i), i);
        cr_assert_eq(index_find_id(key_of(before), is_number, &before), before);
    }
    for (uint32_t i = 1; i <= KEYS; i++)
        cr_assert_eq(index_find_id(key_of(i), is_number, &i), i);
    index_forget();
    for (uint32_t i = 1; i <= KEYS; i++)
        cr_assert_eq(index_find_id(key_of(i), is_number, &i), 0);
}

/* A larger table only where this one is three quarters full. */
Test(index, tables_become_full)
{
    for (uint32_t i = 1; i <= KEYS; i++)
        index_put_id(key_of(i), i);
    cr_expect_leq(index_bytes(), KEYS * sizeof(uint32_t) * 4 / 3, "%lu bytes", index_bytes());
}

Test(index, the_largest_id)
{
    uint32_t largest = INDEX_ID_MAX, next = INDEX_ID_MAX + 1;
    index_put_id(key_of(largest), largest);
    index_put_id(key_of(next), next);
    cr_expect_eq(index_find_id(key_of(largest), is_number, &largest), largest);
    cr_expect_eq(index_find_id(key_of(next), is_number, &next), 0);
}

/* Two threads may know a key by two ids, or one may not find what another has put meanwhile: a wrong one, never. */
static void *put_all(void *data)
{
    for (uint32_t i = 1; i <= KEYS / 4; i++) {
        uint32_t id = index_find(key_of(i));
        if (id == 0)
            index_put(key_of(i), i);
        else if (id != i)
            *(bool *)data = true;
    }
    return NULL;
}

/* Each its own keys: whoever moves them from one table to the next, and whatever is full meanwhile, none is lost. */
static void *put_share(void *data)
{
    for (uint32_t i = 1 + *(uint32_t *)data; i <= KEYS; i += THREADS) {
        index_put(key_of(i), i);
        index_put_id(key_of(i), i);
    }
    return NULL;
}

Test(index, threads_lose_no_keys)
{
    pthread_t threads[THREADS];
    uint32_t shares[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        shares[i] = i;
        cr_assert_eq(pthread_create(&threads[i], NULL, put_share, &shares[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 1; i <= KEYS; i++) {
        cr_assert_eq(index_find(key_of(i)), i);
        cr_assert_eq(index_find_id(key_of(i), is_number, &i), i);
    }
}

Test(index, threads_find_no_other_keys_id)
{
    pthread_t threads[THREADS];
    static bool wrong[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, put_all, &wrong[i]), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_not(wrong[i]);
    }
}
