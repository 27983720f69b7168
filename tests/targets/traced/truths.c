/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * truths MODE: small services and jobs, some of which grow without bound. The line whose blocks pile up is marked with
 * `leaks: MODE`.
 */
#include "expect.h"

#include <pthread.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>

#define OPERATIONS 200000

/* What any request does and forgets. */
static void serve(int n)
{
    for (int i = 0; i < 4; i++) {
        char *volatile text = malloc(600 + (size_t)(n + i) % 50);
        MUST(text);
        memset(text, n, 600);
        free(text);
    }
}

struct entry {
    struct entry *next;
    char name[600];
};

/* The latest. */
static void remember_of(int n, int most)
{
    static struct entry *slots[4000];
    free(slots[n % most]);
    slots[n % most] = malloc(sizeof(struct entry));
    MUST(slots[n % most]);
}

/* The latest thousand. */
static void remember(int n)
{
    remember_of(n, 1000);
}

static struct entry *entries;

static void list(void)
{
    for (int n = 0; n < OPERATIONS / 10; n++) {
        for (int i = 0; i < 10; i++)
            serve(n);
        struct entry *entry = malloc(sizeof(*entry)); /* leaks: list */
        MUST(entry);
        entry->next = entries;
        entries = entry;
    }
}

static struct {
    long *items;
    size_t count, room;
} history;

/* Twice as big each time, as vectors are. */
static void push(int n)
{
    if (history.count == history.room) {
        history.room = history.room ? 2 * history.room : 64;
        history.items = realloc(history.items, history.room * sizeof(long)); /* leaks: vector */
        MUST(history.items);
    }
    history.items[history.count++] = n;
}

/* The last thousand are remembered besides. */
static void vector(void)
{
    for (int n = 0; n < OPERATIONS; n++) {
        serve(n);
        remember(n);
        push(n);
    }
}

/* Nothing else lives for long. */
static void vector_alone(void)
{
    for (int n = 0; n < OPERATIONS; n++) {
        serve(n);
        push(n);
    }
}

/* The same, as vectors of C++ do it. What is remembered is more than the tracer can sum up. */
static void copied(void)
{
    static long *items;
    size_t count = 0, room = 0;
    for (int n = 0; n < OPERATIONS; n++) {
        serve(n);
        remember_of(n, 4000);
        if (count == room) {
            size_t wider = room ? 2 * room : 64;
            long *larger = malloc(wider * sizeof(*larger)); /* leaks: copied */
            MUST(larger);
            if (room)
                memcpy(larger, items, room * sizeof(*larger));
            free(items);
            items = larger;
            room = wider;
        }
        items[count++] = n;
    }
}

/* Allocates nothing once it has begun. */
static void maps(void)
{
    for (int n = 0; n < 2000; n++)
        serve(n);
    for (int n = 0; n < 400; n++) {
        char *map = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* leaks: maps */
        MUST(map != MAP_FAILED);
        if (n % 2 == 0)
            munmap(map, 16384);
        usleep(1000);
    }
}

static __thread char *scratch;

static void *handle(void *request)
{
    if (!scratch)
        scratch = malloc(4000); /* leaks: thread_caches */
    MUST(scratch);
    serve(*(int *)request);
    return NULL;
}

/* A thread for each request: a cache of its own is of no use to it, and nobody frees it. */
static void thread_caches(void)
{
    for (int n = 0; n < 3000; n++) {
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, handle, &n) == 0);
        MUST(pthread_join(thread, NULL) == 0);
    }
}

/* Limits of users would end it early: no more than 100 instances. */
static void watches(void)
{
    for (int n = 0; n < 40; n++) {
        for (int i = 0; i < 50; i++)
            serve(n);
        int watch = inotify_init1(IN_CLOEXEC); /* leaks: watches */
        MUST(watch >= 0);
        MUST(inotify_add_watch(watch, "/", IN_CREATE) >= 0);
    }
}

/* A copy is freed where all goes well, and not where the line has no colon. */
static void parse_line(const char *line)
{
    char *copy = strdup(line); /* leaks: error_path */
    MUST(copy);
    char *colon = strchr(copy, ':');
    if (!colon)
        return;
    *colon = 0;
    free(copy);
}

static void error_path(void)
{
    char line[700] = "";
    for (int n = 0; n < OPERATIONS; n++) {
        memset(line, 'a' + n % 26, 600);
        if (n % 20)
            line[10] = ':';
        parse_line(line);
        serve(n);
    }
}

struct arena {
    struct arena *next;
    size_t used;
    char room[65536 - 16];
};

static char *arena_take(struct arena **arena, size_t size)
{
    if (!*arena || (*arena)->used + size > sizeof((*arena)->room)) {
        struct arena *fresh = malloc(sizeof(*fresh));
        MUST(fresh);
        *fresh = (struct arena){.next = *arena};
        *arena = fresh;
    }
    char *at = (*arena)->room + (*arena)->used;
    (*arena)->used += size;
    return at;
}

static void arena_free(struct arena *arena)
{
    while (arena) {
        struct arena *next = arena->next;
        free(arena);
        arena = next;
    }
}

/* An arena for each request. */
static void arenas(void)
{
    for (int n = 0; n < OPERATIONS / 50; n++) {
        struct arena *arena = NULL;
        for (int i = 0; i < 200 + n % 300; i++)
            memset(arena_take(&arena, 500), n, 500);
        serve(n);
        arena_free(arena);
    }
}

/* One arena that is emptied rather than freed: it grows to what the biggest request needed. */
static void arena_kept(void)
{
    static struct arena *arena;
    for (int n = 0; n < OPERATIONS / 10; n++) {
        for (int i = 0; i < 100; i++)
            memset(arena_take(&arena, 500), n, 500);
        for (struct arena *each = arena; each; each = each->next)
            each->used = 0;
        serve(n);
    }
}

static void lru(void)
{
    for (int n = 0; n < OPERATIONS; n++) {
        serve(n);
        remember(n);
    }
}

static void tables(void)
{
    static struct entry *rows[3000];
    for (int n = 0; n < 3000; n++) {
        rows[n] = malloc(sizeof(struct entry));
        MUST(rows[n]);
    }
    for (int n = 0; n < OPERATIONS; n++) {
        serve(n);
        rows[n % 3000]->name[0] = 'x';
    }
}

/* Gathers all along, and frees all when it is done. */
static void batch(void)
{
    struct entry *gathered = NULL;
    for (int n = 0; n < OPERATIONS / 10; n++) {
        for (int i = 0; i < 10; i++)
            serve(n);
        struct entry *entry = malloc(sizeof(*entry));
        MUST(entry);
        entry->next = gathered;
        gathered = entry;
    }
    while (gathered) {
        struct entry *next = gathered->next;
        free(gathered);
        gathered = next;
    }
}

/* Batches of any size, each in a buffer that grows, and is given back. */
static void copied_kept(void)
{
    char *items = NULL;
    size_t room = 0;
    for (int n = 0; n < OPERATIONS; n++) {
        serve(n);
        remember_of(n, 4000);
        size_t wanted = (size_t)(n % (OPERATIONS / 20)) * 20;
        if (wanted > room || wanted == 0) {
            char *larger = malloc(2 * wanted + 64);
            MUST(larger);
            free(items);
            items = larger;
            room = 2 * wanted + 64;
        }
    }
    free(items);
}

/* A vector as big as the biggest request, then used again and again. */
static void vector_kept(void)
{
    long *items = NULL;
    size_t room = 0;
    for (int n = 0; n < OPERATIONS; n++) {
        serve(n);
        size_t count = (size_t)(n * 7919L % 1000);
        while (count > room) {
            room = room ? 2 * room : 64;
            items = realloc(items, room * sizeof(*items));
            MUST(items);
        }
    }
    free(items);
}

struct key {
    struct key *next;
    char name[56];
};

static struct {
    struct key **rows;
    size_t room, count;
} keys;

static struct key **row_of(const char *name)
{
    size_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return &keys.rows[hash % keys.room];
}

static void rehash(size_t room)
{
    struct key **old = keys.rows;
    size_t old_room = keys.room;
    keys.room = room;
    keys.rows = calloc(room, sizeof(*keys.rows));
    MUST(keys.rows);
    for (size_t i = 0; i < old_room; i++) {
        while (old[i]) {
            struct key *key = old[i];
            old[i] = key->next;
            struct key **row = row_of(key->name);
            key->next = *row;
            *row = key;
        }
    }
    free(old);
}

static void remember_key(const char *name)
{
    if (2 * keys.count >= keys.room)
        rehash(keys.room ? 2 * keys.room : 64);
    struct key **row = row_of(name);
    for (struct key *key = *row; key; key = key->next)
        if (strcmp(key->name, name) == 0)
            return;
    struct key *key = malloc(sizeof(*key));
    MUST(key);
    strcpy(key->name, name);
    key->next = *row;
    *row = key;
    keys.count++;
}

/* A table of all names that come, of which there are three thousand. */
static void finite_table(void)
{
    for (int n = 0; n < OPERATIONS; n++) {
        char name[56];
        snprintf(name, sizeof(name), "key-%ld", n * 7919L % 3001);
        remember_key(name);
        serve(n);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"list", list},
    {"vector", vector},
    {"vector_alone", vector_alone},
    {"copied", copied},
    {"maps", maps},
    {"thread_caches", thread_caches},
    {"watches", watches},
    {"error_path", error_path},
    {"arenas", arenas},
    {"arena_kept", arena_kept},
    {"lru", lru},
    {"tables", tables},
    {"batch", batch},
    {"vector_kept", vector_kept},
    {"copied_kept", copied_kept},
    {"finite_table", finite_table},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(*modes); i++) {
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: truths MODE\n");
    return 2;
}
