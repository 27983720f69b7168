/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/threads.h"

#include <time.h>

#include "record/emit.h"
#include "record/spool.h"
#include "state/incarnation.h"
#include "sys.h"

#define BIRTHS 4096 /* threads that were created and have not begun yet */

enum birth_state { BIRTH_FREE, BIRTH_NEW, BIRTH_TOLD_BY_THREAD, BIRTH_BEING_TOLD, BIRTH_TOLD };

enum thread_fate { FATE_DETACHED = 1, FATE_ENDED = 2 };

static struct birth *births; /* mapped when the first thread is created */
static uint64_t last_number;

static struct birth *all_births(void)
{
    struct birth *none = NULL, *have = __atomic_load_n(&births, __ATOMIC_ACQUIRE);
    if (have)
        return have;
    struct birth *mapped = sys_memory(BIRTHS * sizeof(*mapped));
    if (mapped && !__atomic_compare_exchange_n(&births, &none, mapped, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        sys_munmap(mapped, BIRTHS * sizeof(*mapped));
        return none;
    }
    return mapped;
}

static struct birth *take_free(void)
{
    struct birth *all = all_births();
    for (unsigned i = 0; all && i < BIRTHS; i++) {
        uint32_t free = BIRTH_FREE;
        if (__atomic_compare_exchange_n(&all[i].state, &free, BIRTH_NEW, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return &all[i];
    }
    return NULL;
}

struct birth *threads_conceive(uint16_t hook, uint64_t time, uint32_t stack)
{
    struct birth *birth = take_free();
    if (!birth) {
        spool_count_lost(1);
        return NULL;
    }
    birth->hook = hook;
    birth->time = time;
    birth->stack = stack;
    birth->number = __atomic_add_fetch(&last_number, 1, __ATOMIC_RELAXED);
    birth->detached = false;
    return birth;
}

static void give_back(struct birth *birth)
{
    __atomic_store_n(&birth->state, BIRTH_FREE, __ATOMIC_RELEASE);
}

void threads_abort(struct birth *birth)
{
    give_back(birth);
}

static struct thread *self_of(pthread_t thread)
{
    return (struct thread *)((uint64_t)thread + ((uint64_t)(uintptr_t)&thread_self - arch_thread()));
}

/* Only while it is certain that the thread has not ended: its handle means nothing afterwards. */
static uint32_t ask_tid(pthread_t thread)
{
    clockid_t clock;
    return pthread_getcpuclockid(thread, &clock) == 0 ? (uint32_t) ~(clock >> 3) : 0;
}

static void name_thread(struct thread *thread, uint64_t number, uint32_t tid)
{
    thread->tid = tid;
    __atomic_store_n(&thread->number, number, __ATOMIC_RELEASE);
}

static void tell_creation(const struct birth *birth, uint32_t tid)
{
    emit_at(birth->time, STRAY_OPEN, STRAY_THREAD, birth->hook, tid, birth->number, birth->stack);
}

static bool come_first(struct birth *birth, uint32_t state)
{
    uint32_t new = BIRTH_NEW;
    return __atomic_compare_exchange_n(&birth->state, &new, state, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* While it is being told here, the thread waits at its start, so that the handle stays good. No signal handler may come
 * between, which might wait for the thread in turn. */
void threads_created(struct birth *birth, pthread_t thread)
{
    uint64_t mask = sys_no_signals();
    if (come_first(birth, BIRTH_BEING_TOLD)) {
        uint32_t tid = ask_tid(thread);
        name_thread(self_of(thread), birth->number, tid);
        tell_creation(birth, tid);
        __atomic_store_n(&birth->state, BIRTH_TOLD, __ATOMIC_RELEASE);
        sys_futex_wake(&birth->state);
    } else {
        give_back(birth);
    }
    sys_signals(mask);
}

struct birth threads_begin(struct birth *birth)
{
    uint32_t tid = (uint32_t)sys_gettid();
    name_thread(&thread_self, birth->number, tid);
    if (birth->detached)
        __atomic_fetch_or(&thread_self.fate, FATE_DETACHED, __ATOMIC_RELAXED);
    struct birth copy = *birth;
    if (come_first(birth, BIRTH_TOLD_BY_THREAD)) {
        tell_creation(&copy, tid);
        return copy;
    }
    while (__atomic_load_n(&birth->state, __ATOMIC_ACQUIRE) == BIRTH_BEING_TOLD)
        sys_futex_wait(&birth->state, BIRTH_BEING_TOLD);
    give_back(birth);
    return copy;
}

/* Whoever makes the second of the two marks, "ended" and "detached", records that nothing is left. */
void threads_end(void)
{
    thread_self.flags = 0; /* a cancellation may have left something of the tracer's half done */
    if (!gate_open(GATE_TRACED) || thread_self.number == 0)
        return;
    incarnation_thread_ends();
    uint64_t time = clock_before();
    uint32_t before = __atomic_fetch_or(&thread_self.fate, FATE_ENDED, __ATOMIC_ACQ_REL);
    emit_at(time, before & FATE_DETACHED ? STRAY_CLOSE : STRAY_EXITED, STRAY_THREAD, STRAY_HOOK_NONE, thread_self.tid,
            thread_self.number, 0);
}

struct thread_name threads_name(pthread_t thread)
{
    const struct thread *other = self_of(thread);
    uint64_t number = __atomic_load_n(&other->number, __ATOMIC_ACQUIRE);
    return (struct thread_name){number, other->tid};
}

void threads_joined(uint16_t hook, const struct thread_name *name)
{
    if (name->number != 0)
        emit_now(STRAY_CLOSE, STRAY_THREAD, hook, name->tid, name->number, 0);
}

void threads_detach(uint16_t hook, pthread_t thread)
{
    struct thread_name name = threads_name(thread);
    if (name.number == 0)
        return;
    uint32_t before = __atomic_fetch_or(&self_of(thread)->fate, FATE_DETACHED, __ATOMIC_ACQ_REL);
    if ((before & (FATE_DETACHED | FATE_ENDED)) == FATE_ENDED)
        threads_joined(hook, &name);
}

void threads_forget(void)
{
    if (births)
        sys_madvise(births, BIRTHS * sizeof(*births), MADV_DONTNEED);
    last_number = 0;
}
