/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/follower.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct follower {
    pid_t process;
    int ask, answer;
};

/* In front of the text. */
struct head {
    size_t size;
    bool over;
};

/* What the process and those that it forks know. */
struct job {
    const char *path, *given;
    double seconds;
    const struct report_options *options;
    follower_writer *writer;
    void *data;
    int asked, answer;
};

static bool put_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t put = write(fd, at, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put;
        size -= (size_t)put;
    }
    return true;
}

static bool get_all(int fd, void *bytes, size_t size)
{
    char *at = bytes;
    while (size > 0) {
        ssize_t got = read(fd, at, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

/* ---- there ---- */

static int write_text(const struct job *job, struct report *report, char **ret_text, size_t *ret_size)
{
    FILE *out = open_memstream(ret_text, ret_size);
    int result = out ? job->writer(job->data, report, out) : -ENOMEM;
    return out && fclose(out) != 0 ? -ENOMEM : result;
}

/* 0: the answer is on its way. */
static int answer(const struct job *job, struct report_live *live)
{
    struct report *report;
    char *text = NULL;
    size_t size = 0;
    int result = report_live_build(live, job->given, job->options, &report);
    if (result == 0)
        result = write_text(job, report, &text, &size);
    if (result < 0)
        return 1;
    struct head head = {size, result > 0};
    return !put_all(job->answer, &head, sizeof(head)) || !put_all(job->answer, text, size);
}

static bool answer_apart(const struct job *job, struct report_live *live)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0)
        _exit(answer(job, live));
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && status == 0;
}

/* Signals that the terminal is to be given back at are not for this process: it ends when nobody can ask it any more. */
static void leave_terminal(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        signal(signals[i], SIG_DFL);
}

static void serve(const struct job *job)
{
    struct report_live *live;
    char asked;
    leave_terminal();
    if (report_live_open(job->path, job->seconds, job->options, &live) < 0)
        return;
    while (get_all(job->asked, &asked, sizeof(asked)) && answer_apart(job, live))
        ;
}

/* ---- here ---- */

static struct follower *follow(const struct job *job, int ask, int answers)
{
    struct follower *follower = malloc(sizeof(*follower));
    pid_t child = follower ? fork() : -1;
    if (child == 0) {
        close(ask);
        close(answers);
        serve(job);
        _exit(0);
    }
    close(job->asked);
    close(job->answer);
    if (child > 0) {
        *follower = (struct follower){child, ask, answers};
        return follower;
    }
    free(follower);
    close(ask);
    close(answers);
    return NULL;
}

struct follower *follower_start(const char *path, double seconds, const char *given, const struct report_options *options,
                                follower_writer *writer, void *data)
{
    int asks[2], answers[2];
    if (pipe2(asks, O_CLOEXEC) < 0)
        return NULL;
    if (pipe2(answers, O_CLOEXEC) < 0) {
        close(asks[0]);
        close(asks[1]);
        return NULL;
    }
    struct job job = {path, given, seconds, options, writer, data, asks[0], answers[1]};
    return follow(&job, asks[1], answers[0]);
}

char *follower_look(struct follower *follower, bool *ret_over)
{
    struct head head;
    char *text = NULL;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignore, &before);
    bool asked = put_all(follower->ask, "?", 1);
    sigaction(SIGPIPE, &before, NULL);
    if (asked && get_all(follower->answer, &head, sizeof(head)) && (text = calloc(1, head.size + 1)) &&
        !get_all(follower->answer, text, head.size)) {
        free(text);
        text = NULL;
    }
    if (text)
        *ret_over = head.over;
    return text;
}

void follower_stop(struct follower *follower)
{
    if (!follower)
        return;
    close(follower->ask);
    close(follower->answer);
    kill(follower->process, SIGKILL);
    while (waitpid(follower->process, NULL, 0) < 0 && errno == EINTR)
        ;
    free(follower);
}
