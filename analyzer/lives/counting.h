/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The books: what one acquire, release or change of size does to the figures of its site, its resource and its peer. In a
 * header, because it is done once or twice an event: where the resource is known beforehand, most of it falls away.
 */
#ifndef STRAY_LIVES_COUNTING_H
#define STRAY_LIVES_COUNTING_H

#include "lives/internal.h"

#define GROWN_COUNT  32 /* from so many open at once a site's cohorts are kept */
#define GROWN_BYTES  65536
#define GROWN_OTHERS 8    /* the same for what is not heap: rarer, and dearer */
#define GROWN_OPENED 1000 /* ... or from so many births on: few of very many may leak */
#define RUN_LENGTH   32

/* To be called before a site's state changes: until now it was what it is. */
static inline void growth_before(struct lives *lives, struct site *site)
{
    if (lives->marks.current >= site->window.until)
        growth_move(lives, site);
}

/* ... and after it has changed. */
static inline void growth_after(struct lives *lives, struct site *site)
{
    uint64_t count = is_memory(site->resource) ? GROWN_COUNT : GROWN_OTHERS;
    if (site->released)
        window_change(&site->window, site->open, site->bytes_open);
    else if (site->open >= count || site->bytes_open >= GROWN_BYTES || site->opened >= GROWN_OPENED)
        growth_begin(lives, site);
}

/* A run of releases is over. */
static inline void run_ends(struct site *site)
{
    if (site->run >= RUN_LENGTH)
        site->growth->in_runs += site->run;
    site->run = 0;
}

static inline void book_bytes(struct book *book, uint64_t more, uint64_t less)
{
    book->bytes_open += more - less;
    if (book->bytes_open > book->peak_bytes)
        book->peak_bytes = book->bytes_open;
}

static inline void site_bytes(struct site *site, uint64_t more, uint64_t less)
{
    site->bytes_open += more - less;
    if (site->bytes_open > site->peak_bytes)
        site->peak_bytes = site->bytes_open;
}

/* Book-keeping of one acquire of `resource`, the site's, */
static inline void count_open(struct lives *lives, struct site *site, unsigned resource, uint64_t size, uint64_t time)
{
    struct book *book = &lives->books[resource];
    growth_before(lives, site);
    if (site->opened++ == 0) {
        site->first = time;
        site->first_mark = lives->marks.current;
    }
    site->last = time;
    site->window.births++;
    if (++site->open > site->peak)
        site->peak = site->open;
    site_bytes(site, size, 0);
    growth_after(lives, site);
    run_ends(site);
    book->opened++;
    if (++book->open > book->peak)
        book->peak = book->open;
    book_bytes(book, size, 0);
    if (!is_memory(resource) && site->peer != LIVES_NONE)
        peer_count(lives, site->peer, 1, 1);
}

/* A larger block that takes the place of the only other one is as good as a realloc: vectors of C++ grow so. */
static inline void count_replaced(const struct lives *lives, struct site *site, uint64_t size)
{
    if (site->growth && site->open == 2 && site->bytes_open > 2 * size && !lives->ended)
        site->growth->resized += site->bytes_open - 2 * size;
}

/* ... of one release, */
static inline void count_close(struct lives *lives, struct site *site, unsigned resource, uint64_t size)
{
    struct book *book = &lives->books[resource];
    count_replaced(lives, site, size);
    growth_before(lives, site);
    site->closed++;
    site->open--;
    site->bytes_open -= size;
    growth_after(lives, site);
    book->closed++;
    book->open--;
    book->bytes_open -= size;
    if (!is_memory(resource) && site->peer != LIVES_NONE)
        peer_count(lives, site->peer, 0, -1);
}

/* ... of one acquire that turns out not to have been one, */
static inline void count_retract(struct lives *lives, struct site *site)
{
    struct book *book = &lives->books[site->resource];
    growth_before(lives, site);
    site->opened--;
    site->open--;
    growth_after(lives, site);
    window_unborn(&site->window);
    book->opened--;
    book->open--;
    if (site->peer != LIVES_NONE)
        peer_count(lives, site->peer, -1, -1);
}

/* ... and of one that changes its size. */
static inline void count_resize(struct lives *lives, struct site *site, uint64_t old_size, uint64_t new_size)
{
    growth_before(lives, site);
    site_bytes(site, new_size, old_size);
    growth_after(lives, site);
    if (site->growth && new_size > old_size && !lives->ended)
        site->growth->resized += new_size - old_size;
    book_bytes(&lives->books[site->resource], new_size, old_size);
}

#endif
