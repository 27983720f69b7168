/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The outcome of a check as SARIF 2.1.0 (OASIS Standard, March 2020), for code scanning services. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json_memory.h"
#include "read/words.h"
#include "views/check.h"
#include "views/json.h"

#define SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"

/* A rule is what a finding was told by: verdict and resource, or a limit. */
struct rules {
    char (*ids)[64];
    size_t count;
    json_t *list;
};

static json_t *message(const char *text)
{
    return json_pack("{s:o}", "text", json_text(text));
}

static size_t rule_find(struct rules *rules, const char *id, const char *meaning)
{
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->ids[i], id) == 0)
            return i;
    snprintf(rules->ids[rules->count], sizeof(*rules->ids), "%s", id);
    json_array_append_new(rules->list,
                          json_pack("{s:s, s:o}", "id", id, "shortDescription", message(meaning)));
    return rules->count++;
}

/* ---- locations ---- */

/* RFC 3986: what is not unreserved, and no slash, is written as %XX. */
static char *uri_of(const char *scheme, const char *path)
{
    char *uri = json_memory_malloc(strlen(scheme) + 3 * strlen(path) + 1);
    if (!uri)
        return NULL;
    char *out = stpcpy(uri, scheme);
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
        if ((*p < 0x80 && isalnum(*p)) || strchr("-._~/", *p))
            *out++ = (char)*p;
        else
            out += sprintf(out, "%%%02X", *p);
    }
    *out = '\0';
    return uri;
}

/* The part of `path` below `root`; NULL: it does not lie there. */
static const char *below(const char *path, const char *root)
{
    size_t length = root ? strlen(root) : 0;
    while (length > 1 && root[length - 1] == '/')
        length--;
    if (length == 0 || strncmp(path, root, length) != 0 || path[length] != '/')
        return NULL;
    return path + length + 1;
}

static json_t *artifact(const char *file, const char *root)
{
    const char *relative = below(file, root);
    char *uri = relative ? uri_of("", relative) : uri_of(file[0] == '/' ? "file://" : "", file);
    json_t *object = uri ? json_pack("{s:s}", "uri", uri) : NULL;
    if (object && relative)
        json_object_set_new(object, "uriBaseId", json_string("SRCROOT"));
    free(uri);
    return object;
}

static json_t *location(const struct report_frame *frame, const char *root)
{
    json_t *object = json_object();
    if (frame->file && frame->file[0] != '<') {
        json_t *physical = json_object();
        json_object_set_new(physical, "artifactLocation", artifact(frame->file, root));
        if (frame->line)
            json_object_set_new(physical, "region", json_pack("{s:I}", "startLine", (json_int_t)frame->line));
        json_object_set_new(object, "physicalLocation", physical);
    }
    if (frame->function)
        json_object_set_new(object, "logicalLocations",
                            json_pack("[{s:o, s:s}]", "fullyQualifiedName", json_text(frame->function),
                                      "kind", "function"));
    return object;
}

static json_t *stack(const struct report_stack *from, const char *root)
{
    json_t *frames = json_array();
    for (size_t i = 0; i < from->count; i++) {
        json_t *frame = json_pack("{s:o}", "location", location(&from->frames[i], root));
        if (from->frames[i].module)
            json_object_set_new(frame, "module", json_text(from->frames[i].module));
        json_array_append_new(frames, frame);
    }
    return json_pack("{s:o, s:o}", "message", message("acquired here"), "frames", frames);
}

/* ---- results ---- */

static json_t *finding_result(struct rules *rules, const struct check_item *item, const char *root)
{
    const struct report_finding *finding = item->finding;
    char rule[64];
    snprintf(rule, sizeof(rule), "%s/%s", verdict_name(finding->verdict), resource_label(finding->resource));
    size_t index = rule_find(rules, rule, check_meaning(finding->verdict));
    json_t *object =
        json_pack("{s:s, s:I, s:s, s:o, s:o, s:o, s:o}", "ruleId", rule, "ruleIndex", (json_int_t)index,
                  "level", severity_name(finding->severity), "message", message(finding->message),
                  "locations", finding->site ? json_pack("[o]", location(finding->site, root)) : json_array(),
                  "partialFingerprints", json_pack("{s:s}", "strayFinding/v1", finding->id), "properties",
                  json_pack("{s:o, s:o, s:s, s:s}", "count", json_whole(finding->count), "bytes",
                            json_whole(finding->bytes), "confidence", confidence_name(finding->confidence),
                            "fate", check_fate_word(item->fate)));
    if (finding->stack.count)
        json_object_set_new(object, "stacks", json_pack("[o]", stack(&finding->stack, root)));
    if (item->by)
        json_object_set_new(object, "suppressions",
                            json_pack("[{s:s, s:s, s:o}]", "kind", "external", "status", "accepted",
                                      "justification", json_text(item->by->text)));
    return object;
}

static json_t *breach_result(struct rules *rules, const struct check_breach *breach)
{
    size_t index = rule_find(rules, breach->rule, "a limit that was given to the check was exceeded");
    return json_pack("{s:s, s:I, s:s, s:o}", "ruleId", breach->rule, "ruleIndex", (json_int_t)index, "level",
                     "error", "message", message(breach->message));
}

static json_t *results(const struct check *check, struct rules *rules, const char *root)
{
    json_t *list = json_array();
    for (size_t i = 0; i < check->breach_count; i++)
        json_array_append_new(list, breach_result(rules, &check->breaches[i]));
    for (size_t i = 0; i < check->report->finding_count; i++)
        json_array_append_new(list, finding_result(rules, &check->items[i], root));
    return list;
}

static json_t *invocation(const struct check *check)
{
    json_t *object = json_pack("{s:b, s:I}", "executionSuccessful", check->result != CHECK_INCONCLUSIVE,
                               "exitCode", (json_int_t)check->result);
    if (check->why[0])
        json_object_set_new(object, "toolExecutionNotifications",
                            json_pack("[{s:s, s:o}]", "level", "warning", "message", message(check->why)));
    return object;
}

int check_write_sarif(const struct check *check, const char *root, FILE *out)
{
    json_memory_watch();
    struct rules rules = {.list = json_array()};
    rules.ids = calloc(check->report->finding_count + check->breach_count + 1, sizeof(*rules.ids));
    if (!rules.ids || !rules.list) {
        free(rules.ids);
        json_decref(rules.list);
        return -ENOMEM;
    }
    json_t *found = results(check, &rules, root);
    free(rules.ids);
    json_t *run = json_pack("{s:{s:{s:s, s:o}}, s:o, s:[o]}", "tool", "driver", "name", "stray", "rules",
                            rules.list, "results", found, "invocations", invocation(check));
    if (root) {
        char *uri = uri_of("file://", root);
        json_t *base = uri ? json_sprintf("%s%s", uri, root[strlen(root) - 1] == '/' ? "" : "/") : NULL;
        json_object_set_new(run, "originalUriBaseIds", json_pack("{s:{s:o}}", "SRCROOT", "uri", base));
        free(uri);
    }
    return report_json_write(
        json_pack("{s:s, s:s, s:[o]}", "$schema", SCHEMA, "version", "2.1.0", "runs", run), out);
}
