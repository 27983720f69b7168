/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The outcome of a check as JSON, schema "stray-check/1". */
#include "json_memory.h"
#include "read/words.h"
#include "views/check.h"
#include "views/json.h"

static json_t *findings(const struct check *check)
{
    json_t *list = json_array();
    for (size_t i = 0; i < check->report->finding_count; i++) {
        const struct check_item *item = &check->items[i];
        json_t *object = report_json_finding(check->report, item->finding);
        json_object_set_new(object, "fate", json_string(check_fate_word(item->fate)));
        if (item->by)
            json_object_set_new(object, "suppressed_by", json_text(item->by->text));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *breaches(const struct check *check)
{
    json_t *list = json_array();
    for (size_t i = 0; i < check->breach_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "rule", check->breaches[i].rule, "message",
                                              json_text(check->breaches[i].message)));
    return list;
}

static json_t *idle_limits(const struct check *check)
{
    json_t *list = json_array();
    for (size_t i = 0; i < check->rules->limit_count; i++)
        if (!check_limit_used(check, &check->rules->limits[i]))
            json_array_append_new(list, json_text(check->rules->limits[i].peer));
    return list;
}

static json_t *suppressions(const struct check *check)
{
    const struct suppressions *from = check->rules->suppressions;
    json_t *list = json_array();
    for (size_t i = 0; from && i < from->count; i++) {
        const struct suppression *suppression = &from->items[i];
        bool expired = suppression_expired(suppression, check->now_ns);
        const char *state = expired ? "expired" : suppression->used ? "used" : "unused";
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:I, s:s, s:I, s:o}", "text", json_text(suppression->text), "file", json_text(suppression->file), "line",
                            (json_int_t)suppression->line, "state", state, "findings",
                            (json_int_t)suppression->used, "until", json_text(suppression->until)));
    }
    return list;
}

int check_write_json(const struct check *check, FILE *out)
{
    json_memory_watch();
    json_t *object = json_object();
    json_object_set_new(object, "schema", json_string("stray-check/1"));
    json_object_set_new(object, "trace", report_json_trace(check->report));
    json_object_set_new(object, "result", json_string(check_result_word(check->result)));
    json_object_set_new(object, "exit_status", json_integer(check->result));
    json_object_set_new(object, "why", check->why[0] ? json_text(check->why) : json_null());
    json_object_set_new(object, "findings", findings(check));
    json_object_set_new(object, "limits", breaches(check));
    json_object_set_new(object, "unused_limits", idle_limits(check));
    json_object_set_new(object, "suppressions", suppressions(check));
    return report_json_write(object, out);
}
