/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed files: their members, what is wrong with some, and symbols as text. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "names/packed.h"
#include "read/pack.h"
#include "read/trace.h"
#include "sample.h"
#include "views/packing.h"

static char *save_pack(void)
{
    struct trace_writer *writer = sample_unfinished();
    struct packing *packing;
    struct error error = {.text = ""};
    static char path[512];
    writer_save(writer, sample_path("a.stray"));
    writer_save_spool(writer, sample_path("a.stray"));
    writer_free(writer);
    char *paths[] = {(char *)(uintptr_t)sample_path("a.stray")};
    cr_assert_eq(packing_make(paths, 1, &packing, &error), 0, "%s", error.text);
    snprintf(path, sizeof(path), "%s", sample_path("a.pack"));
    FILE *out = fopen(path, "w");
    cr_assert_eq(packing_write(packing, out), 0);
    fclose(out);
    packing_free(packing);
    return path;
}

Test(pack, a_packed_trace_is_the_trace)
{
    char *path = save_pack(), inside[600], **found;
    size_t count;
    struct error error;
    char *outside = sample_describe(sample_path("a.stray"));
    cr_assert_eq(trace_find(path, &found, &count, &error), 0);
    cr_assert_eq(count, 1);
    snprintf(inside, sizeof(inside), "%s/a.stray", path);
    cr_expect_str_eq(found[0], inside);
    paths_free(found, count);
    char *packed = sample_describe(inside);
    cr_expect_str_eq(packed, outside);
    free(packed);
    free(outside);
}

static void expect_open(const char *path, int expected)
{
    struct source source = {.fd = -1};
    cr_expect_eq(source_open(path, &source), expected, "%s", path);
    source_close(&source);
}

Test(pack, what_is_not_in_it)
{
    char inside[600], *path = save_pack();
    snprintf(inside, sizeof(inside), "%s/b.stray", path);
    expect_open(inside, -ENOENT);
    snprintf(inside, sizeof(inside), "%s/a.stray", sample_path("a.stray"));
    expect_open(inside, -ENOTDIR);
    expect_open("/nosuch/a.stray", -ENOENT);
    snprintf(inside, sizeof(inside), "%s/", path);
    expect_open(inside, -ENOENT);
    snprintf(inside, sizeof(inside), "%s/a.stray/b.stray", path);
    expect_open(inside, -ENOTDIR);
}

/* A file that begins as a packed one, and whose second member says it has `size` bytes, in a header that is
 * as it should be. */
static void save_member(const char *path, const char *name, const char *size, const void *content,
                        size_t length)
{
    FILE *out = fopen(path, "w");
    const char *const names[] = {PACK_MARK, name}, *const sizes[] = {"00000000000", size};
    for (int i = 0; i < 2; i++) {
        struct pack_header header = {.magic = "ustar", .version = {'0', '0'}, .type = '0'};
        snprintf(header.name, sizeof(header.name), "%s", names[i]);
        memcpy(header.size, sizes[i], sizeof(header.size));
        snprintf(header.checksum, sizeof(header.checksum), "%06o", pack_checksum(&header) & 0777777);
        fwrite(&header, sizeof(header), 1, out);
    }
    fwrite(content, 1, length, out);
    fclose(out);
}

Test(pack, a_member_ends_with_the_file)
{
    static const char *const sizes[] = {"00000000777\0", "77777777777\0", "\x80\0\0\0\x01\0\0\0\0\0\0\0",
                                        "\x80\0\0\0\x3f\xff\xff\xff\xff\xff\xff\xff"};
    char inside[600];
    const char *path = sample_path("x.pack");
    snprintf(inside, sizeof(inside), "%s/m", path);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct source source;
        char read[4];
        save_member(path, "m", sizes[i], "abcd", 4);
        cr_assert_eq(source_open(inside, &source), 0, "%zu", i);
        cr_expect_eq(source.size, 4);
        cr_expect_eq(source_read(&source, 1, read, 3), 0);
        cr_expect_arr_eq(read, "bcd", 3);
        cr_expect_eq(source_read(&source, 2, read, 3), -ENODATA);
        source_close(&source);
    }
}

static void expect_content(const char *path, const char *name, const char *expected)
{
    char inside[600], content[16] = "";
    struct source source;
    snprintf(inside, sizeof(inside), "%s/%s", path, name);
    cr_assert_eq(source_open(inside, &source), 0, "%s", inside);
    cr_assert_eq(source.size, strlen(expected), "%s", inside);
    cr_expect_eq(source_read(&source, 0, content, (size_t)source.size), 0);
    cr_expect_str_eq(content, expected);
    source_close(&source);
}

static void put_member(FILE *out, const char *name, const char *content)
{
    char block[PACK_BLOCK] = {0};
    struct pack_header header = {.magic = "ustar", .version = {'0', '0'}, .type = '0'};
    snprintf(header.name, sizeof(header.name), "%s", name);
    snprintf(header.size, sizeof(header.size), "%011o", (unsigned)strlen(content) & 0777);
    snprintf(header.checksum, sizeof(header.checksum), "%06o", pack_checksum(&header) & 0777777);
    strcpy(block, content);
    fwrite(&header, sizeof(header), 1, out);
    if (*content)
        fwrite(block, sizeof(block), 1, out);
}

/* `count` members, in no order of names, and a second one of each name behind them. */
static void save_members(const char *path, unsigned count, const char *word)
{
    char name[16], content[16];
    FILE *out = fopen(path, "w");
    put_member(out, PACK_MARK, "");
    for (unsigned i = 0; i < 2 * count; i++) {
        unsigned number = i * 37 % count;
        snprintf(name, sizeof(name), "m%u", number);
        snprintf(content, sizeof(content), "%s%u", i < count ? word : "second", number);
        put_member(out, name, content);
    }
    fclose(out);
}

Test(pack, members_are_found_by_name)
{
    char name[16], content[16], inside[600];
    const char *path = sample_path("many.pack");
    save_members(path, 100, "first");
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        snprintf(content, sizeof(content), "first%u", i);
        expect_content(path, name, content);
    }
    snprintf(inside, sizeof(inside), "%s/m100", path);
    expect_open(inside, -ENOENT);
    save_members(path, 101, "new"); /* another file since */
    expect_content(path, "m7", "new7");
    expect_content(path, "m100", "new100");
}

Test(pack, headers_that_are_none_end_it)
{
    static const char *const sizes[] = {"xxxxxxxxxxx\0", "           \0",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    char inside[600];
    const char *path = sample_path("x.pack");
    snprintf(inside, sizeof(inside), "%s/m", path);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        save_member(path, "m", sizes[i], "abcd", 4);
        expect_open(inside, -ENOENT);
    }
}

Test(pack, compressed_members)
{
    char inside[600], plain[200000], read[100];
    static char packed[200000];
    const char *path = sample_path("x.pack");
    struct source source;
    memset(plain, 0, sizeof(plain));
    memcpy(plain + 150000, "here", 4);
    size_t size = ZSTD_compress(packed, sizeof(packed), plain, sizeof(plain), 3);
    char digits[13];
    snprintf(digits, sizeof(digits), "%011zo", size);
    snprintf(inside, sizeof(inside), "%s/m", path);
    save_member(path, "m.zst", digits, packed, size);
    cr_assert_eq(source_open(inside, &source), 0);
    cr_expect_eq(source.size, sizeof(plain));
    cr_expect_eq(source_read(&source, 149999, read, 6), 0);
    cr_expect_arr_eq(read, "\0here\0", 6);
    source_close(&source);
    save_member(path, "m.zst", digits, packed, size - 1);
    expect_open(inside, -EBADMSG);
    save_member(path, "m.zst", digits, "rubbish", 7);
    expect_open(inside, -EBADMSG);
}

/* ---- symbols ---- */

static struct symbols *read_symbols(const char *text)
{
    struct symbols *symbols;
    char *copy = strdup(text);
    cr_assert_eq(symbols_open(&symbols), 0);
    cr_assert_eq(packed_read(symbols, copy), 0);
    free(copy);
    return symbols;
}

static char *write_symbols(const struct symbols *symbols)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(packed_write(symbols, out), 0);
    fclose(out);
    return text;
}

#define GOOD                                                                                                 \
    "stray-symbols/1\n"                                                                                      \
    "M\tc0ffee\t/srv/a\\tb\\\\c\\nd\n"                                                                       \
    "A\t10\t8\t1\nS\t5\tinner\t/src/x.c\nS\t7\touter\t\\N\n"                                                 \
    "A\t20\t0\t\\N\nS\t0\tf\t\\N\n"                                                                          \
    "M\t\t/srv/none\nA\t1\t0\t\\N\nS\t0\tg\t\\N\n"

Test(pack, symbols_are_read_as_they_were_written)
{
    struct symbols *symbols = read_symbols(GOOD);
    char *text = write_symbols(symbols);
    cr_expect_str_eq(text, GOOD);
    free(text);
    static const uint8_t build_id[] = {0xc0, 0xff, 0xee};
    struct object *object = symbols_object(symbols, "/srv/a\tb\\c\nd", build_id, 3);
    const struct location *location = object_locate(object, 0x10);
    cr_assert_eq(location->count, 2);
    cr_expect_str_eq(location->symbols[0].function, "inner");
    cr_expect_str_eq(location->symbols[0].file, "/src/x.c");
    cr_expect_eq(location->symbols[1].line, 7);
    cr_expect_null(location->symbols[1].file);
    cr_expect_eq(object_role(object, 0x10), PYTHON_ROLE_DESTRUCTOR);
    cr_expect_eq(object_role(object, 0x20), PYTHON_ROLE_NONE);
    cr_expect_null(object_locate(object, 0x30)->symbols[0].function);
    cr_expect_null(
        object_locate(symbols_object(symbols, "/srv/a\tb\\c\nd", build_id, 2), 0x10)->symbols[0].function,
        "another build has other symbols");
    symbols_close(symbols);
}

Test(pack, what_was_known_before_stays)
{
    struct symbols *symbols = read_symbols(GOOD);
    char other[] =
        "stray-symbols/1\nM\t\t/srv/none\nA\t1\t0\t\\N\nS\t0\tother\t\\N\nA\t2\t0\t\\N\nS\t0\tmore\t\\N\n";
    cr_assert_eq(packed_read(symbols, other), 0);
    struct object *object = symbols_object(symbols, "/srv/none", NULL, 0);
    cr_expect_str_eq(object_locate(object, 1)->symbols[0].function, "g");
    cr_expect_str_eq(object_locate(object, 2)->symbols[0].function, "more");
    symbols_close(symbols);
}

Test(pack, lines_that_make_no_sense_are_stepped_over)
{
    static const char *const texts[] = {
        "",
        "\n",
        "something else\nM\t\t/a\n",
        "stray-symbols/1",
        "stray-symbols/1\nS\t1\ta\tb\nA\t1\t1\t1\nS\t1\ta\tb\n",
        "stray-symbols/1\nM\tc0f\t/a\nA\t1\t1\t1\nS\t1\ta\tb\n",
        "stray-symbols/1\nM\tzz\t/a\nA\t1\t1\t1\nS\t1\ta\tb\n",
        "stray-symbols/1\nM\t\t\\N\nA\t1\t1\t1\nS\t1\ta\tb\n",
        "stray-symbols/1\nM\t\t/a\nA\t-1\t1\t1\nS\t1\ta\tb\nA\t1\nS\t1\ta\tb\nA\t1\t1\t1\nS\t-1\ta\tb\nS\t1\ta\nQ\nM\n",
        "stray-symbols/1\nM\t\t/a\nA\t11111111111111111111\t1\t1\nS\t1\ta\tb\nA\t1\t1\t1\n",
        "stray-symbols/1\nM\t\t/a\nA\t1\t1\t1\nS\t4294967296\ta\tb\n",
        "stray-symbols/1\nM\t\t/a\tx\ty\tz\nA\t1\t1\t1\nS\t1\ta\tb\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct symbols *symbols = read_symbols(texts[i]);
        char *text = write_symbols(symbols);
        cr_expect_str_eq(text, "stray-symbols/1\n", "%zu: %s", i, text);
        free(text);
        symbols_close(symbols);
    }
}

Test(pack, a_role_that_is_unknown_is_asked_anew)
{
    struct symbols *symbols = read_symbols("stray-symbols/1\nM\t\t/a\nA\t1\t1\t99\nS\t1\ta\tb\n");
    cr_expect_eq(object_role(symbols_object(symbols, "/a", NULL, 0), 1), PYTHON_ROLE_NONE);
    symbols_close(symbols);
}
