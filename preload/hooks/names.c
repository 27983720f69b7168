/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of temporary files: made exclusively, removed, renamed. A name is looked at when the call has succeeded, for only
 * then is it known that it can be read.
 */
#include "hooks/names.h"

#include <errno.h>
#include <sys/stat.h>

#include "hooks/descriptors.h"
#include "state/tempfiles.h"

#ifndef RENAME_EXCHANGE
#    define RENAME_EXCHANGE 2
#endif

#define PRIVATE 0700 /* the mode of folders that nobody else may look into */

static bool is_folder(uint16_t hook)
{
    return hook == STRAY_HOOK_mkdir || hook == STRAY_HOOK_mkdirat;
}

/* By a call that is for nothing else. */
static bool is_made_temporary(uint16_t hook)
{
    switch (hook) {
    case STRAY_HOOK_open:
    case STRAY_HOOK_open64:
    case STRAY_HOOK_openat:
    case STRAY_HOOK_openat64:
    case STRAY_HOOK___open_2:
    case STRAY_HOOK___open64_2:
    case STRAY_HOOK___openat_2:
    case STRAY_HOOK___openat64_2:
    case STRAY_HOOK_mkdir:
    case STRAY_HOOK_mkdirat:
        return false;
    default:
        return true;
    }
}

void name_made(uint16_t hook, int folder, const char *path, const void *caller)
{
    char name[TEMPFILE_PATH];
    if (!may_record())
        return;
    int kept = errno;
    uint64_t time = clock_after(), handle = tempfiles_name(folder, path, name);
    if (handle != 0 && (is_made_temporary(hook) || tempfiles_is_near(name, is_folder(hook)))) {
        note_finalizing();
        uint32_t definition = tempfiles_add(handle, name);
        emit_at(time, STRAY_OPEN, STRAY_TEMPFILE, hook, handle, definition, capture_stack(caller));
    }
    errno = kept;
}

static uint64_t handle_of_name(int folder, const char *path)
{
    char name[TEMPFILE_PATH];
    return tempfiles_name(folder, path, name);
}

/* What a removal or a renaming begins with: its time, or 0 if there is nothing it could concern. */
static uint64_t before_change(void)
{
    if (!tempfiles_any() || !may_record())
        return 0;
    emit_ready();
    return clock_before();
}

static int after_remove(uint16_t hook, uint64_t time, int folder, const char *path, int result, const void *caller)
{
    if (result != 0 || time == 0)
        return result;
    int kept = errno;
    note_finalizing();
    uint64_t handle = handle_of_name(folder, path);
    if (handle != 0 && tempfiles_remove(handle))
        emit_at(time, STRAY_CLOSE, STRAY_TEMPFILE, hook, handle, 0, capture_stack(caller));
    errno = kept;
    return result;
}

static void record_move(uint16_t hook, uint64_t time, uint64_t from, uint64_t to, const char *name)
{
    tempfiles_remove(to); /* replaced, if there was one */
    uint32_t definition = tempfiles_add(to, name);
    struct stray_event old = {time, from, 0, 0, hook, STRAY_MOVE_FROM, STRAY_TEMPFILE};
    struct stray_event new = {clock_after(), to, definition, 0, hook, STRAY_MOVE_TO, STRAY_TEMPFILE};
    emit_move(&old, &new);
}

struct place {
    int folder;
    const char *path;
};

static int after_rename(uint16_t hook, uint64_t time, struct place from, struct place to, int result, const void *caller)
{
    char name[TEMPFILE_PATH];
    if (result != 0 || time == 0)
        return result;
    int kept = errno;
    uint64_t old = handle_of_name(from.folder, from.path), new = tempfiles_name(to.folder, to.path, name);
    if (old != 0 && old != new && tempfiles_remove(old)) {
        if (new != 0)
            record_move(hook, time, old, new, name);
        else
            emit_at(time, STRAY_CLOSE, STRAY_TEMPFILE, hook, old, 0, capture_stack(caller));
    }
    errno = kept;
    return result;
}

/* Functions that remove what `folder` and `path` name. */
#define REMOVER(name, params, args, folder)                                                                            \
    int stray_hook_##name params                                                                                       \
    {                                                                                                                  \
        uint64_t time = before_change();                                                                               \
        return after_remove(STRAY_HOOK_##name, time, folder, path, REAL(name) args, CALLER());                         \
    }
REMOVER(unlink, (const char *path), (path), AT_FDCWD)
REMOVER(unlinkat, (int folder, const char *path, int flags), (folder, path, flags), folder)
REMOVER(remove, (const char *path), (path), AT_FDCWD)
REMOVER(rmdir, (const char *path), (path), AT_FDCWD)

int stray_hook_rename(const char *from, const char *to)
{
    uint64_t time = before_change();
    int result = REAL(rename)(from, to);
    return after_rename(STRAY_HOOK_rename, time, (struct place){AT_FDCWD, from}, (struct place){AT_FDCWD, to}, result, CALLER());
}

int stray_hook_renameat(int old, const char *from, int new, const char *to)
{
    uint64_t time = before_change();
    int result = REAL(renameat)(old, from, new, to);
    return after_rename(STRAY_HOOK_renameat, time, (struct place){old, from}, (struct place){new, to}, result, CALLER());
}

/* Where two names change places, both stay. */
int stray_hook_renameat2(int old, const char *from, int new, const char *to, unsigned int flags)
{
    uint64_t time = flags & RENAME_EXCHANGE ? 0 : before_change();
    int result = REAL(renameat2)(old, from, new, to, flags);
    return after_rename(STRAY_HOOK_renameat2, time, (struct place){old, from}, (struct place){new, to}, result, CALLER());
}

int stray_hook_mkdir(const char *path, mode_t mode)
{
    int result = REAL(mkdir)(path, mode);
    if (result == 0 && mode == PRIVATE)
        name_made(STRAY_HOOK_mkdir, AT_FDCWD, path, CALLER());
    return result;
}

int stray_hook_mkdirat(int folder, const char *path, mode_t mode)
{
    int result = REAL(mkdirat)(folder, path, mode);
    if (result == 0 && mode == PRIVATE)
        name_made(STRAY_HOOK_mkdirat, folder, path, CALLER());
    return result;
}

char *stray_hook_mkdtemp(char *path)
{
    char *result = REAL(mkdtemp)(path);
    if (result)
        name_made(STRAY_HOOK_mkdtemp, AT_FDCWD, path, CALLER());
    return result;
}
