/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/sql_words.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "hash.h"

/* Part of a text. */
struct word {
    const char *at;
    size_t size;
};

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$' || (unsigned char)c >= 0x80;
}

static const char *past_quotes(const char *at)
{
    const char *end = strchr(at + 1, '"');
    return end ? end + 1 : at + strlen(at);
}

/* The next word, "a"."b" in quotes as it stands; size 0: there is none. */
static struct word next_word(const char **at)
{
    while (**at && !in_word(**at) && **at != '"')
        ++*at;
    struct word word = {*at, 0};
    while (**at && (in_word(**at) || **at == '"'))
        *at = **at == '"' ? past_quotes(*at) : *at + 1;
    word.size = (size_t)(*at - word.at);
    return word;
}

static bool is(struct word word, const char *text)
{
    return strlen(text) == word.size && strncasecmp(word.at, text, word.size) == 0;
}

static bool is_one_of(struct word word, const char *const *texts)
{
    while (*texts)
        if (is(word, *texts++))
            return true;
    return false;
}

/* Without regard to case, as names without quotes are. */
static uint64_t hash_name(struct word word)
{
    uint64_t hash = HASH_BEGIN;
    for (size_t i = 0; i < word.size; i++) {
        char c = (char)tolower((unsigned char)word.at[i]);
        if (c != '"')
            hash = hash_bytes(hash, &c, 1);
    }
    return hash;
}

/* "= $1" or "= $?". */
static bool sets_constant(const char *at)
{
    at += strspn(at, " ");
    if (*at != '=')
        return false;
    at += 1 + strspn(at + 1, " ");
    return *at == '$';
}

/* What follows UPDATE: [ONLY] name ... SET name = ... WHERE */
static void read_update(const char *at, struct sql_words *words)
{
    struct word word = next_word(&at);
    if (is(word, "only"))
        word = next_word(&at);
    words->table = hash_name(word);
    bool set = false;
    while ((word = next_word(&at)).size > 0 && !is(word, "where")) {
        set |= is(word, "set");
        words->constants |= set && sets_constant(at);
    }
}

/* "IN ($?)", "IN ($1": values, and no SELECT. */
static bool lists_values(const char *at)
{
    at += strspn(at, " ");
    if (*at != '(')
        return false;
    at += 1 + strspn(at + 1, " ");
    return *at == '$';
}

/* What any statement may hold. */
static void read_any(struct word word, const char *at, struct sql_words *words)
{
    words->bounded |= is(word, "limit") || is(word, "fetch");
    words->batches |= is(word, "any") || is(word, "values") || (is(word, "in") && lists_values(at));
}

/* The rest of an UPDATE. */
static void read_rest(const char *at, struct sql_words *words)
{
    struct word word;
    while ((word = next_word(&at)).size > 0)
        read_any(word, at, words);
}

static void read_select(const char *at, struct sql_words *words)
{
    struct word word, before = {at, 0};
    while ((word = next_word(&at)).size > 0) {
        read_any(word, at, words);
        if (is(before, "from") && words->table == 0)
            words->table = hash_name(word);
        if (is(before, "for") && (is(word, "update") || is(word, "share") || is(word, "no") || is(word, "key")))
            words->locks = true;
        before = word;
    }
}

/* Of what a PREPARE name (...) AS prepares, that. */
static struct word first_word(const char **at)
{
    struct word first = next_word(at), word = first;
    if (!is(first, "prepare"))
        return first;
    while (word.size > 0 && !is(word, "as"))
        word = next_word(at);
    return next_word(at);
}

void sql_words_read(const char *text, struct sql_words *ret_words)
{
    static const char *const controls[] = {"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "set",
                                           "reset", "show", "discard", "deallocate", "listen", "unlisten", NULL};
    *ret_words = (struct sql_words){0};
    if (!text)
        return;
    const char *at = text;
    struct word first = first_word(&at);
    ret_words->control = is_one_of(first, controls);
    ret_words->updates = is(first, "update");
    ret_words->selects = is(first, "select");
    ret_words->batches = is(first, "insert");
    if (ret_words->updates) {
        read_rest(at, ret_words);
        read_update(at, ret_words);
    } else {
        read_select(at, ret_words); /* WITH, COPY, FETCH, too: for what bounds them */
    }
    ret_words->fetches = is(first, "fetch") || is(first, "move");
    ret_words->bounded |= ret_words->fetches;
}
