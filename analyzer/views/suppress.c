/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/suppress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "read/array.h"
#include "read/pairs.h"
#include "read/words.h"
#include "safe.h"

#define BLANKS " \t\r"
#define DAY_NS UINT64_C(86400000000000)

/* ---- patterns ---- */

/* Whether the pieces of `pattern` between stars come one after the other in `text`; with `whole` the last one
 * at its end. */
static bool pieces_match(const char *pattern, size_t length, const char *text, bool from_start, bool to_end)
{
    while (length > 0) {
        const char *star = memchr(pattern, '*', length);
        size_t piece = star ? (size_t)(star - pattern) : length;
        bool last = !star;
        const char *found = text;
        if (last && to_end && !from_start) {
            size_t rest = strlen(text);
            return rest >= piece && memcmp(text + rest - piece, pattern, piece) == 0;
        }
        for (; strncmp(found, pattern, piece) != 0; found++)
            if (!*found || from_start)
                return false;
        text = found + piece;
        if (last)
            return !to_end || !*text;
        from_start = false;
        pattern += piece + 1;
        length -= piece + 1;
    }
    return true;
}

bool suppression_matches(const char *pattern, const char *text)
{
    size_t length = strlen(pattern);
    bool from_start = length > 0 && pattern[0] == '^';
    bool to_end = length > (size_t)from_start && pattern[length - 1] == '$';
    if (!text)
        return false;
    return pieces_match(pattern + from_start, length - from_start - to_end, text, from_start, to_end);
}

static bool frame_matches(const char *pattern, const struct report_frame *frame)
{
    return suppression_matches(pattern, frame->function) || suppression_matches(pattern, frame->file) ||
           suppression_matches(pattern, frame->module);
}

static bool applies(const struct suppression *suppression, const struct report_finding *finding)
{
    if (suppression->resource >= 0 && (unsigned)suppression->resource != finding->resource)
        return false;
    if (suppression->verdict >= 0 && (enum verdict)suppression->verdict != finding->verdict)
        return false;
    for (size_t i = 0; i < finding->stack.count; i++)
        if (frame_matches(suppression->pattern, &finding->stack.frames[i]))
            return true;
    return !suppression->frames_only && (suppression_matches(suppression->pattern, finding->peer) ||
                                         suppression_matches(suppression->pattern, finding->id));
}

bool suppression_expired(const struct suppression *suppression, uint64_t now_ns)
{
    return suppression->ends_ns != 0 && now_ns >= suppression->ends_ns;
}

struct suppression *suppressions_find(const struct suppressions *suppressions,
                                      const struct report_finding *finding, uint64_t now_ns)
{
    for (size_t i = 0; i < suppressions->count; i++) {
        struct suppression *suppression = &suppressions->items[i];
        if (!suppression_expired(suppression, now_ns) && applies(suppression, finding))
            return suppression;
    }
    return NULL;
}

/* ---- the file ---- */

struct reading {
    const char *name;
    unsigned line;
    char *until; /* of a comment line, for the suppression to come */
    struct error *error;
    struct suppressions *suppressions;
};

/* What stands before the name of a user-defined pair, which is known only where such a pair was traced. */
#define OF_PAIR "pair/"

static bool parse_prefix(const char *prefix, struct suppression *suppression)
{
    suppression->resource = suppression->verdict = -1;
    if (strcmp(prefix, "leak") == 0)
        return suppression->frames_only = true;
    if (strncmp(prefix, OF_PAIR, sizeof(OF_PAIR) - 1) == 0) {
        const char *label = prefix + sizeof(OF_PAIR) - 1;
        suppression->resource = (int)pairs_resource(label, strlen(label));
        return suppression->resource != STRAY_RESOURCE_NONE;
    }
    for (unsigned i = STRAY_RESOURCE_NONE + 1; i < STRAY_RESOURCE_END; i++)
        if (strcmp(resource_label(i), prefix) == 0) {
            suppression->resource = (int)i;
            return true;
        }
    if (strcmp(resource_label(RESOURCE_PREPARED), prefix) == 0) {
        suppression->resource = RESOURCE_PREPARED;
        return true;
    }
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (strcmp(verdict_name((enum verdict)i), prefix) == 0) {
            suppression->verdict = i;
            return true;
        }
    return false;
}

/* The day in a comment "until 2026-12-31", cut out in place; NULL: it speaks of none. */
static char *day_in(char *comment)
{
    comment += strspn(comment, "#" BLANKS);
    if (strncmp(comment, "until", 5) != 0 || !strchr(BLANKS, comment[5]) || !comment[5])
        return NULL;
    comment += 5 + strspn(comment + 5, BLANKS);
    comment[strcspn(comment, BLANKS ":;,")] = '\0';
    return comment;
}

static bool parse_day(const char *day, uint64_t *ret_end)
{
    struct tm parts = {0};
    int used = 0;
    if (strspn(day, "0123456789-") != 10 ||
        sscanf(day, "%4d-%2d-%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &used) != 3 ||
        used != 10 || day[10])
        return false;
    int month = --parts.tm_mon, date = parts.tm_mday;
    parts.tm_year -= 1900;
    time_t seconds = timegm(&parts);
    if (seconds < 0 || parts.tm_mon != month || parts.tm_mday != date)
        return false;
    *ret_end = (uint64_t)seconds * 1000000000u + DAY_NS;
    return true;
}

static int wrong(const struct reading *reading, const char *text, const char *why)
{
    return error_set(reading->error, -EINVAL, "%s:%u: %.200s: %s", reading->name, reading->line, text, why);
}

static void trim_end(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(BLANKS, text[length - 1]))
        text[--length] = '\0';
}

/* Cuts a comment off; one begins with a '#' behind a blank. */
static char *cut_comment(char *text)
{
    for (char *at = text; (at = strchr(at, '#')); at++) {
        if (at > text && strchr(BLANKS, at[-1])) {
            at[-1] = '\0';
            return at;
        }
    }
    return NULL;
}

/* "PREFIX:PATTERN" stays in the content as it is; the prefix is looked up in a copy. */
static int parse_text(const struct reading *reading, char *text, struct suppression *suppression)
{
    char prefix[64];
    char *colon = strchr(text, ':');
    if (!colon)
        return wrong(reading, text, "no suppression: must be like leak:PATTERN");
    snprintf(prefix, sizeof(prefix), "%.*s", (int)(colon - text), text);
    if (!parse_prefix(prefix, suppression))
        return wrong(reading, text, "must begin with leak, a resource or a verdict, and a colon");
    if (!colon[1])
        return wrong(reading, text, "the pattern is empty");
    suppression->text = text;
    suppression->pattern = colon + 1;
    return 0;
}

static int parse_suppression(struct reading *reading, char *text)
{
    struct suppressions *list = reading->suppressions;
    struct suppression suppression = {.file = reading->name, .line = reading->line};
    char *comment = cut_comment(text);
    char *day = comment ? day_in(comment) : NULL;
    trim_end(text);
    int result = parse_text(reading, text, &suppression);
    if (result < 0)
        return result;
    suppression.until = day ? day : reading->until;
    reading->until = NULL;
    if (suppression.until && !parse_day(suppression.until, &suppression.ends_ns))
        return wrong(reading, suppression.until, "must be a day like 2026-12-31");
    struct suppression *grown = array_grow(list->items, &list->room, list->count, sizeof(*grown));
    if (!grown)
        return error_set(reading->error, -ENOMEM, "%s: %s", reading->name, error_reason(-ENOMEM));
    list->items = grown;
    grown[list->count++] = suppression;
    return 0;
}

static int parse_line(struct reading *reading, char *text)
{
    text += strspn(text, BLANKS);
    if (*text == '#') {
        char *day = day_in(text);
        reading->until = day ? day : reading->until;
        return 0;
    }
    trim_end(text);
    return *text ? parse_suppression(reading, text) : 0;
}

/* A copy of what a file holds, kept for the texts in it; NULL without memory. */
static char *keep_content(struct suppressions *suppressions, const char *content)
{
    char **grown = reallocarray(suppressions->contents, suppressions->file_count + 1, sizeof(*grown));
    if (!grown)
        return NULL;
    suppressions->contents = grown;
    char *copy = strdup(content);
    if (copy)
        grown[suppressions->file_count++] = copy;
    return copy;
}

int suppressions_add(const char *name, const char *content, struct suppressions *suppressions, struct error *error)
{
    struct reading reading = {.name = name, .error = error, .suppressions = suppressions};
    char *rest = keep_content(suppressions, content), *line;
    int result = rest ? 0 : error_set(error, -ENOMEM, "%s: %s", name, error_reason(-ENOMEM));
    while (result == 0 && (line = strsep(&rest, "\n"))) {
        reading.line++;
        result = parse_line(&reading, line);
    }
    return result;
}

void suppressions_clear(struct suppressions *suppressions)
{
    free(suppressions->items);
    for (size_t i = 0; i < suppressions->file_count; i++)
        free(suppressions->contents[i]);
    free(suppressions->contents);
    *suppressions = (struct suppressions){0};
}

/* Whether a file of suppressions can hold it as it is: else its line would be written in another way, and not match. */
static bool is_writable(const char *name)
{
    bool harmless = true;
    while (harmless && *name)
        name += character_length(name, &harmless);
    return harmless;
}

char *suppression_for(const struct report_finding *finding)
{
    const struct report_frame *site = finding->site;
    const char *label = resource_label(finding->resource), *slash;
    const char *prefix = finding->resource < STRAY_RESOURCE_END || finding->resource == RESOURCE_PREPARED ? "" : OF_PAIR;
    char *text;
    int length;
    if (site && site->function && is_writable(site->function)) {
        length = asprintf(&text, "%s%s:^%s$", prefix, label, site->function);
    } else if (site && !site->function && site->module) {
        slash = strrchr(site->module, '/');
        length = asprintf(&text, "%s%s:%s", prefix, label, slash ? slash : site->module);
    } else {
        length = asprintf(&text, "%s%s:^%s$", prefix, label, finding->id);
    }
    return length < 0 ? NULL : text;
}
