/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A library of handles, whose functions take and return what compilers pass in every way there is. */
#ifndef TARGETS_PAIRS_LIBRARY_H
#define TARGETS_PAIRS_LIBRARY_H

#include <immintrin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct thing;

/* thing: what malloc returned, or NULL. */
struct thing *thing_open(void);
void thing_close(struct thing *thing);
struct thing *thing_again(void); /* calls thing_open() by the library's own table */
struct thing *thing_open_deep(int depth); /* calls itself `depth` times before it opens one */
struct thing *thing_fails(void); /* NULL */

/* Another resource, whose functions use things: that is nobody else's business. */
struct thing *box_open(void);
void box_close(struct thing *box);

/* What is passed beyond registers for integers. All return a thing if the arguments arrived. */
struct thing *thing_of_most(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k,
                            long l, long m, long n, long o, long p, long q, long r, long s, long t, long u, long v);
struct thing *thing_of_odd(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, long l,
                           long m, long n, long o, long p, long q, long r, long s, long t, long u, long v, long w); /* 17 on the stack */
struct heap_of_words { long words[3000]; };
struct thing *thing_of_structure(struct heap_of_words a, double b, struct heap_of_words c, long d);
struct thing *thing_of_many(int a, int b, int c, int d, int e, int f, long g, long h, const char *i, double j, double k, int l);
struct thing *thing_of_doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i, int j);
struct thing *thing_of_any(const char *types, ...); /* 'i', 'd', 's' */
struct thing *thing_of_long_double(long double a, int b);

/* Results of other kinds; the handle is an argument. `mark` comes back. */
struct pair_of_doubles { double a, b; };
struct mixed { long a; double b; };
struct large { long words[8]; };
double result_double(struct thing **ret_thing, double mark);
float result_float(struct thing **ret_thing, float mark);
struct pair_of_doubles result_doubles(struct thing **ret_thing, double mark);
struct mixed result_mixed(struct thing **ret_thing, long mark);
__int128 result_wide(struct thing **ret_thing, long mark);
struct large result_large(struct thing **ret_thing, long mark); /* handle: a1, for a0 is where the result goes */
long double result_long_double(struct thing **ret_thing, long double mark);
_Complex long double result_complex(struct thing **ret_thing, long double mark);
/* To be called where the processor has AVX only. */
__attribute__((target("avx"))) __m256d result_vector(struct thing **ret_thing, __m256d mark);
/* The same where it has AVX-512. */
__attribute__((target("avx512f"))) __m512d result_wide_vector(struct thing **ret_thing, __m512d mark);

/* Status in the result; the handle in an int behind a pointer, 0 the first time. */
int number_open(int *ret_number);
int number_close(int number); /* -1 and EBUSY for odd numbers, which stay open, the first time */

/* Calls `call` with `data`, and returns a thing if that returns. */
struct thing *thing_calling(void (*call)(void *), void *data);

#ifdef __cplusplus
}
#endif
#endif
