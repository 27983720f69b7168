/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sql/normalise.h"

#include <string.h>

#include "record/index.h"
#include "text.h"

enum class {
    OTHER, BLANK, WORD /* letters, "_", and what is no ASCII */, DIGIT, QUOTE, IDENTIFIER /* in double quotes */, DOLLAR
};

static const uint8_t classes[256] = {
    ['\t'] = BLANK, ['\n'] = BLANK, ['\v'] = BLANK, ['\f'] = BLANK, ['\r'] = BLANK, [' '] = BLANK,
    ['0' ... '9'] = DIGIT, ['A' ... 'Z'] = WORD, ['a' ... 'z'] = WORD, ['_'] = WORD, [128 ... 255] = WORD,
    ['\''] = QUOTE, ['"'] = IDENTIFIER, ['$'] = DOLLAR,
};

struct lexer {
    const char *text;
    const char *at, *end; /* what is left */
    char *kept;           /* NULL: only the hash is wanted */
    struct sql_statement *statement;
    uint64_t word; /* bytes not yet hashed */
    bool blank;    /* white space stands between what was kept and what comes */
    bool first;    /* no word of the statement has been seen */
    bool settles;  /* it begins with SET or ALTER: what is assigned after a SET need not be in quotes */
    bool sets;
    bool where; /* one has been seen */
    bool equal; /* the token before was "=" */
    bool named; /* ... a word other than VALUES: what follows in brackets are not rows */
    bool open;  /* ... one after which a sign is no operator */
    enum sql_prepared prepared; /* the statement is about a prepared one, whose name has not come yet */
};

static enum class class_at(const struct lexer *lexer, const char *at)
{
    return at < lexer->end ? (enum class)classes[(uint8_t)*at] : OTHER;
}

static bool is_at(const struct lexer *lexer, const char *at, char byte)
{
    return at < lexer->end && *at == byte;
}

/* ---- what is kept ---- */

static bool has_room(const struct lexer *lexer, size_t size)
{
    return lexer->statement->size + size < SQL_TEXT_MAX;
}

/* 1 to 8 bytes. What stands in the text may be read with what follows. */
static inline uint64_t word_of(const struct lexer *lexer, const char *bytes, size_t size)
{
    uint64_t word = 0;
    uintptr_t at = (uintptr_t)bytes;
    if (at >= (uintptr_t)lexer->text && at + sizeof(word) <= (uintptr_t)lexer->end) {
        __builtin_memcpy(&word, bytes, sizeof(word));
        return __builtin_bswap64(word) >> 8 * (sizeof(word) - size);
    }
    for (size_t i = 0; i < size; i++)
        word = word << 8 | (uint8_t)bytes[i];
    return word;
}

/* 1 to 8 bytes, the last of `added`. Of the text all words of 8 bytes are hashed, wherever tokens end. */
static inline void hash_bytes(struct lexer *lexer, uint64_t added, unsigned size)
{
    struct sql_statement *statement = lexer->statement;
    unsigned lacking = 8 - statement->size % 8;
    if (size >= lacking) {
        uint64_t before = lacking < 8 ? lexer->word << 8 * lacking : 0;
        statement->hash = index_mix(statement->hash, before | added >> 8 * (size - lacking));
    }
    lexer->word = size < 8 ? lexer->word << 8 * size | added : added;
    statement->size += size;
}

static void keep_bytes(struct lexer *lexer, const char *bytes, size_t size)
{
    if (lexer->kept)
        __builtin_memcpy(lexer->kept + lexer->statement->size, bytes, size);
    for (; size >= 8; size -= 8, bytes += 8)
        hash_bytes(lexer, word_of(lexer, bytes, 8), 8);
    if (size > 0)
        hash_bytes(lexer, word_of(lexer, bytes, size), (unsigned)size);
}

/* A token is kept whole, or the text ends before it. */
static void keep(struct lexer *lexer, const char *bytes, size_t size)
{
    if (!has_room(lexer, size + 1)) {
        lexer->at = lexer->end;
        lexer->statement->cut = true;
        return;
    }
    if (lexer->blank && lexer->statement->size > 0)
        keep_bytes(lexer, " ", 1);
    lexer->blank = false;
    keep_bytes(lexer, bytes, size);
}

static void keep_literal(struct lexer *lexer)
{
    keep(lexer, "$?", 2);
}

/* ---- where tokens end: at most `lexer->end` ---- */

static const char *skip_line(const struct lexer *lexer, const char *at)
{
    while (at < lexer->end && *at != '\n')
        at++;
    return at;
}

/* Comments nest. */
static const char *skip_comment(const struct lexer *lexer, const char *at)
{
    unsigned depth = 0;
    do {
        if (is_at(lexer, at, '/') && is_at(lexer, at + 1, '*')) {
            depth++;
            at += 2;
        } else if (is_at(lexer, at, '*') && is_at(lexer, at + 1, '/')) {
            depth--;
            at += 2;
        } else {
            at++;
        }
    } while (depth > 0 && at < lexer->end);
    return at < lexer->end ? at : lexer->end;
}

static const char *skip_blanks(const struct lexer *lexer, const char *at)
{
    for (;;) {
        if (class_at(lexer, at) == BLANK)
            at++;
        else if (is_at(lexer, at, '-') && is_at(lexer, at + 1, '-'))
            at = skip_line(lexer, at);
        else if (is_at(lexer, at, '/') && is_at(lexer, at + 1, '*'))
            at = skip_comment(lexer, at);
        else
            return at;
    }
}

static inline const char *skip_blank(const struct lexer *lexer, const char *at)
{
    enum class class = class_at(lexer, at);
    return class == BLANK || (class == OTHER && at < lexer->end && (*at == '-' || *at == '/')) ? skip_blanks(lexer, at) : at;
}

/* Past the quote that closes a string, whose first byte is at `at`; the end where it is not certain. In a plain string a
 * backslash before a quote means one thing or the other, as the server is set. */
static const char *skip_quoted(const struct lexer *lexer, const char *at, bool escapes)
{
    bool escaped = false;
    for (; at < lexer->end; at++) {
        if (escaped) {
            if (*at == '\'' && !escapes)
                return lexer->end;
            escaped = false;
        } else if (*at == '\\') {
            escaped = true;
        } else if (*at == '\'') {
            if (!is_at(lexer, at + 1, '\''))
                return at + 1;
            at++;
        }
    }
    return lexer->end;
}

/* A string goes on in the next line, if nothing but white space stands between. */
static const char *skip_string(const struct lexer *lexer, const char *quote, bool escapes)
{
    const char *at = skip_quoted(lexer, quote + 1, escapes);
    for (;;) {
        const char *next = skip_blank(lexer, at);
        bool newline = false;
        for (const char *byte = at; byte < next; byte++)
            newline |= *byte == '\n' || *byte == '\r';
        if (!newline || !is_at(lexer, next, '\''))
            return at;
        at = skip_quoted(lexer, next + 1, escapes);
    }
}

static const char *skip_word(const struct lexer *lexer, const char *at)
{
    const unsigned in_words = 1u << WORD | 1u << DIGIT | 1u << DOLLAR;
    while (at < lexer->end && in_words >> classes[(uint8_t)*at] & 1)
        at++;
    return at;
}

static const char *skip_digits(const struct lexer *lexer, const char *at)
{
    while (class_at(lexer, at) == DIGIT)
        at++;
    return at;
}

/* "1.5e-3", 0x1F, 1_000, and junk that hangs on it. */
static const char *skip_number(const struct lexer *lexer, const char *at)
{
    while (at < lexer->end) {
        bool exponent = (*at | 0x20) == 'e' && (is_at(lexer, at + 1, '-') || is_at(lexer, at + 1, '+'));
        enum class class = class_at(lexer, at);
        if (exponent)
            at++;
        else if (class != DIGIT && class != WORD && *at != '.')
            break;
        at++;
    }
    return at < lexer->end ? at : lexer->end;
}

/* Of "$tag$ ... $tag$", whose "$" is at `at`; NULL: it is no such string. */
static const char *skip_dollar_quoted(const struct lexer *lexer, const char *at)
{
    const char *tag = at++;
    while (class_at(lexer, at) == WORD || (at > tag + 1 && class_at(lexer, at) == DIGIT))
        at++;
    if (!is_at(lexer, at, '$'))
        return NULL;
    size_t size = (size_t)(++at - tag);
    for (; at + size <= lexer->end; at++)
        if (*at == '$' && __builtin_memcmp(at, tag, size) == 0)
            return at + size;
    return lexer->end;
}

static inline __attribute__((always_inline)) bool is_word(const char *at, const char *end, const char *word)
{
    if ((size_t)(end - at) != __builtin_strlen(word)) /* known when this is compiled */
        return false;
    for (; at < end; at++, word++)
        if ((*at | 0x20) != *word)
            return false;
    return true;
}

/* E'', B'', X'', N'', U&''. */
static const char *skip_prefixed(const struct lexer *lexer, const char *at)
{
    char prefix = (char)(*at | 0x20);
    if (is_at(lexer, at + 1, '\'') && (prefix == 'e' || prefix == 'b' || prefix == 'x' || prefix == 'n'))
        return skip_string(lexer, at + 1, prefix == 'e');
    if (prefix == 'u' && is_at(lexer, at + 1, '&') && is_at(lexer, at + 2, '\''))
        return skip_string(lexer, at + 2, false);
    return NULL;
}

/* Past the literal or parameter at `at`; NULL: there is none. */
static const char *skip_value(const struct lexer *lexer, const char *at)
{
    switch (class_at(lexer, at)) {
    case QUOTE:
        return skip_string(lexer, at, false);
    case DIGIT:
        return skip_number(lexer, at);
    case WORD:
        return skip_prefixed(lexer, at);
    case DOLLAR:
        return class_at(lexer, at + 1) == DIGIT ? skip_digits(lexer, at + 1) : skip_dollar_quoted(lexer, at);
    case OTHER:
        return is_at(lexer, at, '.') && class_at(lexer, at + 1) == DIGIT ? skip_number(lexer, at) : NULL;
    case BLANK:
    case IDENTIFIER:
        break;
    }
    return NULL;
}

/* ---- lists ---- */

static const char *skip_constant(const struct lexer *lexer, const char *at)
{
    const char *end = skip_word(lexer, at);
    return is_word(at, end, "null") || is_word(at, end, "true") || is_word(at, end, "false") || is_word(at, end, "default")
               ? end : NULL;
}

/* "::type", "::type[]", "::numeric(10, 2)" are not told apart from what they follow. */
static const char *skip_casts(const struct lexer *lexer, const char *at)
{
    while (is_at(lexer, at, ':') && is_at(lexer, at + 1, ':')) {
        at = skip_word(lexer, at + 2);
        while (is_at(lexer, at, '[') && is_at(lexer, at + 1, ']'))
            at += 2;
    }
    return at;
}

static const char *skip_member(const struct lexer *lexer, const char *at)
{
    at = skip_blank(lexer, at);
    if (at == lexer->end)
        return at;
    if (is_at(lexer, at, '-') || is_at(lexer, at, '+'))
        at++;
    const char *end = skip_value(lexer, at);
    if (!end)
        end = skip_constant(lexer, at);
    return end ? skip_blank(lexer, skip_casts(lexer, end)) : NULL;
}

/* Past the list of values whose bracket is at `at`; NULL: it holds something else, or nothing. */
static const char *skip_list(const struct lexer *lexer, const char *at, uint32_t *members)
{
    char close = *at == '[' ? ']' : ')';
    *members = 0;
    do {
        at = skip_member(lexer, at + 1);
        ++*members;
    } while (at && is_at(lexer, at, ','));
    if (at == lexer->end)
        return at; /* cut, or not to be read: it was values as far as it could be seen */
    return at && *at == close ? at + 1 : NULL;
}

/* "(1, 2), (3, 4)": rows. */
static const char *skip_rows(const struct lexer *lexer, const char *at, uint32_t *rows)
{
    uint32_t members;
    *rows = 1;
    for (;;) {
        const char *next = skip_blank(lexer, at);
        if (!is_at(lexer, next, ','))
            return at;
        next = skip_blank(lexer, next + 1);
        if (!is_at(lexer, next, '(') || !(next = skip_list(lexer, next, &members)))
            return at;
        ++*rows;
        at = next;
    }
}

/* ---- tokens ---- */

static void note_key(struct lexer *lexer, const char *end)
{
    struct sql_statement *statement = lexer->statement;
    if (!lexer->where || !lexer->equal || statement->key_count == SQL_KEYS)
        return;
    struct sql_key key = {lexer->at, (uint32_t)(end - lexer->at)};
    if (*lexer->at == '$' && class_at(lexer, lexer->at + 1) == DIGIT) {
        key = (struct sql_key){NULL, 0};
        for (const char *digit = lexer->at + 1; digit < end && key.size < 1u << 20; digit++)
            key.size = key.size * 10 + (uint32_t)(*digit - '0');
    }
    statement->keys[statement->key_count++] = key;
}

static void take_value(struct lexer *lexer, const char *end)
{
    const char *at = lexer->at;
    note_key(lexer, end);
    lexer->at = end;
    if (*at == '$' && classes[(uint8_t)at[1]] == DIGIT)
        keep(lexer, at, (size_t)(end - at));
    else
        keep_literal(lexer);
}

/* Past the list, or rows of them, whose bracket is at `at`, with more than one member; NULL: there is none. */
static const char *skip_lists(const struct lexer *lexer, const char *at, uint32_t *most)
{
    uint32_t members, rows = 1;
    if (*at != '(' && *at != '[')
        return NULL;
    const char *end = skip_list(lexer, at, &members);
    if (!end)
        return NULL;
    if (!lexer->named)
        end = skip_rows(lexer, end, &rows);
    *most = members > rows ? members : rows;
    return *most > 1 ? end : NULL;
}

static void take_list(struct lexer *lexer, const char *end, uint32_t members)
{
    const char *at = lexer->at;
    if (*at == '(' && members > lexer->statement->members) /* an array is one value */
        lexer->statement->members = members;
    lexer->at = end;
    keep(lexer, *at == '[' ? "[$?]" : "($?)", 4);
}

/* What a setting is set to may stand without quotes. */
static void skip_assigned(struct lexer *lexer)
{
    while (lexer->at < lexer->end && *lexer->at != ';') {
        const char *end = skip_value(lexer, lexer->at);
        const char *blank = skip_blank(lexer, lexer->at);
        lexer->at = end ? end : blank > lexer->at ? blank : lexer->at + 1;
    }
    lexer->sets = false;
    lexer->blank = true;
    keep_literal(lexer);
}

/* ---- names of prepared statements ---- */

/* As the server does: without regard to case, but in quotes as it stands. */
static uint64_t hash_name(const char *at, const char *end)
{
    uint64_t hash = STRING_HASH_BEGIN;
    bool quoted = *at == '"';
    for (at += quoted, end -= quoted; at < end; at++) {
        bool capital = !quoted && *at >= 'A' && *at <= 'Z';
        hash = string_hash_byte(hash, (uint8_t)(capital ? *at | 0x20 : *at));
        at += quoted && *at == '"';
    }
    return hash;
}

static enum sql_prepared prepared_by(const char *at, const char *end)
{
    return is_word(at, end, "prepare")      ? SQL_PREPARES
           : is_word(at, end, "execute")    ? SQL_EXECUTES
           : is_word(at, end, "deallocate") ? SQL_DEALLOCATES
                                            : SQL_PREPARED_NOT;
}

/* Of several statements in one text the first one is told; but that one was closed, no matter which, is told as closing all. */
static void tell_prepared(struct lexer *lexer, uint64_t name)
{
    struct sql_statement *statement = lexer->statement;
    bool first = statement->prepared == SQL_PREPARED_NOT;
    if (first || lexer->prepared == SQL_DEALLOCATES) {
        statement->prepared = lexer->prepared;
        statement->name = first ? name : 0;
    }
    lexer->prepared = SQL_PREPARED_NOT;
}

/* Whether what ends at `end` is a name; it is taken then. DEALLOCATE [PREPARE] ALL has none; PREPARE TRANSACTION is another thing. */
static bool take_name(struct lexer *lexer, const char *end)
{
    const char *at = lexer->at;
    if (lexer->prepared == SQL_DEALLOCATES && is_word(at, end, "prepare"))
        return false;
    if (lexer->prepared == SQL_DEALLOCATES && is_word(at, end, "all")) {
        tell_prepared(lexer, 0);
        return false;
    }
    if (lexer->prepared == SQL_PREPARES && is_word(at, end, "transaction"))
        lexer->prepared = SQL_PREPARED_NOT;
    if (lexer->prepared == SQL_PREPARED_NOT)
        return false;
    tell_prepared(lexer, hash_name(at, end));
    lexer->at = end;
    keep_literal(lexer);
    return true;
}

static void begin_statement(struct lexer *lexer, const char *at, const char *end)
{
    const char *next = skip_blank(lexer, end);
    lexer->settles = is_word(at, end, "set") || is_word(at, end, "alter");
    lexer->prepared = prepared_by(at, end);
    if (is_word(at, end, "discard") && is_word(next, skip_word(lexer, next), "all")) {
        lexer->prepared = SQL_DEALLOCATES;
        tell_prepared(lexer, 0);
    }
    lexer->first = false;
}

static void take_word(struct lexer *lexer)
{
    const char *at = lexer->at, *end = skip_word(lexer, at);
    if (lexer->prepared && take_name(lexer, end))
        return;
    lexer->at = end;
    keep(lexer, at, (size_t)(end - at));
    if (lexer->first)
        begin_statement(lexer, at, end);
    if (lexer->settles && is_word(at, end, "set"))
        lexer->sets = true;
    if (is_word(at, end, "where")) {
        lexer->where = true;
        lexer->statement->key_count = 0;
    }
    if (lexer->sets && is_word(at, end, "to"))
        skip_assigned(lexer);
}

static void take_identifier(struct lexer *lexer)
{
    const char *at = lexer->at, *end = at + 1;
    while (end < lexer->end && (*end != '"' || is_at(lexer, end + 1, '"')))
        end += *end == '"' ? 2 : 1;
    if (lexer->prepared && end < lexer->end && take_name(lexer, end + 1))
        return;
    lexer->at = end < lexer->end ? end + 1 : lexer->end;
    if (end < lexer->end)
        keep(lexer, at, (size_t)(end + 1 - at));
    else
        keep_literal(lexer); /* it does not end: who knows what it is */
}

static void take_other(struct lexer *lexer)
{
    const char *at = lexer->at++;
    keep(lexer, at, 1);
    if (*at == ';') {
        lexer->first = true;
        lexer->settles = lexer->sets = lexer->where = false;
        lexer->prepared = SQL_PREPARED_NOT;
    }
    if (*at == '=' && lexer->sets)
        skip_assigned(lexer);
}

/* "-5" where no operator can stand is one literal: a statement is the same whatever the signs of its values. */
static const char *skip_signed(const struct lexer *lexer, const char *at)
{
    bool sign = is_at(lexer, at, '-') || is_at(lexer, at, '+');
    bool number = class_at(lexer, at + 1) == DIGIT || (is_at(lexer, at + 1, '.') && class_at(lexer, at + 2) == DIGIT);
    return lexer->open && sign && number ? skip_number(lexer, at + 1) : NULL;
}

/* After these an operand must come. Of other operators a sign that follows may be a part. */
static bool opens(char byte)
{
    switch (byte) {
    case '(': case '[': case ',': case '=': case '<': case '>': case '+': case '-': case '*': case '/': case '%':
        return true;
    default:
        return false;
    }
}

/* Whether what stands before makes another operator of "=". */
static bool is_operator(const struct lexer *lexer, const char *at)
{
    return at >= lexer->text && (*at == '<' || *at == '>' || *at == '!');
}

static void take_token(struct lexer *lexer)
{
    const char *at = lexer->at, *end = skip_blank(lexer, at);
    uint32_t members;
    if (end > at) {
        lexer->blank = true;
        lexer->at = end;
        return;
    }
    if ((end = skip_value(lexer, at)) || (end = skip_signed(lexer, at)))
        take_value(lexer, end);
    else if ((end = skip_lists(lexer, at, &members)))
        take_list(lexer, end, members);
    else if (classes[(uint8_t)*at] == WORD)
        take_word(lexer);
    else if (*at == '"')
        take_identifier(lexer);
    else
        take_other(lexer);
    lexer->equal = *at == '=' && !is_operator(lexer, at - 1);
    lexer->open = lexer->at == at + 1 && opens(*at);
    lexer->named = classes[(uint8_t)*at] == WORD && !is_word(at, lexer->at, "values");
}

void sql_normalise(const char *text, struct sql_statement *statement, char *kept)
{
    *statement = (struct sql_statement){.length = (uint32_t)strnlen(text, SQL_LENGTH_MAX)};
    statement->cut = statement->length > SQL_SCANNED;
    struct lexer lexer = {.text = text, .at = text, .kept = kept, .statement = statement, .first = true};
    lexer.end = text + (statement->length < SQL_SCANNED ? statement->length : SQL_SCANNED);
    while (lexer.at < lexer.end)
        take_token(&lexer);
    statement->hash = index_mix(statement->hash ^ statement->size, lexer.word) | 1;
    if (kept)
        kept[statement->size] = 0;
}
