/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Line tables against what the interpreters that wrote them say (tests/golden/python_lines), and against
 * damage. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names/python_code.h"

#define MAX_CODE 16384

static uint8_t table[1 << 17];

static uint32_t parse_hex(const char *hex)
{
    uint32_t size = 0;
    unsigned byte;
    for (; *hex != '-' && sscanf(hex, "%2x", &byte) == 1; hex += 2)
        table[size++] = (uint8_t)byte;
    return size;
}

static struct code parse_code(char *line, uint16_t minor, uint32_t *ret_size)
{
    struct code code = {.minor = minor, .table = table};
    strtok(line, " ");
    code.first_line = (uint32_t)strtoul(strtok(NULL, " "), NULL, 10);
    *ret_size = (uint32_t)strtoul(strtok(NULL, " "), NULL, 10);
    code.name = strtok(NULL, " ");
    code.table_size = parse_hex(strtok(NULL, " \n"));
    return code;
}

/* Where the interpreter knows no line, ours is that of the nearest instruction before, or the first line. */
static unsigned check_code(const struct code *code, uint32_t size, char *lines)
{
    static int truth[MAX_CODE];
    cr_assert_lt(size, MAX_CODE);
    unsigned wrong = 0;
    strtok(lines, " ");
    uint32_t filled = 0;
    int line = -1;
    for (char *item = strtok(NULL, " \n"); item; item = strtok(NULL, " \n")) {
        uint32_t from = (uint32_t)strtoul(item, &item, 10);
        while (filled < from)
            truth[filled++] = line;
        line = atoi(item + 1);
    }
    while (filled < size)
        truth[filled++] = line;
    uint32_t last = code->first_line;
    for (uint32_t offset = 0; offset < size; offset += 2) {
        last = truth[offset] > 0 ? (uint32_t)truth[offset] : last;
        wrong += python_line(code, offset) != last;
    }
    return wrong;
}

static void check_version(uint16_t minor)
{
    char path[4096];
    const char *folder = getenv("STRAY_GOLDEN");
    cr_assert(folder, "STRAY_GOLDEN names the folder tests/golden");
    snprintf(path, sizeof(path), "%s/python_lines/3.%u.txt", folder, minor);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);
    char *line = NULL;
    size_t capacity = 0;
    unsigned codes = 0;
    while (getline(&line, &capacity, file) > 0) {
        if (line[0] == '#')
            continue;
        uint32_t size;
        struct code code = parse_code(line, minor, &size);
        char name[256];
        snprintf(name, sizeof(name), "%s", code.name);
        code.name = name;
        cr_assert_gt(getline(&line, &capacity, file), 0);
        cr_expect_eq(check_code(&code, size, line), 0, "3.%u %s line %u", minor, name, code.first_line);
        codes++;
    }
    cr_expect_gt(codes, 100);
    free(line);
    fclose(file);
}

Test(python_line, version_3_8)
{
    check_version(8);
}

Test(python_line, version_3_9)
{
    check_version(9);
}

Test(python_line, version_3_10)
{
    check_version(10);
}

Test(python_line, version_3_11)
{
    check_version(11);
}

Test(python_line, version_3_12)
{
    check_version(12);
}

Test(python_line, version_3_13)
{
    check_version(13);
}

Test(python_line, empty_table_gives_the_first_line)
{
    for (uint16_t minor = 8; minor < 14; minor++) {
        struct code code = {.minor = minor, .first_line = 7, .table = table};
        cr_expect_eq(python_line(&code, 0), 7);
        cr_expect_eq(python_line(&code, UINT32_MAX), 7);
    }
}

Test(python_line, unknown_version_gives_no_line)
{
    struct code code = {.minor = 7, .first_line = 7, .table = table};
    cr_expect_eq(python_line(&code, 0), 0);
}

/* Every table of random bytes must be read to an end, without a read outside of it (for sanitizers to see).
 */
Test(python_line, hostile_tables)
{
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t size = (uint32_t)rand() % 64;
        uint8_t *bytes = malloc(size ? size : 1);
        for (uint32_t i = 0; i < size; i++)
            bytes[i] = round % 3 == 0 ? 0xff : (uint8_t)rand();
        struct code code = {.minor = (uint16_t)(8 + round % 7),
                            .first_line = (uint32_t)rand(),
                            .table = bytes,
                            .table_size = size};
        python_line(&code, (uint32_t)rand());
        python_line(&code, UINT32_MAX);
        free(bytes);
    }
}
