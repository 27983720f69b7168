/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Built so that its calls of its own functions go through its table, as most libraries' do. */
#include "pairs_library.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct thing {
    long payload[4];
};

struct thing *thing_open(void)
{
    return calloc(1, sizeof(struct thing));
}

void thing_close(struct thing *thing)
{
    free(thing);
}

struct thing *thing_again(void)
{
    struct thing *thing = thing_open();
    errno = 77;
    return thing;
}

struct thing *thing_open_deep(int depth)
{
    struct thing *(*volatile again)(int) = thing_open_deep; /* as anybody else would call it */
    struct thing *thing = depth > 0 ? again(depth - 1) : thing_open();
    if (thing)
        thing->payload[0] += depth;
    return thing;
}

struct thing *thing_fails(void)
{
    errno = ENOENT;
    return NULL;
}

struct thing *box_open(void)
{
    struct thing *box = thing_open(), *within = thing_open();
    thing_close(within);
    return box;
}

void box_close(struct thing *box)
{
    thing_close(box);
}

static struct thing *open_if(int arrived)
{
    return arrived ? thing_open() : NULL;
}

struct thing *thing_of_many(int a, int b, int c, int d, int e, int f, long g, long h, const char *i, double j, double k, int l)
{
    return open_if(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 && strcmp(i, "nine") == 0 &&
                   j == 10 && k == 11 && l == 12);
}

/* Six in registers, and as many words on the stack as are handed on. */
struct thing *thing_of_most(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k,
                            long l, long m, long n, long o, long p, long q, long r, long s, long t, long u, long v)
{
    return open_if(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 && i == 9 && j == 10 && k == 11 &&
                   l == 12 && m == 13 && n == 14 && o == 15 && p == 16 && q == 17 && r == 18 && s == 19 && t == 20 && u == 21 && v == 22);
}

/* More than are handed on where nothing is said of it. */
struct thing *thing_of_odd(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, long l,
                           long m, long n, long o, long p, long q, long r, long s, long t, long u, long v, long w)
{
    return open_if(a == 1 && g == 7 && l == 12 && u == 21 && v == 22 && w == 23);
}

struct thing *thing_of_structure(struct heap_of_words a, double b, struct heap_of_words c, long d)
{
    int arrived = b == 1.5 && d == 7;
    for (long i = 0; i < 3000; i++)
        arrived &= a.words[i] == i && c.words[i] == -i;
    return open_if(arrived);
}

struct thing *thing_of_doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i, int j)
{
    return open_if(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 && i == 9 && j == 10);
}

struct thing *thing_of_any(const char *types, ...)
{
    va_list arguments;
    int number = 0, arrived = 1;
    va_start(arguments, types);
    for (; *types; types++) {
        number++;
        if (*types == 'i')
            arrived &= va_arg(arguments, int) == number;
        else if (*types == 'd')
            arrived &= va_arg(arguments, double) == number;
        else
            arrived &= strcmp(va_arg(arguments, const char *), "text") == 0;
    }
    va_end(arguments);
    return open_if(arrived);
}

struct thing *thing_of_long_double(long double a, int b)
{
    return open_if(a == 1.25L && b == 2);
}

double result_double(struct thing **ret_thing, double mark)
{
    *ret_thing = thing_open();
    return mark;
}

float result_float(struct thing **ret_thing, float mark)
{
    *ret_thing = thing_open();
    return mark;
}

struct pair_of_doubles result_doubles(struct thing **ret_thing, double mark)
{
    *ret_thing = thing_open();
    return (struct pair_of_doubles){mark, -mark};
}

struct mixed result_mixed(struct thing **ret_thing, long mark)
{
    *ret_thing = thing_open();
    return (struct mixed){mark, (double)-mark};
}

__int128 result_wide(struct thing **ret_thing, long mark)
{
    *ret_thing = thing_open();
    return (__int128)mark << 64 | 5;
}

struct large result_large(struct thing **ret_thing, long mark)
{
    *ret_thing = thing_open();
    return (struct large){{mark, 0, 0, 0, 0, 0, 0, -mark}};
}

long double result_long_double(struct thing **ret_thing, long double mark)
{
    *ret_thing = thing_open();
    return mark;
}

_Complex long double result_complex(struct thing **ret_thing, long double mark)
{
    *ret_thing = thing_open();
    return __builtin_complex(mark, -mark);
}

__attribute__((target("avx"))) __m256d result_vector(struct thing **ret_thing, __m256d mark)
{
    *ret_thing = thing_open();
    return _mm256_add_pd(mark, mark);
}

__attribute__((target("avx512f"))) __m512d result_wide_vector(struct thing **ret_thing, __m512d mark)
{
    *ret_thing = thing_open();
    return _mm512_add_pd(mark, mark);
}

static int numbers;
static char refused[64];

int number_open(int *ret_number)
{
    *ret_number = numbers;
    if (numbers >= (int)sizeof(refused))
        return -1;
    numbers++;
    return 0;
}

int number_close(int number)
{
    if (number % 2 == 0 || refused[number]++)
        return 0;
    errno = EBUSY;
    return -1;
}

struct thing *thing_calling(void (*call)(void *), void *data)
{
    call(data);
    return thing_open();
}
