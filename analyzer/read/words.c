/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/words.h"

#include "read/pairs.h"

static const char *const actions[] = {
    [STRAY_OPEN] = "open",
    [STRAY_CLOSE] = "close",
    [STRAY_MOVE_FROM] = "move-from",
    [STRAY_MOVE_TO] = "move-to",
    [STRAY_RESIZE] = "resize",
    [STRAY_USE] = "use",
    [STRAY_CONNECTING] = "connecting",
    [STRAY_CONNECTED] = "connected",
    [STRAY_REFUSED] = "refused",
    [STRAY_DUP] = "dup",
    [STRAY_IMPLICIT] = "implicit-close",
    [STRAY_RECONCILED] = "reconciled",
    [STRAY_LINK] = "link",
    [STRAY_ENDPOINT] = "endpoint",
    [STRAY_SAMPLE] = "sample",
    [STRAY_INHERITED] = "inherited",
    [STRAY_DURATION] = "duration",
    [STRAY_SHUTDOWN] = "shutdown",
    [STRAY_EXEC_CLOSED] = "exec-closed",
    [STRAY_FAILED] = "failed",
    [STRAY_ELIDED] = "elided",
    [STRAY_EXITED] = "exited",
    [STRAY_USED] = "used",
    [STRAY_LEFT] = "left",
    [STRAY_STATEMENT] = "statement",
    [STRAY_NAMED] = "named",
    [STRAY_MEMBERS] = "members",
    [STRAY_KEY] = "key",
    [STRAY_RESULT] = "result",
    [STRAY_WAITED] = "waited",
    [STRAY_BLOCKED] = "blocked",
    [STRAY_AWAITED] = "awaited",
    [STRAY_ANSWERED] = "answered",
    [STRAY_AT_ONCE] = "at-once",
    [STRAY_WORK] = "work",
    [STRAY_OWNER] = "owner",
    [STRAY_CLOCK_PAIR] = "clock-pair",
    [STRAY_MEMORY] = "memory",
    [STRAY_END_BEGINS] = "end-begins",
    [STRAY_END] = "end",
    [STRAY_FORK] = "fork",
    [STRAY_EXEC] = "exec",
    [STRAY_EXEC_FAILED] = "exec-failed",
    [STRAY_LOST] = "lost",
    [STRAY_SIGNAL] = "signal",
    [STRAY_PART] = "part",
    [STRAY_LIMIT] = "limit",
    [STRAY_END_AWAITED] = "end-awaited",
    [STRAY_BASELINE] = "baseline",
};

struct resource {
    const char *label;
    enum stray_key key;
};

static const struct resource resources[STRAY_RESOURCE_END] = {
#define RESOURCE(id, NAME, label, key) [STRAY_##NAME] = {label, STRAY_KEY_##key},
#include "stray/resources.def"
#undef RESOURCE
};

static const char *const hooks[STRAY_HOOK_END] = {
#define INNER_HOOK(id, name) [STRAY_HOOK_##name] = #name,
#include "stray/inner_hooks.def"
#undef INNER_HOOK
#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size)            \
    [STRAY_HOOK_##name] = #name,
#include "stray/hooks.def"
#undef HOOK
};

const char *action_word(unsigned action)
{
    return action < sizeof(actions) / sizeof(*actions) ? actions[action] : NULL;
}

const char *resource_label(unsigned resource)
{
    if (resource == RESOURCE_PREPARED)
        return "prepared";
    return resource < STRAY_RESOURCE_END ? resources[resource].label : pairs_resource_label(resource);
}

bool resource_key(unsigned resource, enum stray_key *ret_key)
{
    if (!resource_label(resource))
        return false;
    *ret_key = resource < STRAY_RESOURCE_END ? resources[resource].key : STRAY_KEY_ADDRESS;
    return true;
}

const char *hook_name(unsigned hook)
{
    return hook < STRAY_HOOK_END ? hooks[hook] : pairs_function_name(hook);
}

uint64_t endpoint_in(const struct stray_event *event)
{
    switch (event->action) {
    case STRAY_CONNECTING:
    case STRAY_CONNECTED:
    case STRAY_ENDPOINT:
        return event->value;
    case STRAY_INHERITED:
        return event->value & ~STRAY_ACCEPTED;
    case STRAY_OPEN:
        return event->resource == STRAY_CONNECTION || event->resource == STRAY_TEMPFILE ? event->value : 0;
    default:
        return 0;
    }
}
