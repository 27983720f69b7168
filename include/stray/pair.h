/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The grammar of user-defined pairs, for `stray run --pair` and for the STRAY_PAIR that the shim reads:
 *
 *   pairs    = pair { (";" | newline) pair }
 *   pair     = [ LABEL ":" ] openers ":" closers
 *   openers  = function { "," function }         closers alike
 *   function = NAME "=" place [ ".int" ] [ ".stack" NUMBER ] [ "!" NUMBER ] [ "@ret" [ "!" ] NUMBER ]
 *   place    = "ret" | "aN" | "*aN"              N: an argument passed in a register, 0 to 5
 *
 *   !NUMBER      this value is no handle: the call has failed (openers)
 *   @retNUMBER   the call has done something only if it returned NUMBER; @ret!NUMBER: anything else
 *   .int         the handle is an int and not a pointer
 *   .stackNUMBER so many words of the arguments lie on the stack, where these are more than 16: they are handed on
 *   LABEL        how the resource is called; by default what the first opener's and closer's names begin with
 *
 * A closer's handle is an argument. Blanks around names and marks mean nothing; empty pairs are passed over. Pure functions; they allocate
 * nothing, and are thread and signal safe. What is parsed points into the text.
 */
#ifndef STRAY_PAIR_H
#define STRAY_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRAY_PAIR_RESOURCES 32u  /* with names of their own */
#define STRAY_PAIR_FUNCTIONS 192u /* in all pairs */
#define STRAY_PAIR_LABEL     32u  /* longest label */
#define STRAY_PAIR_NAME      200u /* longest name of a function */
#define STRAY_PAIR_WORDS     8192 /* of arguments on the stack */

struct stray_pair_text {
    const char *at;
    size_t length;
};

enum stray_pair_place { STRAY_PAIR_RETURNED, STRAY_PAIR_ARGUMENT, STRAY_PAIR_POINTED };
enum stray_pair_check { STRAY_PAIR_ALWAYS, STRAY_PAIR_IF_RETURNS, STRAY_PAIR_UNLESS_RETURNS };

struct stray_pair_function {
    struct stray_pair_text name;
    int64_t failure; /* no handle, if has_failure */
    int64_t result;  /* what `check` compares with */
    uint16_t words;   /* on the stack; 0: nothing was said */
    uint8_t resource; /* index */
    uint8_t place;    /* enum stray_pair_place */
    uint8_t argument;
    uint8_t check; /* enum stray_pair_check */
    bool closes, is_int, has_failure;
};

struct stray_pairs {
    struct stray_pair_function functions[STRAY_PAIR_FUNCTIONS];
    struct stray_pair_text resources[STRAY_PAIR_RESOURCES]; /* labels */
    size_t function_count, resource_count;
};

static inline bool stray_pair_same(struct stray_pair_text a, struct stray_pair_text b)
{
    return a.length == b.length && __builtin_memcmp(a.at, b.at, a.length) == 0;
}

static inline bool stray_pair_is(struct stray_pair_text text, const char *word)
{
    size_t i = 0;
    while (i < text.length && word[i] == text.at[i])
        i++;
    return i == text.length && word[i] == '\0';
}

static inline bool stray_pair_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool stray_pair_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* ---- marks and words; `*at` moves behind what was read ---- */

static inline void stray_pair_skip(const char **at)
{
    while (**at == ' ' || **at == '\t' || **at == '\r')
        ++*at;
}
static inline bool stray_pair_mark(const char **at, char mark)
{
    stray_pair_skip(at);
    if (**at != mark)
        return false;
    ++*at;
    stray_pair_skip(at);
    return true;
}
static inline bool stray_pair_word(const char **at, const char *word)
{
    const char *end = *at;
    for (; *word; word++, end++)
        if (*end != *word)
            return false;
    *at = end;
    return true;
}

static inline const char *stray_pair_take_name(const char **at, struct stray_pair_text *ret_name)
{
    const char *begin = *at, *end = begin;
    while (stray_pair_is_letter(*end) || (end > begin && (stray_pair_is_digit(*end) || *end == '$')))
        end++;
    if (end == begin)
        return "a function's name is expected";
    if ((size_t)(end - begin) > STRAY_PAIR_NAME)
        return "the function's name is too long";
    *ret_name = (struct stray_pair_text){begin, (size_t)(end - begin)};
    *at = end;
    return NULL;
}

static inline const char *stray_pair_take_number(const char **at, int64_t *ret_number)
{
    const char *digit = *at + (**at == '-');
    bool negative = **at == '-';
    int64_t number = 0;
    if (!stray_pair_is_digit(*digit))
        return "a number is expected";
    for (; stray_pair_is_digit(*digit); digit++)
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *digit - '0', &number))
            return "the number is too large";
    *ret_number = negative ? -number : number;
    *at = digit;
    return NULL;
}

/* ---- a function ---- */

static inline const char *stray_pair_take_words(const char **at, struct stray_pair_function *function)
{
    int64_t words = 0;
    const char *wrong = stray_pair_take_number(at, &words);
    if (!wrong && (words < 0 || words > STRAY_PAIR_WORDS))
        wrong = "at most 8192 words may lie on the stack";
    function->words = (uint16_t)words;
    return wrong;
}

static inline const char *stray_pair_take_place(const char **at, struct stray_pair_function *function)
{
    bool pointed = stray_pair_mark(at, '*');
    const char *digit = *at + 1;
    if (!pointed && stray_pair_word(at, "ret")) {
        function->place = STRAY_PAIR_RETURNED;
    } else if (**at == 'a' && *digit >= '0' && *digit <= '5' && !stray_pair_is_digit(digit[1]) && !stray_pair_is_letter(digit[1])) {
        function->place = pointed ? STRAY_PAIR_POINTED : STRAY_PAIR_ARGUMENT;
        function->argument = (uint8_t)(*digit - '0');
        *at = digit + 1;
    } else {
        return "where the handle is must be ret, aN or *aN, with N from 0 to 5";
    }
    function->is_int = stray_pair_word(at, ".int");
    return stray_pair_word(at, ".stack") ? stray_pair_take_words(at, function) : NULL;
}

static inline const char *stray_pair_take_conditions(const char **at, struct stray_pair_function *function)
{
    const char *wrong = NULL;
    if (stray_pair_mark(at, '!')) {
        function->has_failure = true;
        wrong = stray_pair_take_number(at, &function->failure);
    }
    if (!wrong && stray_pair_mark(at, '@')) {
        if (!stray_pair_word(at, "ret"))
            return "@ret and a number is expected";
        function->check = stray_pair_mark(at, '!') ? STRAY_PAIR_UNLESS_RETURNS : STRAY_PAIR_IF_RETURNS;
        wrong = stray_pair_take_number(at, &function->result);
    }
    stray_pair_skip(at);
    return wrong;
}

static inline const char *stray_pair_take_function(const char **at, bool closes, struct stray_pair_function *ret_function)
{
    struct stray_pair_function function = {.closes = closes};
    const char *begin = *at, *wrong = stray_pair_take_name(at, &function.name);
    if (!wrong && !stray_pair_mark(at, '='))
        wrong = "= and where the handle is must follow the function's name";
    if (!wrong)
        wrong = stray_pair_take_place(at, &function);
    if (!wrong)
        wrong = stray_pair_take_conditions(at, &function);
    if (!wrong && closes && (function.place != STRAY_PAIR_ARGUMENT || function.has_failure)) {
        *at = begin;
        wrong = "what is closed must be an argument: aN, with @ret at most";
    }
    if (!wrong)
        *ret_function = function;
    return wrong;
}

/* ---- pairs ---- */

/* What both names begin with, up to the end of a word; of no length where they have nothing in common. */
static inline struct stray_pair_text stray_pair_common(struct stray_pair_text a, struct stray_pair_text b)
{
    size_t length = 0;
    while (length < a.length && length < b.length && a.at[length] == b.at[length])
        length++;
    bool word_ends = length == a.length || length == b.length || a.at[length - (length > 0)] == '_' ||
                     (a.at[length] >= 'A' && a.at[length] <= 'Z' && b.at[length] >= 'A' && b.at[length] <= 'Z');
    size_t cut = length;
    while (!word_ends && cut > 0 && a.at[cut - 1] != '_')
        cut--;
    length = cut > 0 ? cut : length;
    while (length > 0 && a.at[length - 1] == '_')
        length--;
    return (struct stray_pair_text){a.at, length < STRAY_PAIR_LABEL ? length : STRAY_PAIR_LABEL};
}

static inline bool stray_pair_is_built_in(struct stray_pair_text label)
{
    static const char *const labels[] = {
#define RESOURCE(id, NAME, label, key) label,
#include "stray/resources.def"
#undef RESOURCE
    };
    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++)
        if (stray_pair_is(label, labels[i]))
            return true;
    return false;
}

static inline const char *stray_pair_add_resource(struct stray_pairs *pairs, struct stray_pair_text label, uint8_t *ret_resource)
{
    size_t i = 0;
    while (i < pairs->resource_count && !stray_pair_same(pairs->resources[i], label))
        i++;
    if (i == STRAY_PAIR_RESOURCES)
        return "more than 32 resources";
    pairs->resources[i] = label;
    pairs->resource_count += i == pairs->resource_count;
    *ret_resource = (uint8_t)i;
    return NULL;
}

static inline bool stray_pair_alike(const struct stray_pair_function *a, const struct stray_pair_function *b)
{
    return a->failure == b->failure && a->result == b->result && a->resource == b->resource && a->place == b->place &&
           a->argument == b->argument && a->check == b->check && a->words == b->words && a->closes == b->closes && a->is_int == b->is_int &&
           a->has_failure == b->has_failure;
}

/* The function of that name; NULL: none. */
static inline const struct stray_pair_function *stray_pairs_find(const struct stray_pairs *pairs, struct stray_pair_text name)
{
    for (size_t i = 0; i < pairs->function_count; i++)
        if (stray_pair_same(pairs->functions[i].name, name))
            return &pairs->functions[i];
    return NULL;
}

static inline const char *stray_pair_add_function(struct stray_pairs *pairs, const struct stray_pair_function *function)
{
    const struct stray_pair_function *known = stray_pairs_find(pairs, function->name);
    if (known)
        return stray_pair_alike(known, function) ? NULL : "the function is given twice, and not alike";
    if (pairs->function_count == STRAY_PAIR_FUNCTIONS)
        return "more than 192 functions";
    pairs->functions[pairs->function_count++] = *function;
    return NULL;
}

/* "LABEL:", where what stands before the colon holds no "=". */
static inline const char *stray_pair_take_label(const char **at, struct stray_pair_text *ret_label)
{
    const char *end = *at;
    while (stray_pair_is_letter(*end) || stray_pair_is_digit(*end) || *end == '.' || *end == '-')
        end++;
    struct stray_pair_text label = {*at, (size_t)(end - *at)};
    if (label.length == 0 || !stray_pair_mark(&end, ':'))
        return NULL;
    if (label.length > STRAY_PAIR_LABEL)
        return "the label is longer than 32 characters";
    if (stray_pair_is_built_in(label))
        return "the label is that of a resource of stray's own";
    *ret_label = label;
    *at = end;
    return NULL;
}

/* The functions of one list; each is added to `pairs`. */
static inline const char *stray_pair_take_list(struct stray_pairs *pairs, const char **at, bool closes, uint8_t resource)
{
    do {
        struct stray_pair_function function = {0};
        const char *begin = *at, *wrong = stray_pair_take_function(at, closes, &function);
        function.resource = resource;
        if (!wrong && (wrong = stray_pair_add_function(pairs, &function)) != NULL)
            *at = begin;
        if (wrong)
            return wrong;
    } while (stray_pair_mark(at, ','));
    return NULL;
}

/* The label that a pair gets which has none. `at`: of the first opener. */
static inline struct stray_pair_text stray_pair_default_label(const char *at)
{
    struct stray_pair_text opener = {at, 0}, closer;
    (void)!stray_pair_take_name(&at, &opener);
    while (*at && *at != ':' && *at != ';' && *at != '\n')
        at++;
    stray_pair_mark(&at, ':');
    if (stray_pair_take_name(&at, &closer) != NULL)
        return opener;
    struct stray_pair_text common = stray_pair_common(opener, closer);
    if (common.length > 0 && !stray_pair_is_built_in(common))
        return common;
    return (struct stray_pair_text){opener.at, opener.length < STRAY_PAIR_LABEL ? opener.length : STRAY_PAIR_LABEL};
}

static inline const char *stray_pair_take(struct stray_pairs *pairs, const char **at)
{
    struct stray_pair_text label = {NULL, 0};
    uint8_t resource = 0;
    const char *wrong = stray_pair_take_label(at, &label);
    if (!wrong)
        wrong = stray_pair_add_resource(pairs, label.at ? label : stray_pair_default_label(*at), &resource);
    if (!wrong)
        wrong = stray_pair_take_list(pairs, at, false, resource);
    if (!wrong && !stray_pair_mark(at, ':'))
        wrong = "a colon and what closes the handle is expected";
    return wrong ? wrong : stray_pair_take_list(pairs, at, true, resource);
}

static inline bool stray_pair_mark_between(const char **at)
{
    bool found = false;
    while (stray_pair_mark(at, ';') || stray_pair_mark(at, '\n'))
        found = true;
    return found;
}

/* Adds the pairs of `text`, which must outlive `pairs`. NULL, or what is wrong, and *ret_at where: then what was added is not
 * to be used. */
static inline const char *stray_pairs_parse(struct stray_pairs *pairs, const char *text, const char **ret_at)
{
    const char *at = text, *wrong = NULL;
    stray_pair_skip(&at);
    stray_pair_mark_between(&at);
    while (!wrong && *at) {
        wrong = stray_pair_take(pairs, &at);
        if (!wrong && *at && !stray_pair_mark_between(&at))
            wrong = "this is not understood";
    }
    *ret_at = at;
    return wrong;
}

/* Functions that a call must reach as it was made: they look at who calls them, return twice, never return, run on another
 * stack, or make a process that has the caller's memory or none of its threads. */
static inline bool stray_pair_denied(struct stray_pair_text name)
{
    static const char *const names[] = {
        "dlopen", "dlmopen", "dlsym", "dlvsym", "dlclose", "dladdr", "dladdr1", "dlinfo", "dlerror", "dl_iterate_phdr",
        "setjmp", "_setjmp", "__sigsetjmp", "sigsetjmp", "longjmp", "_longjmp", "siglongjmp", "__longjmp_chk",
        "vfork", "fork", "_Fork", "clone", "clone3", "__clone", "__clone2",
        "getcontext", "setcontext", "makecontext", "swapcontext", "__libc_start_main", "__cxa_throw", "__cxa_rethrow",
        "__gxx_personality_v0", "__tls_get_addr", "_Unwind_RaiseException", "_Unwind_Resume", "_Unwind_ForcedUnwind",
        "_Unwind_Backtrace", "__errno_location", "syscall", "_start", "main",
        "pthread_exit", "abort", "__stack_chk_fail", "exit", "_exit", "_Exit", "quick_exit",
        "execl", "execle", "execlp", "execv", "execve", "execvp", "execvpe", "execveat", "fexecve",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (stray_pair_is(name, names[i]))
            return true;
    return false;
}

#endif
