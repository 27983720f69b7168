/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one list of verbs. */
#ifndef STRAY_COMMANDS_VERBS_H
#define STRAY_COMMANDS_VERBS_H

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments, *summary; /* for the overview */
};

/* Ended by one without a name. */
extern const struct verb verbs[];

/* NULL if there is no such verb. */
const struct verb *verb_find(const char *name);

/* Says that there is none, and which one may have been meant. STATUS_UNREADABLE. */
int verb_unknown(const char *name);

#endif
