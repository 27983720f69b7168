/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/pair_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/beside.h"
#include "commands/common.h"
#include "commands/options.h"
#include "read/words.h"
#include "stray/pair.h"

#define VARIABLE  "STRAY_PAIR"
#define BLANKS    " \t\r"
#define TEXT_MAX  12000 /* the shim keeps the variables that it hands on in no more than 16 KiB */
#define SHOWN     120   /* of what is wrong */

static char *text; /* all pairs; NULL: no option named any */
static struct stray_pairs pairs;
static const char *given = "--pair"; /* what names them, for messages */

static int append(const char *more, size_t length)
{
    char *longer;
    if (asprintf(&longer, "%s%s%.*s", text ? text : "", text ? ";" : "", (int)length, more) < 0)
        return fail("%s", error_reason(-ENOMEM));
    free(text);
    text = longer;
    return STATUS_DONE;
}

/* In a table of its own, so that a mistake is told where it was made. */
static int check(const char *where, const char *some)
{
    static struct stray_pairs checked;
    const char *at;
    checked.function_count = checked.resource_count = 0;
    const char *wrong = stray_pairs_parse(&checked, some, &at);
    if (!wrong)
        return STATUS_DONE;
    if (!*at)
        return fail("%s: %.*s: ends too early: %s", where, SHOWN, some, wrong);
    return fail("%s: at \"%.*s\": %s", where, SHOWN, at, wrong);
}

/* ---- files ---- */

static int add_line(const char *name, unsigned number, char *line)
{
    char where[300];
    line[strcspn(line, "#")] = '\0';
    line += strspn(line, BLANKS);
    size_t length = strlen(line);
    if (length == 0)
        return STATUS_DONE;
    snprintf(where, sizeof(where), "%.280s:%u", name, number);
    int status = check(where, line);
    return status == STATUS_DONE ? append(line, length) : status;
}

static int add_lines(const char *name, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    int status = STATUS_DONE;
    for (unsigned number = 1; status == STATUS_DONE && getline(&line, &room, file) >= 0; number++) {
        line[strcspn(line, "\n")] = '\0';
        status = add_line(name, number, line);
    }
    if (status == STATUS_DONE && ferror(file))
        status = fail("%s: %s", name, error_reason(-errno));
    free(line);
    return status;
}

int pair_options_add_file(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return fail("%s: %s", path, error_reason(-errno));
    if (!text)
        append("", 0); /* a file without pairs names none, whatever the variable holds */
    int status = add_lines(path, file);
    fclose(file);
    return status;
}

static bool is_short_name(const char *argument)
{
    return *argument && strspn(argument, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(argument);
}

static int add_installed(const char *name)
{
    char built[300], installed[300];
    snprintf(built, sizeof(built), "share/pairs/%.100s.pairs", name);
    snprintf(installed, sizeof(installed), "../" STRAY_DATADIR "/stray/pairs/%.100s.pairs", name);
    char *path = beside_find((const char *const[]){built, installed}, 2);
    if (!path)
        return fail("%s %s: neither a pair (OPEN=WHERE:CLOSE=aN) nor the name of a file of pairs that comes with stray", given, name);
    int status = pair_options_add_file(path);
    free(path);
    return status;
}

/* ---- all of them ---- */

int pair_options_add(const char *argument)
{
    if (*argument == '@')
        return pair_options_add_file(argument + 1);
    if (is_short_name(argument))
        return add_installed(argument);
    int status = check(given, argument);
    return status == STATUS_DONE ? append(argument, strlen(argument)) : status;
}

/* What stands in the variable where no option was given: names of files are for this program to look up. */
static int add_from_variable(const char *value)
{
    int status = STATUS_DONE;
    given = VARIABLE;
    for (const char *at = value; status == STATUS_DONE && *at; at += *at == ';') {
        size_t length = strcspn(at, ";");
        char *one = strndup(at, length);
        status = one ? *one ? pair_options_add(one) : STATUS_DONE : fail("%s", error_reason(-ENOMEM));
        free(one);
        at += length;
    }
    return status;
}

static bool is_hooked(struct stray_pair_text name)
{
    for (unsigned hook = 1; hook < STRAY_HOOK_END; hook++)
        if (hook_name(hook) && stray_pair_is(name, hook_name(hook)))
            return true;
    return false;
}

static int check_functions(void)
{
    for (size_t i = 0; i < pairs.function_count; i++) {
        struct stray_pair_text name = pairs.functions[i].name;
        const char *why = stray_pair_denied(name) ? "cannot be traced: it must be called as it is"
                          : is_hooked(name)       ? "stray traces it already (see stray hooks)"
                                                  : NULL;
        if (why) {
            fail("%s: %.*s: %s", given, (int)name.length, name.at, why);
            return STATUS_REFUSED;
        }
    }
    return STATUS_DONE;
}

int pair_options_finish(void)
{
    const char *value = getenv(VARIABLE), *at;
    int status = !text && value ? add_from_variable(value) : STATUS_DONE;
    if (status != STATUS_DONE || !text)
        return status;
    if (strlen(text) > TEXT_MAX)
        return fail("%s: more than %d characters of pairs", given, TEXT_MAX);
    const char *wrong = stray_pairs_parse(&pairs, text, &at);
    if (wrong)
        return fail("%s: at \"%.*s\": %s", given, SHOWN, at, wrong);
    status = check_functions();
    if (status == STATUS_DONE && setenv(VARIABLE, text, 1) < 0)
        status = fail("%s: %s", VARIABLE, error_reason(-errno));
    return status;
}

bool pair_options_define(const char *label, size_t length)
{
    for (size_t i = 0; i < pairs.resource_count; i++)
        if (stray_pair_same(pairs.resources[i], (struct stray_pair_text){label, length}))
            return true;
    return false;
}
