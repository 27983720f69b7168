/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/tables.h"

#include "arch.h"
#include "lock.h"
#include "stack/modules.h"
#include "sys.h"
#include "stray/format.h"

#define OPEN_MAX 16u /* objects whose tables are mapped at a time */

/* From the page of the search table to the end of the segment that holds it; entries lie behind it. */
struct piece {
    const ElfW(Phdr) *table;
    uint64_t address, offset, size; /* as the object has it before it is moved, in its file, in bytes */
};

/* What a mapping is of, and where it is. */
struct opened {
    uint64_t inode, device, offset, size;
    char *at; /* NULL: nothing is mapped */
};

static struct opened opened[OPEN_MAX];
static unsigned next; /* to be given up */
LOCK(reading);

static const ElfW(Phdr) *header_of(const struct dl_phdr_info *object, uint32_t type, uint64_t address)
{
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];
        if (header->p_type == type && (type != PT_LOAD || address - header->p_vaddr < header->p_filesz))
            return header;
    }
    return NULL;
}

/* What is relocated is not as it is in the file. */
static bool find_piece(const struct dl_phdr_info *object, struct piece *piece)
{
    const ElfW(Phdr) *table = header_of(object, PT_GNU_EH_FRAME, 0);
    const ElfW(Phdr) *segment = table ? header_of(object, PT_LOAD, table->p_vaddr) : NULL;
    if (!segment || !(segment->p_flags & PF_R) || segment->p_flags & PF_W)
        return false;
    piece->table = table;
    piece->address = table->p_vaddr & ~(uint64_t)(STRAY_PAGE - 1);
    piece->offset = segment->p_offset + piece->address - segment->p_vaddr;
    piece->size = segment->p_vaddr + segment->p_filesz - piece->address;
    return piece->offset % STRAY_PAGE == 0;
}

static bool is_file(const struct stat *status, const struct modules_file *file)
{
    return S_ISREG(status->st_mode) && status->st_ino == file->inode && status->st_dev == file->device;
}

/* What has taken the file's name may do things when it is opened. */
static int open_file(const struct modules_file *file)
{
    struct stat status;
    if (!file->path || sys_lstat(file->path, &status) != 0 || !is_file(&status, file))
        return -ENOENT;
    return sys_open(file->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
}

static void close_view(struct opened *view)
{
    char *at = view->at;
    view->at = NULL;
    if (at)
        sys_munmap(at, view->size);
}

static struct opened *open_view(const struct modules_file *file, const struct piece *piece)
{
    struct stat status;
    struct opened *view = &opened[next++ % OPEN_MAX];
    close_view(view);
    int fd = open_file(file);
    if (fd < 0)
        return NULL;
    *view = (struct opened){file->inode, file->device, piece->offset, piece->size, NULL};
    if (sys_fstat(fd, &status) == 0 && is_file(&status, file) && piece->offset + piece->size <= (uint64_t)status.st_size)
        view->at = sys_mmap(piece->size, PROT_READ, MAP_PRIVATE, fd, (off_t)piece->offset);
    sys_close(fd);
    return view->at ? view : NULL;
}

static struct opened *find_view(const struct modules_file *file, const struct piece *piece)
{
    for (unsigned i = 0; i < OPEN_MAX; i++)
        if (opened[i].at && opened[i].inode == file->inode && opened[i].device == file->device &&
            opened[i].offset == piece->offset && opened[i].size == piece->size)
            return &opened[i];
    return open_view(file, piece);
}

static void describe(const struct dl_phdr_info *object, const struct piece *piece, const char *at, struct tables_view *ret_view)
{
    ret_view->object = *object;
    ret_view->object.dlpi_addr = (uint64_t)(uintptr_t)at - piece->address;
    ret_view->object.dlpi_phdr = ret_view->phdrs;
    ret_view->object.dlpi_phnum = 2;
    ret_view->moved = ret_view->object.dlpi_addr - object->dlpi_addr;
    ret_view->phdrs[0] = *piece->table;
    ret_view->phdrs[1] = (ElfW(Phdr)){.p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = piece->address, .p_filesz = piece->size,
                                      .p_memsz = piece->size};
}

bool tables_take(const struct dl_phdr_info *object, uint64_t address, struct tables_view *ret_view)
{
    struct piece piece;
    struct modules_file file;
    if (!find_piece(object, &piece) || !modules_file(address, &file) || !lock_try(&reading))
        return false;
    const struct opened *view = find_view(&file, &piece);
    if (view)
        describe(object, &piece, view->at, ret_view);
    else
        tables_give();
    return view != NULL;
}

void tables_give(void)
{
    lock_release(&reading);
}

void tables_drop(void)
{
    if (!lock_try(&reading))
        return;
    for (unsigned i = 0; i < OPEN_MAX; i++)
        close_view(&opened[i]);
    tables_give();
}
