/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Servers whose clients are in the same process. Their threads are there for connections that are open: as long as the process leaks
 * these, they have somebody to wait for. And when a client hung up is known, by its close.
 */
#include <math.h>
#include <string.h>

#include "names/function.h"
#include "verdicts/court.h"

#define MORE_SHARE 0.2 /* of the leaked connections: so many threads more may serve others */
#define LATE_SHARE 0.8 /* of the clients that hung up at the end */
#define LATE_S     0.1 /* before Tc, or LATE_TIME of the time: what takes leave of its clients needs that long */
#define LATE_TIME  0.02

/* Index in `inner` of the function that led to both, the innermost one; `inner->count`: there is none. */
static size_t common_function(const struct stack *inner, const struct stack *other)
{
    size_t shared = 0;
    while (shared < inner->count && shared < other->count) {
        const struct frame *a = &inner->frames[inner->count - 1 - shared], *b = &other->frames[other->count - 1 - shared];
        if (!same_line(a, b))
            return inner->count - shared - (frames_same_function(a, b) ? 1 : 0);
        shared++;
    }
    return inner->count - shared;
}

/* The function that accepts starts the threads as well, and none of the user's own between: so that there is one for each client. */
static bool starts_for_accepted(const struct court *court, uint32_t starts, uint32_t accepts)
{
    const struct stack *thread = court->stack(court->data, starts), *server = court->stack(court->data, accepts);
    size_t common = common_function(thread, server);
    if (common >= thread->count)
        return false;
    for (size_t i = 0; i < common; i++)
        if (thread->frames[i].user)
            return false;
    return true;
}

/* Whether these are connections from one side and from the other to one and the same listening socket. */
static bool are_two_sides(const struct court *court, const struct fold *one, const struct fold *other)
{
    const struct peer *peers = court->lives->peers;
    return one->resource == STRAY_CONNECTION && one->peer != LIVES_NONE && peers[one->peer].server != peers[other->peer].server &&
           strcmp(peers[one->peer].text, peers[other->peer].text) == 0;
}

/* Connections of the process to what listens where `accepted` were accepted, all at one place; NULL: there are none. */
static const struct fold *clients_of(const struct court *court, const struct fold *accepted)
{
    const struct fold *found = NULL;
    for (size_t i = 0; i < court->folds->count; i++) {
        const struct fold *fold = &court->folds->items[i];
        if (are_two_sides(court, fold, accepted) && fold->life_count == accepted->life_count)
            found = fold;
    }
    return found;
}

/* Accepted before the end, and left by its client when that had begun, but for the handler that would have said so: none was opened any more. */
static bool is_left_late(const struct court *court, const struct life *client, uint64_t last_birth)
{
    double late = fmax(LATE_S, LATE_TIME * court->tc);
    return client->end == LIFE_OPEN || (client->death > last_birth && seconds(court, client->death) > court->tc - late);
}

bool hung_up_at_end(const struct court *court, const struct fold *accepted)
{
    const struct life *lives = court->lives->lives;
    bool server = accepted->peer != LIVES_NONE && court->lives->peers[accepted->peer].server;
    const struct fold *clients = server ? clients_of(court, accepted) : NULL;
    uint64_t last_birth = 0, late = 0;
    for (size_t i = 0; clients && i < clients->life_count; i++)
        last_birth = lives[clients->lives[i]].birth > last_birth ? lives[clients->lives[i]].birth : last_birth;
    for (size_t i = 0; clients && i < clients->life_count; i++)
        late += is_left_late(court, &lives[clients->lives[i]], last_birth);
    return clients && (double)late >= LATE_SHARE * (double)clients->life_count;
}

/* Whether connections to the peer of `clients` are accepted by what starts these threads. */
static bool serves(const struct court *court, const struct finding *threads, const struct fold *clients)
{
    for (size_t i = 0; i < court->folds->count; i++) {
        const struct fold *fold = &court->folds->items[i];
        if (are_two_sides(court, fold, clients) && starts_for_accepted(court, threads->stack, fold->stack))
            return true;
    }
    return false;
}

uint32_t connections_served(const struct court *court, const struct finding *finding)
{
    if (court->folds->items[finding->fold].resource != STRAY_THREAD || finding->verdict > VERDICT_CREEP)
        return LIVES_NONE;
    for (uint32_t i = 0; i < court->judged.count; i++) {
        const struct finding *other = &court->judged.findings[i];
        const struct fold *fold = &court->folds->items[other->fold];
        if (fold->resource == STRAY_CONNECTION && other->verdict == VERDICT_LEAKED && fold->peer != LIVES_NONE &&
            !court->lives->peers[fold->peer].server &&
            (double)finding->count <= (1 + MORE_SHARE) * (double)other->count + 1 && serves(court, finding, fold))
            return i;
    }
    return LIVES_NONE;
}
