/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tools that the system brought, as compilers and git are: they end within seconds, and many of them free nothing until then, on
 * purpose. What they keep grows with what they were given to read, exactly as a leak does; but whoever traces them has no line to
 * mend, and the end gives it all back.
 */
#include "verdicts/court.h"

#define TOOL_S 60.0 /* what goes on for longer needs its memory for longer, too */

/* Who accepts connections is a service, whether there were enough of them to tell the work by or not. */
static bool is_server(const struct lives *lives)
{
    for (size_t i = 0; i < lives->peer_count; i++)
        if (lives->peers[i].server)
            return true;
    return false;
}

static bool has_ended_soon(const struct court *court)
{
    const struct lives *lives = court->lives;
    return lives->ending == ENDING_EXIT && lives->voluntary && !lives->before.attached && court->tc < TOOL_S;
}

static bool is_installed(const struct stack *stack)
{
    bool found = false;
    for (size_t i = 0; i < stack->count; i++) {
        if (stack->frames[i].user && !stack->frames[i].installed)
            return false;
        found = found || stack->frames[i].installed;
    }
    return found;
}

bool is_kept_by_tool(const struct court *court, uint32_t stack)
{
    return has_ended_soon(court) && !is_load(court->lives) && !is_server(court->lives) &&
           is_installed(court->stack(court->data, stack));
}
