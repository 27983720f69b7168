/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "monotonic.h"

#define ENTER "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE "\033[?25h\033[?1049l"
#define PLAIN "\033[0m"

static struct {
    struct termios before;
    bool has_keys; /* standard input is a terminal, and `before` holds how it was */
    volatile sig_atomic_t shown, stale, gone;
} screen;

/* What follows is called by signal handlers, too. */

static void say(const char *text, size_t size)
{
    if (write(STDOUT_FILENO, text, size) >= 0)
        return;
    if (errno == EINTR || errno == EAGAIN)
        screen.stale = 1;
    else
        screen.gone = 1;
}

static void enter(void)
{
    struct termios keys = screen.before;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    screen.shown = screen.stale = 1;
    if (screen.has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    say(ENTER, sizeof(ENTER) - 1);
}

static void leave(void)
{
    if (!screen.shown)
        return;
    screen.shown = 0;
    say(LEAVE, sizeof(LEAVE) - 1);
    if (screen.has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

static void ends(int signal)
{
    leave();
    if (signal == SIGINT) /* the usual way out */
        _exit(EXIT_SUCCESS);
    raise(signal); /* whose handler is gone: it comes once this one returns */
}

static void stops(int signal)
{
    int kept = errno;
    (void)signal;
    leave();
    raise(SIGSTOP);
    enter();
    errno = kept;
}

static void changes(int signal)
{
    (void)signal;
    screen.stale = 1;
}

/* ---- */

static void handle(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigfillset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}

void screen_begin(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGABRT, SIGSEGV, SIGBUS};
    screen.has_keys = tcgetattr(STDIN_FILENO, &screen.before) == 0;
    for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
        handle(ending[i], ends, (int)SA_RESETHAND);
    handle(SIGTSTP, stops, SA_RESTART);
    handle(SIGWINCH, changes, 0);
    atexit(screen_end);
    enter();
}

void screen_end(void)
{
    leave();
}

static struct winsize size_now(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    return size;
}

/* Bytes at `at` that take no column: a sequence of ours that colours. */
static size_t sequence_at(const char *at)
{
    return at[0] == '\033' ? strcspn(at, "m") + (at[strcspn(at, "m")] == 'm') : 0;
}

/* A line up to its end, as far as it fits; returns what follows it. */
static const char *put_line(const char *at, unsigned columns, FILE *out)
{
    unsigned used = 0;
    while (*at && *at != '\n') {
        size_t length = sequence_at(at);
        bool continued = ((unsigned char)*at & 0xc0) == 0x80;
        used += length == 0 && !continued;
        length += length == 0;
        if (used <= columns || *at == '\033')
            fwrite(at, length, 1, out);
        at += length;
    }
    return at + (*at == '\n');
}

void screen_show(const char *text)
{
    struct winsize size = size_now();
    char *drawn = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&drawn, &length);
    if (!out)
        return;
    screen.stale = 0;
    fputs("\033[H", out);
    for (unsigned row = 0; row < size.ws_row && *text; row++) {
        fputs(row > 0 ? "\n" : "", out);
        text = put_line(text, size.ws_col, out);
        fputs(PLAIN "\033[K", out);
    }
    fputs("\033[J", out);
    if (fclose(out) == 0 && drawn)
        say(drawn, length);
    free(drawn);
}

static enum screen_event read_key(void)
{
    char key;
    ssize_t got = read(STDIN_FILENO, &key, 1);
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
        return SCREEN_QUIT; /* the terminal is gone */
    return got > 0 && (key == 'q' || key == 'Q') ? SCREEN_QUIT : SCREEN_REDRAW;
}

enum screen_event screen_wait(double seconds)
{
    struct pollfd keys = {.fd = screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN};
    for (double until = monotonic_s() + seconds, left = seconds; left > 0; left = until - monotonic_s()) {
        if (screen.gone)
            return SCREEN_QUIT;
        if (screen.stale)
            return SCREEN_REDRAW;
        if (poll(&keys, 1, (int)(left * 1000) + 1) > 0 && read_key() == SCREEN_QUIT)
            return SCREEN_QUIT;
    }
    return SCREEN_NOTHING;
}
