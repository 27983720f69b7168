/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/modules.h"

#include <elf.h>
#include <limits.h>

#include "record/defs.h"
#include "sys.h"
#include "text.h"
#include "stray/format.h"

#define MODULES_MAX 2048
#define PHDRS_MAX   16
#define NOTES_MAX   1024
#define PATHS_MAX   (1u << 18) /* bytes */

struct module {
    uint64_t start, end, file_offset, inode;
    uint64_t base;      /* where the file's first byte is mapped; 0: nowhere */
    uint64_t bias;
    uint64_t path_hash; /* 0: anonymous (generated code) */
    const char *path;   /* for a forked child; NULL: there was no room for it */
    uint32_t seen;      /* the refresh that saw it last */
    bool gone;
    uint16_t phdr_count;
    ElfW(Phdr) phdrs[PHDRS_MAX];
    uint8_t build_id[64];
    uint32_t build_id_size;
};

static struct module *modules; /* MODULES_MAX of them; a row changes only in being gone or not */
static uint32_t module_count;  /* published after its row is complete */
static uint32_t refreshing, refreshes;
static char *paths; /* of the modules, PATHS_MAX bytes */
static size_t paths_used;
static bool inherited; /* the list is the parent's, and this process has not defined what is in it */
union modules_state modules_state;

/* One line of the maps file. */
struct mapping {
    uint64_t start, end, offset, inode;
    bool executable;
    char path[PATH_MAX];
};

static uint64_t parse_hex(const char **at)
{
    uint64_t value = 0;
    for (;; (*at)++) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return value;
    }
}

static void skip_word(const char **at)
{
    while (**at && **at != ' ')
        (*at)++;
    while (**at == ' ')
        (*at)++;
}

/* "start-end perms offset dev inode   path" */
static void parse_mapping(const char *line, struct mapping *mapping)
{
    const char *at = line;
    mapping->start = parse_hex(&at);
    at += *at == '-';
    mapping->end = parse_hex(&at);
    skip_word(&at);
    mapping->executable = *at && at[1] && at[2] == 'x';
    skip_word(&at);
    mapping->offset = parse_hex(&at);
    skip_word(&at);
    skip_word(&at);
    mapping->inode = string_number(at);
    skip_word(&at);
    struct text text = TEXT(mapping->path);
    mapping->path[0] = 0;
    text_string(&text, at);
}

static void take_build_id(struct module *module, const uint8_t *notes, size_t size)
{
    size_t at = 0;
    while (at + sizeof(ElfW(Nhdr)) <= size) {
        ElfW(Nhdr) note;
        __builtin_memcpy(&note, notes + at, sizeof(note));
        size_t name = at + sizeof(note), content = name + ((note.n_namesz + 3u) & ~3u);
        at = content + ((note.n_descsz + 3u) & ~3u);
        if (at > size || at < content)
            return;
        if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 || note.n_descsz > sizeof(module->build_id))
            continue;
        __builtin_memcpy(module->build_id, notes + content, note.n_descsz);
        module->build_id_size = note.n_descsz;
        return;
    }
}

static void read_notes(struct module *module)
{
    for (unsigned i = 0; i < module->phdr_count; i++) {
        const ElfW(Phdr) *phdr = &module->phdrs[i];
        uint8_t notes[NOTES_MAX];
        size_t size = phdr->p_filesz < sizeof(notes) ? phdr->p_filesz : sizeof(notes);
        if (phdr->p_type != PT_NOTE || module->build_id_size > 0)
            continue;
        if (sys_peek(notes, (const void *)(uintptr_t)(module->bias + phdr->p_vaddr), size) == (ssize_t)size)
            take_build_id(module, notes, size);
    }
}

/* By the segment that begins the file. Without one, no address of the object can be known. */
static bool find_bias(struct module *module, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const ElfW(Phdr) *segment = &module->phdrs[i];
        if (segment->p_type != PT_LOAD || segment->p_offset >= STRAY_PAGE)
            continue;
        module->bias = module->base + segment->p_offset - segment->p_vaddr;
        return true;
    }
    return false;
}

/* Program headers are read from memory, by a call that fails instead of faulting: the object may be on its way out, and
 * its file may have been replaced. */
static void read_headers(struct module *module)
{
    ElfW(Ehdr) header;
    if (module->base == 0 || sys_peek(&header, (const void *)(uintptr_t)module->base, sizeof(header)) != sizeof(header) ||
        header.e_ident[EI_MAG0] != ELFMAG0 || header.e_ident[EI_MAG1] != ELFMAG1)
        return;
    unsigned count = header.e_phnum < PHDRS_MAX ? header.e_phnum : PHDRS_MAX;
    ssize_t size = (ssize_t)(count * sizeof(ElfW(Phdr)));
    if (sys_peek(module->phdrs, (const void *)(uintptr_t)(module->base + header.e_phoff), (size_t)size) != size)
        return;
    if (!find_bias(module, count))
        return;
    module->phdr_count = (uint16_t)count;
    read_notes(module);
}

static void define(const struct module *module, const char *path, bool gone)
{
    struct stray_def_module definition = {module->start, module->end,           module->file_offset,
                                          module->bias,  module->build_id_size, gone};
    struct iovec parts[3] = {
        {&definition, sizeof(definition)},
        {(void *)(uintptr_t)module->build_id, module->build_id_size},
        {(void *)(uintptr_t)path, string_length(path) + 1},
    };
    defs_add(STRAY_DEF_MODULE, parts, 3);
}

static struct module *find(const struct mapping *mapping, uint64_t hash)
{
    for (uint32_t i = 0; i < module_count; i++)
        if (modules[i].start == mapping->start && modules[i].end == mapping->end && modules[i].path_hash == hash &&
            modules[i].inode == mapping->inode && !modules[i].gone)
            return &modules[i];
    return NULL;
}

static bool same_object(const struct module *a, const struct module *b)
{
    return a->start == b->start && a->end == b->end && a->file_offset == b->file_offset && a->inode == b->inode &&
           a->base == b->base && a->bias == b->bias && a->path_hash == b->path_hash && a->phdr_count == b->phdr_count &&
           a->build_id_size == b->build_id_size &&
           __builtin_memcmp(a->phdrs, b->phdrs, a->phdr_count * sizeof(*a->phdrs)) == 0 &&
           __builtin_memcmp(a->build_id, b->build_id, a->build_id_size) == 0;
}

/* The row of an object that was unloaded and has come back to its place. Rows are never filled with anything else: another
 * thread may be reading them. */
static struct module *find_gone(const struct module *found)
{
    for (uint32_t i = 0; i < module_count; i++)
        if (modules[i].gone && same_object(&modules[i], found))
            return &modules[i];
    return NULL;
}

static const char *keep_path(const char *path)
{
    size_t size = string_length(path) + 1;
    if (!paths)
        paths = sys_memory(PATHS_MAX);
    if (!paths || size > PATHS_MAX - paths_used)
        return NULL;
    char *kept = paths + paths_used;
    __builtin_memcpy(kept, path, size);
    paths_used += size;
    return kept;
}

static void add(const struct mapping *mapping, uint64_t hash, uint64_t base)
{
    static struct module found;
    found = (struct module){.start = mapping->start, .end = mapping->end, .file_offset = mapping->offset,
                            .inode = mapping->inode, .base = base, .path_hash = hash};
    if (hash != 0)
        read_headers(&found);
    struct module *module = find_gone(&found);
    bool again = module != NULL;
    if (!again && module_count == MODULES_MAX) {
        defs_string(STRAY_DEF_NOTE, "too many libraries were loaded and unloaded: some stacks are short");
        return;
    }
    if (!again) {
        module = &modules[module_count];
        *module = found;
        module->path = hash != 0 ? keep_path(mapping->path) : "";
    }
    module->seen = refreshes;
    if (hash != 0)
        define(module, mapping->path, false);
    if (again)
        __atomic_store_n(&module->gone, false, __ATOMIC_RELEASE);
    else
        __atomic_store_n(&module_count, module_count + 1, __ATOMIC_RELEASE);
}

/* Remembers where the first byte of the file of the current run of lines is mapped. */
struct run {
    uint64_t base, inode, hash;
};

static void visit(const struct mapping *mapping, struct run *run)
{
    uint64_t hash = mapping->path[0] == '/' || string_equal(mapping->path, "[vdso]") ? string_hash(mapping->path) : 0;
    if (mapping->offset == 0 && hash != 0)
        *run = (struct run){mapping->start, mapping->inode, hash};
    if (!mapping->executable)
        return;
    struct module *known = find(mapping, hash);
    if (known)
        known->seen = refreshes;
    else
        add(mapping, hash, hash != 0 && run->hash == hash && run->inode == mapping->inode ? run->base : 0);
}

static void visit_lines(char *buffer, size_t *used, struct run *run, struct mapping *mapping)
{
    size_t begin = 0;
    for (size_t i = 0; i < *used; i++) {
        if (buffer[i] != '\n')
            continue;
        buffer[i] = 0;
        parse_mapping(buffer + begin, mapping);
        visit(mapping, run);
        begin = i + 1;
    }
    *used -= begin;
    __builtin_memmove(buffer, buffer + begin, *used);
}

struct scratch {
    char buffer[2 * PATH_MAX];
    struct mapping mapping;
};

static bool read_maps(struct scratch *scratch)
{
    int fd = sys_open("/proc/self/maps", O_RDONLY, 0);
    if (fd < 0)
        return false;
    struct run run = {0, 0, 0};
    size_t used = 0;
    ssize_t size;
    while ((size = sys_read(fd, scratch->buffer + used, sizeof(scratch->buffer) - used)) > 0) {
        used += (size_t)size;
        visit_lines(scratch->buffer, &used, &run, &scratch->mapping);
        if (used == sizeof(scratch->buffer))
            used = 0; /* a line longer than any path: not a file we could name */
    }
    sys_close(fd);
    return size == 0;
}

/* What a complete reading did not see is gone, and its addresses may soon mean something else: a new epoch. */
static void retire_unseen(void)
{
    bool any = false;
    for (uint32_t i = 0; i < module_count; i++) {
        struct module *module = &modules[i];
        if (module->gone || module->seen == refreshes)
            continue;
        if (!any) {
            defs_next_epoch();
            __atomic_fetch_add(&modules_state.generation, 1, __ATOMIC_RELEASE);
        }
        any = module->gone = true;
        if (module->path_hash != 0)
            define(module, "", true);
    }
}

/* The list is stale until all that went is taken out of it. */
enum { STALE = 1, LOOKING = 2 };

static void replace_stale(uint32_t from, uint32_t to)
{
    __atomic_compare_exchange_n(&modules_state.stale, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static bool refresh_alone(void)
{
    static struct scratch *scratch;
    if (!modules)
        modules = sys_memory(MODULES_MAX * sizeof(struct module));
    if (!scratch)
        scratch = sys_memory(sizeof(*scratch));
    if (!modules || !scratch)
        return false;
    refreshes++;
    replace_stale(STALE, LOOKING);
    if (!read_maps(scratch)) {
        replace_stale(LOOKING, STALE);
        return false;
    }
    retire_unseen();
    replace_stale(LOOKING, 0); /* unless more was unloaded meanwhile */
    return true;
}

/* A forked child has its parent's mappings: it need not read them again, unless the list is known to be out of date. */
static bool define_inherited(void)
{
    bool complete = !modules_stale() && module_count > 0 && module_count < MODULES_MAX / 2; /* many have gone, perhaps */
    for (uint32_t i = 0; complete && i < module_count; i++)
        complete = modules[i].path || modules[i].gone;
    for (uint32_t i = 0; complete && i < module_count; i++)
        if (!modules[i].gone && modules[i].path_hash != 0)
            define(&modules[i], modules[i].path, false);
    return complete;
}

void modules_begin(void)
{
    if (inherited && define_inherited()) {
        inherited = false;
        return;
    }
    inherited = false;
    module_count = 0;
    paths_used = 0;
    modules_refresh();
}

bool modules_refresh(void)
{
    if (__atomic_exchange_n(&refreshing, 1, __ATOMIC_ACQUIRE))
        return false;
    uint64_t mask = sys_no_signals(); /* a handler that jumped away would leave it so */
    bool done = refresh_alone();
    __atomic_store_n(&refreshing, 0, __ATOMIC_RELEASE);
    sys_signals(mask);
    return done;
}

static const struct module *module_of(uint64_t address)
{
    uint32_t count = __atomic_load_n(&module_count, __ATOMIC_ACQUIRE);
    for (uint32_t i = count; i-- > 0;)
        if (address >= modules[i].start && address < modules[i].end && !modules[i].gone)
            return &modules[i];
    return NULL;
}

bool modules_know(uint64_t address)
{
    return module_of(address) != NULL;
}

void modules_unloaded(void)
{
    __atomic_store_n(&modules_state.stale, STALE, __ATOMIC_RELEASE);
}

static struct dl_phdr_info describe(const struct module *module)
{
    return (struct dl_phdr_info){.dlpi_addr = module->bias, .dlpi_name = "", .dlpi_phdr = module->phdrs,
                                 .dlpi_phnum = module->phdr_count, .dlpi_adds = module_count, .dlpi_subs = defs_epoch()};
}

bool modules_find(uint64_t address, struct dl_phdr_info *ret_object)
{
    const struct module *module = module_of(address);
    if (module)
        *ret_object = describe(module);
    return module != NULL;
}

int modules_iterate(int (*callback)(struct dl_phdr_info *info, size_t size, void *data), void *data)
{
    uint32_t count = __atomic_load_n(&module_count, __ATOMIC_ACQUIRE);
    int result = 0;
    for (uint32_t i = 0; i < count && result == 0; i++) {
        const struct module *module = &modules[i];
        if (module->gone || module->phdr_count == 0)
            continue;
        struct dl_phdr_info info = describe(module);
        result = callback(&info, sizeof(info), data);
    }
    return result;
}

void modules_forget(void)
{
    refreshing = 0;
    inherited = true;
    modules_state.generation++; /* epochs begin anew */
}
