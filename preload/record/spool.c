/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/spool.h"

#include "sys.h"
#include "text.h"

#include <errno.h>
#include <limits.h>

#ifndef MADV_POPULATE_WRITE
#    define MADV_POPULATE_WRITE 23
#endif

#define NODES_MAX (4u << 20)
#define DEFS_MAX  (64u << 20)
#define CHUNK     (16u << 10)  /* populated at a time */

struct stray_spool_header *spool;

static char path_kept[PATH_MAX], link_kept[PATH_MAX]; /* link_kept empty: none */
static struct stat given; /* the file that was adopted; st_ino 0: we have made one, whose name nobody else takes */
char *spool_bases[SPOOL_AREAS][SPOOL_LEVELS];
uint32_t spool_level[SPOOL_AREAS];
static uint64_t mapped[SPOOL_AREAS][SPOOL_LEVELS]; /* sizes, for a child that cannot read the header */
static uint64_t reserved[SPOOL_AREAS];
static bool again;   /* the mappings of an earlier trace are being replaced */
static bool by_file; /* the kernel cannot populate a mapping: reserve in the file, by path */

static uint64_t area_offset(enum spool_area area)
{
    return area == SPOOL_NODES ? spool->nodes_offset : area == SPOOL_DEFS ? spool->defs_offset : spool->lanes_offset;
}

static uint64_t area_size(enum spool_area area)
{
    return area == SPOOL_NODES  ? spool->nodes_capacity * sizeof(struct stray_node)
           : area == SPOOL_DEFS ? spool->defs_capacity
                                : spool->lanes_capacity * sizeof(struct stray_lane);
}

/* A child has no use for it, and to read ahead in a file of holes fills the page cache with zeros, megabytes at a time. */
static void advise(char *at, uint64_t size)
{
    sys_madvise(at, size, MADV_DONTFORK);
    sys_madvise(at, size, MADV_RANDOM);
}

static bool populate_by_file(uint64_t begin, uint64_t end)
{
    int fd = sys_open(path_kept, O_RDWR | O_NOFOLLOW, 0);
    if (fd < 0)
        return false;
    int result = sys_fallocate(fd, (off_t)begin, (off_t)(end - begin));
    sys_close(fd);
    return result == 0;
}

static bool populate(char *at, uint64_t offset, uint64_t size)
{
    if (!by_file) {
        int result = sys_madvise(at, size, MADV_POPULATE_WRITE);
        if (result == 0)
            return true;
        if (result != -EINVAL)
            return false;
        by_file = true;
    }
    return populate_by_file(offset, offset + size);
}

static uint64_t level_size(enum spool_area area, unsigned level)
{
    uint64_t size = SPOOL_MAPPED << level;
    return size < area_size(area) ? size : area_size(area);
}

/* Maps the same pages again, and more behind them. The loser of a race gives its mapping back. */
static bool map_level(enum spool_area area, unsigned level)
{
    char *none = NULL, **place = &spool_bases[area][level];
    uint64_t size = level_size(area, level);
    if (__atomic_load_n(place, __ATOMIC_ACQUIRE))
        return true;
    char *base = sys_mremap(spool_bases[area][0], 0, size, MREMAP_MAYMOVE);
    if (!base)
        return false;
    advise(base, size);
    mapped[area][level] = size;
    if (!__atomic_compare_exchange_n(place, &none, base, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        sys_munmap(base, size);
    return true;
}

static bool map_until(enum spool_area area, uint64_t end)
{
    uint32_t have = __atomic_load_n(&spool_level[area], __ATOMIC_ACQUIRE), level = have;
    while (level_size(area, level) < end)
        level++;
    if (level == have)
        return true;
    if (level >= SPOOL_LEVELS || !map_level(area, level))
        return false;
    unsigned old = have;
    while (have < level && !__atomic_compare_exchange_n(&spool_level[area], &have, level, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        ;
    if (area != SPOOL_LANES) /* what was resident by the smaller mapping would be so twice */
        sys_madvise(spool_bases[area][old], level_size(area, old), MADV_DONTNEED);
    return true;
}

bool spool_reserve(enum spool_area area, uint64_t end)
{
    uint64_t have = __atomic_load_n(&reserved[area], __ATOMIC_ACQUIRE);
    if (__builtin_expect(end <= have, 1))
        return true;
    if (end > area_size(area))
        return false;
    uint64_t want = (end + CHUNK - 1) / CHUNK * CHUNK;
    if (want > area_size(area))
        want = area_size(area);
    if (!map_until(area, want) || !populate(spool_at(area) + have, area_offset(area) + have, want - have))
        return false;
    while (have < want && !__atomic_compare_exchange_n(&reserved[area], &have, want, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
        ;
    return true;
}

static void lay_out(struct stray_spool_header *header, unsigned shrink)
{
    header->nodes_offset = STRAY_PAGE;
    header->nodes_capacity = NODES_MAX >> shrink;
    header->defs_offset = header->nodes_offset + header->nodes_capacity * sizeof(struct stray_node);
    header->defs_capacity = DEFS_MAX >> shrink;
    header->lanes_offset = header->defs_offset + header->defs_capacity;
    header->lanes_capacity = SPOOL_LANES_MAX >> shrink;
}

static uint64_t laid_size(const struct stray_spool_header *header)
{
    return header->lanes_offset + header->lanes_capacity * sizeof(struct stray_lane);
}

/* Threads remember where their lanes lie. */
static bool map_in_place(void *at, uint64_t size, int fd, uint64_t offset)
{
    if (!sys_mmap_over(at, size, MAP_SHARED, fd, (off_t)offset))
        return false;
    advise(at, size);
    return true;
}

/* Sizes the file within the process's own limit (to exceed it would raise SIGXFSZ) and maps it. */
static int map_file(int fd, struct stray_spool_header *header)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    sys_getrlimit(RLIMIT_FSIZE, &limit);
    for (unsigned shrink = 0; shrink <= 8; shrink += 2) {
        lay_out(header, shrink);
        if (laid_size(header) > limit.rlim_cur)
            continue;
        int result = sys_ftruncate(fd, (off_t)laid_size(header));
        if (result < 0)
            return result;
        if (again)
            return map_in_place(spool, STRAY_PAGE, fd, 0) ? 0 : -ENOMEM;
        spool = sys_mmap(STRAY_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return spool ? 0 : -ENOMEM;
    }
    return -EFBIG;
}

static bool map_area(int fd, enum spool_area area)
{
    uint64_t size = level_size(area, 0);
    char *base = sys_mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)area_offset(area));
    if (base)
        advise(base, size);
    mapped[area][0] = size;
    spool_bases[area][0] = base;
    spool_level[area] = 0;
    reserved[area] = 0;
    return base != NULL;
}

/* ---- again, at the same addresses ---- */

static bool map_area_again(int fd, enum spool_area area)
{
    bool done = true;
    for (unsigned level = 0; level < SPOOL_LEVELS; level++)
        if (spool_bases[area][level])
            done = done && mapped[area][level] == level_size(area, level) &&
                   map_in_place(spool_bases[area][level], mapped[area][level], fd, area_offset(area));
    reserved[area] = 0;
    return done;
}

void spool_retire(void)
{
    struct stray_spool_header header = *spool;
    sys_mmap_over(spool, STRAY_PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (unsigned area = 0; area < SPOOL_AREAS; area++)
        for (unsigned level = 0; level < SPOOL_LEVELS; level++)
            if (spool_bases[area][level])
                sys_mmap_over(spool_bases[area][level], mapped[area][level], MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    spool->lanes_capacity = header.lanes_capacity;
    spool->lane_count = header.lane_count;
}

static void unmap_all(void)
{
    if (again) {
        spool_retire();
        return;
    }
    for (unsigned area = 0; area < SPOOL_AREAS; area++)
        if (spool_bases[area][0])
            sys_munmap(spool_bases[area][0], level_size(area, 0));
    sys_munmap(spool, STRAY_PAGE);
    spool_forget();
}

static int prepare(int fd, const uint8_t trace_id[16])
{
    struct stray_spool_header header = {.magic = STRAY_SPOOL_MAGIC, .header_size = STRAY_PAGE, .state = STRAY_SPOOL_LIVE};
    __builtin_memcpy(header.trace_id, trace_id, sizeof(header.trace_id));
    int result = map_file(fd, &header);
    if (result < 0)
        return result;
    advise((char *)spool, STRAY_PAGE);
    by_file = false;
    if (!populate((char *)spool, 0, STRAY_PAGE)) {
        unmap_all();
        return -ENOSPC;
    }
    *spool = header;
    for (unsigned area = 0; area < SPOOL_AREAS; area++)
        if (again ? !map_area_again(fd, area) : !map_area(fd, area)) {
            unmap_all();
            return -ENOMEM;
        }
    return 0;
}

int spool_adopt(int fd, const char *path, const uint8_t trace_id[16])
{
    struct text text = TEXT(path_kept);
    uint64_t lanes = spool ? spool->lane_count : 0;
    link_kept[0] = 0;
    text_string(&text, path);
    if (text.cut)
        return -ENAMETOOLONG;
    int result = sys_fstat(fd, &given);
    if (result < 0)
        return result;
    again = spool != NULL;
    result = prepare(fd, trace_id);
    again = false;
    if (result < 0)
        return result;
    if (lanes > 0 && !spool_reserve(SPOOL_LANES, lanes * sizeof(struct stray_lane))) {
        spool_retire();
        result = -ENOSPC;
    }
    spool->lane_count = lanes;
    return result;
}

int spool_open(const char *path, const char *link, const uint8_t trace_id[16])
{
    struct text text = TEXT(path_kept), link_text = TEXT(link_kept);
    link_kept[0] = 0;
    given.st_ino = 0;
    text_string(&text, path);
    text_string(&link_text, link ? link : "");
    if (text.cut || link_text.cut)
        return -ENAMETOOLONG;
    int fd = sys_open(path_kept, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fd;
    int result = prepare(fd, trace_id);
    sys_close(fd);
    if (result == 0 && link_kept[0])
        result = (int)SYS3(SYS_symlink, path_kept, link_kept, 0);
    if (result < 0) {
        sys_unlink(path_kept);
        if (spool)
            unmap_all();
    }
    return result;
}

void spool_forget(void)
{
    spool = NULL;
    __builtin_memset(spool_bases, 0, sizeof(spool_bases));
}

void spool_stand_in(void)
{
    sys_memory_at(spool, STRAY_PAGE);
    for (unsigned area = 0; area < SPOOL_AREAS; area++)
        for (unsigned level = 0; level < SPOOL_LEVELS; level++)
            if (spool_bases[area][level])
                sys_memory_at(spool_bases[area][level], mapped[area][level]);
}

/* Who gave us the file may have removed it since, and another attach have made one of that name. */
static bool has_its_name(void)
{
    struct stat there;
    return given.st_ino == 0 ||
           (sys_lstat(path_kept, &there) == 0 && there.st_ino == given.st_ino && there.st_dev == given.st_dev);
}

void spool_remove(void)
{
    if (has_its_name())
        sys_unlink(path_kept);
    if (link_kept[0])
        sys_unlink(link_kept);
}

const char *spool_path(void)
{
    return link_kept[0] ? link_kept : path_kept;
}

void spool_remove_other(const char *path)
{
    static char target[PATH_MAX];
    long length = SYS3(SYS_readlink, path, target, sizeof(target) - 1);
    if (length > 0) {
        target[length] = 0;
        sys_unlink(target);
    }
    sys_unlink(path);
}
