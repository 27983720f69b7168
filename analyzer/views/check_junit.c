/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The outcome of a check as JUnit's XML, in the form that CI services read: one test case a finding, one a
 * limit that was not kept, and one for whether the trace says enough.
 */
#include <errno.h>

#include "read/words.h"
#include "safe.h"
#include "views/check.h"
#include "views/listing.h"

static void escape(FILE *out, char byte)
{
    if (byte == '<')
        fputs("&lt;", out);
    else if (byte == '>')
        fputs("&gt;", out);
    else if (byte == '&')
        fputs("&amp;", out);
    else if (byte == '"')
        fputs("&quot;", out);
    else
        fputc(byte, out);
}

/* XML knows no control characters and nothing that is not UTF-8. */
static void text(FILE *out, const char *bytes)
{
    print_clean(out, bytes, escape);
}

static void attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    text(out, value);
    fputc('"', out);
}

static void begin_case(FILE *out, const char *class, const char *name, bool open)
{
    fputs("    <testcase", out);
    attribute(out, "classname", class);
    attribute(out, "name", name);
    fputs(open ? ">\n" : "/>\n", out);
}

static void element(FILE *out, const char *name, const char *type, const char *message)
{
    fprintf(out, "      <%s", name);
    if (type)
        attribute(out, "type", type);
    attribute(out, "message", message);
}

static void stack(FILE *out, const struct report_stack *from)
{
    char place[1024];
    for (size_t i = 0; i < from->count; i++) {
        listing_frame(&from->frames[i], place, sizeof(place));
        text(out, place);
        fputc('\n', out);
    }
}

static void finding_case(FILE *out, const struct check_item *item)
{
    const struct report_finding *finding = item->finding;
    char class[64], name[1200], place[1024];
    listing_frame(finding->site, place, sizeof(place));
    snprintf(class, sizeof(class), "stray.%s", resource_label(finding->resource));
    snprintf(name, sizeof(name), "%s %s (%s)", verdict_name(finding->verdict), place, finding->id);
    begin_case(out, class, name, true);
    if (item->fate == FATE_SUPPRESSED) {
        element(out, "skipped", NULL, item->by->text);
        fputs("/>\n", out);
    } else if (item->fate == FATE_FAILS) {
        element(out, "failure", verdict_name(finding->verdict), finding->message);
        fputs(">\n", out);
        stack(out, &finding->stack);
        fputs("      </failure>\n", out);
    } else {
        fputs("      <system-out>", out);
        text(out, finding->message);
        fputs("</system-out>\n", out);
    }
    fputs("    </testcase>\n", out);
}

static void breach_case(FILE *out, const struct check_breach *breach)
{
    begin_case(out, "stray.limits", breach->rule, true);
    element(out, "failure", breach->rule, breach->message);
    fputs("/>\n    </testcase>\n", out);
}

static void conclusive_case(FILE *out, const struct check *check)
{
    bool error = check->result == CHECK_INCONCLUSIVE;
    begin_case(out, "stray", "the trace says enough", error);
    if (!error)
        return;
    element(out, "error", "inconclusive", check->why);
    fputs("/>\n    </testcase>\n", out);
}

int check_write_junit(const struct check *check, FILE *out)
{
    size_t tests = check->report->finding_count + check->breach_count + 1;
    fprintf(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
        "  <testsuite name=\"stray check\" tests=\"%zu\" failures=\"%zu\" errors=\"%d\" skipped=\"%zu\">\n",
        tests, check->fails + check->breach_count, check->result == CHECK_INCONCLUSIVE, check->suppressed);
    conclusive_case(out, check);
    for (size_t i = 0; i < check->breach_count; i++)
        breach_case(out, &check->breaches[i]);
    for (size_t i = 0; i < check->report->finding_count; i++)
        finding_case(out, &check->items[i]);
    fputs("  </testsuite>\n</testsuites>\n", out);
    return ferror(out) ? -EIO : 0;
}
