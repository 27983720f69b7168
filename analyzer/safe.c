/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "safe.h"

#include <ctype.h>
#include <stdlib.h>

/* U+200E, U+200F, U+2028 to U+202E and U+2066 to U+2069: marks that turn the order of what follows around, and ends of lines. */
static bool turns_text(const unsigned char *text)
{
    if (text[0] != 0xe2)
        return false;
    return (text[1] == 0x80 && (text[2] == 0x8e || text[2] == 0x8f || (text[2] >= 0xa8 && text[2] <= 0xae))) ||
           (text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9);
}

/* Bytes of the character at `text` that could command a terminal (C0, DEL, C1 in UTF-8) or deceive who reads it; 0: harmless. */
static int control_length(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7f)
        return 1;
    if (turns_text(text))
        return 3;
    return text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0 ? 2 : 0;
}

/* Bytes of the UTF-8 character at `p` (by the Unicode standard's table 3-7); 0: none begins there. */
static int utf8_length(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    int length = p[0] >= 0xc2 && p[0] < 0xe0   ? 2
                 : (p[0] & 0xf0) == 0xe0       ? 3
                 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                               : 0;
    for (int i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

size_t character_length(const char *text, bool *ret_harmless)
{
    const unsigned char *p = (const unsigned char *)text;
    int control = control_length(p), length = control ? control : utf8_length(p);
    *ret_harmless = control == 0 && length > 0;
    return length ? (size_t)length : 1;
}

size_t shown_columns(const char *text)
{
    size_t columns = 0;
    bool harmless;
    for (size_t length; *text; text += length) {
        length = character_length(text, &harmless);
        columns += character_columns(length, harmless);
    }
    return columns;
}

/* One character of `text`, with controls and what is not UTF-8 escaped; returns its bytes. */
static size_t safe_character(const unsigned char *p, char *to)
{
    bool harmless;
    size_t length = character_length((const char *)p, &harmless), used = 0;
    for (size_t i = 0; i < length && !harmless; i++)
        used += (size_t)sprintf(to + used, "\\x%02x", p[i]);
    if (harmless)
        snprintf(to, 5, "%.*s", (int)length, (const char *)p);
    return length;
}

void print_safe(FILE *out, const char *text)
{
    char character[16];
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        p += safe_character(p, character);
        fputs(character, out);
    }
}

char *safe_text(const char *text)
{
    char *made = malloc(4 * strlen(text) + 1), *to = made, character[16];
    if (!made)
        return NULL;
    *to = '\0';
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        p += safe_character(p, character);
        to = stpcpy(to, character);
    }
    return made;
}

/* What would be read as an escape, if it stood behind an odd number of backslashes. */
static bool like_escape(const unsigned char *p)
{
    return utf8_length(p) == 0 || (p[0] == 'x' && isxdigit(p[1]) && isxdigit(p[2]));
}

/* Backslashes at `p`; doubled where an escape might seem to follow. */
static size_t copy_backslashes(const unsigned char *p, char **to)
{
    size_t count = strspn((const char *)p, "\\"), copies = like_escape(p + count) ? 2 * count : count;
    memset(*to, '\\', copies);
    *to += copies;
    return count;
}

void utf8_copy(char *to, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t length = (size_t)utf8_length(p);
        if (*p == '\\') {
            p += copy_backslashes(p, &to);
            continue;
        }
        if (length == 0)
            to += sprintf(to, "\\x%02x", *p);
        memcpy(to, p, length);
        to += length;
        p += length ? length : 1;
    }
    *to = '\0';
}

void print_clean(FILE *out, const char *text, void (*put)(FILE *out, char byte))
{
    char character[16];
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        p += safe_character(p, character);
        for (const char *byte = character; *byte; byte++)
            put(out, *byte);
    }
}

char *memory_stream_end(FILE *out, char **text)
{
    bool failed = ferror(out) || fflush(out) != 0;
    if (fclose(out) == 0 && !failed)
        return *text;
    free(*text);
    return NULL;
}
