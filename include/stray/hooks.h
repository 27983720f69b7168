/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hook table and the resource table as C enumerations and, for readers, as documentation rows.
 * Pure declarations: no code, no dependency but <stddef.h>. Thread and signal safe.
 */
#ifndef STRAY_HOOKS_H
#define STRAY_HOOKS_H

#include <stddef.h>

/* Kinds of resource; the values stand in traces. */
enum stray_resource {
    STRAY_RESOURCE_NONE = 0,
#define RESOURCE(id, NAME, label, key) STRAY_##NAME = id,
#include "stray/resources.def"
#undef RESOURCE
    STRAY_RESOURCE_END, /* one past the largest known */
    STRAY_USER_FIRST = 32, /* of user-defined pairs, by the order in which the user gave them; definitions say their names */
    STRAY_USER_END = 64,   /* one past the last of those */
};
_Static_assert((int)STRAY_RESOURCE_END <= (int)STRAY_USER_FIRST, "ids of resources end where those of users' pairs begin");

/* What a handle of a resource is. */
enum stray_key { STRAY_KEY_ADDRESS, STRAY_KEY_DESCRIPTOR, STRAY_KEY_TID, STRAY_KEY_PID, STRAY_KEY_NAME };

/* Hooked functions; the values stand in traces. */
enum stray_hook_id {
    STRAY_HOOK_NONE = 0,
#define INNER_HOOK(id, name) STRAY_HOOK_##name = id,
#include "stray/inner_hooks.def"
#undef INNER_HOOK
#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size)            \
    STRAY_HOOK_##name = id,
#include "stray/hooks.def"
#undef HOOK
};

/* One past the largest id, in whatever order the table's rows stand. */
union stray_hook_ids {
#define INNER_HOOK(id, name) char up_to_##name[(id) + 1];
#include "stray/inner_hooks.def"
#undef INNER_HOOK
#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size)            \
    char up_to_##name[(id) + 1];
#include "stray/hooks.def"
#undef HOOK
};
#define STRAY_HOOK_END sizeof(union stray_hook_ids)
/* From here on: functions of user-defined pairs, which definitions name. */
#define STRAY_HOOK_USER 0xf000u

#endif
