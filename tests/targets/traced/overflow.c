/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overflow [signals|moves]: blocks that die after five hundred others, and a few that stay; with `signals`, handlers that make
 * more handles than a buffer of the tracer keeps room for, while all that goes on; with `moves`, such handlers while each
 * block moves before it dies.
 */
#include "expect.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define RING    500
#define HANDLED 80 /* sockets made and closed by one signal */

SITE static void in_handler(void)
{
    for (unsigned i = 0; i < HANDLED; i++) {
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        MUST(fd >= 0 && close(fd) == 0);
    }
}

static unsigned microseconds; /* between handlers */

static void set_timer(void)
{
    struct itimerval timer = {.it_value = {0, microseconds}};
    MUST(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

/* The next signal comes only when this one is over, however long it takes. */
static void on_alarm(int number)
{
    in_handler();
    set_timer();
}

SITE static void *dies(size_t size) { void *volatile block = malloc(size); return block; }
SITE static void *grows(size_t size) { void *volatile block = malloc(size); return block; }
SITE static void *stays(void) { void *volatile block = malloc(40); return block; }
SITE static void *moves(void) { void *volatile block = malloc(24); return block; }

static int move_blocks(void)
{
    long rounds = 150000;
    signal(SIGALRM, on_alarm);
    microseconds = 20; /* what matters is what comes between the two halves of a move */
    set_timer();
    for (long i = 0; i < rounds; i++) {
        void *block = moves();
        for (size_t size = 100; size <= 600; size += 100)
            MUST(block = realloc(block, size));
        free(block);
    }
    signal(SIGALRM, SIG_IGN);
    expect("moves", "heap", rounds, rounds, 0);
    return 0;
}

int main(int argc, char **argv)
{
    static void *ring[RING], *grown[RING];
    long rounds = 300000, kept = 0;
    if (argc > 1 && strcmp(argv[1], "moves") == 0)
        return move_blocks();
    signal(SIGALRM, on_alarm);
    microseconds = 400;
    if (argc > 1)
        set_timer();
    for (long i = 0; i < rounds; i++) {
        void **place = &ring[i % RING], **other = &grown[i * 7 % RING];
        free(*place);
        MUST(*place = dies((size_t)(i % 61) + 1));
        if (i % 5 == 0) {
            free(*other);
            MUST(*other = grows(24));
        }
        if (i % 15 == 0)
            MUST(*other = realloc(*other, (size_t)(i % 900) + 1));
        if (i % 100 == 0) {
            MUST(stays());
            kept++;
        }
    }
    signal(SIGALRM, SIG_IGN);
    long open = 0;
    for (long i = 0; i < RING; i++) {
        free(ring[i]);
        open += grown[i] != NULL;
    }
    expect("dies", "heap", rounds, rounds, 0);
    expect("grows", "heap", (rounds + 4) / 5, (rounds + 4) / 5 - open, -1);
    expect("stays", "heap", kept, 0, 40 * kept);
    return 0;
}
