/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/command.h"

#include <errno.h>
#include <limits.h>

#include "record/clock.h"
#include "record/defs.h"
#include "settings.h"
#include "sys.h"
#include "stray/format.h"

#define LINE_MAX_SIZE 65536
#define NAME_SIZE     64

static size_t read_file(const char *path, char *buffer, size_t size)
{
    size_t used = 0;
    ssize_t got;
    int fd = sys_open(path, O_RDONLY, 0);
    if (fd < 0)
        return 0;
    while (used + 1 < size && (got = sys_read(fd, buffer + used, size - 1 - used)) > 0)
        used += (size_t)got;
    sys_close(fd);
    buffer[used] = 0;
    return used;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';
}

void command_put_name(struct text *text)
{
    static char line[LINE_MAX_SIZE];
    read_file("/proc/self/cmdline", line, sizeof(line));
    for (char *at = line; *at; at++)
        if (*at == ' ' || *at == ':') /* a title that the program has put there: "nginx: worker process" */
            *at = 0;
    const char *name = string_base(line);
    if (!*name)
        name = "process";
    for (size_t i = 0; name[i] && i < NAME_SIZE; i++)
        text_byte(text, is_name_byte(name[i]) || (name[i] == '.' && i > 0) ? name[i] : '_');
}

static bool put_here(struct text *text)
{
    char here[PATH_MAX];
    long length = SYS3(SYS_getcwd, here, sizeof(here), 0);
    if (length <= 0 || here[0] != '/')
        return false;
    text_string(text, here);
    text_byte(text, '/');
    return true;
}

static bool make_absolute(char *path, size_t size)
{
    char given[PATH_MAX];
    struct text copy = TEXT(given), text = {.at = path, .size = size};
    if (path[0] == '/')
        return true;
    given[0] = 0;
    text_string(&copy, path);
    if (!put_here(&text))
        return false;
    if (given[0]) {
        text_string(&text, given);
    } else {
        text_string(&text, "stray.");
        command_put_name(&text);
        text_byte(&text, '.');
        text_number(&text, (uint64_t)sys_getpid());
    }
    return !text.cut;
}

/* The folder and those above it that are missing. */
static bool make_folders(char *path)
{
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        sys_mkdir(path, 0700);
        *at = '/';
    }
    int result = sys_mkdir(path, 0700);
    return result == 0 || result == -EEXIST;
}

bool command_find_folder(void)
{
    if (!make_absolute(settings.folder, sizeof(settings.folder)))
        return false;
    if (settings.spool[0] && !make_absolute(settings.spool, sizeof(settings.spool)))
        return false;
    return make_folders(settings.folder);
}

/* Whether `word` stands at `at`, whatever the case; its "-" may be a "_" there. */
static bool same_ignoring_case(const char *at, const char *word)
{
    for (; *word; at++, word++)
        if (*word == '-' ? *at != '-' && *at != '_' : (*at | 0x20) != *word)
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* The bytes of a password that begins at `at`: to the end of its quotes or the next separator. A backslash takes the next byte
 * along, as in libpq's connection strings. */
static size_t secret_length(const char *at)
{
    char quote = *at == '\'' || *at == '"' ? *at : 0;
    size_t length = quote != 0;
    while (at[length] && (quote ? at[length] != quote : !is_blank(at[length]) && at[length] != '&' && at[length] != '\'' &&
                                                            at[length] != '"' && at[length] != ';'))
        length += at[length] == '\\' && at[length + 1] ? 2 : 1;
    return length + (quote && at[length]);
}

/* Whether what follows "host:" is the port and not a password, which may begin like one where `slashes` may be in it. */
static bool is_port(const char *at, bool slashes)
{
    while (*at >= '0' && *at <= '9')
        at++;
    if (*at != '/' && *at != '?' && *at != '#')
        return !*at || is_blank(*at) || *at == '"' || *at == '\'';
    while (slashes && *at && *at != '@')
        at++;
    return *at != '@';
}

/* To the last "@" before the path, or in the word if it may hold slashes. Where there is none, to the next one: libraries take a
 * password as it is, with slashes and blanks. */
static size_t password_length(const char *at, bool slashes)
{
    size_t end = 0, i = 0;
    for (; at[i] && (slashes || at[i] != '/') && !is_blank(at[i]); i++)
        if (at[i] == '@')
            end = i;
    if (end > 0 || is_port(at, slashes))
        return end;
    while (at[i] && at[i] != '@')
        i++;
    return at[i] ? i : 0;
}

/* The password in "scheme://user:password@host", where `at` follows the "://"; 0: there is none. `slashes`: it may hold some. */
static size_t uri_password(const char *at, bool slashes, size_t *ret_begin)
{
    size_t begin = 0;
    while (at[begin] && at[begin] != ':' && at[begin] != '/' && at[begin] != '@' && !is_blank(at[begin]))
        begin++;
    *ret_begin = begin + 1;
    return at[begin] == ':' ? password_length(at + begin + 1, slashes) : 0;
}

/* What stands between a key at `at`, `length` bytes long, and its value: "=" with or without blanks, or what JSON puts there. 0: it
 * is no key. */
static size_t assignment_length(const char *at, size_t length)
{
    size_t i = length;
    bool quoted = at[i] == '"' || at[i] == '\'';
    i += quoted;
    while (is_blank(at[i]))
        i++;
    if (at[i] != '=' && !(quoted && at[i] == ':'))
        return 0;
    i++;
    while (is_blank(at[i]))
        i++;
    return i - length;
}

static const char *const secret_keys[] = {"password",   "passwd",    "pwd",     "passphrase", "secret",    "token",
                                          "secret-key", "secretkey", "api-key", "apikey",     "access-key"};

/* Whether the scheme that ends at `end` is one whose addresses everybody reads alike: a path begins at the first slash. */
static bool is_web(const char *word, const char *end)
{
    return (end - word >= 4 && same_ignoring_case(end - 4, "http")) || (end - word >= 5 && same_ignoring_case(end - 5, "https"));
}

/* How many bytes at `at` in `word` introduce a secret of how many bytes. */
static bool find_secret(const char *word, const char *at, size_t *ret_lead, size_t *ret_length)
{
    if (string_begins(at, "://")) {
        *ret_length = uri_password(at + 3, !is_web(word, at), ret_lead);
        *ret_lead += 3;
        return *ret_length > 0;
    }
    for (unsigned i = 0; i < sizeof(secret_keys) / sizeof(*secret_keys); i++) {
        size_t length = string_length(secret_keys[i]);
        size_t between = same_ignoring_case(at, secret_keys[i]) ? assignment_length(at, length) : 0;
        if (between > 0) {
            *ret_lead = length + between;
            *ret_length = secret_length(at + *ret_lead);
            return true;
        }
    }
    return false;
}

/* Copies one command-line word, passwords replaced: in URIs and after "password=". */
static void copy_word(struct text *text, const char *word)
{
    for (const char *at = word; *at;) {
        size_t lead, length;
        if (!find_secret(word, at, &lead, &length)) {
            text_byte(text, *at++);
            continue;
        }
        text_bytes(text, at, lead);
        text_string(text, "***");
        at += lead + length;
    }
}

/* Options whose next word is a program or a statement: it may hold anything, and is left out. */
static bool takes_code(const char *word)
{
    static const char *const options[] = {"-c", "-e", "-E", "--eval", "--command", "--execute", "-lc", "-ic"};
    for (unsigned i = 0; i < sizeof(options) / sizeof(*options); i++)
        if (string_equal(word, options[i]))
            return true;
    return false;
}

/* The name of a file, where some programs take code: "gunicorn -c conf.py". A word without a dot or a slash may be a secret. */
static bool is_file(const char *word)
{
    bool marked = false;
    for (; is_name_byte(*word) || *word == '.' || *word == '/' || *word == ','; word++)
        marked |= *word == '.' || *word == '/';
    return marked && !*word;
}

/* "--password": the next word is one. */
static bool takes_secret(const char *word)
{
    for (unsigned i = 0; string_begins(word, "--") && i < sizeof(secret_keys) / sizeof(*secret_keys); i++)
        if (same_ignoring_case(word + 2, secret_keys[i]) && !word[2 + string_length(secret_keys[i])])
            return true;
    return false;
}

static void put_word(struct text *text, const char *word, const char *before)
{
    if (before && takes_code(before) && !(string_equal(before, "-c") && is_file(word)))
        text_string(text, "<code>");
    else if (before && takes_secret(before) && !string_begins(word, "--"))
        text_string(text, "***");
    else
        copy_word(text, word);
}

/* Of a word that did not fit into `line`, no URI is told: its password cannot be seen to be one. Returns the size without it. */
static size_t size_without_uri(const char *line, size_t size)
{
    size_t begin = size;
    while (begin > 0 && line[begin - 1])
        begin--;
    for (size_t at = begin; line[at]; at++)
        if (string_begins(line + at, "://"))
            return at;
    return size;
}

/* Words are separated by NULs in `line`; the same in `text`. Returns their number. */
static uint32_t put_words(struct text *text, const char *line, size_t size)
{
    uint32_t words = 0;
    const char *before = NULL;
    for (size_t at = 0; at < size && !text->cut; at += string_length(line + at) + 1, words++) {
        put_word(text, line + at, before);
        before = line + at;
        text_byte(text, 0);
    }
    return words;
}

static unsigned hex_value(char c)
{
    return c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0');
}

static void read_boot_id(uint8_t id[16])
{
    char line[64];
    size_t size = read_file("/proc/sys/kernel/random/boot_id", line, sizeof(line)), digits = 0;
    for (size_t i = 0; i < size && digits < 32; i++)
        if ((line[i] >= '0' && line[i] <= '9') || (line[i] >= 'a' && line[i] <= 'f')) {
            id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | hex_value(line[i]));
            digits++;
        }
}

/* Field 22 of /proc/self/stat; fields are counted after the command's closing parenthesis. */
static uint64_t read_start_ticks(void)
{
    char line[1024];
    size_t size = read_file("/proc/self/stat", line, sizeof(line));
    const char *at = line + size;
    while (at > line && *at != ')')
        at--;
    for (unsigned field = 2; field < 22 && *at; field++) {
        while (*at && *at != ' ')
            at++;
        while (*at == ' ')
            at++;
    }
    return string_number(at);
}

void command_define(uint32_t parent_pid)
{
    static char exe[PATH_MAX], line[LINE_MAX_SIZE], words_buffer[LINE_MAX_SIZE];
    struct text words = TEXT(words_buffer);
    struct stray_def_process process = {.pid = (uint32_t)sys_getpid(), .parent_pid = parent_pid};
    long length = SYS3(SYS_readlink, "/proc/self/exe", exe, sizeof(exe) - 1);
    exe[length > 0 ? length : 0] = 0;
    size_t size = read_file("/proc/self/cmdline", line, sizeof(line));
    if (size == sizeof(line) - 1) {
        size = size_without_uri(line, size);
        line[size] = 0;
    }
    process.words = put_words(&words, line, size);
    process.start_time = clock_before();
    process.start_monotonic_ns = sys_nanoseconds(CLOCK_MONOTONIC);
    process.start_realtime_ns = sys_nanoseconds(CLOCK_REALTIME);
    process.starttime_ticks = read_start_ticks();
    read_boot_id(process.boot_id);
    struct iovec parts[3] = {{&process, sizeof(process)}, {exe, string_length(exe) + 1}, {words_buffer, words.used + words.cut}};
    defs_add(STRAY_DEF_PROCESS, parts, 3);
}
