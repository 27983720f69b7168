/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sql/tokens.h"

const uint8_t sql_classes[256] = {
    ['\t'] = BLANK, ['\n'] = BLANK, ['\v'] = BLANK, ['\f'] = BLANK, ['\r'] = BLANK, [' '] = BLANK,
    ['0' ... '9'] = DIGIT, ['A' ... 'Z'] = WORD, ['a' ... 'z'] = WORD, ['_'] = WORD, [128 ... 255] = WORD,
    ['\''] = QUOTE, ['"'] = IDENTIFIER, ['$'] = DOLLAR,
};

static const char *skip_line(const char *limit, const char *at)
{
    while (at < limit && *at != '\n')
        at++;
    return at;
}

/* Comments nest. */
static const char *skip_comment(const char *limit, const char *at)
{
    unsigned depth = 0;
    do {
        if (is_at(limit, at, '/') && is_at(limit, at + 1, '*')) {
            depth++;
            at += 2;
        } else if (is_at(limit, at, '*') && is_at(limit, at + 1, '/')) {
            depth--;
            at += 2;
        } else {
            at++;
        }
    } while (depth > 0 && at < limit);
    return at < limit ? at : limit;
}

const char *skip_blanks(const char *limit, const char *at)
{
    for (;;) {
        if (class_at(limit, at) == BLANK)
            at++;
        else if (is_at(limit, at, '-') && is_at(limit, at + 1, '-'))
            at = skip_line(limit, at);
        else if (is_at(limit, at, '/') && is_at(limit, at + 1, '*'))
            at = skip_comment(limit, at);
        else
            return at;
    }
}

/* Past the quote that closes a string, whose first byte is at `at`; the end where it is not certain. In a plain string a
 * backslash before a quote means one thing or the other, as the server is set. */
static const char *skip_quoted(const char *limit, const char *at, bool escapes)
{
    bool escaped = false;
    for (; at < limit; at++) {
        if (escaped) {
            if (*at == '\'' && !escapes)
                return limit;
            escaped = false;
        } else if (*at == '\\') {
            escaped = true;
        } else if (*at == '\'') {
            if (!is_at(limit, at + 1, '\''))
                return at + 1;
            at++;
        }
    }
    return limit;
}

/* A string goes on in the next line, if nothing but white space stands between. */
static const char *skip_string(const char *limit, const char *quote, bool escapes)
{
    const char *at = skip_quoted(limit, quote + 1, escapes);
    for (;;) {
        const char *next = skip_blank(limit, at);
        bool newline = false;
        for (const char *byte = at; byte < next; byte++)
            newline |= *byte == '\n' || *byte == '\r';
        if (!newline || !is_at(limit, next, '\''))
            return at;
        at = skip_quoted(limit, next + 1, escapes);
    }
}

const char *skip_word(const char *limit, const char *at)
{
    const unsigned in_words = 1u << WORD | 1u << DIGIT | 1u << DOLLAR;
    while (at < limit && in_words >> sql_classes[(uint8_t)*at] & 1)
        at++;
    return at;
}

static const char *skip_digits(const char *limit, const char *at)
{
    while (class_at(limit, at) == DIGIT)
        at++;
    return at;
}

/* "1.5e-3", 0x1F, 1_000, and junk that hangs on it. */
const char *skip_number(const char *limit, const char *at)
{
    while (at < limit) {
        bool exponent = (*at | 0x20) == 'e' && (is_at(limit, at + 1, '-') || is_at(limit, at + 1, '+'));
        enum class class = class_at(limit, at);
        if (exponent)
            at++;
        else if (class != DIGIT && class != WORD && *at != '.')
            break;
        at++;
    }
    return at < limit ? at : limit;
}

/* Of "$tag$ ... $tag$", whose "$" is at `at`; NULL: it is no such string. */
static const char *skip_dollar_quoted(const char *limit, const char *at)
{
    const char *tag = at++;
    while (class_at(limit, at) == WORD || (at > tag + 1 && class_at(limit, at) == DIGIT))
        at++;
    if (!is_at(limit, at, '$'))
        return NULL;
    size_t size = (size_t)(++at - tag);
    for (; at + size <= limit; at++)
        if (*at == '$' && __builtin_memcmp(at, tag, size) == 0)
            return at + size;
    return limit;
}

/* E'', B'', X'', N'', U&''. */
static const char *skip_prefixed(const char *limit, const char *at)
{
    char prefix = (char)(*at | 0x20);
    if (is_at(limit, at + 1, '\'') && (prefix == 'e' || prefix == 'b' || prefix == 'x' || prefix == 'n'))
        return skip_string(limit, at + 1, prefix == 'e');
    if (prefix == 'u' && is_at(limit, at + 1, '&') && is_at(limit, at + 2, '\''))
        return skip_string(limit, at + 2, false);
    return NULL;
}

const char *skip_value(const char *limit, const char *at)
{
    switch (class_at(limit, at)) {
    case QUOTE:
        return skip_string(limit, at, false);
    case DIGIT:
        return skip_number(limit, at);
    case WORD:
        return skip_prefixed(limit, at);
    case DOLLAR:
        return class_at(limit, at + 1) == DIGIT ? skip_digits(limit, at + 1) : skip_dollar_quoted(limit, at);
    case OTHER:
        return is_at(limit, at, '.') && class_at(limit, at + 1) == DIGIT ? skip_number(limit, at) : NULL;
    case BLANK:
    case IDENTIFIER:
        break;
    }
    return NULL;
}

/* ---- lists ---- */

static const char *skip_constant(const char *limit, const char *at)
{
    const char *end = skip_word(limit, at);
    return is_word(at, end, "null") || is_word(at, end, "true") || is_word(at, end, "false") || is_word(at, end, "default")
               ? end : NULL;
}

/* "::type", "::type[]", "::numeric(10, 2)" are not told apart from what they follow. */
static const char *skip_casts(const char *limit, const char *at)
{
    while (is_at(limit, at, ':') && is_at(limit, at + 1, ':')) {
        at = skip_word(limit, at + 2);
        while (is_at(limit, at, '[') && is_at(limit, at + 1, ']'))
            at += 2;
    }
    return at;
}

static const char *skip_member(const char *limit, const char *at)
{
    at = skip_blank(limit, at);
    if (at == limit)
        return at;
    if (is_at(limit, at, '-') || is_at(limit, at, '+'))
        at++;
    const char *end = skip_value(limit, at);
    if (!end)
        end = skip_constant(limit, at);
    return end ? skip_blank(limit, skip_casts(limit, end)) : NULL;
}

const char *skip_list(const char *limit, const char *at, uint32_t *members)
{
    char close = *at == '[' ? ']' : ')';
    *members = 0;
    do {
        at = skip_member(limit, at + 1);
        ++*members;
    } while (at && is_at(limit, at, ','));
    if (at == limit)
        return at; /* cut, or not to be read: it was values as far as it could be seen */
    return at && *at == close ? at + 1 : NULL;
}

const char *skip_rows(const char *limit, const char *at, uint32_t *rows)
{
    uint32_t members;
    *rows = 1;
    for (;;) {
        const char *next = skip_blank(limit, at);
        if (!is_at(limit, next, ','))
            return at;
        next = skip_blank(limit, next + 1);
        if (!is_at(limit, next, '(') || !(next = skip_list(limit, next, &members)))
            return at;
        ++*rows;
        at = next;
    }
}
