/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray hooks: the table of what is intercepted. */
#include <string.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "read/words.h"

static const char usage[] =
    "usage: stray hooks [--format text|json]\n"
    "\n"
    "Writes the functions that are intercepted: name, the resource each is about,\n"
    "what it does to it, the library it is looked for in, and its prototype.\n";

struct row {
    unsigned id, resource;
    const char *name, *action, *library, *result, *parameters;
};

static const struct row rows[] = {
#define HOOK(id, name, RESOURCE, ACTION, LIBRARY, BODY, ret, params, args, success, handle, size)            \
    {id, STRAY_##RESOURCE, #name, #ACTION, #LIBRARY, #ret, #params},
#include "stray/hooks.def"
#undef HOOK
};
#define ROWS (sizeof(rows) / sizeof(*rows))

/* The table's words as the user sees them. */
static const char *action_text(const char *action)
{
    static const char *const texts[][2] = {
        {"OPEN", "open"}, {"CLOSE", "close"}, {"MOVE", "move"}, {"USE", "use"}, {"NOTE", "note"}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (strcmp(texts[i][0], action) == 0)
            return texts[i][1];
    return action;
}

static const char *library_text(const char *library)
{
    return strcmp(library, "LIBPQ") == 0 ? "libpq" : strcmp(library, "LIBURING") == 0 ? "liburing" : "libc";
}

static void print_text(void)
{
    printf("%-22s %-11s %-7s %-8s %s\n", "FUNCTION", "RESOURCE", "ACTION", "LIBRARY", "PROTOTYPE");
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        const char *space = row->result[strlen(row->result) - 1] == '*' ? "" : " ";
        printf("%-22s %-11s %-7s %-8s %s%s%s%s\n", row->name, resource_label(row->resource),
               action_text(row->action), library_text(row->library), row->result, space, row->name,
               row->parameters);
    }
}

static bool print_json(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        const char *space = row->result[strlen(row->result) - 1] == '*' ? "" : " ";
        json_array_append_new(
            list, json_pack("{s:i, s:s, s:s, s:s, s:s, s:o}", "id", (int)row->id, "name", row->name,
                            "resource", resource_label(row->resource), "action", action_text(row->action),
                            "library", library_text(row->library), "prototype",
                            json_sprintf("%s%s%s%s", row->result, space, row->name, row->parameters)));
    }
    return json_print(list, JSON_INDENT(2));
}

int command_hooks(int argc, char **argv)
{
    struct simple_options options;
    int go = simple_options_parse(argc, argv, usage, &options);
    if (go <= 0)
        return go < 0 ? STATUS_UNREADABLE : output_finish();
    if (options.first < argc)
        return fail("%s: stray hooks takes no arguments", argv[options.first]);
    if (!options.json)
        print_text();
    else if (!print_json())
        return fail("out of memory");
    return output_finish();
}
