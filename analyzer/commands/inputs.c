/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/inputs.h"

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/common.h"
#include "read/source.h"

void inputs_free(struct inputs *inputs)
{
    paths_free(inputs->paths, inputs->count);
    free(inputs->given);
    free(inputs->left_out);
    *inputs = (struct inputs){0};
}

static int add_inputs(struct inputs *inputs, char **paths, size_t count)
{
    char **grown = realloc(inputs->paths, (inputs->count + count) * sizeof(*grown));
    if (!grown) {
        paths_free(paths, count);
        return fail("out of memory");
    }
    memcpy(grown + inputs->count, paths, count * sizeof(*paths));
    inputs->paths = grown;
    inputs->count += count;
    free(paths);
    return STATUS_DONE;
}

/* A trace is read at many places, so standard input is kept in memory first. */
static int copy_stdin(int fd)
{
    char block[65536];
    ssize_t got;
    while ((got = read(STDIN_FILENO, block, sizeof(block))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        for (ssize_t done = 0, part; done < got; done += part)
            if ((part = write(fd, block + done, (size_t)(got - done))) < 0)
                return -errno;
    }
    return 0;
}

static int leave_out(struct inputs *inputs, const struct error *error)
{
    if (inputs->left_out_count++ == 0 && !(inputs->left_out = strdup(error->text)))
        return fail("%s", error_reason(-ENOMEM));
    return STATUS_DONE;
}

/* One that nobody named must not hide the others, as a file that a full disk left does. If all are such, the first says why. */
static int leave_out_unreadable(struct inputs *inputs, char **paths, size_t *count)
{
    struct error error;
    size_t kept = 0;
    int status = STATUS_DONE;
    for (size_t i = 0; i < *count; i++) {
        int result = status == STATUS_DONE ? trace_check(paths[i], &error) : 0;
        if (result == -ENOMEM)
            status = fail("%s", error.text);
        else if (result < 0)
            status = leave_out(inputs, &error);
        if (result == 0)
            paths[kept++] = paths[i];
        else
            free(paths[i]);
    }
    *count = kept;
    return status == STATUS_DONE && kept == 0 ? fail("%s", inputs->left_out) : status;
}

static int add_path(struct inputs *inputs, const char *path)
{
    struct error error;
    char **paths;
    size_t count;
    if (trace_find(path, &paths, &count, &error) < 0)
        return fail("%s", error.text);
    bool named = count == 1 && strcmp(paths[0], path) == 0;
    int status = named || inputs->whole ? STATUS_DONE : leave_out_unreadable(inputs, paths, &count);
    if (status == STATUS_DONE)
        return add_inputs(inputs, paths, count);
    paths_free(paths, count);
    return status;
}

/* The copy stays open until the process ends. */
static int add_stdin(struct inputs *inputs)
{
    if (!source_is_standard_input("-")) {
        int fd = memfd_create("stdin", MFD_CLOEXEC), result = fd < 0 ? -errno : copy_stdin(fd);
        if (result < 0)
            return fail("standard input: %s", error_reason(result));
        source_set_standard_input(fd);
    }
    return add_path(inputs, "-");
}

static int add_argument(struct inputs *inputs, const char *argument)
{
    if (!*argument)
        return fail("an argument is empty: no trace is called so");
    return strcmp(argument, "-") == 0 ? add_stdin(inputs) : add_path(inputs, argument);
}

static bool newer(const struct stat *a, const struct stat *b)
{
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
        return a->st_mtim.tv_sec > b->st_mtim.tv_sec;
    return a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

/* The newest of the folders that `stray run` and `stray attach` make where no name is given. */
static int add_newest(struct inputs *inputs)
{
    glob_t found;
    struct stat info, best_info;
    const char *best = NULL;
    if (glob("stray.*", 0, NULL, &found) != 0)
        return fail("no trace given, and there is no folder stray.* here");
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (stat(found.gl_pathv[i], &info) == 0 && S_ISDIR(info.st_mode) &&
            (!best || newer(&info, &best_info))) {
            best = found.gl_pathv[i];
            best_info = info;
        }
    int status =
        best ? add_argument(inputs, best) : fail("no trace given, and there is no folder stray.* here");
    globfree(&found);
    return status;
}

/* What the user called the traces. Freed by the caller; NULL without memory. */
static char *call_of(char *const *arguments, size_t count, char *const *paths, size_t path_count)
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++)
        size += strlen(arguments[i]) + 1;
    if (count == 0) {
        const char *slash = path_count ? strrchr(paths[0], '/') : NULL;
        return slash ? strndup(paths[0], (size_t)(slash - paths[0])) : strdup("");
    }
    char *joined = calloc(1, size), *out = joined;
    for (size_t i = 0; joined && i < count; i++) {
        if (i > 0)
            *out++ = ' ';
        out = stpcpy(out, arguments[i]);
    }
    return joined;
}

/* ---- files that are the same ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* A trace that is meant twice, as FOLDER and FOLDER/TRACE, was one process and counts once. */
static int leave_out_repeated(struct inputs *inputs)
{
    size_t kept = 0;
    struct stat *infos = calloc(inputs->count, sizeof(*infos)); /* of those that are kept; no inode: a member of a packed file */
    if (!infos)
        return fail("%s", error_reason(-ENOMEM));
    for (size_t i = 0; i < inputs->count; i++) {
        char *path = inputs->paths[i];
        struct stat info = {0};
        bool file = stat(path, &info) == 0, repeated = false;
        for (size_t k = 0; k < kept && !repeated; k++)
            repeated = file ? same_file(&infos[k], &info) : infos[k].st_ino == 0 && strcmp(inputs->paths[k], path) == 0;
        if (repeated) {
            free(path);
            continue;
        }
        infos[kept] = file ? info : (struct stat){0};
        inputs->paths[kept++] = path;
    }
    inputs->count = kept;
    free(infos);
    return STATUS_DONE;
}

static bool is_file(const char *path, const struct stat *wanted)
{
    struct stat info;
    return stat(path, &info) == 0 && same_file(&info, wanted);
}

/* The trace, its spool, or the packed file that it is in. */
static bool belongs_to(const struct stat *file, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *spool = NULL, *pack = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    bool belongs = is_file(path, file) || (pack && is_file(pack, file)) ||
                   (asprintf(&spool, "%s%s", path, STRAY_SPOOL_SUFFIX) >= 0 && is_file(spool, file));
    free(spool);
    free(pack);
    return belongs;
}

int inputs_spare(const struct inputs *inputs, const char *output)
{
    struct stat info;
    if (!output || strcmp(output, "-") == 0 || stat(output, &info) != 0 || !S_ISREG(info.st_mode))
        return STATUS_DONE;
    for (size_t i = 0; i < inputs->count; i++)
        if (belongs_to(&info, inputs->paths[i]))
            return fail("%s: is one of the traces that are read: it would be lost", output);
    return STATUS_DONE;
}

/* ---- */

static int find(char *const *arguments, size_t count, bool whole, struct inputs *ret_inputs)
{
    struct inputs inputs = {.whole = whole};
    int status = count == 0 ? add_newest(&inputs) : STATUS_DONE;
    for (size_t i = 0; i < count && status == STATUS_DONE; i++)
        status = add_argument(&inputs, arguments[i]);
    if (status == STATUS_DONE)
        status = leave_out_repeated(&inputs);
    if (status == STATUS_DONE && !(inputs.given = call_of(arguments, count, inputs.paths, inputs.count)))
        status = fail("%s", error_reason(-ENOMEM));
    if (status != STATUS_DONE) {
        inputs_free(&inputs);
        return status;
    }
    *ret_inputs = inputs;
    return STATUS_DONE;
}

int inputs_find(char *const *arguments, size_t count, struct inputs *ret_inputs)
{
    return find(arguments, count, false, ret_inputs);
}

int inputs_find_all(char *const *arguments, size_t count, struct inputs *ret_inputs)
{
    return find(arguments, count, true, ret_inputs);
}

void inputs_tell(const struct inputs *inputs)
{
    if (inputs->left_out_count > 1)
        note("%s: left out, and %zu more", inputs->left_out, inputs->left_out_count - 1);
    else if (inputs->left_out_count == 1)
        note("%s: left out", inputs->left_out);
}

int inputs_use(int status, int argc, char **argv, const char *usage, const char *output, inputs_user *use, void *data)
{
    struct inputs inputs;
    if (status == STATUS_HELP)
        return usage_print(usage);
    if (status == STATUS_DONE)
        status = inputs_find(argv + optind, (size_t)(argc - optind), &inputs);
    if (status != STATUS_DONE)
        return status;
    status = inputs_spare(&inputs, output);
    if (status == STATUS_DONE) {
        inputs_tell(&inputs);
        status = use(&inputs, data);
    }
    inputs_free(&inputs);
    return status;
}
