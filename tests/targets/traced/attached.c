/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attached SHIM FOLDER WHAT: attaches to itself in the middle of its work. What it did before and after must not be counted, and what it
 * did in between must be, exactly.
 */
#include "attach.h"

#include <netinet/in.h>
#include <sys/socket.h>

static struct attach attach;
static struct sockaddr_in address = {.sin_family = AF_INET};
static int listener;

static void listen_somewhere(void)
{
    socklen_t length = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    MUST(listener >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 512) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
}

static void *volatile kept[1000];
static SITE void keeps(int from, int count)
{
    for (int i = from; i < from + count; i++)
        kept[i] = malloc(100);
}
static SITE void gives_back(int from, int count)
{
    for (int i = from; i < from + count; i++)
        free(kept[i]);
}
static SITE int connects(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}
static SITE int opens(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0);
    return fd;
}
static SITE void prints_and_copies(void)
{
    char *copy = strdup("a string that libc allocates by itself");
    MUST(copy);
    free(copy);
}

/* One thread: 10 blocks, 3 connections and 2 files before; 20, 5 and 4 in between, of which 7, 2 and 1 go, and 4, 1 and 1 of those
 * from before. */
static void single(void)
{
    int early[3], files[2], late[5], more[4];
    keeps(0, 10);
    for (int i = 0; i < 3; i++)
        early[i] = connects();
    files[0] = opens(), files[1] = opens();
    MUST(attach_begin(&attach) == 0);
    keeps(10, 20);
    gives_back(10, 7);
    gives_back(0, 4);
    for (int i = 0; i < 5; i++)
        late[i] = connects();
    for (int i = 0; i < 4; i++)
        more[i] = opens();
    close(late[0]), close(late[1]), close(early[0]), close(more[0]), close(files[0]);
    for (int i = 0; i < 30; i++)
        prints_and_copies();
    MUST(attach_begin(&attach) == -EALREADY);
    MUST(attach_end(&attach) == 0);
    keeps(30, 100);
    gives_back(30, 100);
    for (int i = 0; i < 10; i++)
        close(connects()), close(opens());
    MUST(attach_end(&attach) == -ESRCH);
    expect("keeps", "heap", 20, 7, 1300);
    expect("connects", "connection", 5, 2, -1);
    expect("opens", "file", 4, 1, -1);
    expect("prints_and_copies", "heap", 30, 30, 0);
}

#define THREADS 8
static int stop;
static void *storms(void *argument)
{
    void *blocks[16] = {0};
    for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        free(blocks[i % 16]);
        blocks[i % 16] = malloc(i % 700);
        MUST(blocks[i % 16]);
    }
    for (unsigned i = 0; i < 16; i++)
        free(blocks[i]);
    return argument;
}

/* The same amid eight threads that allocate, so often as it says. */
static void storm(int times)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, storms, NULL) == 0);
    for (int i = 0; i < times; i++) {
        MUST(attach_begin(&attach) == 0);
        keeps(0, 50);
        gives_back(0, 25);
        MUST(attach_end(&attach) == 0);
        gives_back(25, 25);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    expect("keeps", "heap", 50, 25, 2500);
}

int main(int argc, char **argv)
{
    MUST(argc >= 4);
    attach.shim = argv[1];
    attach.folder = argv[2];
    listen_somewhere();
    if (strcmp(argv[3], "single") == 0)
        single();
    else if (strcmp(argv[3], "storm") == 0)
        storm(atoi(argv[4]));
    else
        MUST(!"what?");
    return 0;
}
