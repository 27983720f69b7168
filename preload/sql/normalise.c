/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sql/normalise.h"

#include <string.h>

#include "record/index.h"
#include "sql/tokens.h"
#include "text.h"

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

/* ---- tokens ---- */

static void note_key(struct lexer *lexer, const char *end)
{
    struct sql_statement *statement = lexer->statement;
    if (!lexer->where || !lexer->equal || statement->key_count == SQL_KEYS)
        return;
    struct sql_key key = {lexer->at, (uint32_t)(end - lexer->at)};
    if (*lexer->at == '$' && class_at(lexer->end, lexer->at + 1) == DIGIT) {
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
    if (*at == '$' && sql_classes[(uint8_t)at[1]] == DIGIT)
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
    const char *end = skip_list(lexer->end, at, &members);
    if (!end)
        return NULL;
    if (!lexer->named)
        end = skip_rows(lexer->end, end, &rows);
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
        const char *end = skip_value(lexer->end, lexer->at);
        const char *blank = skip_blank(lexer->end, lexer->at);
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
    const char *next = skip_blank(lexer->end, end);
    lexer->settles = is_word(at, end, "set") || is_word(at, end, "alter");
    lexer->prepared = prepared_by(at, end);
    if (is_word(at, end, "discard") && is_word(next, skip_word(lexer->end, next), "all")) {
        lexer->prepared = SQL_DEALLOCATES;
        tell_prepared(lexer, 0);
    }
    lexer->first = false;
}

static void take_word(struct lexer *lexer)
{
    const char *at = lexer->at, *end = skip_word(lexer->end, at);
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
    while (end < lexer->end && (*end != '"' || is_at(lexer->end, end + 1, '"')))
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
    bool sign = is_at(lexer->end, at, '-') || is_at(lexer->end, at, '+');
    bool number = class_at(lexer->end, at + 1) == DIGIT || (is_at(lexer->end, at + 1, '.') && class_at(lexer->end, at + 2) == DIGIT);
    return lexer->open && sign && number ? skip_number(lexer->end, at + 1) : NULL;
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
    const char *at = lexer->at, *end = skip_blank(lexer->end, at);
    uint32_t members;
    if (end > at) {
        lexer->blank = true;
        lexer->at = end;
        return;
    }
    if ((end = skip_value(lexer->end, at)) || (end = skip_signed(lexer, at)))
        take_value(lexer, end);
    else if ((end = skip_lists(lexer, at, &members)))
        take_list(lexer, end, members);
    else if (sql_classes[(uint8_t)*at] == WORD)
        take_word(lexer);
    else if (*at == '"')
        take_identifier(lexer);
    else
        take_other(lexer);
    lexer->equal = *at == '=' && !is_operator(lexer, at - 1);
    lexer->open = lexer->at == at + 1 && opens(*at);
    lexer->named = sql_classes[(uint8_t)*at] == WORD && !is_word(at, lexer->at, "values");
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
