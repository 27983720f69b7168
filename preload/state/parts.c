/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/parts.h"

#include "record/emit.h"
#include "sys.h"
#include "text.h"

#define SECOND       UINT64_C(1000000000)
#define GAP_SHARE    8                       /* no more than an eighth of the time before the last telling is untold */
#define GAP_MIN      SECOND
#define GAP_MAX      (60 * SECOND)
#define COST_FACTOR  1000                    /* at most a thousandth of the time goes into this */
#define ABANDONED    (60 * SECOND)           /* whoever was about it has been killed, or has jumped away */
#define TOLD_PAGES   16                      /* smaller maps are told in sum */
#define TOLD_MAX     512                     /* and so is the rest */
#define TEXT_MAX     (64u << 20)             /* bytes of smaps: some 80 000 maps */
#define GUARD_MAX    (UINT64_C(1) << 20)     /* below a thread's stack */
#define ARENA_ALIGN  (UINT64_C(64) << 20)    /* libc's arenas begin at multiples of it */
#define STACK_PLAIN  (UINT64_C(2) << 20)     /* a thread's stack where the limit is none */
#define PRESENT      (UINT64_C(1) << 63)     /* of an entry of pagemap */

static struct {
    uint64_t busy_since; /* monotonic; 0: nobody is about it */
    uint64_t begun, due;
    int fd; /* that is being read; 0: none. A child that another thread forks meanwhile has it, too */
} state;

/* One map: its first line, then what follows. */
struct map {
    uint64_t start, end, resident; /* resident: bytes */
    bool named, private, readable, writable, executable, unreserved;
    uint8_t part; /* enum stray_part, of what has a name */
};

struct reading {
    char line[256]; /* its beginning */
    size_t length;
    uint64_t tail;  /* the line's last 8 bytes */
    struct map map; /* being read */
    struct map last;
    uint64_t stack_size; /* of threads, as a rule */
    uint64_t small[STRAY_PART_END]; /* resident pages of the maps not told one by one */
    unsigned told;
};

static const char *number_at(const char *at, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (;; at++) {
        unsigned digit = *at >= '0' && *at <= '9' ? (unsigned)(*at - '0') : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10 : 16;
        if (digit == 16)
            break;
        number = number << 4 | digit;
    }
    *ret_number = number;
    return at;
}

/* Whether it is of this library: what is mapped of its file, and its zeroed data. */
static bool is_own(uint64_t address)
{
    extern const char __ehdr_start[] __attribute__((visibility("hidden"))), _end[] __attribute__((visibility("hidden")));
    return address >= (uint64_t)(uintptr_t)__ehdr_start && address < (uint64_t)(uintptr_t)_end;
}

/* The spool is known by the end of its name. */
static bool is_spool(uint64_t tail)
{
    uint64_t wanted = 0;
    for (const char *at = STRAY_SPOOL_SUFFIX; *at; at++)
        wanted = wanted << 8 | (uint8_t)*at;
    return (tail & 0xffffffffffffu) == wanted;
}

static uint8_t part_by_name(const char *name, uint64_t tail)
{
    if (*name == '/')
        return is_spool(tail) ? STRAY_PART_TRACER : STRAY_PART_FILE;
    return string_equal(name, "[heap]") ? STRAY_PART_HEAP : string_begins(name, "[stack") ? STRAY_PART_STACK : STRAY_PART_OTHER;
}

/* "7f12a000-7f12b000 rw-p 00000000 fe:00 247134      /usr/lib/libc.so.6" */
static void begin_map(struct reading *reading)
{
    struct map map = {0};
    const char *at = number_at(reading->line, &map.start);
    at = number_at(at + (*at == '-'), &map.end);
    if (string_length(at) >= 5) {
        map.readable = at[1] == 'r';
        map.writable = at[2] == 'w';
        map.executable = at[3] == 'x';
        map.private = at[4] == 'p';
    }
    for (unsigned field = 0; field < 4; field++) {
        at += *at == ' ';
        while (*at && *at != ' ')
            at++;
    }
    while (*at == ' ')
        at++;
    map.named = *at && !string_begins(at, "[anon");
    map.part = part_by_name(at, reading->tail);
    reading->map = map;
}

/* Resident bytes of [start, end). */
static uint64_t resident_between(uint64_t start, uint64_t end)
{
    uint64_t entries[64], bytes = 0;
    int fd = sys_open("/proc/self/pagemap", O_RDONLY, 0);
    while (fd >= 0 && start < end) {
        ssize_t size = sys_pread(fd, entries, sizeof(entries), (off_t)(start / STRAY_PAGE * sizeof(*entries)));
        if (size < (ssize_t)sizeof(*entries))
            break;
        for (size_t i = 0; i < (size_t)size / sizeof(*entries) && start < end; i++, start += STRAY_PAGE)
            bytes += entries[i] & PRESENT ? STRAY_PAGE : 0;
    }
    if (fd >= 0)
        sys_close(fd);
    return bytes;
}

static void tell(struct reading *reading, uint8_t part, uint64_t start, uint64_t end, uint64_t resident)
{
    uint64_t pages = resident / STRAY_PAGE, size = (end - start) / STRAY_PAGE;
    if (pages < TOLD_PAGES || reading->told >= TOLD_MAX || size > UINT32_MAX) {
        reading->small[part] += pages;
        return;
    }
    reading->told++;
    emit_system(STRAY_PART, start | part, size << 32 | pages);
}

static bool is_arena(const struct map *map)
{
    return map->start % ARENA_ALIGN == 0;
}

/* A stack lies above a few pages that nobody may touch. */
static bool is_stack(const struct map *map, const struct map *below)
{
    return !is_arena(map) && below->end == map->start && !below->named && !below->readable && !below->writable &&
           !below->executable && below->end - below->start <= GUARD_MAX;
}

/* The kernel joins a stack and what lies above it, if it is of the same kind. */
static void tell_stack(struct reading *reading, const struct map *map)
{
    uint64_t end = map->end;
    uint64_t resident = map->resident;
    if (end - map->start > reading->stack_size) {
        end = map->start + reading->stack_size;
        resident = resident_between(map->start, end);
        resident = resident < map->resident ? resident : map->resident;
        tell(reading, STRAY_PART_ANONYMOUS, end, map->end, map->resident - resident);
    }
    tell(reading, STRAY_PART_STACK, map->start, end, resident);
}

/* Memory of the tracer's own is not reserved, as libc's arenas, which have addresses of their own. Zeroed data of a library follows
 * its file. */
static uint8_t part_of_unnamed(const struct map *map, const struct map *below)
{
    if (!map->readable || !map->writable || map->executable || !map->private)
        return STRAY_PART_OTHER;
    if (below->named && below->part == STRAY_PART_FILE && below->end == map->start && below->writable)
        return STRAY_PART_FILE;
    return map->unreserved && !is_arena(map) ? STRAY_PART_TRACER : STRAY_PART_ANONYMOUS;
}

static void end_map(struct reading *reading)
{
    struct map *map = &reading->map;
    if (is_own(map->start))
        map->part = STRAY_PART_TRACER;
    else if (!map->named)
        map->part = part_of_unnamed(map, &reading->last);
    if (map->part == STRAY_PART_ANONYMOUS && is_stack(map, &reading->last))
        tell_stack(reading, map);
    else
        tell(reading, map->part, map->start, map->end, map->resident);
    reading->last = *map;
}

/* A record ends with its flags. */
static void end_line(struct reading *reading)
{
    const char *line = reading->line;
    if ((line[0] >= '0' && line[0] <= '9') || (line[0] >= 'a' && line[0] <= 'f'))
        begin_map(reading);
    else if (string_begins(line, "Rss:")) {
        for (line += 4; *line == ' '; line++)
            ;
        reading->map.resident = string_number(line) * 1024;
    } else if (string_begins(line, "VmFlags:")) {
        for (; *line; line++)
            reading->map.unreserved |= line[0] == ' ' && line[1] == 'n' && line[2] == 'r';
        end_map(reading);
    }
}

static void take_bytes(struct reading *reading, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            reading->line[reading->length] = 0;
            end_line(reading);
            reading->length = 0;
            reading->tail = 0;
            continue;
        }
        if (reading->length < sizeof(reading->line) - 1)
            reading->line[reading->length++] = bytes[i];
        reading->tail = reading->tail << 8 | (uint8_t)bytes[i];
    }
}

static uint64_t stack_size(void)
{
    struct rlimit limit;
    return sys_getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : STACK_PLAIN;
}

/* It is open for a while: meanwhile the program may close all there are, and use the number for something else. So what is
 * read moves no offset, and what is closed is what was opened. */
static bool is_same_file(int fd, const struct stat *before)
{
    struct stat now;
    return sys_fstat(fd, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino;
}

/* Nothing counts without the END that closes it. */
static void tell_all(int fd)
{
    char text[1024];
    struct reading reading = {.stack_size = stack_size()};
    size_t total = 0;
    ssize_t size;
    emit_system(STRAY_PART, STRAY_PART_BEGIN, 0);
    while ((size = sys_pread(fd, text, sizeof(text), (off_t)total)) > 0 && total < TEXT_MAX) {
        take_bytes(&reading, text, (size_t)size);
        total += (size_t)size;
    }
    for (unsigned part = STRAY_PART_BEGIN + 1; part < STRAY_PART_END; part++)
        if (reading.small[part] > 0)
            emit_system(STRAY_PART, part, reading.small[part]);
    if (size == 0 && total > 0)
        emit_system(STRAY_PART, STRAY_PART_END, reading.told);
}

static uint64_t now(void)
{
    return sys_nanoseconds(CLOCK_MONOTONIC);
}

static void schedule(uint64_t time, uint64_t cost)
{
    uint64_t gap = (time - state.begun) / GAP_SHARE;
    gap = gap < GAP_MIN ? GAP_MIN : gap > GAP_MAX ? GAP_MAX : gap;
    gap = gap < cost * COST_FACTOR ? cost * COST_FACTOR : gap;
    __atomic_store_n(&state.due, time + gap, __ATOMIC_RELAXED);
}

void parts_tell(void)
{
    uint64_t begun = now(), busy = __atomic_load_n(&state.busy_since, __ATOMIC_RELAXED);
    if (begun == 0 || (busy != 0 && begun - busy < ABANDONED) ||
        !__atomic_compare_exchange_n(&state.busy_since, &busy, begun, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    struct stat opened;
    int fd = sys_open("/proc/self/smaps", O_RDONLY, 0);
    if (fd >= 0 && sys_fstat(fd, &opened) == 0) {
        state.fd = fd;
        tell_all(fd);
        state.fd = 0;
        if (is_same_file(fd, &opened))
            sys_close(fd);
    }
    uint64_t time = now();
    schedule(time, time - begun);
    __atomic_store_n(&state.busy_since, 0, __ATOMIC_RELEASE);
}

bool parts_fresh(void)
{
    return now() - state.begun < GAP_MIN;
}

bool parts_due(void)
{
    return now() >= __atomic_load_n(&state.due, __ATOMIC_RELAXED);
}

/* "/proc/PID/smaps": nobody here has opened it, for it would say another PID then. */
static bool is_of_another(int fd)
{
    char link[40], name[40];
    struct text path = TEXT(link), wanted = TEXT(name);
    text_string(&path, "/proc/self/fd/");
    text_number(&path, (uint64_t)fd);
    text_string(&wanted, "/proc/");
    text_number(&wanted, (uint64_t)sys_getppid());
    text_string(&wanted, "/smaps");
    char found[40];
    ssize_t size = sys_readlink(link, found, sizeof(found) - 1);
    found[size > 0 ? size : 0] = 0;
    return string_equal(found, name);
}

void parts_begin(void)
{
    if (state.fd > 0 && is_of_another(state.fd))
        sys_close(state.fd);
    state.fd = 0;
    state.busy_since = 0;
    state.begun = now();
}
