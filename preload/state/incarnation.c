/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/incarnation.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>

#include "gate.h"
#include "state/pairs_bind.h"
#include "real.h"
#include "record/defs.h"
#include "record/emit.h"
#include "record/encode.h"
#include "record/file.h"
#include "record/index.h"
#include "record/lane.h"
#include "record/nodes.h"
#include "record/spool.h"
#include "record/sums.h"
#include "record/young.h"
#include "stack/capture.h"
#include "stack/python.h"
#include "state/children.h"
#include "state/command.h"
#include "state/descriptors.h"
#include "state/foreign.h"
#include "state/heap_samples.h"
#include "state/leftovers.h"
#include "state/python_samples.h"
#include "state/sample.h"
#include "state/tempfiles.h"
#include "state/threads.h"
#include "settings.h"
#include "stray/wire.h"

#ifndef MADV_WIPEONFORK
#    define MADV_WIPEONFORK 18
#endif

#define NAMES_TRIED 1000
#define BUSY_FOR    2 /* seconds that incarnation_attach() waits for what an earlier trace has left under way */
#define WAITS_IN    5 /* incarnation_leave() waits no longer than this part of a second for what lane_settle() does not see */

extern char **environ;

static uint32_t gate_closed; /* where gate_word points before the start */
uint32_t *gate_word = &gate_closed;

static struct {
    pid_t pid, parent_pid; /* 0: not started */
    pid_t stood_in;        /* the forked child that stand_in() has seen to */
    uint8_t id[16], parent_id[16];
    int status;
    uint64_t losses_told;
    uint32_t ending, ended, starting, awaited;
    uint32_t executing; /* threads that are about to execute a program */
    bool traced;
    bool left;     /* an earlier trace has ended, and its memory is in place yet */
    bool nobody_follows; /* a forked child: what it executes is not traced, and so does not remove its spool. The one that was attached
                          * to keeps it, for should the exec fail it is needed; who attached removes it */
    bool unfit;    /* ... but not in this child, so that it cannot be attached to */
} process;

bool incarnation_is_self(void)
{
    return sys_getpid() == process.pid;
}

static bool shares_memory;

bool incarnation_seems_self(void)
{
    if (__builtin_expect(thread_self.flags & THREAD_VFORKED, 0))
        return false;
    return __builtin_expect(!__atomic_load_n(&shares_memory, __ATOMIC_RELAXED), 1) || incarnation_is_self();
}

void incarnation_shares_memory(void)
{
    __atomic_store_n(&shares_memory, true, __ATOMIC_RELAXED);
}

static void make_id(uint8_t id[16])
{
    if (sys_getrandom(id, 16) == 16)
        return;
    uint64_t words[2] = {sys_nanoseconds(CLOCK_REALTIME), (uint64_t)sys_getpid()};
    words[0] = index_mix(words[0], words[1]);
    __builtin_memcpy(id, words, sizeof(words));
}

/* "<folder>/<command>.<pid>[.<n>].stray" */
static void name_trace(struct text *path, unsigned n)
{
    path->used = 0;
    text_string(path, settings.folder);
    text_byte(path, '/');
    command_put_name(path);
    text_byte(path, '.');
    text_number(path, (uint64_t)process.pid);
    if (n > 0) {
        text_byte(path, '.');
        text_number(path, n);
    }
    text_string(path, STRAY_TRACE_SUFFIX);
}

static struct stray_file_header describe_file(uint32_t origin)
{
    struct stray_file_header header = {
        .magic = STRAY_TRACE_MAGIC,
        .header_size = sizeof(header),
        .incompat_flags = STRAY_INCOMPAT_GROUPED,
        .pid = (uint32_t)process.pid,
        .parent_pid = (uint32_t)process.parent_pid,
        .origin = origin,
        .clock_kind = clock_is_ticks ? STRAY_CLOCK_TSC : STRAY_CLOCK_NS,
    };
    __builtin_memcpy(header.trace_id, process.id, sizeof(header.trace_id));
    __builtin_memcpy(header.parent_id, process.parent_id, sizeof(header.parent_id));
    header.crc = stray_crc32c(0, &header, offsetof(struct stray_file_header, crc));
    return header;
}

/* Beside the trace, or under the same name in the folder that the user chose. */
static void name_spool(struct text *path, const struct text *trace, const char *folder)
{
    path->used = 0;
    if (folder[0]) {
        text_string(path, folder);
        text_byte(path, '/');
    }
    text_string(path, folder[0] ? string_base(trace->at) : trace->at);
    text_string(path, STRAY_SPOOL_SUFFIX);
}

static bool open_files(uint32_t origin)
{
    static char trace_path[PATH_MAX], here[PATH_MAX], elsewhere[PATH_MAX];
    struct text trace = TEXT(trace_path), beside = TEXT(here), chosen = TEXT(elsewhere);
    struct stray_file_header header = describe_file(origin);
    int result = -EEXIST;
    for (unsigned n = 0; n < NAMES_TRIED && result == -EEXIST; n++) {
        name_trace(&trace, n);
        result = trace.cut ? -ENAMETOOLONG : file_open(trace_path, &header);
    }
    if (result < 0)
        return false;
    name_spool(&beside, &trace, "");
    name_spool(&chosen, &trace, settings.spool);
    result = spool_open(elsewhere, settings.spool[0] ? here : NULL, process.id);
    if (result < 0) {
        file_forget();
        sys_unlink(trace_path);
        return false;
    }
    return true;
}

static bool make_gate(void)
{
    uint32_t *page = sys_memory(STRAY_PAGE);
    if (!page)
        return false;
    if (sys_madvise(page, STRAY_PAGE, MADV_WIPEONFORK) < 0) {
        sys_munmap(page, STRAY_PAGE); /* a kernel before 4.14: a child could not be told from its parent */
        return false;
    }
    gate_word = page;
    return true;
}

static void define_options(void)
{
    for (unsigned i = 0; settings_variable(i); i++) {
        char buffer[256];
        struct text note = TEXT(buffer);
        defs_string(STRAY_DEF_OPTION, settings_variable(i));
        if (settings_mistake(i, &note))
            defs_string(STRAY_DEF_NOTE, buffer);
    }
    heap_samples_define();
}

static uint32_t open_bits(void)
{
    return GATE_KNOWN | GATE_TRACED | (settings.sample ? GATE_SAMPLED : settings.heap ? GATE_HEAP : 0) |
           (clock_is_ticks ? 0 : GATE_CALL) | (settings.full ? GATE_WHOLE : 0); /* threads may have an index from an earlier trace */
}

/* A program that this very process executed, or that another one spawned? */
static uint32_t origin_of_program(void)
{
    __builtin_memcpy(process.parent_id, settings.previous_id, sizeof(process.parent_id));
    if (!settings.previous_pid)
        return STRAY_ORIGIN_START;
    return settings.previous_pid == (uint64_t)process.pid ? STRAY_ORIGIN_EXEC : STRAY_ORIGIN_START;
}

/* The executed program's predecessor wrote out everything; its spool is only in the way. */
static void remove_previous_spool(void)
{
    struct stray_spool_header header;
    int fd = settings.previous_spool[0] ? sys_open(settings.previous_spool, O_RDONLY, 0) : -1;
    if (fd < 0)
        return;
    bool whole = sys_read(fd, &header, sizeof(header)) == sizeof(header);
    sys_close(fd);
    if (whole && header.state == STRAY_SPOOL_EXECING && __builtin_memcmp(header.trace_id, process.parent_id, 16) == 0)
        spool_remove_other(settings.previous_spool);
}

#define PREVIOUS "STRAY_PREVIOUS="
#define SPARE    64u /* for a successor whose spool's name is longer */

static size_t digits_of(uint64_t number)
{
    size_t count = 1;
    while ((number /= 10) > 0)
        count++;
    return count;
}

static size_t description_size(void)
{
    return sizeof(PREVIOUS "::") - 1 + 2 * sizeof(process.id) + digits_of((uint64_t)process.pid) + string_length(spool_path());
}

/* With zeros before the pid: room for another description in its place. */
static void describe(struct text *variable, size_t zeros)
{
    text_string(variable, PREVIOUS);
    for (unsigned i = 0; i < sizeof(process.id); i++) {
        text_byte(variable, "0123456789abcdef"[process.id[i] >> 4]);
        text_byte(variable, "0123456789abcdef"[process.id[i] & 15]);
    }
    text_byte(variable, ':');
    while (zeros-- > 0)
        text_byte(variable, '0');
    text_number(variable, (uint64_t)process.pid);
    text_byte(variable, ':');
    text_string(variable, spool_path());
}

size_t incarnation_description_room(void)
{
    return description_size() + SPARE + 1;
}

bool incarnation_describe(struct text *variable)
{
    if (process.traced)
        describe(variable, SPARE);
    return process.traced;
}

/* `entry` is memory of the program's, which it may free: it is written over, byte for byte. What does not fit is nobody's:
 * a description without an id. */
static void overwrite(char *entry)
{
    size_t room = string_length(entry), size = description_size();
    struct text text = {.at = entry, .size = room + 1};
    if (room >= size)
        describe(&text, room - size);
    else
        __builtin_memset(entry + sizeof(PREVIOUS) - 1, '0', room - (sizeof(PREVIOUS) - 1));
}

/* In the environment that libc hands on by itself: to what system() and popen() begin. Only an entry that is there is
 * overwritten; `stray run` leaves one, with room. */
static void tell_successors(void)
{
    for (char **entry = environ; entry && *entry; entry++)
        if (string_begins(*entry, PREVIOUS))
            overwrite(*entry);
}

/* Begins this process's own trace. The gate stays shut until all is in place. */
static void be_born(void)
{
    make_id(process.id);
    process.ending = process.ended = process.executing = process.awaited = 0;
    process.losses_told = 0;
    process.status = 0;
}

static void describe_all(void)
{
    command_define((uint32_t)process.parent_pid);
    define_options();
    pairs_define();
    foreign_define();
    capture_init();
    descriptors_init();
}

static bool start(uint32_t origin)
{
    be_born();
    if (!open_files(origin))
        return false;
    describe_all();
    return true;
}

static void open_gate(void)
{
    process.traced = true;
    tell_successors();
    __atomic_store_n(gate_word, open_bits(), __ATOMIC_RELEASE);
    sample_init();
    descriptors_inherited();
}

static void stay_shut(void)
{
    process.traced = false;
    __atomic_store_n(gate_word, GATE_KNOWN, __ATOMIC_RELEASE);
}

/* Everything that belonged to the parent's trace. */
static void forget_parent(void)
{
    file_forget_parents();
    spool_forget();
    lane_forget();
    index_forget();
    nodes_forget();
    defs_forget();
    capture_forget();
    encode_forget();
    young_forget();
    sums_forget();
    tempfiles_forget();
    children_forget();
    threads_forget();
    python_samples_forget();
    heap_samples_forget();
    __builtin_memcpy(process.parent_id, process.id, sizeof(process.id));
    process.parent_pid = process.pid;
    process.pid = sys_getpid();
    thread_self = (struct thread){.flags = THREAD_INSIDE, .libpq_depth = thread_self.libpq_depth};
}

static void begin_child(void)
{
    if (!process.traced) {
        process.pid = sys_getpid();
        process.unfit |= process.left;
        file_forget_parents();
        index_forget();
        lane_owners_forked((uint32_t)process.pid);
        stay_shut();
        return;
    }
    forget_parent();
    if (!settings.follow) {
        thread_self.flags = 0;
        stay_shut();
        return;
    }
    process.nobody_follows = real_came_late();
    bool started = start(STRAY_ORIGIN_FORK);
    thread_self.flags = 0;
    if (started)
        open_gate();
    else
        stay_shut();
}

static void begin_program(char **environment)
{
    uint32_t flags = gate_enter();
    real_init();
    foreign_find();
    clock_init();
    process.pid = sys_getpid();
    process.parent_pid = sys_getppid();
    tempfiles_init(environment);
    bool wanted = settings_read(environment) && make_gate() && command_find_folder();
    heap_samples_init();
    python_samples_init();
    bool started = wanted && start(origin_of_program());
    if (started)
        pairs_bind();
    gate_leave(flags);
    if (!started) {
        stay_shut();
        return;
    }
    if (settings.previous_pid != 0)
        remove_previous_spool();
    open_gate();
}

/* A sanitizer's runtime takes what libc does for the program's doing: it must not see what the tracer does. */
static void stand_aside(void)
{
    uint32_t flags = gate_enter();
    real_init();
    gate_leave(flags);
    process.pid = sys_getpid();
    stay_shut();
}

/* The first hooked call of a program (another library's constructor, most often) or of a forked child. Before libc has
 * its environment, the dynamic linker is still at work: what it allocates is not recorded. */
static uint32_t begin(void)
{
    if (process.pid == 0) {
        if (environ && !real_came_late())
            foreign_sanitizer() ? stand_aside() : begin_program(environ);
    } else if (!(__atomic_load_n(gate_word, __ATOMIC_ACQUIRE) & GATE_KNOWN)) {
        begin_child();
    }
    return __atomic_load_n(gate_word, __ATOMIC_ACQUIRE);
}

/* A signal handler that interrupted the tracer has forked, and the child may return into the middle of what belonged to
 * its parent. That must find memory; the child's own trace begins when it is over. */
static void stand_in(void)
{
    pid_t self = sys_getpid();
    if (!process.traced || process.starting || self == process.pid || self == process.stood_in)
        return;
    process.stood_in = self;
    spool_stand_in();
    index_stand_in();
}

/* The executing program went quiet before, or the parent did. */
static bool must_be_silent(void)
{
    return sys_quiet || (process.pid == 0 && environ && settings_silent(environ));
}

static uint32_t stay_silent(void)
{
    __atomic_store_n(&sys_quiet, true, __ATOMIC_SEQ_CST);
    if (process.pid == 0)
        real_init();
    process.traced = false;
    __atomic_store_n(gate_word, GATE_KNOWN, __ATOMIC_RELEASE);
    return GATE_KNOWN;
}

uint32_t gate_open_slow(uint32_t bits)
{
    if (process.pid == 0 && !(bits & GATE_HEAP))
        return 0;
    if (thread_self.flags & ~(uint32_t)THREAD_VFORKED) { /* the tracer's own doing, or interrupted by what asks now */
        stand_in();
        return 0;
    }
    if (must_be_silent())
        return stay_silent();
    int kept = errno;
    uint64_t mask = sys_no_signals();
    uint32_t word = 0;
    if (!__atomic_exchange_n(&process.starting, 1, __ATOMIC_ACQUIRE)) {
        word = begin();
        __atomic_store_n(&process.starting, 0, __ATOMIC_RELEASE);
    }
    sys_signals(mask);
    errno = kept;
    return word;
}

/* Where a program that runs already loads us, it is traced when somebody asks for it. */
__attribute__((constructor)) static void begin_at_latest(void)
{
    if (!real_came_late())
        gate_open(GATE_TRACED | GATE_HEAP);
}

static bool is_traced(void)
{
    return gate_open(GATE_TRACED) && incarnation_is_self();
}

void incarnation_set_status(int status)
{
    process.status = status;
}

void incarnation_end_begins(unsigned ending)
{
    if (!__atomic_load_n(&process.ending, __ATOMIC_RELAXED) && is_traced() &&
        !__atomic_exchange_n(&process.ending, 1, __ATOMIC_RELAXED)) {
        young_stop();
        sample_force();
        emit_system(STRAY_END_BEGINS, 0, ending);
        sample_last(); /* which may take a while, in which the service does nothing */
    }
}

void incarnation_thread_ends(void)
{
    if (!__atomic_load_n(&process.awaited, __ATOMIC_RELAXED) && !__atomic_load_n(&process.ending, __ATOMIC_RELAXED) &&
        python_awaits_threads() && !__atomic_exchange_n(&process.awaited, 1, __ATOMIC_RELAXED))
        emit_system(STRAY_END_AWAITED, 0, STRAY_ENDING_PYTHON);
}

/* The spool knows them, but it goes. */
static void tell_losses(void)
{
    uint64_t lost = __atomic_load_n(&spool->lost_events, __ATOMIC_RELAXED);
    if (lost > process.losses_told)
        emit_system(STRAY_LOST, 0, lost - process.losses_told);
    process.losses_told = lost;
}

/* False: another end came first. */
static bool say_last_words(unsigned ending, int status)
{
    if (!is_traced() || __atomic_exchange_n(&process.ended, 1, __ATOMIC_RELAXED))
        return false;
    bool begun = __atomic_load_n(&process.ending, __ATOMIC_RELAXED);
    incarnation_end_begins(ending);
    sample_stop();
    if (begun) /* else the beginning has just taken one */
        sample_force();
    tell_losses();
    emit_system(STRAY_END, (uint64_t)(uint32_t)status, ending);
    return true;
}

static void close_spool(void)
{
    bool settled = lane_settle(), written = lane_flush_all() && settled;
    spool->state = STRAY_SPOOL_CLOSED;
    if (written)
        spool_remove();
}

void incarnation_end(unsigned ending, int status)
{
    if (!say_last_words(ending, status))
        return;
    __atomic_fetch_or(gate_word, GATE_LATE, __ATOMIC_SEQ_CST);
    close_spool();
}

void incarnation_detach(const char *note)
{
    defs_string(STRAY_DEF_NOTE, note);
    if (say_last_words(STRAY_ENDING_DETACH, 0)) {
        stay_shut();
        close_spool();
        file_forget();
        file_await_writers(); /* the last one closes the descriptor, which takes system calls */
    }
    settings_silence(environ);
    sys_go_quiet();
}

/* ---- a process that runs already ---- */

static int adopt_files(const struct incarnation_files *files)
{
    struct stray_file_header header = describe_file(STRAY_ORIGIN_ATTACH);
    bool again = spool != NULL;
    int result = spool_adopt(files->spool, files->spool_path, process.id);
    if (result < 0)
        return result;
    result = file_adopt(files->trace, files->trace_path, &header);
    if (result < 0)
        spool_retire();
    if (result == 0 && again) {
        lane_renew_all();
        young_renew();
    }
    return result;
}

static int start_attached(const struct incarnation_files *files, char *const *environment)
{
    real_init();
    foreign_find();
    clock_init();
    process.pid = sys_getpid();
    process.parent_pid = sys_getppid();
    tempfiles_init(environ);
    settings_read(environment);
    command_find_folder(); /* children have theirs there, where they can */
    heap_samples_init();
    python_samples_init();
    python_samples_forget();
    __builtin_memset(process.parent_id, 0, sizeof(process.parent_id));
    be_born();
    int result = adopt_files(files);
    if (result < 0)
        return result;
    leftovers_clear_caches(); /* a thread that was held up amid its last event may have put something there that is in no spool */
    describe_all();
    python_detect();
    return 0;
}

int incarnation_attach(const struct incarnation_files *files, char *const *environment)
{
    if (process.pid != 0)
        gate_open(GATE_TRACED); /* in a forked child, its trace begins, if it is to have one */
    if (process.traced)
        return -EALREADY;
    if (sys_quiet || foreign_sanitizer())
        return -EPERM;
    if (process.unfit)
        return -EBUSY;
    if (process.left && !leftovers_await(clock_before() + BUSY_FOR * clock_ticks_per_second))
        return -EBUSY;
    if (process.left) {
        leftovers_give_back();
        process.left = false;
    }
    if (gate_word == &gate_closed && !make_gate())
        return -ENOMEM;
    uint32_t flags = gate_enter();
    int result = start_attached(files, environment);
    gate_leave(flags);
    if (result < 0) {
        stay_shut();
        return result;
    }
    process.traced = true;
    process.nobody_follows = false;
    __atomic_store_n(gate_word, open_bits(), __ATOMIC_SEQ_CST);
    sample_init();
    return 0;
}

/* From here on nothing is recorded, nor written through. What was under way is over soon. */
static bool shut_and_wait(void (*take_hooks_back)(void))
{
    process.traced = false;
    __atomic_store_n(gate_word, GATE_KNOWN | GATE_LATE, __ATOMIC_SEQ_CST);
    take_hooks_back();
    uint64_t end = clock_before() + clock_ticks_per_second / WAITS_IN;
    bool settled = lane_settle();
    leftovers_await(end);
    return settled;
}

int incarnation_leave(void (*take_hooks_back)(void))
{
    if (!say_last_words(STRAY_ENDING_DETACH, 0))
        return -ESRCH;
    bool settled = shut_and_wait(take_hooks_back), written = lane_flush_all() && settled;
    spool->state = STRAY_SPOOL_CLOSED;
    if (written)
        spool_remove();
    lane_keep_owners();
    process.left = true;
    file_forget();
    if (!leftovers_busy()) {
        leftovers_give_back();
        process.left = false;
    }
    return !written;
}

/* Reached by exit(), by return from main, and by the end of the last thread. */
__attribute__((destructor)) static void end_program(void)
{
    incarnation_end(STRAY_ENDING_EXIT, process.status);
}

void incarnation_before_exec(void)
{
    if (!is_traced())
        return;
    young_stop(); /* should the exec fail, the buffers written out here may only grow: the fuller copy counts */
    sample_force();
    tell_losses();
    emit_system(STRAY_EXEC, 0, 0);
    sample_last();
    descriptors_before_exec();
    __atomic_fetch_add(&process.executing, 1, __ATOMIC_RELAXED);
    __atomic_fetch_or(gate_word, GATE_LATE, __ATOMIC_SEQ_CST);
    bool settled = lane_settle();
    if (lane_flush_all() && settled)
        spool->state = STRAY_SPOOL_EXECING;
    if (spool->state == STRAY_SPOOL_EXECING && process.nobody_follows)
        spool_remove();
}

void incarnation_exec_failed(void)
{
    if (!is_traced())
        return;
    spool->state = STRAY_SPOOL_LIVE;
    if (__atomic_sub_fetch(&process.executing, 1, __ATOMIC_RELAXED) == 0 && !__atomic_load_n(&process.ended, __ATOMIC_RELAXED))
        __atomic_fetch_and(gate_word, ~(uint32_t)GATE_LATE, __ATOMIC_RELEASE);
    emit_system(STRAY_EXEC_FAILED, 0, 0);
}
