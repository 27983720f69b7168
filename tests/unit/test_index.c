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
