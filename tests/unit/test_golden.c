/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traces once written must be read as they were then. tests/golden/README.md says how the files are made. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/commands.h"
#include "sample.h"

#define GOLDEN SOURCE_ROOT "/tests/golden/"

static char *dump(const char *path, const char *format)
{
    char *output, *errors;
    const char *const arguments[] = {"dump", path, "--format", format, NULL};
    cr_assert_eq(sample_run(command_dump, arguments, NULL, &output, &errors), 0, "%s", errors);
    free(errors);
    return output;
}

static void compare(const char *trace, const char *format, const char *golden)
{
    char *output = dump(trace, format), *expected;
    if (getenv("STRAY_UPDATE_GOLDEN"))
        writer_save_bytes(golden, output, strlen(output));
    expected = sample_read(golden, NULL);
    cr_assert_not_null(expected, "%s", golden);
    cr_assert_str_eq(output, expected);
    free(expected);
    free(output);
}

Test(golden, small)
{
    struct trace_writer *writer = sample_trace();
    if (getenv("STRAY_UPDATE_GOLDEN"))
        writer_save(writer, GOLDEN "small.stray");
    compare(GOLDEN "small.stray", "text", GOLDEN "small.txt");
    compare(GOLDEN "small.stray", "json", GOLDEN "small.jsonl");
    writer_free(writer);
}

/* As the shim writes traces now: by kind, with sums of short lives. The same dump says that both forms hold the same. */
Test(golden, grouped)
{
    struct trace_writer *writer = sample_grouped();
    if (getenv("STRAY_UPDATE_GOLDEN"))
        writer_save(writer, GOLDEN "grouped.stray");
    compare(GOLDEN "grouped.stray", "text", GOLDEN "small.txt");
    compare(GOLDEN "grouped.stray", "json", GOLDEN "small.jsonl");
    writer_free(writer);
}

/* Damage has a golden file, too: a flipped bit in the second events frame. */
Test(golden, damaged)
{
    struct trace_writer *writer = sample_trace();
    size_t size;
    uint8_t *bytes = writer_bytes(writer, &size);
    bytes[size * 3 / 4] ^= 0x10;
    if (getenv("STRAY_UPDATE_GOLDEN"))
        writer_save_bytes(GOLDEN "damaged.stray", bytes, size);
    compare(GOLDEN "damaged.stray", "text", GOLDEN "damaged.txt");
    free(bytes);
    writer_free(writer);
}
