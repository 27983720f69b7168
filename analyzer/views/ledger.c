/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/ledger.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "views/ledger_steps.h"

int ledger_begin(bool all, struct ledger **ret_ledger)
{
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    if (!ledger)
        return -ENOMEM;
    ledger->all = all;
    *ret_ledger = ledger;
    return 0;
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    ledger_pass_end(ledger);
    report_free(ledger->report);
    arena_free(&ledger->arena);
    map_clear(&ledger->frame_map);
    map_clear(&ledger->stack_map);
    free(ledger->processes);
    free(ledger->frames);
    free(ledger->stacks);
    free(ledger->places);
    free(ledger->lives);
    free(ledger->before);
    free(ledger->points);
    free(ledger->moments);
    free(ledger->busy);
    free(ledger);
}

int ledger_build(char *const *paths, size_t count, const char *given, const struct report_options *options,
                 struct ledger **ret_ledger, struct error *error)
{
    struct ledger *ledger;
    int result = ledger_begin(options->all, &ledger);
    if (result < 0)
        return error_set(error, result, "%s: %s", given, error_reason(result));
    struct report_visitor visitor = {.data = ledger, .event = ledger_event, .process = ledger_process};
    struct report_options how = *options;
    how.visitor = &visitor;
    result = report_build(paths, count, given, &how, &ledger->report, error);
    if (result < 0)
        ledger_free(ledger);
    else
        *ret_ledger = ledger;
    return result;
}

const struct report_frame *ledger_blame(const struct ledger *ledger, uint32_t stack)
{
    const struct ledger_stack *found = stack == LEDGER_NONE ? NULL : &ledger->stacks[stack];
    return found && found->count ? &ledger->frames[found->frames[found->blame]] : NULL;
}

const char *ledger_closed_word(enum ledger_closed closed)
{
    static const char *const words[] = {"open", "closed",   "finalizer", "exit",
                                        "exec", "implicit", "reconciled"};
    return words[closed];
}

const char *ledger_transaction_word(const struct ledger_life *life)
{
    static const char *const words[] = {"idle", "active", "idle in transaction", "idle in failed transaction", "unknown"};
    return life->statements_known && life->transaction < sizeof(words) / sizeof(*words) ? words[life->transaction] : NULL;
}

const char *ledger_state_word(unsigned state)
{
    static const char *const words[] = {NULL,         "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
                                        "FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
                                        "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING"};
    return state < sizeof(words) / sizeof(*words) ? words[state] : NULL;
}

double ledger_idle(const struct ledger_life *life)
{
    return fmax(life->ended_s - life->used_s, 0);
}
